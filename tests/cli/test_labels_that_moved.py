"""A label whose prompt was renamed since, and one that somebody edited by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from promptstudio.cli.dispatch import dispatch
from promptstudio.errors import CheckFailed
from promptstudio.prompts.address import parse_address
from promptstudio.versions.bundle import load_from, read_bundle
from promptstudio.versions.load import load_prompt
from promptstudio.versions.lock import LOCK_NAME, read_lock
from tests.conftest import Project

Command = Callable[..., str]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command of ours that succeeds, or ends with `code`, and returns what it printed."""

    def run(*args: str, code: int = 0) -> str:
        assert dispatch(list(args), "ps") == code, capsys.readouterr().err
        out, err = capsys.readouterr()
        return out or err

    return run


@pytest.fixture
def renamed(project: Project, command: Command) -> Project:
    """`greet` was promoted to production and is called `hello` now."""
    command("promote", "greet", "production")
    project.commit("Promote")
    command("mv", "greet", "hello")
    project.commit("Rename")
    return project


def test_a_renamed_prompt_runs_under_its_new_name(renamed: Project, command: Command) -> None:
    prompt = load_prompt("hello@production", renamed.settings())
    assert prompt.name == "hello"
    assert prompt.shown_path.endswith(":prompts/greet.yaml")


def test_a_renamed_prompt_is_bundled_under_its_new_name(renamed: Project, command: Command, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    command("bundle", "--label", "production", "-o", str(path))
    packed = read_bundle(path)
    assert list(packed.prompts) == ["hello"]
    prompt, _ = load_from(packed, parse_address("hello@production"), renamed.settings())
    assert prompt.name == "hello"


@pytest.mark.parametrize("args", [("hello@production", "hello"), ("production..HEAD",), ("production", "--", "hello")])
def test_a_renamed_prompt_is_compared_with_what_its_label_was(
    renamed: Project, command: Command, args: tuple[str, ...]
) -> None:
    found = json.loads(command("diff", "--json", *args))
    (row,) = found["prompts"]
    assert row["verdict"] == "PATCH"


def test_a_renamed_prompt_is_tagged_noted_and_evaluated_by_its_label(renamed: Project, command: Command) -> None:
    assert "File: prompts/greet.yaml" in command("tag", "hello@production", "--dry-run")
    command("note", "add", "hello@production", "a remark")
    assert "a remark" in command("note", "list", "hello")
    command("evidence", "add", "hello@production", "--suite", "s", "--passed", "1", "--failed", "0")
    lock = read_lock(renamed.root)
    assert "greet" not in lock.prompts
    assert len(lock.prompts["hello"].labels["production"].evaluations) == 1


def test_evidence_about_a_prompt_that_is_gone_makes_no_stanza(renamed: Project, command: Command) -> None:
    before = (renamed.root / LOCK_NAME).read_bytes()
    said = command("evidence", "add", "greet@HEAD~1", "--suite", "s", "--passed", "1", "--failed", "0", code=2)
    assert "there is no prompt 'greet' in the project now" in said
    assert (renamed.root / LOCK_NAME).read_bytes() == before


@pytest.mark.parametrize(("address", "key"), [("greet@production", "behavior"), ("greet:short@production", "short")])
def test_a_label_that_was_edited_by_hand_neither_runs_nor_is_bundled(
    project: Project, command: Command, tmp_path: Path, address: str, key: str
) -> None:
    command("promote", "greet", "production")
    load_prompt(address, project.settings())
    lines = (project.root / LOCK_NAME).read_text().splitlines(keepends=True)
    number = next(number for number, line in enumerate(lines) if line.strip().startswith(f"{key}: p1:"))
    lines[number] = f"{lines[number].partition('p1:')[0]}p1:{'0' * 64}\n"
    project.write(LOCK_NAME, "".join(lines))

    with pytest.raises(CheckFailed, match="not what was promoted: recorded p1:000000000000") as caught:
        load_prompt(address, project.settings())

    assert (caught.value.problems[0].file, caught.value.problems[0].line) == (LOCK_NAME, number + 1)
    if key == "behavior":
        said = command("bundle", "--label", "production", "-o", str(tmp_path / "p.json"), code=1)
        assert "greet is not what was promoted" in said
