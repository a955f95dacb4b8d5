"""`ps runs`, `ps test`, `ps score` and what `ps eval` selects, in this process: what is printed, and exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from in_process import Command, Ended

from promptstudio.cli.main import main
from promptstudio.evals.store import EvalStore, store_path
from tests.evals.report_samples import TARGETS, against, compared, flips, held_report, sure

if TYPE_CHECKING:
    from tests.conftest import Project

SUITE = """\
prompt: greet
cases:
  - {id: ada, inputs: {name: Ada}, tags: [smoke]}
  - {id: bo, inputs: {name: Bo}, assert: [{contains: Zoe}]}
  - {id: عمر, inputs: {name: عمر}}
assert:
  - {contains: Say hello}
"""


@pytest.fixture
def command(project: Project, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process, in the sample project with one suite."""
    project.write("evals/greet.yaml", SUITE)

    def run(*args: str) -> Ended:
        code = main(list(args), "ps")
        return Ended(code, *capsys.readouterr())

    return run


def data(done: Ended) -> Any:
    return json.loads(done.out)


def test_without_a_run_every_command_says_so(command: Command) -> None:
    assert command("runs", "list", "--json") == Ended(0, "[]\n", "")
    assert "no runs; `ps eval` makes one" in command("runs", "list").err
    for words in (["show"], ["show", "last"], ["compare"], ["rm", "last"], ["export", "--to", "html"]):
        done = command("runs", *words)
        assert (done.code, done.out) == (2, ""), words
        assert "there is no run 'last'" in done.err
    assert command("score").code == 2
    found = data(command("runs", "show", "--json"))
    assert found["error"]["kind"] == "not_found"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["show", "nothing"], 2, "there is no run 'nothing'"),
        (["show", "01"], 2, "'01' is the beginning of several runs"),
        (["show", ""], 2, "RUN is empty"),
        (["show", "last", "--case", "nobody"], 5, "has no case 'nobody'"),
        (["compare", "last", "last"], 2, "is both of the runs to compare"),
        (["compare", "nothing"], 2, "there is no run 'nothing'"),
        (["rm", ""], 2, "RUN is empty"),
        (["rm"], 2, "missing argument 'RUN...'"),
        (["rm", "last", "nothing"], 2, "there is no run 'nothing'"),
        (["export", "last"], 2, "to what format?"),
        (["export", "last", "--to", "pdf"], 2, "there is no format 'pdf'"),
        (["export", "last", "--to", "html:/proc/none/r.html"], 2, "was not written"),
        (["list", "-n", "0"], 2, "0 is not in the range"),
        (["lsit"], 2, "lsit"),
    ],
)
def test_what_cannot_be_is_told_and_removes_nothing(command: Command, words: list[str], code: int, says: str) -> None:
    for _ in range(2):
        assert command("eval").code == 1
    done = command("runs", *words)
    assert done.code == code
    assert says in done.err
    assert "Traceback" not in done.err
    assert len(data(command("runs", "list", "--json"))) == 2


def test_a_run_is_compared_with_the_one_before_of_its_suite(command: Command, project: Project) -> None:
    command("eval")
    project.write("evals/other.yaml", SUITE)
    command("eval", "other")
    project.write("evals/greet.yaml", SUITE.replace("Zoe", "Bo").replace("Say hello", "hello"))
    command("eval", "greet")
    text = command("runs", "compare")
    assert text.code == 0
    assert "mended  bo  greet  offline/echo  fail → pass" in text.out
    assert "1 mended, 2 alike; pass rate 66.7% → 100.0%" in text.out
    assert "judged differently" in text.err
    assert command("runs", "compare", "--json").code == 0
    assert [pair["case"] for pair in data(command("runs", "compare", "--json"))["mended"]] == ["bo"]


def test_a_run_is_shown_with_its_gate_its_cases_and_one_case_in_full(command: Command) -> None:
    command("eval")
    page = command("runs", "show")
    assert "MISSED  pass_rate 66.7% (95% interval 20.8% to 93.9%), wanted at least 100.0%" in page.out
    assert "FAIL     bo" in page.out
    assert "عمر" in page.out
    failed = data(command("runs", "show", "--failed", "--json"))
    assert [one["case"]["id"] for one in failed["results"]] == ["bo"]
    case = command("runs", "show", "--case", "bo").out
    assert "  name: Bo\n  answer:\n    Say hello to Bo in a warm way." in case
    assert "  fail contains 0: expected text that contains 'Zoe'" in case


