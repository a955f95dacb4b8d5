"""`ps verify` and `ps check`: the gates of CI and of a pre-commit hook."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from in_process import Command, Ended

from promptstudio.cli.main import main
from promptstudio.versions.lock import LOCK_NAME, read_lock
from tests.conftest import GREET, Project, Script

KINDER = GREET.replace("hello", "good day")


@pytest.fixture
def command(project: Project, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process, in the sample project."""

    def run(*args: str) -> Ended:
        code = main(list(args), "ps")
        return Ended(code, *capsys.readouterr())

    return run


def answer(ended: Ended) -> Any:
    return json.loads(ended.out)


def edit(project: Project, old: str, new: str) -> None:
    path = project.root / LOCK_NAME
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


# -- verify


def test_what_ps_promoted_verifies(command: Command) -> None:
    command("promote", "greet", "production", "--commit")

    assert command("verify") == (0, "", "3 prompts, 1 label: all as recorded\n")
    assert answer(command("verify", "greet", "--json")) == {"ok": True, "prompts": 1, "labels": 1, "mismatches": []}


def test_a_hash_that_was_edited_by_hand_fails_with_its_line(command: Command, project: Project) -> None:
    command("promote", "greet", "production")
    label = read_lock(project.root).prompts["greet"].labels["production"]
    edit(project, label.behavior, "p1:" + "0" * 64)
    line = (project.root / LOCK_NAME).read_text().splitlines().index(f"        behavior: p1:{'0' * 64}") + 1

    ended = command("verify")

    assert ended.code == 1
    short = label.behavior[3:15]
    assert (
        f"{LOCK_NAME}:{line}: error: production of greet: behavior: recorded p1:000000000000…, computed p1:{short}…"
        in ended.out
    )
    (found,) = answer(command("verify", "--json"))["mismatches"]
    assert (found["line"], found["computed"]) == (line, label.behavior)


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\n", "lock_version: 1\nprompt: {}\n", "- a list\n", "lock_version: [\n"])
def test_a_lock_file_that_cannot_be_read_fails_the_gate(command: Command, project: Project, text: str) -> None:
    project.write(LOCK_NAME, text)

    ended = command("verify")

    assert ended.code == 1
    assert ended.out.startswith(f"{LOCK_NAME}:")


def test_warnings_fail_only_where_that_is_asked_for(command: Command, project: Project) -> None:
    command("promote", "greet", "production")
    project.write("prompts/new.yaml", "prompt: new\n")
    project.commit()

    assert command("verify").code == 0
    assert command("verify", "--strict").code == 1


def test_the_layout_is_put_right_without_a_change_of_labels(command: Command, project: Project) -> None:
    command("promote", "greet", "production")
    before = (project.root / LOCK_NAME).read_text()
    edit(project, "        by: Ada", "        by:   Ada")
    edit(project, "  support/triage:\n    file: prompts/support/triage.yaml\n", "")
    assert command("verify").code == 1

    assert command("verify", "--fix").code == 0

    assert (project.root / LOCK_NAME).read_text() == before


def test_a_project_without_labels_verifies(command: Command, project: Project) -> None:
    assert command("verify").code == 0
    shutil.rmtree(project.root / ".git")
    assert command("verify").code == 0
    assert command("verify", "nobody").code == 2


def test_labels_without_a_repository_do_not_verify(command: Command, project: Project) -> None:
    command("promote", "greet", "production")
    shutil.rmtree(project.root / ".git")

    ended = command("verify")

    assert (ended.code, "this is not in a git repository" in ended.out) == (1, True)


def test_a_shallow_clone_passes_only_where_that_is_allowed(
    command: Command, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("promote", "greet", "production", "--commit")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "1", project.root.as_uri(), clone], check=True)
    monkeypatch.chdir(clone)

    refused, allowed = command("verify"), command("verify", "--allow-shallow")

    assert (refused.code, allowed.code) == (1, 0)
    assert "is not in this shallow clone, so nothing of it can be checked" in refused.out


