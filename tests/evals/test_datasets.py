"""Datasets of every kind give the same cases, one at a time, each with its place."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from promptstudio.errors import SuiteFileError
from promptstudio.evals import preflight
from promptstudio.evals.assertions.functions import Functions
from promptstudio.evals.datasets import Dataset, Example, file_cases, function_cases, inline_cases
from promptstudio.evals.evaluate import EvalOptions, prepare
from promptstudio.evals.suite import load_suite

if TYPE_CHECKING:
    from tests.conftest import Project

WANTED = {"ticket": "حُصّل مرتين", "n": "2"}


def cases(tmp_path: Path, name: str, text: str | bytes) -> list[Example]:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(file_cases(path, name).open())


SAME = {
    "a.jsonl": '{"id": "x", "vars": {"ticket": "حُصّل مرتين", "n": "2"}, "expected": "ok", "tags": ["a", "b"]}\n\n',
    "a.ndjson": '\ufeff{"id": "x", "inputs": {"ticket": "حُصّل مرتين", "n": "2"}, "reference": "ok", "tags": ["a", "b"]}',
    "a.json": '[{"id": "x", "inputs": {"ticket": "حُصّل مرتين", "n": "2"}, "expected_output": "ok", "tags": ["a", "b"]}]',
    "b.json": '{"cases":[{"id":"x","vars": {"ticket": "حُصّل مرتين", "n": "2"}, "expected": "ok", "tags": ["a", "b"]}]}',
    "a.yaml": '- id: x\n  inputs: {ticket: حُصّل مرتين, n: "2"}\n  expected_output: ok\n  tags: [a, b]\n',
    "a.csv": 'id,ticket,n,expected,tags\r\nx,حُصّل مرتين,2,ok,"a, b"\r\n\r\n',
    "a.tsv": "\ufeffid\tticket\tn\texpected\ttags\nx\tحُصّل مرتين\t2\tok\ta,b\n",
}


@pytest.mark.parametrize("name", SAME)
def test_each_format_gives_the_same_case(tmp_path: Path, name: str) -> None:
    [example] = cases(tmp_path, name, SAME[name])
    assert example.case.id == "x"
    assert dict(example.case.inputs) == WANTED
    assert example.case.expected_output == "ok"
    assert example.case.tags == ("a", "b")
    assert example.case.file is not None
    assert example.case.file.startswith(name)


def test_parquet_gives_the_same_case(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"id": "x", **WANTED, "expected": "ok", "tags": ["a", "b"], "context": None}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    [example] = file_cases(tmp_path / "a.parquet", "a.parquet").open()
    assert (example.case.id, dict(example.case.inputs), example.case.tags) == ("x", WANTED, ("a", "b"))
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(SuiteFileError, match="not Parquet"):
        list(file_cases(tmp_path / "b.parquet", "b.parquet").open())


def test_a_python_function_may_return_a_list_or_yield(tmp_path: Path) -> None:
    def made() -> Any:
        yield {"inputs": {"n": 1}}
        yield {"inputs": {"n": (1, 2)}}

    assert [dict(example.case.inputs) for example in function_cases(made, "cases.py:made").open()] == [
        {"n": 1},
        {"n": [1, 2]},
    ]
    with pytest.raises(SuiteFileError) as caught:
        list(function_cases(lambda: [{"inputs": {"n": object()}}], "cases.py:made").open())
    assert caught.value.message == "cases.py:made[0]: inputs.n: object is not plain data"


def test_a_case_without_an_id_is_named_by_its_content_wherever_it_stands() -> None:
    def named(*items: dict[str, Any]) -> list[str]:
        return [example.case.id for example in inline_cases(items, "s.yaml", lambda index: index + 1).open()]

    one, two = {"inputs": {"a": 1}}, {"inputs": {"a": 2}}
    assert named(one, two) == named(two, one)[::-1]
    assert named(one) == named({"vars": {"a": 1}, "tags": ["t"], "metadata": {"m": 1}, "x-note": "free"})
    assert named(one) != named({"inputs": {"a": 1}, "expected_output": "b"})


def test_csv_cells_of_other_kinds_are_read(tmp_path: Path) -> None:
    head = "q,context,expected_tools,threshold,repeats,metadata,expected\n"
    text = head + 'hi,"[""a"",""b""]","[{""name"": ""f""}]",0.5,3,"{""k"": 1}",\n'
    [example] = cases(tmp_path, "a.csv", text)
    assert example.case.context == ("a", "b")
    assert example.case.expected_tools == ({"name": "f"},)
    assert (example.threshold, example.repeats, example.case.metadata) == (0.5, 3, {"k": 1})
    assert example.case.expected_output is None  # an empty cell is no value


def test_a_cell_may_hold_line_breaks_and_the_next_row_still_knows_its_line(tmp_path: Path) -> None:
    examples = cases(tmp_path, "a.csv", 'q\n"two\nlines"\nnext\n')
    assert [(example.case.inputs["q"], example.case.line) for example in examples] == [("two\nlines", 2), ("next", 4)]


def test_a_cell_of_ten_megabytes_is_read(tmp_path: Path) -> None:
    [example, after] = cases(tmp_path, "a.csv", "id,q\nx," + "ي" * 10_000_000 + "\ny,b\n")
    assert len(example.case.inputs["q"]) == 10_000_000
    assert after.case.line == 3


BREAKS = {
    "raise ValueError('no table')": "making the cases failed: cases.py:4: ValueError: no table",
    "yield {'inputs': {'name': 1 / 0}}": "making the cases failed: cases.py:4: ZeroDivisionError: division by zero",
    "import sys; sys.exit(3)": "making the cases failed: cases.py:4: SystemExit: 3",
    "return 5": "a function returns a list of cases, or yields them; found the number 5",
}


@pytest.mark.parametrize("code", BREAKS)
def test_a_function_of_cases_that_breaks_is_a_mistake_of_the_suite_with_its_line(
    project: Project, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("evals/cases.py", f"\ndef make():\n    print('told')\n    {code}\n")
    path = project.write("evals/s.yaml", "prompt: greet\ncases: cases.py:make\nassert: [{contains: a}]\n")
    with pytest.raises(SuiteFileError) as caught:
        list(load_suite(path, project.settings()).dataset.open())
    assert caught.value.message == f"cases.py:make: {BREAKS[code]}"
    assert capsys.readouterr() == ("", "told\n")  # standard output holds the report only


BAD: list[tuple[str, str | bytes, str]] = [
    ("a.jsonl", '{"inputs": {}}\n{"input": {}}\n', "a.jsonl:2: unknown key 'input' in a case"),
    ("a.jsonl", '{"inputs": {}}\nnot json\n', "a.jsonl:2:1: not JSON"),
    ("a.jsonl", '{"inputs": {}}\n{"id": 1,\n', "a.jsonl:2:10: not JSON"),
    ("a.jsonl", '{"inputs": {}, "inputs": {}}\n', "a.jsonl:1: not usable JSON: the key 'inputs' is there twice"),
    ("a.jsonl", '{"inputs": NaN}\n', "NaN is not a JSON number"),
    ("a.jsonl", "[1]\n", "a.jsonl:1: a case is a map, found a list"),
    ("a.jsonl", b'{"inputs": {}}\n\xff\n', "a.jsonl:2: not UTF-8"),
    ("a.jsonl", '{"vars": {}, "inputs": {}}\n', "'inputs' and another name of inputs are both given"),
    ("a.jsonl", '{"inputs": []}\n', "a.jsonl:1: inputs: expected a map, found a list"),
    ("a.jsonl", '{"repeats": 0}\n', "repeats: expected a whole number from 1 to 1000, found the number 0"),
    ("a.jsonl", '{"threshold": true}\n', "threshold: expected a number from 0 to 1, found true"),
    ("a.jsonl", '{"turns": [{"assrt": []}]}\n', "turns: unknown key 'assrt' in turn 1"),
    ("a.json", '{"a": 1}', "a.json:1: a dataset is a list of cases, found a map"),
    ("a.yaml", "- inputs: {a: 1}\n- 5\n", "a.yaml:2: a case is a map, found the number 5"),
    ("a.yaml", "a: [\n", "not YAML"),
    ("a.csv", "", "a.csv:1: the file is empty"),
    ("a.csv", "a,a\n1,2\n", "a.csv:1: two columns are named 'a'"),
    ("a.csv", "a,b\n1,2,3\n", "a.csv:2: 3 cells, and the first line names 2 columns"),
    ("a.csv", "a,b\n1,2\n3\n", "a.csv:3: 1 cell, and the first line names 2 columns"),
    ("a.csv", "id,expected,reference\n", "a.csv:1: the columns 'expected' and 'reference' are both expected_output"),
    ("a.csv", "id;a\nx;1\n", "a.csv:1: the columns are separated by ';'"),
    ("a.csv", "a,expected_tools\n1,{\n", "a.csv:2:2: not JSON"),
    ("a.csv", 'a\nb\n"open\nc\n', "a.csv:3: not CSV: a quote that is opened in this row is never closed"),
    ("a.csv", 'a\n"b"c\n', "a.csv:2: not CSV: ',' expected after"),
    ("a.csv", "a\n" + "x" * ((16 << 20) + 1), "a.csv:2: a line of more than 16,777,216 characters"),
    ("a.csv", 'a\n"' + "x\n" * (9 << 20) + '"\n', "a.csv:2: not CSV: a cell of more than 16,777,216 characters"),
    ("a.csv", "a,repeats\n1,many\n", "a.csv:2: repeats: 'many' is not a number"),
    ("a.csv", b"a\nb\n\xe9\nc\n", "a.csv:3: not CSV: not UTF-8"),
    ("a.csv", "a\nb\n".encode("utf-16"), "a.csv:1: not CSV: not UTF-8"),
    ("a.csv", b"a\nb\0c\n", "a.csv:2: a NUL character"),
    ("a.txt", "x", "'.txt' is no kind of dataset"),
]


@pytest.mark.parametrize(("name", "text", "says"), BAD)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, name: str, text: str | bytes, says: str) -> None:
    with pytest.raises(SuiteFileError) as caught:
        cases(tmp_path, name, text)
    assert says in caught.value.message


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "triage.jsonl").touch()
    with pytest.raises(SuiteFileError) as caught:
        file_cases(tmp_path / "triag.jsonl", "triag.jsonl")
    assert caught.value.hint == "did you mean 'triage.jsonl'?"


def test_a_dataset_of_lines_is_never_held_whole(tmp_path: Path) -> None:
    path = tmp_path / "big.jsonl"
    path.write_text(('{"inputs": {"q": "' + "x" * 1000 + '"}}\n') * 20_000)

    def peak(of: Callable[[], Dataset]) -> int:
        tracemalloc.start()
        assert sum(1 for _ in of().open()) == 20_000
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert path.stat().st_size > 20_000_000
    assert peak(lambda: file_cases(path, "big.jsonl")) < 1_000_000


def test_what_is_no_file_is_not_taken_for_a_wrong_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f.jsonl")
    with pytest.raises(SuiteFileError, match="not a regular file") as caught:
        file_cases(tmp_path / "f.jsonl", "f.jsonl")
    assert "did you mean" not in str(caught.value.hint)
    with pytest.raises(SuiteFileError, match="there is no such file") as caught:
        file_cases(tmp_path / "g.jsonl", "g.jsonl")
    assert caught.value.hint == "did you mean 'f.jsonl'?"


def test_an_empty_file_is_told_what_could_stand_in_it(project: Project) -> None:
    suite = project.write("evals/empty.yaml", "# nothing\n")
    with pytest.raises(SuiteFileError, match="the file is empty") as caught:
        load_suite(suite, project.settings())
    assert str(caught.value.hint).startswith("a suite names a `prompt:`")
    with pytest.raises(SuiteFileError) as caught:
        cases(project.root, "a.yaml", "")
    assert str(caught.value.hint).startswith("a dataset is a list of cases")


def test_a_check_looks_at_every_case_of_a_large_dataset_and_a_run_begins_with_the_first(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "LARGE_BYTES", 100)
    monkeypatch.setattr(preflight, "LOOKED_AT", 2)
    path = project.write("evals/s.yaml", "prompt: greet\ncases: d.jsonl\nassert: [{contains: a}]\n")
    project.write("evals/d.jsonl", "".join(f'{{"inputs": {{"name": "{number}"}}}}\n' for number in range(5)))
    settings = project.settings()
    suite = load_suite(path, settings)
    assert prepare(suite, settings, EvalOptions(), None)[1].cases == 5
    _, begun = prepare(suite, settings, EvalOptions(), Functions(settings.root))
    assert (begun.cases, begun.is_whole) == (2, False)
    project.write("evals/d.jsonl", '{"inputs": {"name": "a"}}\n' * 20 + '{"inputs": {"nam": "b"}}\n')
    with pytest.raises(SuiteFileError, match=r"evals/d.jsonl:21: case \w+: greet: there is no input 'nam'") as caught:
        prepare(load_suite(path, settings), settings, EvalOptions(), None)
    assert caught.value.problems[1].hint == "a case gives it below `inputs:`, a table in a column of that name"