def test_an_answer_full_of_escapes_is_shown_harmlessly(command: Command, project: Project) -> None:
    attack = "Ada\\e[2J\\e]0;owned\\a\\u202E"
    project.write("evals/greet.yaml", SUITE.replace("name: Bo", f'name: "{attack}"'))
    told = [command("eval"), command("runs", "show"), command("runs", "show", "--case", "bo")]
    told.append(command("runs", "list"))
    assert not any(char in one.out + one.err for one in told for char in "\x1b\x07\u202e")
    assert "owned" in told[0].err


def test_every_format_of_a_report_can_be_exported_from_a_stored_run(command: Command) -> None:
    command("eval")
    names = ("html", "markdown", "junit", "json", "jsonl", "csv")
    done = command("runs", "export", "last", *(word for name in names for word in ("--to", f"{name}:r.{name}")))
    assert done.code == 0, done.err
    texts = {name: Path(f"r.{name}").read_text("utf-8") for name in names}
    assert [name for name, text in texts.items() if "bo" not in text] == []
    assert [name for name, text in texts.items() if "عمر" not in text] == ["markdown"]  # it lists what is not good


def test_only_the_answers_of_a_run_are_judged_again(command: Command) -> None:
    command("eval", "--case", "bo")
    totals = data(command("score", "--json"))["suites"][0]["totals"]
    assert (totals["fail"], totals["unscored"]) == (1, 0)


def test_what_failed_is_known_until_it_ran_again(command: Command, project: Project) -> None:
    command("eval")
    assert command("eval", "--case", "ada").code == 0
    again = data(command("eval", "--failed", "--json"))["suites"][0]["totals"]
    assert (again["fail"], again["pass"]) == (1, 0)
    project.write("evals/greet.yaml", SUITE.replace("Zoe", "Bo"))
    assert command("eval", "--failed").code == 0
    none = command("eval", "--failed")
    assert none.code == 5
    assert "no case ended so the last time it ran" in none.err
    assert command("eval", "--errors").code == 5


def test_a_selection_that_takes_nothing_of_one_suite_is_no_fault_where_it_takes_some_of_another(
    command: Command, project: Project
) -> None:
    project.write("evals/other.yaml", SUITE.replace("smoke", "slow"))
    done = command("eval", "--tag", "smoke", "--json")
    assert done.code == 0
    assert [suite["suite"] for suite in data(done)["suites"]] == ["greet"]
    assert data(done)["not_selected"] == ["evals/other.yaml: no case is selected"]
    assert command("eval", "--tag", "smoke", "--check").code == 0
    assert command("eval", "--tag", "none").code == 5
    project.write("evals/other.yaml", "prompt: greet\ncases: [{inputs: {name: A}, tags: [smoke]}]\n")
    assert command("eval", "--tag", "smoke").code == 5  # nothing is asserted there, and that is one


def test_a_suite_that_is_named_twice_runs_once_and_a_folder_is_all_below_it(command: Command, project: Project) -> None:
    project.write("evals/deep/other.yaml", SUITE)
    twice = data(command("eval", "greet", "evals/greet.yaml", "--json"))
    assert [suite["suite"] for suite in twice["suites"]] == ["greet"]
    below = data(command("eval", "evals/deep", "--json"))
    assert [suite["suite"] for suite in below["suites"]] == ["deep/other"]
    assert len(data(command("eval", "evals", "--json"))["suites"]) == 2
    assert command("eval", "prompts").code == 5


def test_a_hint_on_how_to_reach_the_provider_is_given_once(command: Command, project: Project) -> None:
    done = command("eval", "-m", "openai/gpt-4.1-mini")
    assert done.code == 3
    assert done.err.count("hint: export OPENAI_API_KEY=") == 1


@pytest.mark.parametrize(
    ("tests", "code", "says"),
    [
        ("  - {inputs: {name: Ada}, assert: [{contains: Ada}]}\n", 0, "the gate is met: 1 pass"),
        ("  - {inputs: {name: Ada}, assert: [{contains: Zoe}]}\n", 1, "expected text that contains 'Zoe'"),
        ("  - {inputs: {name: Ada}, expected_output: Say hello to Ada in a warm way.}\n", 0, "1 pass"),
        ("  - {inputs: {name: Ada}, expected_output: Bye}\n", 1, "the gate is missed"),
        ("  - {inputs: {name: Ada}}\n", 5, "nothing is asserted"),
        ("  - {inputs: {nam: Ada}, assert: [{contains: A}]}\n", 2, "did you mean 'name'?"),
        ("  - {inputs: {name: Ada}, assert: [{containz: A}]}\n", 2, "did you mean 'contains'?"),
        ("  - {inputs: {name: Ada}, asert: [{contains: A}]}\n", 2, "did you mean 'assert'?"),
    ],
)
def test_the_tests_of_a_prompt_end_with_the_codes_of_a_suite(
    command: Command, project: Project, tests: str, code: int, says: str
) -> None:
    project.write("prompts/greet.yaml", (project.root / "prompts/greet.yaml").read_text() + "tests:\n" + tests)
    done = command("test", "greet")
    assert (done.code, says in done.out + done.err) == (code, True), done
    if code == 1:
        assert "    ps test greet --case " in done.err


