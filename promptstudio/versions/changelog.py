"""A comparison of two commits → what changed, by weight: each prompt with its reasons and the commits that did it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptstudio.config import Settings
from promptstudio.versions.diff.ask import Question
from promptstudio.versions.diff.collect import Ground, collect
from promptstudio.versions.diff.json_form import reason_json
from promptstudio.versions.diff.markdown import inline
from promptstudio.versions.diff.rows import Comparison, Found, PromptRow
from promptstudio.versions.diff.schema import Level, Reason
from promptstudio.versions.repo import Repository
from promptstudio.versions.snapshots import Snapshots

_HEADINGS = {
    "MAJOR": "an input or output contract is broken",
    "MINOR": "the behavior changed",
    "PATCH": "words outside the behavior changed",
    "NONE": "moved, or written otherwise",
    "ERROR": "cannot be read",
}


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit: `date` is the author's, as in ISO 8601; `paths` are those it touched, below the repository's top."""

    id: str
    author: str
    date: str
    subject: str
    paths: frozenset[str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One prompt; `level` is ERROR where a version cannot be read, and then `problem` says why."""

    name: str
    level: str
    status: str
    old_version: str | None
    new_version: str | None
    reasons: tuple[Reason, ...]
    commits: tuple[Commit, ...]
    problem: str | None = None

    @property
    def versions(self) -> str:
        """What to show behind the name: `1.0.0 → 2.0.0`, or the one version, or nothing."""
        old, new = self.old_version, self.new_version
        if self.status in ("new", "deleted") or old == new:
            return new or old or ""
        return f"{old or 'none'} → {new or 'none'}"


@dataclass(frozen=True, slots=True)
class Changelog:
    """The entries, the weightiest first."""

    old: str
    new: str
    entries: tuple[Entry, ...]

    def groups(self) -> Iterator[tuple[str, str, list[Entry]]]:
        """Yield each level that occurs, what it means, and its entries by name."""
        for level, meaning in _HEADINGS.items():
            found = sorted((entry for entry in self.entries if entry.level == level), key=lambda entry: entry.name)
            if found:
                yield level, meaning, found


def changelog_of(found: Comparison, ground: Ground) -> Changelog:
    """Add to each prompt the commits between its two versions that touched its file, or one that it names."""
    known: dict[tuple[str, str], list[Commit]] = {}
    entries = []
    for row in found.rows:
        if row.status == "same":
            continue
        ends = _ends(row, found)
        if ends not in known:
            known[ends] = list(commits_between(*ends, ground.repository)) if all(ends) else []
        entries.append(_entry(row, known[ends], ground))
    return Changelog(found.old.shown, found.new.shown, tuple(entries))


def changelog_between(
    repository: Repository, old: str, new: str, settings: Settings, *, only: str | None = None
) -> Changelog:
    """Return what changed between two commits (full ids), in all prompts or in one."""
    with Snapshots(repository, settings) as snapshots:
        ground = Ground(snapshots, settings.root or repository.top)
        return changelog_of(collect(Question(old, new, prompts=(only,) if only else ()), ground), ground)


def _ends(row: PromptRow, found: Comparison) -> tuple[str, str]:
    sides = ((row.old, found.old), (row.new, found.new))
    old, new = ((side.moment.commit if side.moment else version.commit) or "" for side, version in sides)
    return old, new


def _entry(row: PromptRow, commits: Sequence[Commit], ground: Ground) -> Entry:
    names = {*_names(row.old, ground), *_names(row.new, ground)}
    old, new = row.old.snapshot, row.new.snapshot
    problem = row.new.problem or row.old.problem
    return Entry(
        name=row.name,
        level=row.level.name if row.level is not None else "ERROR",
        status=row.status,
        old_version=old.version if old else None,
        new_version=new.version if new else None,
        reasons=row.verdict.reasons if row.verdict else (),
        commits=tuple(commit for commit in commits if commit.paths & names),
        problem=str(problem) if problem else None,
    )


def _names(found: Found, ground: Ground) -> Iterable[str]:
    """Return the files a version of a prompt depends on: its own, partials, schemas, settings."""
    if found.path is None or found.moment is None:
        return ()
    known = ground.snapshots.known(found.moment, ground.repository.top / found.path)
    return {found.path, *(name for name, oid in known.asked.items() if oid is not None)}


def commits_between(old: str, new: str, repository: Repository) -> Iterator[Commit]:
    """Yield the commits of `new` that `old` lacks, the newest first; merges are left out: they repeat others."""
    listed = repository.read(
        *("log", "--no-merges", "--format=%x01%H%x00%aN%x00%aI%x00%s%x00", "--name-only", "-z", "--no-renames"),
        *(new, "--not", old, "--"),
    )
    for text in listed.split(b"\x01")[1:]:
        number, author, date, subject, *names = text.split(b"\0")
        paths = frozenset(os.fsdecode(name.strip(b"\n")) for name in names if name.strip(b"\n"))
        yield Commit(number.decode(), _text(author), _text(date), _text(subject), paths)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


# -- faces ------------------------------------------------------------------------------------------------------------


def changelog_lines(log: Changelog) -> Iterator[str]:
    """Yield the changelog as plain lines; whoever prints them makes them safe."""
    for number, (level, meaning, entries) in enumerate(log.groups()):
        if number:
            yield ""
        yield f"{level}: {meaning}"
        for entry in entries:
            yield f"  {entry.name}  {_mark(entry)}{entry.versions}".rstrip()
            yield from (f"    {said}" for said in _said(entry))
            yield from (f"    - {one.subject} ({one.author}, {one.date[:10]}, {one.id[:8]})" for one in entry.commits)


def markdown_lines(log: Changelog) -> Iterator[str]:
    """Yield the changelog as Markdown; what people wrote stands in code, where it is no link and no mention."""
    yield f"## {inline(log.old)} → {inline(log.new)}"
    for level, meaning, entries in log.groups():
        yield from ("", f"### {level}: {meaning}", "")
        for entry in entries:
            versions = f" {inline(entry.versions)}" if entry.versions else ""
            yield f"- **{inline(entry.name)}** {_mark(entry)}{versions}".replace("  ", " ").rstrip()
            yield from (f"  - {inline(said)}" for said in _said(entry))
            for one in entry.commits:
                yield f"  - {inline(one.subject)} by {inline(one.author)}, {one.date[:10]}, {one.id[:8]}"


def _mark(entry: Entry) -> str:
    return {"new": "new ", "deleted": "deleted ", "moved": "moved "}.get(entry.status, "")


def _said(entry: Entry) -> list[str]:
    if entry.problem:
        return [entry.problem]
    told = {"version-changed", "prompt-added", "prompt-removed"}
    return [f"{one.place}: {one.text}" for one in entry.reasons if one.rule not in told]


def changelog_json(log: Changelog) -> dict[str, Any]:
    """Return the changelog as plain data, one list of prompts for each level."""
    levels: Mapping[str, list[Entry]] = {level: entries for level, _, entries in log.groups()}
    names = [level.name for level in sorted(Level, reverse=True)]
    return {
        "from": log.old,
        "to": log.new,
        "changes": {level: [_entry_json(one) for one in levels.get(level, [])] for level in (*names, "ERROR")},
    }


def _entry_json(entry: Entry) -> dict[str, Any]:
    commits = [
        {"commit": one.id, "author": one.author, "date": one.date, "subject": one.subject} for one in entry.commits
    ]
    return {
        "name": entry.name,
        "status": entry.status,
        "version": {"from": entry.old_version, "to": entry.new_version},
        "reasons": [reason_json(one) for one in entry.reasons],
        "commits": commits,
        "error": entry.problem,
    }
