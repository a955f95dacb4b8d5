"""`ps judge`: what it refuses, with file and line, and what it shows without asking anybody."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from in_process import Command, Ended
from judge_server import JudgeServer

from promptstudio.cli.main import main
from promptstudio.evals.human_labels import script_of
from tests.conftest import Project, Script

SUITE = """\
name: kindness
prompt: greet
judge: judge/strict
cases: [{id: ada, inputs: {name: Ada}}, {id: ليلى, inputs: {name: ليلى}}]
assert:
  - {llm-rubric: is kind, metric: polite}
  - {closed-qa: greets}
  - {contains: Ada}
"""


@pytest.fixture
def command(project: Project, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process, in the sample project with one judged suite."""
    project.write("evals/kind.yaml", SUITE)

    def run(*args: str) -> Ended:
        code = main(list(args), "promptstudio")
        return Ended(code, *capsys.readouterr())

    return run


RUN = """\
name: kindness
prompt: greet
models: [offline/echo, judge/mute]
cases: [{id: ada, inputs: {name: Ada}}, {id: ليلى, inputs: {name: ليلى}}]
assert: [{contains: e}]
"""


@pytest.fixture
def answered(command: Command, project: Project) -> Command:
    """The same after a run of its cases by two models, one of which answers nothing."""
    with JudgeServer(lambda _: (400, "no")) as server:
        settings = project.root / "promptstudio.toml"
        settings.write_text(settings.read_text(encoding="utf-8") + server.settings(), encoding="utf-8")
        project.write("evals/kind.yaml", RUN)
        command("eval")
    project.write("evals/kind.yaml", SUITE)
    return command


BAD = [
    ('{"case": "ada", "label": 1.7, "metric": "polite"}', "labels.jsonl:1: label: 1.7 is out of range"),
    ('\n{"case": "ada", "label": -1}', "labels.jsonl:2: label: -1 is out of range"),
    ('{"case": "ada", "label": "maybe"}', "labels.jsonl:1: label: 'maybe' is no label"),
    ('{"case": "ada", "label": null}', "labels.jsonl:1: there is no label"),
    ('{"case": "ada"}', "labels.jsonl:1: there is no label"),
    ('{"case": "ada", "lable": 1}', "did you mean 'label'?"),
    ('{"label": true}', "says neither which case it is about, nor which answer"),
    ('{"case": "ada", "inputs": {}, "label": 1}', "inputs needs an `answer`"),
    ('{"answer": "x", "prompt": "greet", "label": 1}', "prompt is of a stored result"),
    ('{"case": "ada", "label": NaN}', "labels.jsonl:1"),
    ('{"case": "ada", "label": 1', "labels.jsonl:1:"),
    ("[]", "labels.jsonl:1: a label is a map, found a list"),
    ('{"case": ["ada"], "label": 1}', "case: expected a name"),
    ('{"case": "ada", "repeat": -1, "label": 1}', "repeat: expected a whole number from 0"),
    ('{"answer": "x", "inputs": [], "label": 1}', "inputs: expected a map"),
    ('{"answer": "x", "context": 7, "label": 1}', "context: expected text or a list"),
    ('{"answer": "x", "label": 1, "metric": "polit"}', "did you mean 'polite'?"),
    ('{"answer": "x", "label": 1, "metric": "contains"}', "no model judges 'contains'"),
    ('{"answer": "x", "label": 1}', "2 judged assertions, and the label is about none of them"),
    ('{"case": "ada", "label": 1, "metric": "polite"}', "there is no run of evals/kind.yaml to find the case 'ada' in"),
    (
        '{"answer": "x", "label": 1, "metric": "polite"}\n{"answer": "x", "label": 0, "metric": "polite"}',
        "labels.jsonl:2: there is a label for this answer already, in line 1",
    ),
    (
        '{"answer": "x", "label": 1, "metric": "polite", "rater": "דנה"}\n' * 2,
        "labels.jsonl:2: 'דנה' labeled this answer already, in line 1",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), BAD)
def test_a_label_that_cannot_be_used_is_refused_with_its_line(
    command: Command, project: Project, text: str, said: str
) -> None:
    project.write("labels.jsonl", text + "\n")
    ended = command("judge", "calibrate", "labels.jsonl")
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"case": "adda", "label": 1, "metric": "polite"}', "has no case 'adda'\nhint: did you mean 'ada'?"),
        ('{"case": "ada", "label": 1, "metric": "polite"}', "the case 'ada' has answers of 2 prompts and models"),
        ('{"case": "ada", "label": 1, "metric": "polite", "model": "x/y"}', "has no result of model 'x/y'"),
        (
            '{"case": "ليلى", "label": 1, "metric": "polite", "model": "judge/mute"}',
            "the case 'ليلى' has no answer that could be judged",
        ),
    ],
)
def test_a_label_that_fits_no_result_is_refused_with_its_line(
    answered: Command, project: Project, text: str, said: str
) -> None:
    project.write("labels.jsonl", "\n" + text + "\n")
    ended = answered("judge", "calibrate", "labels.jsonl")
    assert ended.code == 2
    assert "labels.jsonl:2: " in ended.err
    assert said in ended.err


