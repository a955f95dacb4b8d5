"""A prompt and its history → the version it should have now. Edits nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from promptstudio.config import Settings
from promptstudio.errors import UsageError, UserError
from promptstudio.prompts.github_models import is_github_models
from promptstudio.prompts.snapshot import Snapshot, take_snapshot
from promptstudio.prompts.textfile import read_text_file
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import read_yaml
from promptstudio.versions.diff.schema import Level as Weight
from promptstudio.versions.diff.schema import Verdict
from promptstudio.versions.diff.verdict import verdict_of
from promptstudio.versions.load import moment_at
from promptstudio.versions.repo import Repository

Level = Literal["major", "minor", "patch"]
LEVELS: tuple[Level, ...] = ("patch", "minor", "major")
FIRST_VERSION = "1.0.0"
_VERSION = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})")


@dataclass(frozen=True, slots=True)
class Bump:
    """What a prompt's version should become. `new` is None where it can stay, and `why` says so.

    `since` is the commit the last version began with, or None where git knows of none.
    """

    name: str
    path: Path
    old: str | None
    new: str | None
    verdict: Verdict | None
    since: str | None
    why: str


def version_numbers(version: str) -> tuple[int, int, int]:
    """Return the three numbers of `2.1.0`. Raises UsageError for anything else."""
    found = _VERSION.fullmatch(version)
    if found is None:
        raise UsageError(f"{shown(version)} is not a version of three numbers", hint="write it as in 2.1.0")
    return int(found[1]), int(found[2]), int(found[3])


def next_version(version: str | None, level: Level) -> str:
    """Return the version after this one; a prompt without one starts at 1.0.0."""
    if version is None:
        return FIRST_VERSION
    major, minor, patch = version_numbers(version)
    following = {"major": (major + 1, 0, 0), "minor": (major, minor + 1, 0), "patch": (major, minor, patch + 1)}
    return ".".join(str(number) for number in following[level])


def raised_level(old: str, new: str) -> Level | None:
    """Return by how much a version was raised; None where it was not."""
    before, after = version_numbers(old), version_numbers(new)
    if after <= before:
        return None
    return "major" if after[0] > before[0] else "minor" if after[1] > before[1] else "patch"


def plan_bump(path: Path, settings: Settings, repository: Repository | None, level: Level | None) -> Bump:
    """Return the next version of a prompt: by `level`, or, where it is None, by what changed since its last version."""
    now = take_snapshot(path, settings)
    if is_github_models(read_yaml(read_text_file(path, shown=now.path), file=now.path).value):
        return _without_version(now, path, level)
    if level is not None:
        return Bump(now.name, path, now.version, next_version(now.version, level), None, None, f"{level}, as asked")
    if now.version is None:
        return Bump(now.name, path, None, FIRST_VERSION, None, None, "it had no version")
    if repository is None:
        raise UsageError("what changed is known to git only", hint="say major, minor or patch, or work in a repository")
    commit, base = _last_version(path, settings, repository)
    if base is None or base.version is None:
        return Bump(now.name, path, now.version, None, None, None, f"{now.version} is its first version")
    return _by_verdict(now, path, commit, base)


def _without_version(now: Snapshot, path: Path, level: Level | None) -> Bump:
    """A file of GitHub Models stays as it is: with a key of ours in it, it would be of no format."""
    said, hint = "a GitHub Models file has no place for a version", "`ps import` makes a prompt of ours of it"
    if level is not None:
        raise UsageError(f"{now.path}: {said}", hint=hint)
    return Bump(now.name, path, None, None, None, None, f"{said}; {hint}")


def _by_verdict(now: Snapshot, path: Path, commit: str | None, base: Snapshot) -> Bump:
    old, verdict = str(base.version), verdict_of(base, replace(now, version=base.version))
    plan = Bump(now.name, path, now.version, None, verdict, commit, f"nothing changed since {old}")
    if verdict.level is Weight.NONE:
        return plan
    needed = LEVELS[verdict.level - 1]
    raised = raised_level(old, str(now.version))
    if raised is not None and LEVELS.index(raised) >= LEVELS.index(needed):
        return replace(plan, why=f"{now.version} is raised enough: the change since {old} is {verdict.level.name}")
    return replace(plan, new=next_version(old, needed), why=f"the change since {old} is {verdict.level.name}")


def _last_version(path: Path, settings: Settings, repository: Repository) -> tuple[str | None, Snapshot | None]:
    """Return the commit with which the committed version began, and the prompt as it was there."""
    found: tuple[str | None, Snapshot | None] = (None, None)
    for commit, place in _commits_of(path, repository):
        moment = moment_at(repository, commit, settings)
        try:
            snapshot = take_snapshot(place, moment.settings, moment.files)
        except UserError:  # a version that could not be loaded was nobody's; older ones may be
            continue
        if found[1] is not None and snapshot.version != found[1].version:
            break
        found = (commit, snapshot)
    return found


def _commits_of(path: Path, repository: Repository) -> list[tuple[str, Path]]:
    """Return the commits that changed a file, newest first, with the path it had there."""
    if repository.head() is None or not path.is_relative_to(repository.top):
        return []
    below = path.relative_to(repository.top).as_posix()
    listed = repository.read(
        "log", "--follow", "--format=%x01%H", "--name-only", "-z", "HEAD", "--", f":(literal){below}"
    )
    found = []
    for entry in listed.decode("utf-8", "surrogateescape").split("\x01")[1:]:
        commit, *names = [part.strip("\n") for part in entry.split("\0") if part.strip("\n")]
        if names:
            found.append((commit, repository.top / names[-1]))
    return found
