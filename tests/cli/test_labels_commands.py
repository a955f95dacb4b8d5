"""`ps promote`, `ps label`, `ps rollback` and `ps evidence`, in this process where that is enough."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from in_process import Command, Ended

from promptstudio.cli.main import main
from promptstudio.history import EvaluationRow, open_history
from promptstudio.prompts.load import load_prompt
from promptstudio.versions.lock import LOCK_NAME, read_lock
from tests.conftest import GREET, Project, Script


@pytest.fixture
def command(project: Project, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process, in the sample project."""

    def run(*args: str) -> Ended:
        code = main(list(args), "ps")
        return Ended(code, *capsys.readouterr())

    return run


def answer(ended: Ended) -> Any:
    return json.loads(ended.out)


def commit_of(project: Project, prompt: str, label: str) -> str:
    found = read_lock(project.root).label(prompt, label)
    assert found is not None
    return found.commit


def second_version(project: Project) -> str:
    project.write("prompts/greet.yaml", GREET.replace("hello", "good day").replace("1.0.0", "1.1.0"))
    return project.commit("two")


def test_a_label_is_made_from_head_and_goes_from_label_to_label(command: Command, project: Project) -> None:
    first = project.git("rev-parse", "HEAD").strip()
    made = command("promote", "greet", "staging")
    second = second_version(project)
    moved = command("promote", "greet", "staging->production", "--reason", "it is time")

    assert (made.code, made.out.splitlines()[0]) == (0, f"greet: staging: 1.0.0 ({first[:12]})")
    assert moved.code == 0
    assert commit_of(project, "greet", "staging") == commit_of(project, "greet", "production") == first
    assert command("promote", "greet", "staging").code == 0
    assert commit_of(project, "greet", "staging") == second
    production = read_lock(project.root).prompts["greet"].labels["production"]
    assert (production.by, production.reason) == ("Ada Lovelace <ada@example.com>", "it is time")
    assert sorted(read_lock(project.root).prompts) == ["ar/welcome", "greet", "support/triage"]


@pytest.mark.parametrize(
    "words",
    [
        ("greet", "staging→production"),
        ("greet", "--from", "staging", "--to", "production"),
        ("greet", "staging -> production"),
    ],
)
def test_the_arrow_can_be_written_in_several_ways(command: Command, project: Project, words: tuple[str, ...]) -> None:
    command("promote", "greet", "staging")

    assert command("promote", *words).code == 0
    assert command("show", "greet@production").code == 0


def test_what_a_promotion_changes_is_shown(command: Command, project: Project) -> None:
    command("promote", "greet", "production")
    second = second_version(project)

    found = answer(command("promote", "greet", "production", "--dry-run", "--json"))

    (move,) = found["moves"]
    assert (found["dry_run"], move["verdict"], move["new"]["commit"]) == (True, "MINOR", second)
    assert "messages-changed" in {reason["rule"] for reason in move["reasons"]}
    assert commit_of(project, "greet", "production") != second


def test_a_label_does_not_move_where_nothing_changed(command: Command, project: Project) -> None:
    command("promote", "--all", "staging")
    before = (project.root / LOCK_NAME).read_bytes()
    project.commit("something else")

    again = command("promote", "--all", "staging")

    assert "has this content already" in again.out
    assert (project.root / LOCK_NAME).read_bytes() == before


@pytest.mark.parametrize(
    ("words", "code", "message", "hint"),
    [
        (("greet", "staging-"), 2, "ends in a dash: the shell took `>`", "'staging->production'"),
        (("greet", "v1.0.0"), 2, "cannot be a label", ""),
        (("greet", "a b"), 2, "is not a name of a label", ""),
        (("greeet", "staging"), 2, "there is no prompt 'greeet'", "did you mean 'greet'?"),
        (("greet:short", "staging"), 2, "a label is for a whole prompt", "its variants go with it"),
        (("staging",), 2, "which prompt?", "--all"),
        ((), 2, "which label?", ""),
        (("--all", "greet", "staging"), 2, "different choices", ""),
        (("greet", "production->staging"), 2, "there is no revision 'production'; greet has no labels", ""),
        (("greet", "-x->staging"), 2, "", ""),
        (("greet", "--from", "-x", "--to", "staging"), 2, "it begins with `-`", ""),
        (("greet", "a->b", "--from", "c"), 2, "both say where from", ""),
        (("/etc/hosts.yaml", "staging"), 2, "is no prompt of this project", ""),
    ],
)
def test_a_wrong_promotion_says_what_is_wrong(
    command: Command, project: Project, words: tuple[str, ...], code: int, message: str, hint: str
) -> None:
    ended = command("promote", *words)

    assert ended.code == code
    assert message in ended.err
    assert hint in ended.err
    assert not (project.root / LOCK_NAME).exists()


