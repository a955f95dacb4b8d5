"""A lock file and the repository → everything in the one that the other does not bear out.

Each label's commit is looked up, and version, hashes and digests are computed again from what lies there.
"""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from promptstudio.config import Settings
from promptstudio.errors import Problem, UserError
from promptstudio.prompts.library import default_name, prompt_paths, prompt_rows
from promptstudio.versions.labels import include_digests
from promptstudio.versions.lock import root_prefix
from promptstudio.versions.moments import SETTINGS_FILE
from promptstudio.versions.repo import Repository
from promptstudio.versions.snapshots import Known, Snapshots
from promptstudio.versions.stanza import Label, Lock, Stanza, lock_text

T = TypeVar("T")
VerifyLevel = Literal["error", "warning", "unknown"]
_LAYOUT_HINT = "`ps verify --fix` writes it as ps does; labels stay as they are"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing that is not as recorded. `unknown` is what a shallow clone cannot tell.

    `found` is what the lock file says, `computed` what came out; None where there are no two values.
    """

    level: VerifyLevel
    rule: str
    problem: Problem
    prompt: str | None = None
    label: str | None = None
    found: str | None = None
    computed: str | None = None


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """`labels` and `prompts` count what was looked at."""

    prompts: int
    labels: int
    mismatches: tuple[Mismatch, ...]


@dataclass(frozen=True, slots=True)
class _Present:
    """A prompt of the working tree; `file` is its path below the project's root."""

    name: str
    file: str
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class _Pointer:
    """One label of one prompt."""

    stanza: Stanza
    name: str
    label: Label


def verify_lock(lock: Lock, snapshots: Snapshots | None, settings: Settings, names: Iterable[str] = ()) -> VerifyReport:
    """Check a lock file, or the stanzas of some prompts. Without a repository labels cannot be looked up."""
    chosen = set(names)
    everything = _present(snapshots, settings)
    rows = [row for row in everything if not chosen or row.name in chosen]
    found = [] if chosen else [*_layout(lock), *_lock_collisions(lock)]
    found += _prompt_mismatches(rows, everything)
    files = {row.name: row.file for row in rows}
    found += _stanza_mismatches(lock, files, chosen)
    pointers = [
        _Pointer(stanza, name, label)
        for stanza in lock.prompts.values()
        if not chosen or stanza.name in chosen
        for name, label in stanza.labels.items()
    ]
    if snapshots is not None:
        found += _label_mismatches(pointers, lock, snapshots, files)
    elif pointers:
        message = f"{len(pointers)} labels cannot be looked up: this is not in a git repository"
        found.append(Mismatch("error", "no-repository", Problem(message, file=lock.file)))
    return VerifyReport(len(rows), len(pointers), tuple(found))


def _layout(lock: Lock) -> Iterator[Mismatch]:
    if lock.is_canonical:
        return
    expected = lock_text(lock.prompts.values()).splitlines()
    lines = lock.source.splitlines()
    pairs = enumerate(zip(lines, expected, strict=False), 1)
    line = next((number for number, (one, other) in pairs if one != other), min(len(lines), len(expected)) + 1)
    one, other = (text[line - 1] if line <= len(text) else "(no line)" for text in (lines, expected))
    problem = Problem(
        "the file is not as ps writes it: it was edited by hand", file=lock.file, line=line, hint=_LAYOUT_HINT
    )
    yield Mismatch("error", "layout", problem, found=one, computed=other)


def _present(snapshots: Snapshots | None, settings: Settings) -> list[_Present]:
    """Return the prompts of the working tree; with a repository through its cache, which spares reading them."""
    if snapshots is None:
        return [_Present(row.name, row.shown_path, row.error) for row in prompt_rows(settings)]
    now, root, prompts_dir = snapshots.now(), settings.root, settings.prompts_dir
    found = []
    for path in prompt_paths(settings):
        known = snapshots.known(now, path)
        name = known.name or (default_name(path, prompts_dir) if prompts_dir else path.stem)
        found.append(_Present(name, path.relative_to(root).as_posix() if root else str(path), known.problem))
    return found


def _prompt_mismatches(rows: list[_Present], everything: list[_Present]) -> Iterator[Mismatch]:
    for row in rows:
        if row.problem is not None:
            yield Mismatch("error", "prompt", row.problem, row.name)
    for group in _colliding(everything, lambda row: row.name):
        for row, other in zip(group, [*group[1:], group[0]], strict=True):
            if row not in rows:
                continue
            message = f"the name {row.name!r} is also that of {other.file}"
            if row.name != other.name:
                message = f"the names {row.name!r} and {other.name!r} ({other.file}) differ in case or composition only"
            yield Mismatch("error", "prompt", Problem(message, file=row.file, hint="rename one of them"), row.name)


