"""`ps bundle` and `ps note` as people call them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project, Script


def test_a_bundle_of_the_commit_runs_where_there_is_no_git(project: Project, ps: Script, tmp_path: Path) -> None:
    project.write("prompts/greet.yaml", "prompt: not committed\n")
    made = ps("bundle", "-o", str(tmp_path / "p.json"), "greet")
    assert made.code == 0
    assert made.out.splitlines()[1].split()[:2] == ["greet", "1.0.0"]
    elsewhere = tmp_path / "image"
    elsewhere.mkdir()
    ran = ps("run", "greet:short", "--bundle", "../p.json", "-v", "name=عمر", cwd=elsewhere)
    assert (ran.code, ran.out) == (0, "Say hello to عمر in a warm way.\n")
    row = ps("history", "show", "last", "--json", cwd=elsewhere).json
    assert row["commit"] == project.git("rev-parse", "HEAD").strip()
    assert row["dirty"] is False
    shown = ps("show", "greet", "--file", "--bundle", "../p.json", cwd=elsewhere)
    assert shown.out == project.git("show", "HEAD:prompts/greet.yaml")


def test_a_bundle_of_a_label_holds_what_the_label_had(project: Project, ps: Script, tmp_path: Path) -> None:
    assert ps("promote", "greet", "production").code == 0
    project.write("prompts/greet.yaml", "prompt: later\n")
    project.commit()
    path = tmp_path / "p.json"
    assert ps("bundle", "-o", str(path), "--label", "production").code == 0
    packed = json.loads(path.read_text())
    assert list(packed["prompts"]) == ["greet"]
    assert ps("run", "greet@production", "--bundle", str(path), "-v", "name=Bo").out.startswith("Say hello to Bo")
    missing = ps("bundle", "-o", str(path), "--label", "production", "support/triage")
    assert missing.code == 2
    assert "does not carry the label 'production'" in missing.err


def test_the_working_tree_can_be_bundled_and_a_changed_bundle_is_found_out(
    project: Project, ps: Script, tmp_path: Path
) -> None:
    project.write("prompts/greet.yaml", "prompt: not committed\n")
    path = tmp_path / "p.json"
    assert ps("bundle", "-o", str(path), "--working-tree").code == 0
    assert ps("run", "greet", "--bundle", str(path)).out == "not committed\n"
    path.write_text(path.read_text().replace("not committed", "evil"))
    done = ps("bundle", "--check", str(path))
    assert done.code == 1
    assert "changed or damaged" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["bundle"], 2, "where should the bundle go?"),
        (["bundle", "-o", "x", "--label", "a", "--rev", "b"], 2, "are different sources"),
        (["bundle", "-o", "x", "--label", "nobody"], 5, "no prompt carries the label 'nobody'"),
        (["bundle", "-o", "x", "greet@HEAD"], 2, "give the names of prompts"),
        (["bundle", "-o", "x", "--rev", "-x"], 2, "begins with `-`"),
        (["bundle", "-o", "prompts/greet.yaml/x"], 2, "cannot write"),
        (["note", "add", "greet", ""], 2, "the note is empty"),
        (["note", "add", "gret", "x"], 2, "did you mean 'greet'?"),
    ],
)
def test_what_cannot_be_done_says_so(project: Project, ps: Script, arguments: list[str], code: int, says: str) -> None:
    done = ps(*arguments)
    assert done.code == code
    assert says in done.err


def test_notes_are_listed_with_the_version_they_are_about(project: Project, ps: Script) -> None:
    assert ps("note", "add", "greet", "ممتاز").code == 0
    assert ps("note", "add", "greet:short@HEAD", "too", "short").code == 0
    project.commit()
    project.write("prompts/greet.yaml", "prompt: later\n")
    listed = ps("note", "list", "greet", "--json").json
    assert [note["text"] for note in listed] == ["ممتاز", "too short"]
    assert listed[1]["variant"] == "short"
    page = ps("note", "list").out
    assert "Ada Lovelace" in page
    assert page.count("(changed since)") == 2
    assert [note["text"] for note in ps("note", "list", "greet:short@HEAD", "--json").json] == ["too short"]