def test_what_is_not_committed_is_refused_until_the_commit_is_named(command: Command, project: Project) -> None:
    first = project.git("rev-parse", "HEAD").strip()
    project.write("prompts/greet.yaml", GREET.replace("hello", "good day"))

    refused = command("promote", "greet", "staging")
    named = command("promote", "greet", f"{first[:12]}->staging")

    assert (refused.code, named.code) == (2, 0)
    assert "greet: not committed as it is now: prompts/greet.yaml" in refused.err
    assert commit_of(project, "greet", "staging") == first


def test_before_the_first_commit_there_is_nothing_to_point_at(command: Command, project: Project) -> None:
    project.git("update-ref", "-d", "HEAD")

    ended = command("promote", "greet", "staging")

    assert (ended.code, "nothing is committed yet" in ended.err) == (2, True)


def test_what_lint_calls_an_error_is_not_promoted(command: Command, project: Project) -> None:
    project.write("prompts/greet.yaml", GREET + "tests:\n  - inputs: {name: 1}\n")
    project.commit()

    ended = command("promote", "greet", "staging")

    assert ended.code == 1
    assert "prompts/greet.yaml:12" in ended.err


def test_a_lock_file_with_conflicts_is_named_and_not_touched(command: Command, project: Project) -> None:
    project.write(LOCK_NAME, "<<<<<<< HEAD\nlock_version: 1\n=======\n")

    ended = command("promote", "greet", "staging", "--json")

    assert ended.code == 2
    error = answer(ended)["error"]
    assert (error["kind"], error["file"], error["line"]) == ("lock_file", LOCK_NAME, 1)
    assert "git conflict marker" in error["message"]


# -- committing


def test_a_commit_holds_the_lock_file_and_nothing_else(command: Command, project: Project) -> None:
    project.write("prompts/ar/welcome.yaml", "prompt: staged\n")
    project.git("add", "prompts/ar/welcome.yaml")

    ended = command("promote", "greet", "production", "--commit", "--reason", "ready")

    assert ended.code == 0
    assert project.git("show", "--format=%an|%B", "--name-only", "HEAD").split() == [
        *("Ada", "Lovelace|Promote", "greet", "to", "production", "ready", LOCK_NAME),
    ]
    assert project.git("diff", "--cached", "--name-only").split() == ["prompts/ar/welcome.yaml"]
    command("promote", "--all", "HEAD~1->staging", "--commit")
    assert project.git("log", "-1", "--format=%s").strip() == "Promote 3 prompts to staging"
    assert project.git("diff", "--cached", "--name-only").split() == ["prompts/ar/welcome.yaml"]


@pytest.mark.parametrize("before", [False, True], ids=["first lock file", "known lock file"])
def test_a_commit_that_fails_leaves_everything_as_it_was(command: Command, project: Project, before: bool) -> None:
    if before:
        command("promote", "greet", "staging", "--commit")
    hook = project.write(".git/hooks/pre-commit", "#!/bin/sh\necho 'the hook says no' >&2\nexit 1\n")
    hook.chmod(0o755)
    path = project.root / LOCK_NAME
    text, index = path.read_bytes() if before else None, project.git("ls-files", "-s")

    ended = command("promote", "greet", "HEAD->production", "--commit")

    assert ended.code == 2
    assert "nothing was committed: the hook says no" in ended.err
    assert (path.read_bytes() if path.exists() else None) == text
    assert project.git("ls-files", "-s") == index
    assert project.git("status", "--porcelain").split() == []