def _lock_collisions(lock: Lock) -> Iterator[Mismatch]:
    for first, *others in _colliding(lock.prompts, str):
        for other in others:
            message = f"the names {first!r} and {other!r} differ in case or composition only"
            hint = "some computers take them for one file: rename one of them"
            problem = Problem(message, file=lock.file, line=lock.line_of(other), hint=hint)
            yield Mismatch("error", "name", problem, other)


def _colliding(items: Iterable[T], name_of: Callable[[T], str]) -> list[list[T]]:
    """Return the groups of things whose names are one on some computers: equal but for case or composition."""
    groups: dict[str, list[T]] = defaultdict(list)
    for item in items:
        groups[unicodedata.normalize("NFKC", name_of(item)).casefold()].append(item)
    return [group for group in groups.values() if len(group) > 1]


def _stanza_mismatches(lock: Lock, files: Mapping[str, str], chosen: set[str]) -> Iterator[Mismatch]:
    for name, stanza in lock.prompts.items():
        if chosen and name not in chosen:
            continue
        if name not in files:
            message = f"there is no prompt {name!r} in the project"
            hint = f"`ps label rm {name} LABEL` if it is gone for good" if stanza.labels else "`ps verify --fix`"
            problem = Problem(message, file=lock.file, line=lock.line_of(name), hint=hint)
            yield Mismatch("error" if stanza.labels else "warning", "gone", problem, name)
        elif files[name] != stanza.file:
            line = lock.line_of(name, "file")
            problem = Problem(
                f"{name}: file: the prompt lies elsewhere", file=lock.file, line=line, hint="`ps verify --fix`"
            )
            yield Mismatch("warning", "moved", problem, name, found=stanza.file, computed=files[name])
    for name in sorted(set(files) - set(lock.prompts)) if lock.source else ():
        problem = Problem(f"{name} has no stanza yet", file=lock.file, hint="`ps verify --fix` adds it")
        yield Mismatch("warning", "missing", problem, name)


# -- labels


def _label_mismatches(
    pointers: list[_Pointer], lock: Lock, snapshots: Snapshots, files: Mapping[str, str]
) -> Iterator[Mismatch]:
    repository, settings = snapshots.repository, snapshots.settings
    root = settings.root or repository.top
    commits = list(dict.fromkeys(pointer.label.commit for pointer in pointers))
    present = dict(zip(commits, repository.ids([f"{commit}^{{commit}}" for commit in commits]), strict=True))
    contents = _contents([pointer for pointer in pointers if present[pointer.label.commit]], repository, settings)
    read: list[tuple[_Pointer, Known]] = []
    for pointer in pointers:
        commit = pointer.label.commit
        if not present[commit]:
            yield _lost(pointer, lock, repository)
            continue
        try:
            known = snapshots.known(snapshots.at(commit, contents.get(commit)), root / pointer.label.file)
        except UserError as cause:  # its promptstudio.toml cannot be read, or its trees are not all there
            yield _unreadable(pointer, lock, cause.problems[0])
            continue
        if known.problem is not None or known.identity is None:
            yield _unreadable(pointer, lock, known.problem or Problem("the prompt cannot be read"))
            continue
        read.append((pointer, known))
    includes = include_digests([(pointer.label.file, known) for pointer, known in read], snapshots)
    for (pointer, known), digests in zip(read, includes, strict=True):
        yield from _differences(pointer, known, digests, lock)
        yield from _wrong_prompt(pointer, known, lock, files)


def _lost(pointer: _Pointer, lock: Lock, repository: Repository) -> Mismatch:
    place = _place(pointer, lock, "commit")
    short = pointer.label.commit[:12]
    if repository.is_shallow:
        message = f"{_named(pointer)}: the commit {short} is not in this shallow clone, so nothing of it can be checked"
        hint = "`git fetch --unshallow` brings the rest; --allow-shallow lets this pass"
        return Mismatch("unknown", "shallow", _problem(place, message, hint), pointer.stanza.name, pointer.name)
    message = f"{_named(pointer)}: the commit {short} is gone"
    return Mismatch(
        "error", "commit", _problem(place, message, repository.lost_hint()), pointer.stanza.name, pointer.name
    )