def test_a_second_look_parses_nothing(command: Command, ps: Script, project: Project) -> None:
    command("promote", "--all", "production")
    command("verify")
    heavy = ["pydantic", "jinja2", "yaml", "litellm", "mirascope", "sqlmodel", "rich", "jsonschema"]
    script = f"""
import sys
from promptstudio.cli.main import main
code = main(["verify"], "ps")
print(code, [name for name in {heavy} if name in sys.modules])
"""

    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=project.root,
        env=ps.environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "0 []"


# -- check


def test_nothing_changed_is_said_and_passes(command: Command) -> None:
    assert command("check") == (0, "", "no prompt changed since the last commit\n")
    assert answer(command("check", "--since", "HEAD", "--json"))["ok"] is True


def test_a_branch_is_compared_with_where_it_began(command: Command, project: Project) -> None:
    project.git("checkout", "-q", "-b", "side")
    project.write("prompts/greet.yaml", KINDER.replace("1.0.0", "1.1.0"))
    project.commit()
    project.git("checkout", "-q", "main")
    project.write("prompts/support/triage.yaml", "prompt: theirs, not evaluated\n")
    project.commit()
    project.git("checkout", "-q", "side")

    failing = command("check", "--since", "main")
    command("evidence", "add", "greet", "--suite", "s", "--passed", "3", "--failed", "0")
    passing = command("check", "--since", "main")

    assert failing.code == 1
    assert failing.out.startswith("prompts/greet.yaml:8: error: greet changed: messages: ")
    assert "support/triage" not in failing.out
    assert (passing.code, passing.out) == (0, "")
    assert "1 prompt changed" in passing.err


def test_a_report_is_json_on_demand(command: Command, project: Project) -> None:
    project.write("prompts/greet.yaml", GREET.replace("name: string", "who: string").replace("{{ name }}", "{{ who }}"))

    ended = command("check", "--json")

    found = answer(ended)
    assert (ended.code, found["ok"], found["changed"]) == (1, False, ["greet"])
    assert [(one["rule"], one["verdict"], one["line"]) for one in found["findings"]] == [
        ("not-evaluated", "MAJOR", 5), ("major-not-raised", "MAJOR", 2),
    ]  # fmt: skip


def test_what_is_staged_counts_and_not_what_lies_beside_it(command: Command, project: Project) -> None:
    project.write("prompts/greet.yaml", KINDER)
    assert command("check", "--staged").code == 0
    project.git("add", "-A")
    project.write("prompts/greet.yaml", GREET)

    ended = command("check", "--staged")

    assert ended.code == 1
    assert ended.out.startswith("prompts/greet.yaml:8: error: greet changed")
    assert command("check").code == 0


def test_evidence_counts_once_it_is_staged_with_the_prompt(command: Command, project: Project) -> None:
    project.write("prompts/greet.yaml", KINDER.replace("1.0.0", "1.1.0"))
    project.git("add", "prompts")
    command("evidence", "add", "greet", "--suite", "s", "--passed", "3", "--failed", "0")

    assert command("check", "--staged").code == 1
    project.git("add", LOCK_NAME)
    assert command("check", "--staged").code == 0


def test_before_the_first_commit_what_is_staged_must_load(command: Command, project: Project) -> None:
    project.git("update-ref", "-d", "HEAD")
    assert command("check", "--staged").code == 0

    project.write("prompts/greet.yaml", "prompt: [\n")
    project.git("add", "-A")

    assert command("check", "--staged").code == 1


@pytest.mark.parametrize("since", ["nowhere", "-x", "origin/main"])
def test_a_revision_that_does_not_exist_is_an_error_and_not_a_pass(command: Command, since: str) -> None:
    assert command("check", f"--since={since}").code == 2


def test_a_pre_commit_hook_looks_at_the_index_of_its_own_commit(project: Project, ps: Script) -> None:
    hook = project.write(".git/hooks/pre-commit", "#!/bin/sh\nexec promptstudio check --staged\n")
    hook.chmod(0o755)
    project.write("prompts/greet.yaml", KINDER)
    project.write("prompts/support/triage.yaml", "version: 1.0.0\nprompt: '{{ broken'\n")

    commit = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "-m", "x"]
    one = subprocess.run(
        [*commit, "prompts/greet.yaml"],
        cwd=project.root, env=ps.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert one.returncode == 1
    assert "greet changed" in one.stdout + one.stderr
    assert "broken" not in one.stdout + one.stderr