def test_a_lock_file_that_git_ignores_is_not_committed_behind_its_back(command: Command, project: Project) -> None:
    project.write(".gitignore", ".promptstudio/\n*.lock\n")
    project.commit()

    ended = command("promote", "greet", "staging", "--commit")

    assert (ended.code, "ignored" in ended.err) == (2, True)
    assert not (project.root / LOCK_NAME).exists()
    assert project.git("ls-files", LOCK_NAME) == ""


def test_a_commit_in_the_middle_of_a_merge_is_refused_and_undone(command: Command, project: Project) -> None:
    project.git("checkout", "-q", "-b", "side")
    project.write("a.txt", "one")
    project.commit()
    project.git("checkout", "-q", "main")
    project.write("a.txt", "two")
    project.commit()
    subprocess.run(["git", "merge", "-q", "side"], cwd=project.root, capture_output=True, check=False)

    ended = command("promote", "greet", "staging", "--commit")  # in the middle of a merge

    assert (ended.code, "during a merge" in ended.err) == (2, True)
    assert project.git("status", "--porcelain").strip() == "AA a.txt"


def test_a_project_in_a_subfolder_with_any_name_commits_its_own_lock_file(
    command: Command, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "خدمات and more/bot"
    for name in ("prompts", "promptstudio.toml"):
        (project.root / place).mkdir(parents=True, exist_ok=True)
        project.git("mv", name, f"{place}/{name}")
    project.commit()
    monkeypatch.chdir(project.root / place)

    assert command("promote", "greet", "staging", "--commit").code == 0

    named = project.git("-c", "core.quotePath=false", "show", "--format=", "--name-only", "HEAD")
    assert named.strip() == f"{place}/{LOCK_NAME}"
    assert command("verify").code == 0
    assert command("check", "--since", "HEAD~1").code == 0
    assert command("show", "greet@staging").code == 0


def test_there_is_no_empty_commit(command: Command, project: Project) -> None:
    command("promote", "greet", "staging", "--commit")
    head = project.git("rev-parse", "HEAD")

    again = command("promote", "greet", "staging", "--commit")

    assert (again.code, project.git("rev-parse", "HEAD")) == (0, head)


# -- evidence


def test_only_a_passing_evaluation_of_this_very_behavior_lets_a_strict_promotion_pass(
    command: Command, project: Project
) -> None:
    assert command("promote", "greet", "staging", "--require-evals").code == 1
    command("evidence", "add", "greet", "--suite", "evals/greet", "--passed", "9", "--failed", "1")
    missed = command("promote", "greet", "staging", "--require-evals")
    assert (missed.code, "gate missed" in missed.err) == (1, True)

    command(
        "evidence", "add", "greet", "--suite", "evals/greet", "--passed", "10", "--failed", "0", "--run", "https://ci/7"
    )
    assert command("promote", "greet", "staging", "--require-evals").code == 0
    label = read_lock(project.root).prompts["greet"].labels["staging"]
    assert [(one.passed, one.gate, one.run) for one in label.evaluations] == [
        (9, "missed", None),
        (10, "met", "https://ci/7"),
    ]

    second_version(project)
    assert command("promote", "greet", "production", "--require-evals").code == 1
    assert command("promote", "greet", "staging->production", "--require-evals").code == 0


def test_what_the_local_history_knows_counts_and_goes_into_the_label(command: Command, project: Project) -> None:
    evaluated(project, "greet")

    assert command("promote", "greet", "staging", "--require-evals").code == 0
    (one,) = read_lock(project.root).prompts["greet"].labels["staging"].evaluations
    assert (one.suite, one.passed, one.run, one.at) == ("evals/greet.yaml", 5, "run-7", "2026-11-21T10:00:00Z")


def evaluated(project: Project, address: str) -> str:
    """Put an evaluation of a prompt into the history, as the eval engine does; return the behavior."""
    behavior = load_prompt(address, project.settings()).identity.behavior
    row = EvaluationRow(
        suite="evals/greet.yaml", prompt="greet", behavior=behavior, cases=5, passed=5, failed=0, gate="met",
        user="Ada", run_id="run-7", created_at=datetime(2026, 11, 21, 10, tzinfo=UTC),
    )  # fmt: skip
    with open_history(project.settings()) as history:
        history.record_evaluation(row)
    return behavior


def test_evidence_is_copied_from_the_history_once(command: Command, project: Project) -> None:
    assert command("evidence", "record", "greet").code == 5
    behavior, short = evaluated(project, "greet"), evaluated(project, "greet:short")

    first, again = (answer(command("evidence", "record", "greet", "--json")) for _ in range(2))

    assert {one["behavior"] for one in first["recorded"]} == {behavior, short}
    assert again["recorded"] == []
    assert set(read_lock(project.root).prompts["greet"].evaluations) == {behavior, short}


def test_evidence_is_listed_with_what_it_is_about(command: Command, project: Project) -> None:
    command("evidence", "add", "greet", "--suite", "s", "--passed", "1", "--failed", "0")
    command("evidence", "add", "greet:short", "--suite", "s", "--passed", "1", "--failed", "0")
    command("promote", "greet", "staging")
    project.write("prompts/greet.yaml", GREET.replace("hello", "good day"))

    listed = answer(command("evidence", "list", "--json"))

    assert [one["about"] for one in listed] == [["staging"], ["staging:short"]]
    assert "staging:short" in command("evidence", "list", "greet").out
    assert command("evidence", "list", "nobody").code == 2


def test_evidence_knows_the_commit_only_of_what_is_committed(command: Command, project: Project) -> None:
    head = project.git("rev-parse", "HEAD").strip()
    args = ("--suite", "s", "--passed", "1", "--failed", "0", "--json")

    clean = answer(command("evidence", "add", "greet", *args))["evaluation"]["commit"]
    project.write("prompts/greet.yaml", GREET.replace("hello", "good day"))
    dirty = answer(command("evidence", "add", "greet", *args))["evaluation"]["commit"]
    older = answer(command("evidence", "add", "greet@HEAD", *args))["evaluation"]["commit"]

    assert (clean, dirty, older) == (head, None, head)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--passed", "-1", "--failed", "0"), "-1"),
        (("--passed", "x", "--failed", "0"), "'x'"),
        (("--passed", "1", "--failed", "0", "--gate", "maybe"), "a gate is met or missed"),
        (("--passed", "1", "--failed", "0", "--run", "x" * 600), "the limit is 500"),
    ],
)
def test_wrong_numbers_are_refused(command: Command, project: Project, args: tuple[str, ...], message: str) -> None:
    ended = command("evidence", "add", "greet", "--suite", "s", *args)

    assert ended.code == 2
    assert message in ended.err
    assert not (project.root / LOCK_NAME).exists()


