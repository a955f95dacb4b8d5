"""The commit at which a suite broke: found by halving, on real repositories, with few calls."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from promptstudio.cli.main import main
from promptstudio.errors import NothingSelected, UsageError
from promptstudio.evals.bisect import limits_left, way_between
from promptstudio.evals.runner import Limits
from promptstudio.evals.suite import load_suite
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots
from tests.evals.sides_sample import prepare, prompt

if TYPE_CHECKING:
    from tests.conftest import Project

GATE = "gate: {pass_rate: 0.6}\n"


def history(project: Project, *untils: int, cases: int = 10) -> list[str]:
    """Commit a prompt for each number, and beside each something that no prompt reads."""
    prepare(project, cases=cases, extra=GATE)
    commits = []
    for number, until in enumerate(untils):
        prompt(project, until)
        commits.append(project.commit(f"Good until {until}"))
        project.write("notes.txt", f"{number}")
        project.commit(f"Note {number}")
    return commits


def bisect(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    capsys.readouterr()
    code = main(["bisect", "greet", *words, "--json"], "ps")
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def test_the_commit_that_broke_the_suite_is_found_by_halving(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    commits = history(project, 10, 9, 8, 7, 3, 2, 1, 0)
    code, found, _ = bisect(capsys, "--good", commits[0], "--bad", "main")
    assert code == 0
    assert found["found"]["commit"] == commits[4]
    assert (found["found"]["subject"], found["found"]["author"]) == ("Good until 3", "Ada Lovelace")
    assert found["found"]["changed"] == ["greet"]
    assert found["found"]["diff"] == f"ps diff {commits[4][:12]}^..{commits[4][:12]} greet"
    assert (found["commits"], found["candidates"]) == (15, 7)
    assert len(found["steps"]) == 5  # two ends, and three halvings of seven
    assert found["calls"] == 50
    again = bisect(capsys, "--good", commits[0])[1]
    assert (again["calls"], again["found"]) == (0, found["found"])
    assert main(found["found"]["diff"].split()[1:], "ps") == 0


def test_each_step_is_told_and_the_end_names_author_subject_and_diff(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    commits = history(project, 10, 9, 1)
    capsys.readouterr()
    assert main(["bisect", "greet", "--good", commits[0]], "ps") == 0
    out, err = capsys.readouterr()
    assert f"good     {commits[1][:12]}  the gate is met, pass rate 90.0%  (10 calls)  Good until 9" in out
    assert f"it broke at {commits[2][:12]}: Good until 1" in out
    assert "Ada Lovelace <ada@example.com>" in out
    assert "3 commits judged, 30 calls" in err
    assert "2 change what a prompt does" in err


def test_what_behaves_alike_is_asked_once(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    commits = history(project, 10, 9, 10, 9, 2)
    code, found, _ = bisect(capsys, "--good", commits[0], "--fresh")
    assert (code, found["found"]["commit"]) == (0, commits[4])
    assert found["calls"] == 30


def test_a_metric_without_a_limit_is_halved_between_the_ends(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    commits = history(project, 10, 9, 8, 7)
    path = project.root / "evals/greet.yaml"
    path.write_text(path.read_text("utf-8").replace(GATE, ""), "utf-8")
    code, found, _ = bisect(capsys, "--good", commits[0], "--metric", "pass_rate")
    assert (code, found["found"]["commit"]) == (0, commits[2])
    assert "the middle of the two ends is 0.85" in found["steps"][-1]["reason"]


def test_an_end_may_be_a_label(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    commits = history(project, 10, 9, 1)
    assert main(["label", "set", "greet", "live", commits[0]], "ps") == 0
    code, found, _ = bisect(capsys, "--good", "live")
    assert (code, found["good"], found["found"]["commit"]) == (0, commits[0], commits[2])


def test_one_case_can_be_followed(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    commits = history(project, 10, 9, 8, 7, 6)
    code, found, _ = bisect(capsys, "--good", commits[0], "--case", "c7")
    assert (code, found["found"]["commit"]) == (0, commits[3])
    assert found["calls"] <= 4


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--good", "HEAD~3", "--bad", "HEAD"], 2, "is not good: pass_rate 20.0%"),
        (["--good", "HEAD~7", "--bad", "HEAD~5"], 2, "is not bad: the gate is met"),
        (["--good", "HEAD~1", "--bad", "HEAD"], 5, "no prompt of evals/greet.yaml changed"),
        (["--good", "HEAD", "--bad", "HEAD~3"], 2, "is no ancestor"),
        (["--good", "HEAD", "--bad", "HEAD"], 2, "the same commit"),
        (["--good", "nowhere"], 2, "there is no revision 'nowhere'"),
        (["--good", "HEAD~7", "--metric", "polite"], 2, "has no metric 'polite'"),
        (["--good", "HEAD~3", "--bad", "HEAD~1", "--metric", "pass_rate"], 2, "is not good"),
        (["--good", "HEAD~7", "--case", "nobody"], 5, "no case is selected"),
        (["--good", "HEAD~7", "--case", "c1", "--metric", "m"], 2, "different ways to judge"),
        (["--good", ""], 2, "--good is empty"),
    ],
)
def test_ends_that_are_not_as_was_said_are_refused(
    project: Project, capsys: pytest.CaptureFixture[str], words: list[str], code: int, says: str
) -> None:
    history(project, 10, 9, 2, 1)
    capsys.readouterr()
    assert main(["bisect", "greet", *words], "ps") == code
    assert says in capsys.readouterr().err


def test_a_commit_that_cannot_be_judged_is_passed_over_and_named(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(project, extra=GATE, cases=10)
    prompt(project, 9)
    good = project.commit("Good until 9")
    project.write("prompts/greet.yaml", "model: offline/echo\nprompt: {{ name }}\n")
    broken = project.commit("A slip")
    prompt(project, 2)
    bad = project.commit("Good until 2")
    code, found, _ = bisect(capsys, "--good", good)
    assert code == 6
    assert (found["found"]["commit"], found["found"]["not_judged"]) == (bad, [broken])


def test_a_provider_that_fails_ends_it_and_the_same_command_goes_on(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    commits = history(project, 10, 9, 2)
    script = project.root / "answers.yaml"
    with (project.root / "promptstudio.toml").open("a", encoding="utf-8") as file:
        file.write('\n[providers.offline]\napi_base = "answers.yaml"\n')
    script.write_text("rules:\n- {contains: until 10, text: good until 10}\n", "utf-8")
    words = ["--good", commits[0], "-m", "offline/script"]
    code, found, _ = bisect(capsys, *words)
    assert (code, found["found"]) == (3, None)
    assert "the provider failed" in found["trouble"] or "error" in found["trouble"]
    rules = "".join(f"- {{contains: until {until}, text: good until {until}}}\n" for until in (10, 9, 2))
    script.write_text(f"rules:\n{rules}", "utf-8")
    code, found, _ = bisect(capsys, *words)
    assert (code, found["found"]["commit"]) == (0, commits[2])


def test_a_prompt_is_followed_through_a_rename(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    history(project, 10, 9)
    good = project.git("rev-parse", "HEAD~3").strip()
    project.git("mv", "prompts/greet.yaml", "prompts/hello.yaml")
    path = project.root / "evals/greet.yaml"
    path.write_text(path.read_text("utf-8").replace("prompt: greet", "prompt: hello"), "utf-8")
    project.commit("Another name")
    prompt(project, 1)
    (project.root / "prompts/greet.yaml").rename(project.root / "prompts/hello.yaml")
    bad = project.commit("Good until 1")
    code, found, _ = bisect(capsys, "--good", good)
    assert (code, found["found"]["commit"]) == (0, bad)


def test_a_merge_that_brought_it_in_is_found_with_how_to_look_into_it(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    commits = history(project, 10)
    project.git("checkout", "-q", "-b", "side")
    prompt(project, 2)
    project.commit("Good until 2")
    project.git("checkout", "-q", "main")
    project.write("notes.txt", "main goes on")
    project.commit("Elsewhere")
    project.git("merge", "-q", "--no-ff", "-m", "Merge side", "side")
    merge = project.git("rev-parse", "HEAD").strip()
    code, found, _ = bisect(capsys, "--good", commits[0])
    assert (code, found["found"]["commit"], found["found"]["is_merge"]) == (0, merge, True)
    assert main(["bisect", "greet", "--good", commits[0]], "ps") == 0
    assert f"--bad {merge[:12]}^2 looks into it" in capsys.readouterr().out


def test_prompts_that_name_their_version_have_nothing_to_be_found(project: Project) -> None:
    commits = history(project, 10, 9)
    path = project.root / "evals/greet.yaml"
    path.write_text(path.read_text("utf-8").replace("prompt: greet", 'prompt: "greet@main"'), "utf-8")
    settings = project.settings()
    with open_repository(project.root) as repository, Snapshots(repository, settings) as snapshots:
        with pytest.raises(UsageError, match="every prompt names its own version"):
            way_between(load_suite(path, settings), commits[0], "main", snapshots)
        path.write_text(path.read_text("utf-8").replace('"greet@main"', "ar/welcome"), "utf-8")
        with pytest.raises(NothingSelected, match="no prompt of"):
            way_between(load_suite(path, settings), commits[0], "main", snapshots)


def test_an_end_that_was_measured_is_not_evaluated_again(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    commits = history(project, 10, 2)
    path = project.root / "evals/greet.yaml"
    path.write_text(path.read_text("utf-8").replace(GATE, ""), "utf-8")
    code, found, _ = bisect(capsys, "--good", commits[0], "--metric", "pass_rate", "--fresh")
    assert (code, found["found"]["commit"]) == (0, commits[1])
    assert found["calls"] == sum(step["calls"] for step in found["steps"]) == 20


def test_a_limit_of_dollars_holds_for_all_steps_together() -> None:
    limits = Limits(max_cost_usd=Decimal("0.5"), max_errors=3)
    assert limits_left(limits, Decimal("0.2")) == Limits(Decimal("0.3"), 3)
    assert limits_left(limits, Decimal(2)) == Limits(Decimal(0), 3)
    assert limits_left(Limits(), Decimal(2)) == Limits()
