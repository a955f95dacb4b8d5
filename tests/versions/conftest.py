"""What tests of versions share: commits at a time by a person, logs and blames of prompts, and labels moved by the
functions below the command line.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from promptstudio.versions.blame import Blame, blame
from promptstudio.versions.labels import completed, label_at, prompt_files, who_now, with_label
from promptstudio.versions.lock import Lock, Stanza, change_lock
from promptstudio.versions.log import PromptLog, prompt_log
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots
from tests.conftest import Project

SetLabel = Callable[..., str]
BEGIN_S = 1_790_000_000
HOUR_S = 3_600


class Commits(Protocol):
    """Commits everything, an hour after the commit before; `at_s` names the time."""

    def __call__(self, subject: str = ..., *, by: str = ..., at_s: int | None = ...) -> str: ...


@pytest.fixture
def commit(project: Project, monkeypatch: pytest.MonkeyPatch) -> Commits:
    times = iter(range(BEGIN_S, BEGIN_S + 1000 * HOUR_S, HOUR_S))

    def make(subject: str = "A change", *, by: str = "Ada Lovelace", at_s: int | None = None) -> str:
        when = f"{at_s if at_s is not None else next(times)} +0000"
        for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
            monkeypatch.setenv(name, when)
        monkeypatch.setenv("GIT_AUTHOR_NAME", by)
        return project.commit(subject)

    return make


@pytest.fixture
def log_of(project: Project) -> Callable[..., PromptLog]:
    """The log of a file below the prompts folder."""

    def look(name: str = "greet", *, root: Path | None = None, variant: str | None = None) -> PromptLog:
        top = root or project.root
        with open_repository(top) as repository, Snapshots(repository, Project(top).settings()) as snapshots:
            return prompt_log(snapshots, top / "prompts" / f"{name}.yaml", variant=variant)

    return look


@pytest.fixture
def blame_of(project: Project) -> Callable[..., Blame]:
    def look(name: str = "greet", *, root: Path | None = None, start: str | None = None) -> Blame:
        top = root or project.root
        with open_repository(top) as repository, Snapshots(repository, Project(top).settings()) as snapshots:
            return blame(snapshots, top / "prompts" / f"{name}.yaml", start=start)

    return look


def put_label(project: Project, prompt: str, label: str, commit: str | None = None) -> str:
    """Put a label on a prompt as a commit (default: HEAD) has it; return the commit."""
    settings = project.settings()
    found = commit or project.git("rev-parse", "HEAD").strip()
    with open_repository(project.root) as repository, Snapshots(repository, settings) as snapshots:
        made = label_at(snapshots, snapshots.at(found), project.root / f"prompts/{prompt}.yaml", who_now("Ada"))
        files = prompt_files(settings, repository)

        def change(lock: Lock) -> dict[str, Stanza]:
            prompts = completed(lock.prompts, files)
            return {**prompts, prompt: with_label(prompts[prompt], label, made)}

        change_lock(project.root, change)
    return found


@pytest.fixture
def labeled() -> SetLabel:
    return put_label