def test_all_labels_that_are_wrong_are_told_at_once(command: Command, project: Project) -> None:
    project.write(
        "labels.jsonl", '{"label": 2, "case": "a"}\n{"label": "x", "case": "a"}\n{"answer": "x", "label": 1}\n'
    )
    found = json.loads(command("judge", "calibrate", "labels.jsonl", "--json").out)["error"]
    assert [(one["line"], one["file"]) for one in found["problems"]] == [(1, "labels.jsonl"), (2, "labels.jsonl")]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("calibrate", "labels.jsonl"), 5, "there is no label in the file"),
        (("calibrate", "labls.jsonl"), 2, "did you mean 'labels.jsonl'?"),
        (("calibrate", "evals"), 2, "not a regular file"),
        (("calibrate", "labels.jsonl", "--suite", "kindnes"), 2, "did you mean 'kind'?"),
        (("calibrate", "labels.jsonl", "--suite", ""), 2, "--suite is empty"),
        (("calibrate", "labels.jsonl", "--repeats", "0"), 2, "0"),
        (("disagreements", "--repeats", "2"), 2, "--metric and --repeats go with labels"),
        (("disagreements", "--run", "0199"), 2, "there is no run '0199'"),
        (("disagreements",), 5, "there is no run"),
        (("disagreements", "--suite", "kindness"), 5, "there is no run of kindness"),
        (("prompt", "llm-rubic"), 2, "did you mean 'llm-rubric'?"),
        (("prompt", "metric"), 2, "is no assertion with a prompt"),
    ],
)
def test_what_is_not_there_is_said(
    command: Command, project: Project, args: tuple[str, ...], code: int, said: str
) -> None:
    project.write("labels.jsonl", "\n\n" if code == 5 else '{"answer": "x", "label": 1, "metric": "polite"}\n')
    ended = command("judge", *args)
    assert (ended.code, said in ended.err) == (code, True), ended.err


def test_a_suite_without_a_judge_has_nothing_to_calibrate(command: Command, project: Project) -> None:
    project.write("evals/kind.yaml", "prompt: greet\ncases: [{inputs: {name: Ada}}]\nassert: [{contains: Ada}]\n")
    project.write("labels.jsonl", '{"answer": "x", "label": 1}\n')
    assert command("judge", "calibrate", "labels.jsonl").code == 5
    assert command("judge", "list").code == 5
    assert json.loads(command("judge", "list", "--json").out) == []


def test_two_assertions_of_one_name_are_told_apart_by_their_metric(command: Command, project: Project) -> None:
    project.write("evals/kind.yaml", SUITE.replace("{closed-qa: greets}", "{llm-rubric: is short}"))
    project.write("labels.jsonl", '{"answer": "x", "label": 1, "metric": "llm-rubric"}\n')
    ended = command("judge", "calibrate", "labels.jsonl")
    assert (ended.code, "evals/kind.yaml:6 and evals/kind.yaml:7" in ended.err) == (2, True)


def test_the_judges_of_a_suite_are_listed_with_their_standing(command: Command) -> None:
    rows = json.loads(command("judge", "list", "--json").out)
    assert [(row["metric"], row["judge"], row["is_calibrated"], row["place"]) for row in rows] == [
        ("polite", "judge/strict", False, "evals/kind.yaml:6"),
        ("closed-qa", "judge/strict", False, "evals/kind.yaml:7"),
    ]
    out = command("judge", "list", "kindness").out
    assert out.count("not calibrated") == 2
    assert rows[0]["settings_hash"][:12] in out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("calibrations: []\n", "evals/calibrations.yaml:1: expected a map `calibrations`"),
        ("schema_version: 9\ncalibrations: {}\n", "evals/calibrations.yaml:1: the file is of a newer version"),
        ("calibrations:\n  abc: {metric: polite}\n", "evals/calibrations.yaml:2"),
        ("calibrations:\n  abc: 7\n", "evals/calibrations.yaml:2"),
        ("calibrations: {\n", "evals/calibrations.yaml:2"),
    ],
)
def test_a_file_of_calibrations_that_is_not_ours_stops_before_any_call(
    command: Command, project: Project, text: str, said: str
) -> None:
    project.write("evals/calibrations.yaml", text)
    for args in (("judge", "list"), ("eval",)):
        ended = command(*args)
        assert (ended.code, said in ended.err) == (2, True), ended.err


def test_a_prompt_of_ours_is_printed_as_a_file_that_can_take_its_place(command: Command, project: Project) -> None:
    text = command("judge", "prompt", "llm-rubric").out
    assert "name: judge/llm-rubric" in text
    before = json.loads(command("judge", "list", "--json").out)
    project.write("prompts/judge/llm-rubric.yaml", text)
    assert command("lint", "prompts/judge/llm-rubric.yaml").code == 0
    assert json.loads(command("judge", "list", "--json").out) == before
    project.write("prompts/judge/llm-rubric.yaml", text.replace("You are strict", "You are very strict"))
    after = json.loads(command("judge", "list", "--json").out)
    assert [new["settings_hash"] == old["settings_hash"] for new, old in zip(after, before, strict=True)] == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Hello there", "Latin"),
        ("مرحبا Ada كيف حالك", "Arabic"),
        ("שלום לך Ada", "Hebrew"),
        ("Привет, Ada", "Cyrillic"),
        ("你好，世界", "Han"),
        ("こんにちは", "Kana"),
        ("안녕하세요", "Hangul"),
        ("42 – 17!", "none"),
    ],
)
def test_a_language_without_a_name_is_told_by_its_script(text: str, script: str) -> None:
    assert script_of(text) == script


PROBE = """\
import sys
from promptstudio.cli.main import main
code = main({args!r}, "ps")
print(sorted({heavy!r} & set(sys.modules)), code)
"""


@pytest.mark.parametrize("args", [["judge", "list"], ["judge", "prompt", "pairwise"]])
def test_looking_at_judges_loads_no_library_that_sends(command: Command, ps: Script, args: list[str]) -> None:
    heavy = {"litellm", "openai", "mirascope", "instructor", "deepeval", "ragas", "scipy", "numpy"}
    program = PROBE.format(args=args, heavy=heavy)
    done = subprocess.run(
        [sys.executable, "-c", program], env=ps.environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[] 0"
