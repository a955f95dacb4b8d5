"""`ps init`: a project that runs at once, and nothing overwritten."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from promptstudio.cli.scaffold import FIRST_COMMAND, TEMPLATES, template_names
from promptstudio.config import load_settings
from tests.conftest import Script


def test_every_template_folder_is_offered() -> None:
    folders = {path.name for path in TEMPLATES.iterdir() if path.is_dir() and path.name != "__pycache__"}

    assert folders == set(template_names())


@pytest.mark.parametrize("template", template_names())
def test_a_fresh_project_lints_and_its_first_command_runs(ps: Script, tmp_path: Path, template: str) -> None:
    assert ps("init", "new", "--template", template).code == 0
    root = tmp_path / "work" / "new"

    lint = ps("lint", "--strict", cwd=root)
    line = ["sh", "-c", f"ps {FIRST_COMMAND[template]}"]
    run = subprocess.run(line, cwd=root, env=ps.environment(), capture_output=True, text=True, check=False)

    assert (lint.code, lint.out) == (0, "")
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()
    assert ps.denied == []


def test_the_hint_says_how_to_go_on(ps: Script) -> None:
    assert "cd new && ps run greet -v name=Ada" in ps("init", "new").err
    assert "cd" not in ps("init").err


def test_a_second_time_changes_nothing(ps: Script, tmp_path: Path) -> None:
    ps("init")
    root = tmp_path / "work"
    (root / "prompts" / "greet.yaml").write_text("prompt: mine\n")
    (root / "prompts" / "summarize.yaml").unlink()
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}

    outcome = ps("init", "--template", "basic", "--json")

    outcomes = {one["path"]: one["outcome"] for one in outcome.json["files"]}
    assert outcomes.pop("prompts/summarize.yaml") == "created"
    assert set(outcomes.values()) == {"kept"}
    assert all(path.read_bytes() == data for path, data in before.items())


def test_a_project_of_one_template_is_not_mixed_with_the_default(ps: Script, tmp_path: Path) -> None:
    ps("init", "--template", "typed")

    outcomes = ps("init", "--json").json["files"]

    assert {one["outcome"] for one in outcomes} == {"kept"}
    assert not (tmp_path / "work" / "prompts" / "greet.yaml").exists()


def test_git_ignores_the_history_and_keeps_its_own_lines(ps: Script, tmp_path: Path) -> None:
    root = tmp_path / "work"
    (root / ".gitignore").write_text("*.pyc")

    assert "changed  .gitignore" in ps("init").out
    assert (root / ".gitignore").read_text() == "*.pyc\n.promptstudio/\n"
    assert "kept     .gitignore" in ps("init").out


@pytest.mark.parametrize("name", ["مشروع جديد", 'quo"te', "back\\slash", "new\nline", "-dash"])
def test_any_folder_name_makes_valid_settings(ps: Script, tmp_path: Path, name: str) -> None:
    outcome = ps("init", "--", name)

    assert outcome.code == 0
    settings = load_settings(tmp_path / "work" / name, env={})
    assert settings.project_name == name.replace("\n", "_")


def test_a_link_in_the_place_of_a_file_is_not_followed(ps: Script, tmp_path: Path) -> None:
    (tmp_path / "work" / "promptstudio.toml").symlink_to(tmp_path / "target")

    assert ps("init").code == 0
    assert not (tmp_path / "target").exists()


def test_a_place_that_cannot_be_written_is_an_error(ps: Script, tmp_path: Path) -> None:
    (tmp_path / "work" / "file").write_text("")

    outcome = ps("init", "file/project")

    assert outcome.code == 2
    assert "cannot write" in outcome.err


def test_editors_find_the_schemas(ps: Script, tmp_path: Path) -> None:
    ps("init")
    root = tmp_path / "work"
    for path in root.rglob("*.yaml"):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        schema = first.removeprefix("# yaml-language-server: $schema=")
        assert json.loads(Path(os.path.normpath(path.parent / schema)).read_text())["$schema"]
    first = (root / "promptstudio.toml").read_text().splitlines()[0]
    assert (root / first.removeprefix("#:schema ")).is_file()