def test_a_test_wants_a_part_of_a_typed_answer(command: Command, project: Project) -> None:
    text = (project.root / "prompts/support/triage.yaml").read_text()
    for wanted, code in (("{category: billing}", 0), ("{category: bug}", 1)):
        project.write(
            "prompts/support/triage.yaml",
            f"{text}tests:\n  - inputs: {{ticket: x}}\n    expected_output: {wanted}\n    assert: [is-json]\n",
        )
        assert command("test").code == code, wanted


def test_without_tests_nothing_is_green(command: Command) -> None:
    assert command("test").code == 5
    assert command("test", "greet").code == 5
    assert data(command("test", "gret", "--json"))["error"]["hint"] == "did you mean 'greet'?"


def stored_run(project: Project, **totals: Any) -> None:
    """Store a run that was held against a baseline, with judges and repeats."""
    report = held_report(totals=totals)
    with EvalStore(store_path(project.settings())) as store:
        number = store.begin(report.run)
        store.add(
            number,
            0,
            [(TARGETS.index((one.prompt, one.model)), one) for one in report.results if one.answer is not None],
        )
        store.finish(replace(report.run, judge={"openai/gpt-4.1": {"model": "openai/gpt-4.1"}}))


def test_a_run_is_shown_with_what_broke_its_checks_its_figures_and_who_judged(
    command: Command, project: Project
) -> None:
    stored_run(project)
    page = command("runs", "show")
    assert page.code == 0
    parts = (
        "worse than the baseline on 10 cases.", "broke since main: refund-now", "mended since main: שאלה",
        "MISSED  pass_rate", "unsure  accuracy against main", "DIFFERENCE", "8 in 3 clusters",
        "flake rate 12.5%, pass@3 90%, pass^3 40%",
        "judged by openai/gpt-4.1", "OUTCOME",
    )  # fmt: skip
    places = [page.out.find(part) for part in parts]
    assert places == sorted(places)
    for part in (
        "MISSED  pass_rate 62.5% (95% interval 31% to 86%), wanted at least 95%", "0.25 to 0.75", "regressed",
        "−40 points to −20 points", "could detect 9 points; needs about 310 cases", *parts,
    ):  # fmt: skip
        assert part in page.out
    assert "faithful is not compared with main: the baseline's scores are of deepeval 4.2.0" in page.err


def test_a_case_says_what_became_of_it_and_who_judged_each_score(command: Command, project: Project) -> None:
    stored_run(project)
    text = command("runs", "show", "--case", "refund-now").out
    assert "  broke since main (pass → fail)\n" in text
    assert "    fail llm-rubric 0 (by anthropic/claude-sonnet-4-5, promptstudio 1, $0.0004): said member 1" in text


def test_the_run_of_an_older_version_is_shown_without_statistics(command: Command, project: Project) -> None:
    stored_run(project, figures=None, against=None)
    page = command("runs", "show")
    assert (page.code, "INTERVAL" in page.out, "broke since" in page.out) == (0, False, False)
    assert "MISSED  pass_rate 62.5%" in page.out


def test_hostile_names_of_a_baseline_are_shown_harmlessly(command: Command, project: Project) -> None:
    evil = "main\x1b[2J\u202e"
    figure = compared(1.0, 0.0, "regressed", broke=flips(evil), broke_count=1, only_baseline=[evil], unmatched=1)
    targets = [{"baseline": evil, "candidate": evil, "same": False, "figures": {"pass rate": figure, evil: figure}}]
    found = against(named=evil, targets=[{**targets[0], "refused": {evil: evil}}])
    stored_run(project, against=found, figures={**sure(), "metrics": {evil: sure()["pass_rate"]}})
    page = command("runs", "show")
    assert page.code == 0
    assert not any(char in page.out + page.err for char in "\x1b\u202e")
