"""Every `console` block of the README and of docs/ is run, and what it shows is what comes out.

A block runs line by line in a fresh copy of this repository's prompts. Ids, times and durations are masked, runs of
blanks count as one, and a line that is only `…` stands for any number of lines.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Project, Script

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
MASKS = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}(-[0-9a-f]{4}){0,2}(-[0-9a-f]{12})?"), "ID"),
    (re.compile(r"\b(\d{4}-)?\d{2}-\d{2} \d{2}:\d{2}(:\d{2})?\b"), "TIME"),
    (re.compile(r"\b\d+(\.\d+)? (ms|s)\b"), "DURATION"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "COMMIT"),
    (re.compile(r"[ \t]+"), " "),
)

# Of the packages of this environment, not of a reader's; one prints a line of its own at the end of each pytest run.
NO_PLUGINS_OF_OTHERS = {"PYTEST_ADDOPTS": "-p no:deepeval"}


def blocks() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 1
            found.append((f"{page.name}:{line}", match[1]))
    return found


def steps(block: str) -> list[tuple[str, str]]:
    """Split a block into commands and what follows each."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)
    assert not parts[0].strip(), "a console block begins with a command"
    return [(command, shown) for command, _, shown in (part.partition("\n") for part in parts[1:])]


def masked(text: str) -> list[str]:
    for pattern, word in MASKS:
        text = pattern.sub(word, text)
    return [line.strip() for line in text.strip().splitlines()]


def assert_shows(shown: list[str], came: list[str]) -> None:
    pattern = "\n".join(r"(?:.*\n)*?.*" if line == "…" else re.escape(line) for line in shown)
    assert re.fullmatch(pattern, "\n".join(came)), "\n".join(["expected:", *shown, "came:", *came])


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """This repository's project, in a git repository of its own."""
    fresh = Project(tmp_path / "copy")
    for name in ("prompts", "evals"):
        shutil.copytree(REPOSITORY / name, fresh.root / name)
    shutil.copy(REPOSITORY / "promptstudio.toml", fresh.root)
    fresh.write(".gitignore", ".promptstudio/\n")
    fresh.git("init", "-q")
    fresh.commit("A copy")
    monkeypatch.chdir(fresh.root)
    return fresh


@pytest.mark.parametrize(("place", "block"), blocks(), ids=[place for place, _ in blocks()])
def test_a_command_in_the_docs_shows_what_the_docs_show(copy: Project, ps: Script, place: str, block: str) -> None:
    for command, shown in steps(block):
        if command.startswith(("make ", "cd ", "git clone", ". ", "pip ")) or command.endswith("--help"):
            continue  # set-up, and help texts, which tests/cli/test_docs.py compares with the program
        done = subprocess.run(
            ["/bin/bash", "-c", f"{command} 2>&1"],
            cwd=copy.root, env=ps.environment(NO_PLUGINS_OF_OTHERS), capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stdout
        if shown.strip():
            assert_shows(masked(shown), masked(done.stdout))


def test_there_are_blocks_to_run() -> None:
    assert len(blocks()) > 5
