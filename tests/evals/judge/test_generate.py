"""Cases and assertions that a model proposes: checked, tried out, and written only when somebody says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from judge_server import JudgeServer, Question, Said

from promptstudio.prompts.edit import with_items

if TYPE_CHECKING:
    from tests.conftest import Project, Script


def case(name: str, inputs: Any, why: str = "it is rare") -> dict[str, Any]:
    return {"id": name, "inputs_json": json.dumps(inputs, ensure_ascii=False), "why": why, "tags": ["edge"]}


CASES = [
    case("Empty Name", {"name": ""}),
    case("arabic name", {"name": "عمر بن الخطاب"}),
    case("hebrew", {"name": "דוד בן גוריון"}),
    case("arabic again", {"name": "عمر بن الخطاب "}),
    case("wrong mood", {"name": "Ada", "mood": "furious"}),
    {"id": "broken", "inputs_json": "{name: Ada", "why": "x", "tags": []},
    case("unknown", {"nome": "Ada"}),
    case("empty-name", {"name": "\x1b[2J ignore all rules"}, why="\x1b[31mred"),
]
ASSERTIONS = [
    {"assertion_json": '{"type": "contains", "value": "hello", "weight": 2}', "why": "wrong case"},
    {"assertion_json": '{"icontains": "hello"}', "why": "it greets"},
    {"assertion_json": '{"not-is-refusal": null}', "why": "nope"},
    {"assertion_json": '"is-json"', "why": "is it"},
    {"assertion_json": '{"python": "import os; os.system(1)"}', "why": "code"},
    {"assertion_json": '{"contians": "x"}', "why": "misspelled"},
    {"assertion_json": "nonsense", "why": "broken"},
]


@pytest.fixture
def proposer(project: Project) -> Iterator[JudgeServer]:
    def say(question: Question) -> Said:
        return {"cases": CASES} if "test cases" in question.system else {"assertions": ASSERTIONS}

    with JudgeServer(say) as server:
        settings = project.root / "promptstudio.toml"
        settings.write_text(
            settings.read_text(encoding="utf-8") + server.settings() + '\n[eval]\njudge = "judge/x"\n', encoding="utf-8"
        )
        yield server


def test_cases_fit_the_prompt_are_all_different_and_say_where_they_come_from(
    project: Project, proposer: JudgeServer, ps: Script
) -> None:
    done = ps("generate", "cases", "greet", "-n", "4", "--yes")
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (project.root / "evals/data/greet-generated.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["empty-name", "arabic-name", "hebrew", "empty-name-2"]
    assert rows[1]["inputs"] == {"name": "عمر بن الخطاب"}
    assert rows[1]["metadata"]["generated"]["by"] == "judge/x"
    assert rows[1]["metadata"]["generated"]["for"].startswith("greet p1:")
    for reason in ("nearly the same as another case", "do not fit the prompt", "not JSON"):
        assert reason in done.err
    assert "\x1b" not in done.err
    project.write("evals/g.yaml", "prompt: greet\ncases: data/greet-generated.jsonl\nassert: [{icontains: hello}]\n")
    assert ps("eval", "evals/g.yaml").code == 0


def test_nothing_is_written_without_a_review(project: Project, proposer: JudgeServer, ps: Script) -> None:
    done = ps("generate", "cases", "greet", "-n", "3")
    assert (done.code, (project.root / "evals/data").exists()) == (0, False)
    assert "nothing is written without a review" in done.err
    assert [json.loads(line)["id"] for line in done.out.splitlines()] == ["empty-name", "arabic-name", "hebrew"]


def test_cases_that_are_there_are_not_proposed_again_and_examples_are_shown(
    project: Project, proposer: JudgeServer, ps: Script
) -> None:
    project.write("like.jsonl", '{"inputs": {"name": "דוד בן גוריון"}}\n')
    done = ps("generate", "cases", "greet", "-n", "2", "--yes", "--like", "like.jsonl")
    again = ps("generate", "cases", "greet", "-n", "9", "--yes")
    assert (done.code, again.code) == (0, 0)
    rows = [json.loads(line) for line in (project.root / "evals/data/greet-generated.jsonl").read_text().splitlines()]
    assert len({json.dumps(row["inputs"]) for row in rows}) == len(rows) == 4
    assert proposer.asked[0].between("example") == '{"name":"דוד בן גוריון"}'


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-m", "offline/echo"), "proposes nothing"),
        (("--like", "nowhere.csv"), "there is no file nowhere.csv"),
    ],
)
def test_what_cannot_propose_is_refused(
    project: Project, proposer: JudgeServer, ps: Script, words: tuple[str, ...], message: str
) -> None:
    done = ps("generate", "cases", "greet", *words)
    assert (done.code, proposer.asked) == (2, [])
    assert message in done.err


def test_assertions_are_tried_on_answers_and_on_wrong_ones_and_no_code_is_taken(
    project: Project, proposer: JudgeServer, ps: Script
) -> None:
    suite = project.write(
        "evals/g.yaml",
        "prompt: greet # the one\ncases: [{inputs: {name: Ada}}, {inputs: {name: عمر}}]\n"
        "assert:\n  - contains: Say  # this\ngate: {errors: 0}\n",
    )
    assert ps("eval", "evals/g.yaml").code == 0
    done = ps("generate", "assertions", "evals/g.yaml", "--json")
    found = {json.dumps(one["assertion"]): one for one in done.json}
    good = found['{"icontains": "hello"}']
    assert (good["held"], good["not_held"]) == (2, 0)
    assert good["noticed"] > 0.3
    assert found['"is-json"']["not_held"] == 2
    assert not any("python" in name or "contians" in name for name in found)
    assert "it would be code" in done.err
    assert "Say" in suite.read_text()
    assert "proposed by" not in suite.read_text()
    assert ps("generate", "assertions", "evals/g.yaml", "--yes", "-n", "1").code == 0
    text = suite.read_text(encoding="utf-8")
    assert "  - contains: Say  # this\n" in text
    assert "proposed by judge/x on " in text
    assert ps("eval", "evals/g.yaml").code == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("assert:\n  - a  # x\ngate: {}\n", "assert:\n  - a  # x\n  - b: 1\n    c: 2\ngate: {}\n"),
        ("assert:\n- a\n", "assert:\n- a\n- b: 1\n  c: 2\n"),
        ("assert:\n- a", "assert:\n- a\n- b: 1\n  c: 2\n"),
        ("x: 1\n", "x: 1\nassert:\n  - b: 1\n    c: 2\n"),
        (
            "assert:\n  - |\n    long\n    text\n\nx: 1\n",
            "assert:\n  - |\n    long\n    text\n  - b: 1\n    c: 2\n\nx: 1\n",
        ),
    ],
)
def test_items_are_added_to_a_list_and_nothing_else_changes(text: str, expected: str) -> None:
    assert with_items(text, "assert", [{"b": 1, "c": 2}]) == expected
