"""`ps ab` and `ps runs compare` in this process: what is printed, exit codes, and the label of the winner."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from in_process import Command, Ended

from promptstudio.cli.ab_winner import evidence_of_sides, promote_winner
from promptstudio.cli.main import main
from promptstudio.evals.ab import contest_of
from promptstudio.evals.evaluate import Finished
from promptstudio.evals.plan import Side
from promptstudio.evals.runner import Ended as EvaluationEnded
from promptstudio.evals.sides import Entrant
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import load_suite
from promptstudio.evals.totals import Totals
from promptstudio.versions.lock import read_lock
from tests.evals.sides_sample import prepare, prompt, series

if TYPE_CHECKING:
    from tests.conftest import Project


@pytest.fixture
def command(project: Project, capsys: pytest.CaptureFixture[str]) -> Command:
    prepare(project)

    def run(*args: str) -> Ended:
        code = main(list(args), "ps")
        return Ended(code, *capsys.readouterr())

    return run


def data(done: Ended) -> Any:
    return json.loads(done.out)


def test_flips_come_first_then_figures_then_one_sentence(command: Command) -> None:
    done = command("ab", "@main", ":worse", "--suite", "greet")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "B (greet:worse) against A (greet@main), 100 cases"
    assert lines[1].startswith("broke: c40, c41, c42")
    assert lines[1].endswith("and 18 more")
    assert lines[2].split() == ["FIGURE", "A", "B", "DIFFERENCE", "95%", "INTERVAL", "VERDICT"]
    assert lines[3].startswith("pass rate  70.0%  40.0%  −30 points")
    assert lines[3].endswith("regressed")
    assert lines[-1].startswith("B (greet:worse) is worse than A (greet@main) by 30 points (95% interval −")
    assert lines[-1].endswith("take A")
    assert "greet A/B: 2 sides × 100 cases" in done.err


def test_more_than_two_sides_are_drawn_and_the_dominated_ones_marked(command: Command) -> None:
    done = command("ab", "greet", ":better", ":worse", "-s", "greet", "--json")
    found = data(done)
    assert [side["pass_rate"] for side in found["sides"]] == [0.7, 0.9, 0.4]
    assert [one["relation"] for one in found["comparisons"]] == ["better", "worse"]
    assert found["recommendation"]["winner"] == "B"
    assert found["sides"][1]["on_front"]
    assert found["exit_code"] == done.code == 0
    text = command("ab", "greet", ":better", ":worse", "-s", "greet").out
    assert "PARETO" in text
    assert "a small letter is dominated" in text


def test_what_is_stored_is_not_asked_again_and_no_run_of_the_suite_is_made(command: Command, project: Project) -> None:
    assert command("ab", "greet", ":better", "-s", "greet").code == 0
    again = data(command("ab", "greet", ":better", "-s", "greet", "--json"))
    with EvalStore(store_path(project.settings())) as store:
        assert all(result.reused for result in store.results(store.run(again["run"])))
        assert store.runs(suite="greet") == []
        stored = store.run("last")
    assert stored.suite == "greet A/B"
    assert stored.note == again["recommendation"]["sentence"]
    assert stored.checks == ()
    assert stored.totals["ab"]["recommendation"] == again["recommendation"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["greet", "gret"], 2, "did you mean 'greet'?"),
        (["greet", "@main"], 2, "are the same thing"),
        (["greet", ":nobody"], 2, "nobody"),
        (["greet", "@nowhere"], 2, "nowhere"),
        (["greet", ":better", "--margin", "2"], 2, "no difference of shares"),
        (["greet", ":better", "--confidence", "95"], 2, "not between 0.5 and 1"),
        (["greet", ":better", "-k", "nobody"], 5, "no case is selected"),
        (["greet", ":better", "--winner-to", "HEAD"], 2, "cannot be a label"),
        ([":worse", ":better", "--winner-to", "staging"], 2, "no side can be promoted"),
        (["greet", "offline/script"], 3, "the provider failed"),
        (["greet", ":better", "-k", ""], 2, "-k is empty"),
    ],
)
def test_what_cannot_be_compared_is_told(command: Command, words: list[str], code: int, says: str) -> None:
    done = command("ab", *words, "--suite", "greet", *([] if "-k" in words else ["--first", "5"]))
    assert done.code == code, done
    assert says in done.err


def test_a_report_of_it_says_what_was_found_and_knows_of_no_gate(command: Command, project: Project) -> None:
    done = command("ab", "greet", ":better", "-s", "greet", "--report", "html:r.html", "--report", "markdown:r.md")
    assert done.code == 0
    for name in ("r.html", "r.md"):
        text = (project.root / name).read_text("utf-8")
        assert "is better than A" in text
        assert "ps runs show" in text
        assert ": compared" in text
        assert "gate met" not in text.split("<script", 1)[0]


def test_a_gate_may_be_made_of_it(command: Command) -> None:
    assert command("ab", "greet", ":worse", "-s", "greet", "--fail-if-worse").code == 1
    assert command("ab", "greet", ":better", "-s", "greet", "--fail-if-worse").code == 0


def test_repeats_are_asked_and_averaged_within_the_case(command: Command) -> None:
    found = data(command("ab", "greet", ":better", "-s", "greet", "--first", "20", "--repeats", "3", "--json"))
    assert [side["figures"]["flake_rate"] for side in found["sides"]] == [0.0, 0.0]
    assert found["comparisons"][0]["figures"]["pass rate"]["pairs"] == 20


def test_without_scipy_it_says_so_before_anything_is_asked(
    command: Command, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.delitem(sys.modules, "promptstudio.evals.statistics.scipy_door", raising=False)
    done = command("ab", "greet", ":better", "-s", "greet")
    assert done.code == 2
    assert "pip install 'promptstudio[evals]'" in done.err
    with EvalStore(store_path(project.settings())) as store:
        assert store.runs() == []


def test_half_a_comparison_compares_nothing(command: Command) -> None:
    done = command("ab", "greet", "offline/script", "-s", "greet", "--max-errors", "1", "--json")
    found = data(done)
    assert (done.code, found["exit_code"]) == (3, 3)
    assert "stopped before the end" in found["stopped"]


def test_a_comparison_is_listed_without_a_gate_and_is_no_point_of_a_trend(command: Command) -> None:
    assert command("ab", "greet", "offline/script", "-s", "greet", "--first", "3").code == 3
    [run] = data(command("runs", "list", "--json"))
    assert (run["suite"], run["exit_code"]) == ("greet A/B", 3)
    assert command("runs", "list").out.splitlines()[1].split()[-3] == "-"
    assert command("runs", "trend", "greet A/B").code == 5


# -- the winner


def test_the_winner_gets_the_label_with_the_reason(command: Command, project: Project) -> None:
    prompt(project, 95)
    commit = project.commit("Good until 95")
    done = command("ab", "@HEAD~1", "@main", "-s", "greet", "--winner-to", "staging")
    assert done.code == 0, done.err
    label = read_lock(project.root).label("greet", "staging")
    assert label is not None
    assert label.commit == commit
    assert (label.reason or "").startswith("B (greet@main) is better than A (greet@HEAD~1) by 25 points")
    assert "greet: staging:" in done.out
    assert label.evaluations == ()  # offline answers are no evidence


def test_a_version_of_the_working_tree_wins_only_where_it_is_committed(command: Command, project: Project) -> None:
    prompt(project, 95)
    done = command("ab", "@main", "greet", "-s", "greet", "--winner-to", "staging")
    assert done.code == 6
    assert "wins, and cannot be promoted: greet: not committed as it is now" in done.err
    project.commit("Good until 95")
    assert command("ab", "@HEAD~1", "greet", "-s", "greet", "--winner-to", "staging").code == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["greet", ":better"], "greet:better is a variant"),
        (["greet", "profile=strict"], "there is no winner"),
    ],
)
def test_without_a_version_that_surely_wins_nothing_is_promoted(
    command: Command, project: Project, words: list[str], says: str
) -> None:
    done = command("ab", *words, "-s", "greet", "--winner-to", "staging")
    assert done.code == 6
    assert f"nothing was promoted: {says}" in done.err or says in done.err
    assert not (project.root / "promptstudio.lock").exists()
    found = data(command("ab", *words, "-s", "greet", "--winner-to", "staging", "--json"))
    assert (found["exit_code"], says in found["promotion"]["refused"]) == (6, True)


def test_what_is_something_else_by_now_is_not_promoted(command: Command, project: Project) -> None:
    assert command("ab", "@main", ":worse", "-s", "greet", "--first", "5").code == 0
    with EvalStore(store_path(project.settings())) as store:
        run = store.run("last")
    sides = [Entrant("prompt", Side(name, name)) for name in ("greet@main", "greet:worse")]
    found = contest_of(sides, [series(90), series(40)])
    other = replace(run, prompts={**run.prompts, "greet@main": "p1:0"})
    refused = promote_winner(project.settings(), found, "staging", other).refused
    assert "greet@main is not what was compared any more" in (refused or "")
    lossy = series(90)
    lossy.missing["c500"] = "error"
    refused = promote_winner(project.settings(), contest_of(sides, [lossy, series(40)]), "staging", run).refused
    assert "would win, but 1 of its cases has no outcome" in (refused or "")
    assert promote_winner(project.settings(), found, "staging", run).refused is None


def test_real_answers_leave_evidence_for_each_prompt_by_its_own_gate(command: Command, project: Project) -> None:
    assert command("ab", "greet", ":better", "strict", "-s", "greet").code == 0
    settings = project.settings()
    suite = load_suite(project.root / "evals/greet.yaml", settings)
    gated = replace(suite, gate=replace(suite.gate, limits={"pass_rate": 0.8}))
    entrants = [
        Entrant("prompt", Side("greet", "greet")),
        Entrant("prompt", Side("greet:better", "greet:better")),
        Entrant("profile", Side("profile=strict", "greet", profile="strict")),
    ]
    with EvalStore(store_path(settings)) as store:
        run = store.run("last")
    finished = Finished(run, Totals(), (), 0, "", EvaluationEnded(Totals(), 0))
    assert evidence_of_sides(gated, entrants, finished, settings) == []
    real = [{**one, "model": "openai/gpt-4.1-mini"} for one in run.options["targets"]]
    asked = replace(finished, run=replace(run, options={**run.options, "targets": real}))
    rows = evidence_of_sides(gated, entrants, asked, settings)
    assert [(row.prompt, row.variant, row.passed, row.gate) for row in rows] == [
        ("greet", None, 70, "missed"),
        ("greet", "better", 90, "met"),
    ]
    some = replace(asked, run=replace(asked.run, options={**asked.run.options, "selection": {"first": 3}}))
    assert evidence_of_sides(gated, entrants, some, settings) == []


# -- two stored runs


def test_two_stored_runs_are_compared_with_intervals(command: Command, project: Project) -> None:
    command("eval")
    prompt(project, 60)
    rows = (project.root / "evals/data/cases.jsonl").read_text("utf-8").splitlines()
    Path("evals/data/cases.jsonl").write_text("\n".join(rows[1:]), "utf-8")
    command("eval")
    done = command("runs", "compare")
    assert done.code == 0
    assert "only in the first" in done.out
    assert "10 broke, 0 mended, 89 alike" in done.out
    assert "pass rate: worse than the baseline on 99 cases, −10 points, 95% interval −" in done.out
    [target] = data(command("runs", "compare", "--json"))["figures"]
    assert target["figures"]["pass rate"]["verdict"] == "regressed"
    assert target["figures"]["pass rate"]["only_baseline"] == ["c0"]
    [loose] = data(command("runs", "compare", "--margin", "0.3", "--json"))["figures"]
    assert loose["figures"]["pass rate"]["verdict"] == "no worse"
