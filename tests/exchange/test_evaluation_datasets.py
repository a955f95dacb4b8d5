"""Datasets of DeepEval, RAGAS and OpenAI Evals: what becomes of files those libraries wrote, and of hostile ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from promptstudio.errors import PromptFileError
from promptstudio.exchange import datafile
from promptstudio.exchange.importing import Limits, import_path
from promptstudio.exchange.literal import literal
from promptstudio.exchange.schema import Import
from promptstudio.prompts.yamlfile import read_yaml
from tests.exchange.suite_desk import check_suite

SAMPLES = Path(__file__).parent / "samples"


def cases(result: Import) -> list[dict[str, Any]]:
    text = next(made.text for made in result.made if made.kind == "data")
    return [json.loads(line) for line in text.splitlines()]


def suite(result: Import) -> dict[str, Any]:
    text = next(made.text for made in result.made if made.kind == "suite")
    check_suite(text, "suite")
    return dict(read_yaml(text, file="suite.yaml").value)


def losses(result: Import) -> dict[str, tuple[str, int | None]]:
    return {loss.key: (loss.severity, loss.line) for loss in result.losses}


@pytest.mark.parametrize("name", ["goldens.csv", "goldens.json", "goldens.jsonl"])
def test_goldens_are_the_same_cases_whichever_way_deepeval_wrote_them(name: str) -> None:
    result = import_path(SAMPLES / name)

    assert result.sources == ((name, "deepeval"),)
    first, formula, bare = cases(result)
    assert first == {
        "id": "returns",
        "inputs": {"input": "Can I return shoes?\nThey are too small."},
        "expected_output": "You can return shoes within 30 days.",
        "context": ["Returns: 30 days.", "Shoes must be unworn."],
        "retrieval_context": ["Returns: 30 days.", "Shipping is free."],
        "expected_tools": [{"name": "search", "arguments": {"q": "returns"}}],
        "metadata": {
            "team": "support", "level": 2, "market": "de", "comments": "asked often", "sources": ["faq.md"],
            "source_file": "faq.md", "answers": ["Yes, within 30 days."],
        },
        "assert": [{"type": "rouge-l", "threshold": 0.5, "metric": "likeness"}],
    }  # fmt: skip
    assert formula["inputs"] == {"input": "=1+1"}
    assert formula["expected_output"].startswith("هل يمكنني")
    assert bare == {"id": "case-3", "inputs": {"input": "ללא תשובה"}, "assert": ["not-is-refusal"]}
    answer = result.answers[0].answers[0]
    assert (answer.case, answer.said[0].text) == ("returns", "Yes, within 30 days.")
    assert [(call.name, json.loads(call.arguments)) for call in answer.said[0].tool_calls] == [
        ("search", {"q": "returns"})
    ]
    assert losses(result)["tools_called.output"][0] == "dropped"
    assert {"prompt", "assert"} <= losses(result).keys()


@pytest.mark.parametrize("name", ["talks.csv", "talks.json"])
def test_a_conversational_golden_is_asked_turn_by_turn(name: str) -> None:
    result = import_path(SAMPLES / name)

    talk, lone = cases(result)
    assert talk["turns"] == [{"inputs": {"input": "I want to return shoes."}}, {"inputs": {"input": "Order 7."}}]
    assert talk["metadata"]["scenario"] == "A customer wants to return shoes."
    assert (talk["expected_output"], talk["assert"]) == ("The customer knows how.", ["not-is-refusal"])
    assert lone["turns"] == [{"inputs": {"input": "Somebody is angry."}}]
    assert [said.text for said in result.answers[0].answers[0].said] == ["Which order?", "Done."]
    assert {"expected_outcome", "scenario"} <= losses(result).keys()


@pytest.mark.parametrize("name", ["single.csv", "single.jsonl", "single.json"])
def test_samples_of_ragas_are_the_same_cases_whichever_way_it_wrote_them(name: str) -> None:
    result = import_path(SAMPLES / name)

    assert result.sources == ((name, "ragas"),)
    first, arabic = cases(result)
    assert first == {
        "id": "case-1",
        "inputs": {"user_input": "Who wrote it?"},
        "expected_output": "Ada",
        "context": ["Ada wrote it."],
        "retrieval_context": ["Ada's notes,\nfirst part", 'A "quoted" passage'],
        "metadata": {
            "rubrics": {"score1_description": "wrong", "score5_description": "right"},
            "answers": ['Ada\'s friend, "B".'],
        },
    }
    assert arabic["retrieval_context"] == ["آدا كتبت الملاحظات."]
    assert suite(result)["assert"] == [{"type": "rouge-l", "threshold": 0.5, "metric": "likeness"}]
    assert losses(result)["rubrics"][0] == "changed"


@pytest.mark.parametrize("name", ["talks_ragas.csv", "talks_ragas.jsonl"])
def test_a_conversation_of_ragas_keeps_what_people_asked_and_what_was_answered(name: str) -> None:
    result = import_path(SAMPLES / name)

    (talk,) = cases(result)
    assert [turn["inputs"]["user_input"] for turn in talk["turns"]] == ["What is the weather in Rome?", "Thanks"]
    assert talk["expected_tools"] == [{"name": "weather", "arguments": {"city": "Rome"}}]
    said = result.answers[0].answers[0].said
    assert [one.text for one in said] == ["I look.\nIt is 24 °C.", "You are welcome."]
    assert [call.name for call in said[0].tool_calls] == ["weather"]
    assert losses(result)["user_input"][0] == "dropped"


def test_the_names_of_ragas_0_1_are_read_too(tmp_path: Path) -> None:
    row = {"question": "q", "answer": "a", "contexts": ["c"], "ground_truths": ["first", "second"], "extra": 1}
    (tmp_path / "old.jsonl").write_text(json.dumps(row) + "\n")
    result = import_path(tmp_path / "old.jsonl")

    (case,) = cases(result)
    assert case["inputs"] == {"user_input": "q"}
    assert (case["expected_output"], case["retrieval_context"]) == ("first", ["c"])
    assert losses(result)["reference"] == ("dropped", 1)
    assert losses(result)["extra"] == ("dropped", 1)


def test_samples_of_openai_evals_bring_their_messages_as_a_prompt(tmp_path: Path) -> None:
    rows = [
        {"input": [{"role": "system", "content": "Be {{ brief }}."}, {"role": "user", "content": f"{n}+1?"}],
         "ideal": ideal, "topic": "sums"}
        for n, ideal in ((1, "2"), (2, ["3", "three"]))
    ]  # fmt: skip
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = import_path(tmp_path / "sums.jsonl")

    assert result.sources == (("sums.jsonl", "openai-evals"),)
    prompt = read_yaml(next(made.text for made in result.made if made.kind == "prompt"), file="p").value
    assert prompt["system"] if "system" in prompt else prompt["messages"][0]["content"] == "Be {{ '{{' }} brief }}."
    one, two = cases(result)
    assert (one["inputs"], one["metadata"]) == ({"input": "1+1?"}, {"topic": "sums"})
    assert one["assert"] == [{"type": "starts-with", "value": "2"}]
    assert [each["value"] for each in two["assert"][0]["assert"]] == ["3", "three"]


def test_samples_with_other_messages_each_are_given_as_conversations(tmp_path: Path) -> None:
    rows = [{"input": "Just text", "ideal": "x"},
            {"input": [{"role": "system", "content": "s", "name": "example_user"}, {"role": "user", "content": "u"}],
             "ideal": "y"}]  # fmt: skip
    (tmp_path / "mixed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = import_path(tmp_path / "mixed.jsonl")

    assert cases(result)[0]["inputs"] == {"conversation": [{"role": "user", "content": "Just text"}]}
    assert losses(result)["input.name"] == ("dropped", 2)


HOSTILE = {
    "latin.csv": ("user_input,reference\ncaf\xe9,x\n".encode("latin-1"), 2, "not UTF-8: the byte 0xE9"),
    "utf16.csv": ("user_input,reference\na,b\n".encode("utf-16"), 1, "this is UTF-16, not UTF-8"),
    "nul.csv": (b"user_input,reference\na\0,b\n", 2, "a NUL character"),
    "nan.jsonl": (b'{"user_input": "a", "reference": "b"}\n{"user_input": NaN}\n', 2, "NaN is not a JSON number"),
    "twice.jsonl": (b'{"user_input": "a", "user_input": "b"}\n', 1, "the key 'user_input' is there twice"),
    "deep.jsonl": (b'{"user_input": ' + b"[" * 50_000 + b"]" * 50_000 + b"}\n", 1, "nested too deeply"),
    "digits.jsonl": (b'{"user_input": ' + b"9" * 9_000 + b"}\n", 1, "a number with thousands of digits"),
    "number.jsonl": (b'{"user_input": "a"}\n7\n', 2, "expected a map, found the number 7"),
    "cut.jsonl": (b'{"user_input": "a"}\n{"user_input": \n', 2, "not JSON: Expecting value"),
    "missing.jsonl": (b'{"user_input": "a"}\n{"reference": "b"}\n', 2, "user_input: it is missing"),
    "columns.csv": (b"user_input,reference\na,b\na,b,c\n", 3, "3 cells, and the first line names 2 columns"),
    "double.csv": (b"user_input,user_input\na,b\n", 1, "two columns are named 'user_input'"),
    "quote.csv": (b'user_input,reference\n"a,b\n', 2, "not CSV: unexpected end of data"),
    "empty.csv": (b"user_input,reference\n", None, "there is no case in it"),
    "code.csv": (b'user_input,retrieved_contexts\na,"[__import__(\'os\').system(\'touch ran\')]"\n', 2,
                 "is neither JSON nor a list as Python prints it"),
    "bomb.csv": (b'user_input,retrieved_contexts\na,"' + b"[" * 5_000 + b'"\n', 2, "neither JSON nor a list"),
    "cell.csv": (b'user_input,retrieved_contexts\na,"[\'x\', 7]"\n', 2,
                 "expected a list of texts, found the number 7 in it"),
    "golden.csv": (b"input,actual_output\n,x\n", 2, "input: it is missing"),
    "cost.csv": (b"input,actual_output,token_cost\na,x,much\n", 2,
                 "token_cost: expected a number, found the text 'much'"),
    "turn.jsonl": (b'{"scenario": "s", "turns": [{"role": "robot", "content": "x"}]}\n', 1,
                   "turns[0].role: expected user or assistant, found the text 'robot'"),
    "role.jsonl": (b'{"input": [{"role": "tool", "content": "x"}], "ideal": "y"}\n', 1,
                   "'tool' is no role of a prompt"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_wrong_with_a_data_file_is_said_with_its_line(tmp_path: Path, name: str) -> None:
    content, line, said = HOSTILE[name]
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(PromptFileError) as caught:
        import_path(path)

    problem = caught.value.problems[0]
    assert said in problem.message
    assert (problem.file, problem.line) == (name, line)
    assert not Path("ran").exists()


def test_a_file_or_line_that_is_too_large_is_refused_before_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = tmp_path / "huge.jsonl"
    with huge.open("wb") as stream:
        stream.truncate(65 << 20)
    with pytest.raises(PromptFileError, match="the limit is 67,108,864"):
        import_path(huge)

    monkeypatch.setattr(datafile, "MAX_LINE_BYTES", 1_000)
    (tmp_path / "line.jsonl").write_text(json.dumps({"user_input": "x" * 2_000, "reference": ""}) + "\n")
    with pytest.raises(PromptFileError, match="a line of more than 1,000 bytes"):
        import_path(tmp_path / "line.jsonl")

    monkeypatch.setattr(datafile, "MAX_ROWS", 2)
    (tmp_path / "rows.jsonl").write_text('{"user_input": "x"}\n' * 3)
    with pytest.raises(PromptFileError, match="more than 2 rows"):
        import_path(tmp_path / "rows.jsonl")


def test_json_of_more_than_a_prompt_file_may_have_is_read_item_by_item(tmp_path: Path) -> None:
    goldens = [{"input": f"question {n}", "actual_output": "a" * 900, "expected_output": None} for n in range(1_500)]
    path = tmp_path / "large.json"
    path.write_text(json.dumps(goldens, indent=1))
    assert path.stat().st_size > 1 << 20

    assert len(cases(import_path(path))) == 1_500
    (tmp_path / "other.json").write_text(json.dumps([{"a": "x" * 1_000}] * 1_500))
    with pytest.raises(PromptFileError, match="the limit is 1,048,576"):
        import_path(tmp_path / "other.json")


def test_in_a_folder_data_files_are_read_and_others_left_alone(tmp_path: Path) -> None:
    for name in ("goldens.csv", "single.jsonl"):
        (tmp_path / name).write_bytes((SAMPLES / name).read_bytes())
    (tmp_path / "numbers.csv").write_text("a,b\n1,2\n")
    (tmp_path / "bad.jsonl").write_bytes(b'{"user_input": "a"}\n\xff\n')
    result = import_path(tmp_path, limits=Limits())

    assert sorted(made.name for made in result.made if made.kind == "data") == [
        "goldens.cases.jsonl", "single.cases.jsonl",
    ]  # fmt: skip
    assert result.unclaimed == ("numbers.csv",)
    assert ("bad.jsonl", 2) in [(loss.file, loss.line) for loss in result.losses]


def test_two_cases_of_one_name_get_a_number_and_that_is_said(tmp_path: Path) -> None:
    rows = [{"input": str(n), "actual_output": "x", "name": "same"} for n in range(3)]
    (tmp_path / "same.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = import_path(tmp_path / "same.jsonl")

    assert [case["id"] for case in cases(result)] == ["same", "same-2", "same-3"]
    assert losses(result)["id"] == ("changed", 2)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("['a', 'b']", ["a", "b"]),
        ("['a' 'b']", ["a", "b"]),
        ("['it''s']", ["it", "s"]),
        ("[\"it's\"\n 'two']", ["it's", "two"]),
        ("{'k': (1, None, True)}", {"k": [1, None, True]}),
    ],
)
def test_lists_are_read_as_python_and_numpy_print_them(text: str, value: Any) -> None:
    assert literal(text) == value


@pytest.mark.parametrize(
    "text", ["[nan]", "['a', ..., 'b']", "[1e999]", "[f'x']", "[a]", "[b'x']", "[" * 100, "[1,, 2]"]
)
def test_what_is_no_plain_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        literal(text)
