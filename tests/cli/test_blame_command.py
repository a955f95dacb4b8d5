"""`ps blame`: fields, and what was live at a moment."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from promptstudio.cli.dispatch import dispatch
from promptstudio.versions.lock import change_lock
from promptstudio.versions.stanza import Label, Lock, Stanza
from tests.conftest import GREET, Project

TEN = int(datetime(2026, 11, 1, 10, tzinfo=UTC).timestamp())


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = dispatch(list(words), "ps")
    caught = capsys.readouterr()
    return code, caught.out, caught.err


def promoted(project: Project, monkeypatch: pytest.MonkeyPatch, version: str, at_s: int, commit: str = "") -> str:
    """Put the label production on a version, in a commit made at a time."""
    target = commit or project.git("rev-parse", "HEAD").strip()
    label = Label(
        commit=target, file="prompts/greet.yaml", behavior="p1:" + "ab" * 32, interface="p1:" + "cd" * 32,
        text="p1:" + "ef" * 32, promoted="2026-11-01T09:00:00Z", by="Ada <ada@example.com>", version=version,
    )  # fmt: skip

    def change(lock: Lock) -> dict[str, Stanza]:
        return {**lock.prompts, "greet": Stanza("greet", "prompts/greet.yaml", {"production": label})}

    change_lock(project.root, change)
    for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        monkeypatch.setenv(name, f"{at_s} +0000")
    return project.commit(f"Promote {version}")


def test_each_field_is_a_line_with_commit_day_author_and_why(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("prompts/greet.yaml", GREET.replace("Say", "Shout"))
    commit = project.commit("Louder")
    code, out, err = run(capsys, "blame", "greet")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert (code, err) == (0, "")
    assert lines["prompt"].split()[1] == commit[:12]
    assert "Ada Lovelace" in lines["prompt"]
    assert lines["prompt"].endswith("Louder")
    assert lines["inputs.mood.enum"].endswith("The sample project")
    project.write("prompts/greet.yaml", GREET.replace("Say", "Whisper"))
    code, out, _ = run(capsys, "blame", "greet", "--json")
    fields = {field["field"]: field for field in json.loads(out)["fields"]}
    assert fields["prompt"]["uncommitted"]
    assert fields["model"]["commit"]["subject"] == "The sample project"
    assert fields["inputs.mood.enum"]["value"] == ["warm", "dry"]
    _, out, _ = run(capsys, "blame", f"greet@{commit}")
    assert "(uncommitted)" not in out


def test_what_was_live_is_told_from_the_lock_file_of_that_time(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(project, monkeypatch, "1.0.0", TEN - 3600)
    promoted(project, monkeypatch, "2.0.0", TEN + 3600)
    code, out, err = run(capsys, "blame", "--at", "2026-11-01T10:00Z", "--label", "production")
    assert code == 0
    assert "1.0.0" in out
    assert "Ada <ada@example.com>" in out
    assert "as of" in err
    _, out, _ = run(capsys, "blame", "greet", "--at", "2026-11-01T14:30+03:00", "--json")
    [label] = json.loads(out)["labels"]
    assert (label["version"], label["label"], label["commit_is_gone"]) == ("2.0.0", "production", False)
    _, out, _ = run(capsys, "blame", "prompts/greet.yaml", "--label", "production")
    assert "2.0.0" in out


def test_a_label_whose_commit_is_gone_says_so(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(project, monkeypatch, "1.0.0", TEN, "1" * 40)
    code, out, _ = run(capsys, "blame", "--label", "production")
    assert code == 0
    assert "111111111111 (gone)" in out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 2, "which prompt?"),
        (["--at", "soon"], 2, "is no time"),
        (["--at", "1999-01-01"], 2, "there was no commit yet"),
        (["--at", "now", "--label", "production"], 5, "there was no label 'production'"),
        (["--label", "staging"], 5, "there is no label 'staging'"),
        (["greet@HEAD", "--at", "now"], 2, "leave the @ part away"),
        (["nobody"], 2, "there is no prompt 'nobody'"),
        (["greet@nowhere"], 2, "nowhere"),
    ],
)
def test_what_cannot_be_answered_is_told(
    project: Project, capsys: pytest.CaptureFixture[str], words: list[str], code: int, says: str
) -> None:
    ended, out, err = run(capsys, "blame", *words)
    assert (ended, out) == (code, "")
    assert says in err