def _unreadable(pointer: _Pointer, lock: Lock, problem: Problem) -> Mismatch:
    said = str(problem).replace("\n", "\\n")
    message = f"{_named(pointer)}: the prompt cannot be read there: {said}"
    place = _place(pointer, lock, "file")
    return Mismatch("error", "unreadable", _problem(place, message, problem.hint), pointer.stanza.name, pointer.name)


def _differences(pointer: _Pointer, known: Known, includes: Mapping[str, str], lock: Lock) -> Iterator[Mismatch]:
    label, identity = pointer.label, known.identity
    if identity is None:
        return
    pairs: list[tuple[tuple[str, ...], str | None, str | None]] = [
        (("version",), label.version, known.version),
        (("behavior",), label.behavior, identity.behavior),
        (("interface",), label.interface, identity.interface),
        (("text",), label.text, identity.text),
    ]
    for key, recorded, computed in (
        ("variants", label.variants, known.variants),
        ("includes", label.includes, includes),
    ):
        pairs += [((key, name), recorded.get(name), computed.get(name)) for name in sorted({*recorded, *computed})]
    for path, was, now in pairs:
        if was != now:
            message = f"{_named(pointer)}: {' '.join(path)}: recorded {_short(was)}, computed {_short(now)}"
            hint = "the lock file was changed by hand: take it from git again, or promote the prompt again"
            problem = _problem(_place(pointer, lock, *path), message, hint)
            yield Mismatch("error", path[0], problem, pointer.stanza.name, pointer.name, was, now)


def _wrong_prompt(pointer: _Pointer, known: Known, lock: Lock, files: Mapping[str, str]) -> Iterator[Mismatch]:
    """A prompt may have had another name, but not one that another prompt has now."""
    if known.name != pointer.stanza.name and known.name in files:
        message = f"{_named(pointer)}: the file is that of {known.name}"
        problem = _problem(_place(pointer, lock, "file"), message, "promote the prompt again")
        yield Mismatch("error", "file", problem, pointer.stanza.name, pointer.name, pointer.label.file, None)


def _named(pointer: _Pointer) -> str:
    return f"{pointer.name} of {pointer.stanza.name}"


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    kind, colon, rest = value.partition(":")
    return f"{kind}:{rest[:12]}…" if colon and len(rest) == 64 else value


def _place(pointer: _Pointer, lock: Lock, *path: str) -> Problem:
    return Problem("", file=lock.file, line=lock.line_of(pointer.stanza.name, "labels", pointer.name, *path))


def _problem(place: Problem, message: str, hint: str | None) -> Problem:
    return Problem(message, file=place.file, line=place.line, hint=hint)


def _contents(pointers: list[_Pointer], repository: Repository, settings: Settings) -> dict[str, dict[str, str | None]]:
    """Return the ids of all contents that labels speak of, by commit and path; one look at each folder.

    Links are left to those who follow them.
    """
    prefix = root_prefix(repository, settings.root)
    wanted: dict[str, set[str]] = defaultdict(set)
    for pointer in pointers:
        for path in (SETTINGS_FILE, pointer.label.file, *pointer.label.includes):
            if _is_plain(path):
                wanted[pointer.label.commit].add(prefix + path)
    folders = list({(commit, name.rpartition("/")[0]) for commit, names in wanted.items() for name in names})
    ids = repository.ids([f"{commit}:{folder}" for commit, folder in folders])
    trees = dict(zip(folders, ids, strict=True))
    oids = sorted({oid for oid in ids if oid is not None})
    contents = {oid: found.content for oid, found in zip(oids, repository.objects(oids), strict=True) if found}
    width = len(oids[0]) // 2 if oids else 20
    known: dict[str, dict[str, str | None]] = {}
    for commit, names in wanted.items():
        known[commit] = {}
        for name in names:
            tree = contents.get(trees[commit, name.rpartition("/")[0]] or "")
            oid = _entry(tree, name, width) if tree is not None else None
            if oid is not None:
                known[commit][name] = oid
    return known


def _is_plain(path: str) -> bool:
    """Whether git can be asked for a path: line by line, and only for what lies in the repository."""
    return "\n" not in path and not {"", ".", ".."} & set(path.split("/"))


def _entry(tree: bytes, name: str, width: int) -> str | None:
    """Return the id of a plain file in a tree object: `mode SP name NUL id` each."""
    key = b" " + os.fsencode(name.rpartition("/")[2]) + b"\0"
    at = tree.find(key)
    if at < 6 or tree[at - 6 : at] not in (b"100644", b"100755"):
        return None  # nothing there, a folder, a link, or bytes of an id that look like a name
    start = at + len(key)
    return tree[start : start + width].hex()
