"""A moment → what was live then: the labels of the lock file as HEAD's first-parent line had it at that time.

The time of a commit is its committer's: when it came to be, not when its change was first written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from promptstudio.config import Settings
from promptstudio.errors import NotFoundError, UsageError
from promptstudio.prompts.wording import shown
from promptstudio.versions.lock import lock_at, read_lock
from promptstudio.versions.repo import Repository
from promptstudio.versions.stanza import Label, Lock

TIME_HINT = "write it as 2026-11-01T10:00Z, 2026-11-01T10:00+03:00, 2026-11-01 (the start of that day), 7d or yesterday"
_AGO = re.compile(r"(\d{1,5})\s*(m|min|minutes?|h|hours?|d|days?|w|weeks?)(?:\s+ago)?", re.IGNORECASE)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DATE_ONLY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Live:
    """What one label of one prompt meant. `is_lost` says that its commit is not in this repository."""

    prompt: str
    name: str
    label: Label
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class LiveSet:
    """All of them at a moment; `commit` is the one whose lock file said so, None for the working tree's."""

    at: datetime | None
    commit: str | None
    live: tuple[Live, ...]


def time_of(text: str, now: datetime, option: str = "--at") -> datetime:
    """Return the moment a text names, in UTC. Without a zone it is this machine's. Raises UsageError."""
    words = text.strip()
    try:
        if words.casefold() in ("now", "today", "yesterday"):
            return _named_day(words.casefold(), now)
        if ago := _AGO.fullmatch(words):
            return now - timedelta(**{_UNITS[ago[2][0].lower()]: int(ago[1])})
        if _DATE_ONLY.fullmatch(words):
            return datetime.combine(date.fromisoformat(words), time()).astimezone(UTC)
        return datetime.fromisoformat(words).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{option}: {shown(text)} is no time", hint=TIME_HINT) from error


def _named_day(word: str, now: datetime) -> datetime:
    if word == "now":
        return now
    midnight = datetime.combine(now.astimezone().date(), time())
    return (midnight - timedelta(days=word == "yesterday")).astimezone(UTC)


def live_at(
    repository: Repository, settings: Settings, at: datetime | None, *, prompt: str | None, label: str | None
) -> LiveSet:
    """Return what labels meant at a moment, or mean now in the working tree.

    `prompt` is a name or a file below the project's root. Raises NotFoundError where there was no commit yet.
    """
    if at is None:
        commit, lock = None, read_lock(settings.root)
    else:
        commit = commit_at(repository, at)
        lock = lock_at(repository, commit, settings)
    return LiveSet(at, commit, tuple(_chosen(repository, lock, prompt, label)))


def _chosen(repository: Repository, lock: Lock, prompt: str | None, label: str | None) -> Iterator[Live]:
    found = [
        (name, title, one)
        for name, stanza in sorted(lock.prompts.items())
        for title, one in sorted(stanza.labels.items())
        if prompt in (None, name, stanza.file) and label in (None, title)
    ]
    there = repository.ids([f"{one.commit}^{{commit}}" for _, _, one in found]) if found else []
    for (name, title, one), oid in zip(found, there, strict=True):
        yield Live(name, title, one, oid is None)


def commit_at(repository: Repository, at: datetime) -> str:
    """Return the commit that HEAD's first-parent line had at a moment."""
    head = repository.head()
    if head is None:
        raise NotFoundError("nothing is committed yet", hint="labels are told from the commits of the lock file")
    until = f"--until=@{int(at.timestamp())}"
    found = repository.read("log", "--first-parent", "-1", "--format=%H", until, head).decode().strip()
    if not found:
        when = at.astimezone().strftime("%Y-%m-%d %H:%M %Z")
        hint = repository.lost_hint() if repository.is_shallow else "the history of HEAD begins later"
        raise NotFoundError(f"there was no commit yet at {when}", hint=hint)
    return found
