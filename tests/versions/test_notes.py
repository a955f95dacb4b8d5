"""Notes: one committed file each, about one behavior."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from promptstudio.errors import UsageError, UserError
from promptstudio.versions.load import load_prompt
from promptstudio.versions.notes import Note, new_note, read_notes, write_note

if TYPE_CHECKING:
    from tests.conftest import Project


def noted(project: Project, text: str, prompt: str = "greet", day: int = 1) -> tuple[Note, Path]:
    now = datetime(2026, 11, day, 10, tzinfo=UTC)
    note = new_note(load_prompt(prompt, project.settings()), text, author="Ada", commit=None, now=now)
    return note, write_note(note, project.root)


def test_a_note_is_read_back_as_it_was_written(project: Project) -> None:
    texts = ["مرحبا: يفضّل العملاء الصيغة القصيرة", "two\nlines # not a comment", "yes", "\x1b[31mred", "- item: {x}"]
    for day, text in enumerate(texts, start=1):
        noted(project, text, day=day)
    notes, problems = read_notes(project.root)
    assert [note.text for note in notes] == texts
    assert problems == []
    assert {note.behavior for note in notes} == {load_prompt("greet", project.settings()).identity.behavior}


def test_two_branches_that_note_at_once_merge_without_a_conflict(project: Project) -> None:
    project.git("checkout", "-q", "-b", "one")
    noted(project, "from one")
    project.commit("one")
    project.git("checkout", "-q", "-b", "two", "main")
    noted(project, "from two")
    project.commit("two")
    project.git("merge", "-q", "--no-edit", "one")
    assert {note.text for note in read_notes(project.root, "greet")[0]} == {"from one", "from two"}


def test_notes_of_one_prompt_are_told_from_those_of_another(project: Project) -> None:
    noted(project, "a")
    noted(project, "b", "support/triage")
    assert [note.text for note in read_notes(project.root, "support/triage")[0]] == ["b"]


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 20_001])
def test_an_empty_or_endless_note_is_refused(project: Project, text: str) -> None:
    with pytest.raises(UsageError):
        noted(project, text)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("- a\n", "expected a map"),
        ("prompt: greet\n", "missing key 'behavior'"),
        ("prompt: greet\ntxt: a\n", "unknown key 'txt'"),
        ("prompt: greet\ntext: [1]\n", "text: expected text"),
        ("<<<<<<< HEAD\n", "conflict marker"),
    ],
)
def test_a_broken_note_is_named_and_the_others_are_read(project: Project, content: str, says: str) -> None:
    noted(project, "good")
    project.write("prompt-notes/greet/broken.yaml", content)
    notes, problems = read_notes(project.root)
    assert [note.text for note in notes] == ["good"]
    assert says in str(problems[0])
    assert problems[0].file == "prompt-notes/greet/broken.yaml"


def test_a_link_out_of_the_project_is_neither_read_nor_written_through(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.yaml").write_text("prompt: greet\n")
    (project.root / "prompt-notes").symlink_to(outside)
    assert read_notes(project.root) == ([], [])
    with pytest.raises(UsageError, match="through a link"):
        noted(project, "x")


def test_a_note_that_cannot_be_written_is_told(project: Project) -> None:
    project.write("prompt-notes", "a file, not a folder")
    with pytest.raises(UserError, match="cannot write"):
        noted(project, "a remark")