def test_no_evaluation_at_all_is_not_a_gate_that_was_met(command: Command) -> None:
    found = answer(command("evidence", "add", "greet", "--suite", "s", "--passed", "0", "--failed", "0", "--json"))

    assert found["evaluation"]["gate"] == "missed"


# -- labels


def test_labels_are_listed_set_and_taken_away(command: Command, project: Project) -> None:
    first = project.git("rev-parse", "HEAD").strip()
    second_version(project)
    assert command("label", "set", "greet", "old", "HEAD~1", "--commit").code == 0
    assert command("label", "set", "ar/welcome", "إنتاج").code == 0

    listed = answer(command("label", "list", "--json"))
    assert [(one["prompt"], one["label"]) for one in listed] == [("ar/welcome", "إنتاج"), ("greet", "old")]
    assert listed[1]["commit"] == first
    assert "إنتاج" in command("label", "list", "ar/welcome").out
    assert answer(command("label", "list", "support/triage", "--json")) == []
    assert command("label", "list", "nobody").code == 2

    assert command("label", "rm", "greet", "old", "--commit").code == 0
    assert project.git("log", "-1", "--format=%s").strip() == "Remove old of greet"
    missing = command("label", "rm", "greet", "old")
    assert (missing.code, "has no label 'old'" in missing.err) == (2, True)


def test_the_label_of_a_prompt_that_is_gone_can_be_taken_away(command: Command, project: Project) -> None:
    command("promote", "greet", "staging")
    (project.root / "prompts/greet.yaml").unlink()

    assert command("label", "rm", "greet", "staging").code == 0
    assert "greet" not in read_lock(project.root).prompts


