"""The list of prompts, and the index that makes it quick."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from promptstudio.prompts.library import INDEX_NAME, INDEX_VERSION, PromptRow, prompt_names, prompt_rows
from tests.conftest import Project

OLD = 1_700_000_000  # a modification time that is not fresh, so that the index keeps the row


@pytest.fixture
def indexed(project: Project) -> Project:
    """The sample project with a state folder and settled files."""
    (project.root / ".promptstudio").mkdir()
    for path in (project.root / "prompts").rglob("*.yaml"):
        os.utime(path, (OLD, OLD))
    return project


def rows(project: Project) -> dict[str, PromptRow]:
    return {row.name: row for row in prompt_rows(project.settings())}


def index_of(project: Project) -> Path:
    return project.root / ".promptstudio" / INDEX_NAME


def test_a_row_says_what_the_file_says(project: Project) -> None:
    row = rows(project)["greet"]
    assert (row.description, row.version, row.tags, row.variants) == (
        "Greet someone by name.",
        "1.0.0",
        ("demo",),
        ("short",),
    )
    assert (row.model, row.type, row.error) == ("offline/echo", "text", None)
    assert row.path == project.root / "prompts/greet.yaml"
    assert rows(project)["ar/welcome"].description == "ترحيب بالمستخدم"


def test_names_come_from_paths_without_reading_a_file(project: Project) -> None:
    project.write("prompts/broken.prompt.yaml", "a: [")
    project.write("prompts/_partials/x.yaml", "no: prompt")
    project.write("prompts/.hidden.yaml", "prompt: x")
    project.write("prompts/notes.md", "x")
    assert prompt_names(project.settings()) == ["ar/welcome", "broken", "greet", "support/triage"]


def test_the_model_of_the_settings_stands_in(project: Project) -> None:
    project.write("prompts/a.yaml", "prompt: x")
    assert rows(project)["a"].model == "offline/echo"


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("a: [", "prompts/bad.yaml:2:1", "not YAML"),
        ("- a", "prompts/bad.yaml:1:1", "expected a map"),
        ("prompt: a\nversion: 1.0", "prompts/bad.yaml:2:10", "version: expected text"),
        ("description: x", "prompts/bad.yaml:1:1", "nothing to send"),
        ("", "prompts/bad.yaml:1:1", "the file is empty"),
    ],
)
def test_a_broken_file_is_a_row_with_its_problem(project: Project, text: str, place: str, says: str) -> None:
    project.write("prompts/bad.yaml", text)
    error = rows(project)["bad"].error
    assert error is not None
    assert (error.place, says in error.message) == (place, True)
    assert rows(project)["greet"].error is None


def test_names_that_are_one_name_elsewhere_are_reported(project: Project) -> None:
    project.write("prompts/Greet.yaml", "prompt: x")
    project.write("prompts/cafe\u0301.yaml", "prompt: x")
    project.write("prompts/caf\u00e9.yml", "prompt: x")
    project.write("prompts/same.yaml", "name: support/triage\nprompt: x")
    errors = [str(row.error) for row in prompt_rows(project.settings()) if row.error]
    assert len(errors) == 6
    assert any("differs from 'greet'" in error for error in errors)
    assert any("is also that of prompts/same.yaml" in error for error in errors)


def test_a_link_out_of_the_folder_is_left_out_and_one_within_is_not(project: Project) -> None:
    outside = project.write("x.yaml", "prompt: x")
    (project.root / "prompts/out.yaml").symlink_to(outside)
    (project.root / "prompts/in.yaml").symlink_to(project.root / "prompts/greet.yaml")
    (project.root / "prompts/folder").symlink_to(project.root)
    assert sorted(rows(project)) == ["ar/welcome", "greet", "in", "support/triage"]


def test_outside_a_project_there_is_no_prompt(tmp_path: Path) -> None:
    from promptstudio.config import load_settings

    assert prompt_rows(load_settings(tmp_path, env={})) == []
    assert prompt_names(load_settings(tmp_path, env={})) == []


def test_the_index_remembers_and_notices_a_change(indexed: Project) -> None:
    first = prompt_rows(indexed.settings())
    assert index_of(indexed).is_file()
    assert prompt_rows(indexed.settings()) == first
    path = indexed.write("prompts/greet.yaml", "description: Other words.\nprompt: x")
    os.utime(path, (OLD + 5, OLD + 5))
    assert rows(indexed)["greet"].description == "Other words."
    path.unlink()
    assert "greet" not in rows(indexed)
    assert "greet" not in index_of(indexed).read_text()


def test_an_unchanged_file_is_not_read_again(indexed: Project) -> None:
    prompt_rows(indexed.settings())
    path = indexed.root / "prompts/greet.yaml"
    size = path.stat().st_size
    path.write_bytes(b"x" * size)  # same size, same time: only a reader of the content would notice
    os.utime(path, (OLD, OLD))
    assert rows(indexed)["greet"].description == "Greet someone by name."


def test_a_fresh_file_is_not_remembered_yet(indexed: Project) -> None:
    indexed.write("prompts/new.yaml", "prompt: x")
    prompt_rows(indexed.settings())
    assert "new.yaml" not in index_of(indexed).read_text()


def test_problems_are_remembered_with_their_places(indexed: Project) -> None:
    path = indexed.write("prompts/bad.yaml", "prompt: {{ x }}")
    os.utime(path, (OLD, OLD))
    first = str(rows(indexed)["bad"].error)
    assert str(rows(indexed)["bad"].error) == first
    assert first.startswith("prompts/bad.yaml:1:10")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\x00",
        b'{"version": 1}',
        b'{"version": 99, "files": {}}',
        b'{"version": 1, "files": [1]}',
        b'{"version": 1, "files": {"prompts/greet.yaml": [1, 2]}}',
        b"[" * 100_000,
    ],
)
def test_an_index_that_is_not_ours_is_ignored(indexed: Project, content: bytes) -> None:
    index_of(indexed).write_bytes(content)
    assert rows(indexed)["greet"].description == "Greet someone by name."
    assert json.loads(index_of(indexed).read_text())["version"] == INDEX_VERSION


@pytest.mark.parametrize(
    "facts", [{"name": 3}, {"tags": "abc"}, {"error": ["x"]}, {"error": [1, 1, 1, 1]}, {"variants": [3]}]
)
def test_an_entry_of_the_wrong_shape_is_ignored(indexed: Project, facts: dict[str, object]) -> None:
    prompt_rows(indexed.settings())
    stored = json.loads(index_of(indexed).read_text())
    stored["files"]["prompts/greet.yaml"][2] = facts
    index_of(indexed).write_text(json.dumps(stored))
    assert rows(indexed)["greet"].description == "Greet someone by name."


def test_no_index_is_written_where_there_is_no_state_folder_of_our_own(project: Project, tmp_path: Path) -> None:
    prompt_rows(project.settings())
    assert not (project.root / ".promptstudio").exists()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in (project.root / "prompts").rglob("*.yaml"):
        os.utime(path, (OLD, OLD))
    (project.root / ".promptstudio").symlink_to(elsewhere)
    prompt_rows(project.settings())
    assert list(elsewhere.iterdir()) == []


def test_a_listing_needs_no_heavy_library(indexed: Project) -> None:
    prompt_rows(indexed.settings())
    program = (
        "import sys; from pathlib import Path; from promptstudio.config.load import load_settings\n"
        "from promptstudio.prompts.library import prompt_rows\n"
        "assert len(prompt_rows(load_settings(Path.cwd(), env={}))) == 3\n"
        "print([name for name in ('pydantic', 'jinja2', 'jsonschema', 'rich', 'yaml') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=indexed.root)
    assert done.stdout.strip() == "[]"


def test_a_read_only_file_system_costs_only_the_index(indexed: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))  # for unlink too, whether the file is there or not

    monkeypatch.setattr(Path, "write_text", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    assert "greet" in rows(indexed)
    assert not index_of(indexed).exists()
