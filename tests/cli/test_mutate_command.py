"""`ps mutate` and imported answers, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Project, Script

SAMPLES = Path(__file__).parent.parent / "exchange" / "samples"
TALK = json.dumps({
    "id": "talk",
    "turns": [
        {"inputs": {"input": "I want to return shoes."}, "assert": [{"contains": "order"}]},
        {"inputs": {"input": "Order 7."}},
    ],
    "assert": [{"equals": "Done."}],
})  # fmt: skip
SUITE = """\
prompt: greet
cases:
  - {id: a, inputs: {name: Ada}}
  - {id: ب, inputs: {name: آدا}}
assert:
  - {type: word-count, value: {min: 0}}
  - {type: icontains, value: 'hello to'}
"""


def test_the_answers_of_the_newest_run_are_mutated_and_the_gate_is_kept(project: Project, ps: Script) -> None:
    project.write("evals/hi.yaml", SUITE)
    before = ps("mutate", "hi")
    assert (before.code, before.err) == (5, "error: there is no run of hi\nhint: ps eval evals/hi.yaml\n")
    assert ps("eval").code == 0

    done = ps("mutate", "hi", "--fail-under", "0.99")
    assert done.code == 1
    assert 'noticed nothing:\n  word-count {"min":0}  (evals/hi.yaml:6)' in done.out
    assert "آدا" in done.out
    assert "missed: --fail-under 0.99" in done.err

    data = ps("mutate", "hi", "--fail-under", "0.1", "--json")
    assert data.code == 0
    assert data.json == ps("mutate", "hi", "--fail-under", "0.1", "--json").json
    assert data.json["met"] is True
    assert data.json["noticed_nothing"] == ['word-count {"min":0}']
    assert data.json["assertions"][1]["mutations"]["empty"] == {"killed": 2, "survived": 0, "equivalent": False}


def test_what_is_asked_wrongly_is_said(project: Project, ps: Script) -> None:
    project.write("evals/hi.yaml", SUITE)
    assert ps("mutate", "hi", "--fail-under", "80").code == 2
    assert ps("mutate", "hii").code == 2
    assert "did you mean 'hi'?" in ps("mutate", "hii").err


def test_answers_that_came_along_become_a_run_that_is_scored_without_a_call(project: Project, ps: Script) -> None:
    done = ps("import", str(SAMPLES / "goldens.csv"), "--json")

    assert done.code == 0, done.err
    (run,) = done.json["runs"]
    assert run["answers"] == 1
    assert ps("eval", "--check", "evals/goldens.yaml").code == 0
    assert ps("lint").code == 0
    shown = ps("runs", "show", run["run"], "--case", "returns").out
    assert "Yes, within 30 days." in shown
    scored = ps("score", run["run"], "--json")
    outcomes = {one["case"]["id"]: one["outcome"] for one in ps("runs", "show", "--json").json["results"]}
    assert scored.code == 1
    assert outcomes == {"returns": "pass", "case-2": "unscored", "case-3": "unscored"}
    assert ps("import", str(SAMPLES / "goldens.csv"), "--json").json["runs"] == []
    assert ps("runs", "export", "--format", "ragas", "-o", "out.jsonl").code == 0
    assert json.loads(Path("out.jsonl").read_text())["response"] == "Yes, within 30 days."
    lost = ps("runs", "export", "-o", "out.jsonl")
    assert (lost.code, "-o is the file of --format" in lost.err) == (2, True)
    mutated = ps("mutate", "goldens", "--run", run["run"], "--json").json
    assert (mutated["run"], mutated["answers"], mutated["unanswered"]) == (run["run"], 1, 2)


def test_a_conversation_that_came_along_is_scored_turn_by_turn(project: Project, ps: Script) -> None:
    run = ps("import", str(SAMPLES / "talks.json"), "--json").json["runs"][0]["run"]
    project.write("evals/talks.cases.jsonl", TALK)

    scored = ps("score", run)
    assert "1     0" in " ".join(scored.out.splitlines()[1:2]), scored.out + scored.err
    assert "Which order?" in ps("runs", "show", "--case", "talk").out


def test_outside_a_project_answers_are_kept_in_the_cases(ps: Script) -> None:
    done = ps("import", str(SAMPLES / "goldens.csv"))

    assert done.code == 0, done.err
    assert "its answers are kept in the metadata of the cases only: this is not a project" in done.err
    assert "Yes, within 30 days." in Path("evals/goldens.cases.jsonl").read_text()


def test_a_hostile_data_file_ends_with_2_and_its_line(project: Project, ps: Script) -> None:
    project.write("bad.jsonl", '{"user_input": "a"}\n{"user_input": NaN}\n')
    done = ps("import", "bad.jsonl")

    assert done.code == 2
    assert done.err.startswith("error: bad.jsonl:2: not usable JSON: NaN is not a JSON number")


def test_a_metric_that_asks_nobody_is_tried_without_a_judge(project: Project, ps: Script) -> None:
    project.write(
        "evals/overlap.yaml",
        "prompt: greet\ncases: [{inputs: {name: Ada}, expected_output: Say hello to Ada in a warm way.}]\n"
        "metrics: [ragas/rouge_score: {threshold: 0.9}, ragas/semantic_similarity]\n",
    )
    assert ps("eval", "evals/overlap.yaml").code == 0
    done = ps("mutate", "evals/overlap.yaml")
    assert done.code == 0, done.err
    assert "ragas/rouge_score" in done.out
    assert "ragas/semantic_similarity: it needs an embedding model" in done.out + done.err