# -- rollback


def test_a_rollback_goes_to_where_the_label_was_and_a_second_one_back_again(command: Command, project: Project) -> None:
    first = project.git("rev-parse", "HEAD").strip()
    command("promote", "greet", "production", "--commit")
    second = second_version(project)
    command("promote", "greet", "production", "--commit")

    back = command("rollback", "greet@production", "--commit", "--reason", "it was rude")
    assert (back.code, commit_of(project, "greet", "production")) == (0, first)
    assert "MINOR" in back.out
    assert project.git("log", "-1", "--format=%s").strip() == "Roll back production of greet"
    assert command("rollback", "greet@production").code == 0
    assert commit_of(project, "greet", "production") == second
    assert command("rollback", "greet@production", "--to", "v1.0.0").code == 0
    assert commit_of(project, "greet", "production") != second
    assert read_lock(project.root).prompts["greet"].labels["production"].version == "1.0.0"


def test_what_was_promoted_but_not_committed_is_taken_back_too(command: Command, project: Project) -> None:
    command("promote", "greet", "production", "--commit")
    second_version(project)
    before = read_lock(project.root).prompts["greet"].labels["production"]
    command("promote", "greet", "production")

    command("rollback", "greet@production")

    assert commit_of(project, "greet", "production") == before.commit


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("greet",), "names no label"),
        (("greet@",), "names no label"),
        (("greet@prod",), "greet has no label 'prod'"),
        (("nobody@prod",), "nobody"),
        (("greet@staging",), "never pointed anywhere else"),
        (("greet@staging", "--to", "nowhere"), "there is no revision 'nowhere'"),
    ],
)
def test_a_wrong_rollback_says_what_is_wrong(command: Command, args: tuple[str, ...], message: str) -> None:
    command("promote", "greet", "staging", "--commit")

    ended = command("rollback", *args)

    assert (ended.code, message in ended.err) == (2, True)


def test_a_rollback_in_a_shallow_clone_says_what_it_cannot_know(
    command: Command, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("promote", "greet", "production", "--commit")
    second_version(project)
    command("promote", "greet", "production", "--commit")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "1", project.root.as_uri(), clone], check=True)
    monkeypatch.chdir(clone)

    ended = command("rollback", "greet@production")

    assert ended.code == 2
    assert "shallow" in ended.err
    assert "--to REV" in ended.err


def test_labels_are_reached_without_loading_anything_heavy(command: Command, ps: Script, project: Project) -> None:
    command("promote", "greet", "staging")
    heavy = ["litellm", "mirascope", "openai", "instructor", "sqlmodel", "sqlalchemy", "rich"]
    script = f"""
import sys
from promptstudio.cli.main import main
main(["label", "list"], "ps")
print([name for name in {heavy} if name in sys.modules])
"""

    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=project.root,
        env=ps.environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert "staging" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_all_prompts_are_not_promoted_where_two_names_are_one(command: Command, project: Project) -> None:
    project.write("prompts/Greet.yaml", "prompt: x\n")
    project.commit()
    ended = command("promote", "--all", "staging")
    assert ended.code == 2
    assert "'greet' differs from 'Greet'" in ended.err
    assert not (project.root / LOCK_NAME).exists()


def test_two_branches_promote_two_prompts_that_were_just_made_and_merge_without_a_conflict(
    project: Project, ps: Script
) -> None:
    assert ps("promote", "greet", "production").code == 0
    for name in ("b-one", "b-three", "b-two"):
        assert ps("new", name).code == 0
    assert ps("cp", "b-two", "b-four").code == 0
    project.commit("New prompts")
    for branch, prompt in (("one", "b-one"), ("two", "b-two")):
        project.git("checkout", "-q", "-b", branch, "main")
        assert ps("promote", prompt, "production", "--commit").code == 0
    project.git("merge", "-q", "--no-edit", "one")
    labels = {(row["prompt"], row["label"]) for row in ps("label", "list", "--json").json}
    assert labels == {("greet", "production"), ("b-one", "production"), ("b-two", "production")}
    assert ps("verify").code == 0
