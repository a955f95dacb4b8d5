"""Two moments → the prompts that may differ between them, as pairs of paths; the rest is not loaded.

A prompt may differ where its file, a file it names, or what counts of the settings does. For a content that was loaded
before, the cache knows what it names. For another one its text is searched for the names of what changed: a name can
hide from that only behind escapes, and such a text counts as one that may differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from promptstudio.errors import UserError
from promptstudio.versions.moments import NOW, Moment, below_top
from promptstudio.versions.repo import FOLDER, SUBMODULE, Entry, Repository

if TYPE_CHECKING:  # snapshots.py loads this module where it is needed
    from promptstudio.versions.snapshots import Snapshots

Pair = tuple[str | None, str | None]
SIMILAR = 0.5
MAX_COMPARED = 40_000
_MAY_HIDE_A_NAME = re.compile(rb"""\\[xuUN0-7\r\n]|["']\s+["']""")


def changed_paths(repository: Repository, old: Moment, new: Moment) -> set[str]:
    """Return the paths below the repository's top whose content differs; for the working tree those of the project."""
    if NOW in (old.commit, new.commit):
        names = {*_all_names(old, repository), *_all_names(new, repository)}
        return {name for name in names if old.files.oid_at(name) != new.files.oid_at(name)}
    changed: set[str] = set()
    _tree_changes(repository, repository.root_tree(old.commit), repository.root_tree(new.commit), "", changed)
    return changed


def _tree_changes(repository: Repository, old: str | None, new: str | None, below: str, changed: set[str]) -> None:
    """Collect what differs between two folders; equal ones have equal ids and are not opened."""
    one = repository.tree(old) if old else {}
    other = repository.tree(new) if new else {}
    for name in one.keys() | other.keys():
        before, after = one.get(name), other.get(name)
        if before == after:
            continue
        folder_before, folder_after = _folder(before), _folder(after)
        if folder_before or folder_after:
            _tree_changes(repository, folder_before, folder_after, f"{below}{name}/", changed)
        if any(entry is not None and entry.mode not in (FOLDER, SUBMODULE) for entry in (before, after)):
            changed.add(below + name)


def _folder(entry: Entry | None) -> str | None:
    return entry.oid if entry is not None and entry.mode == FOLDER else None


def _all_names(moment: Moment, repository: Repository) -> list[str]:
    """Return every file below the prompts folder, partials too, and the settings."""
    root = moment.settings.prompts_dir
    found: list[str] = []
    waiting = [root] if root is not None and moment.files.is_dir(root) else []
    while waiting:
        folder = waiting.pop()
        for entry in moment.files.entries(folder):
            path = folder / entry
            name = below_top(path, repository)
            if name is None or entry.startswith("."):
                continue
            if moment.files.oid_at(name) is not None:
                found.append(name)
            elif moment.files.is_dir(path) and moment.files.real(path) == path:
                waiting.append(path)
    return found


def paired_paths(snapshots: Snapshots, old: Moment, new: Moment) -> list[Pair]:
    """Return the paths of prompts that may differ, sorted: (before, after), None where there is none."""
    from promptstudio.versions.snapshots import prompts_at  # the two modules use each other

    repository = snapshots.repository
    before, after = prompts_at(old, repository), prompts_at(new, repository)
    both = [name for name in after if name in before]
    touched = [name for name in both if old.files.oid_at(name) != new.files.oid_at(name)]
    same = [name for name in both if old.files.oid_at(name) == new.files.oid_at(name)]
    if snapshots.context(old.settings) == snapshots.context(new.settings):
        same = _reached(snapshots, same, old, new)
    gone = {name: old.files.oid_at(name) for name in before if name not in after}
    added = {name: new.files.oid_at(name) for name in after if name not in before}
    moved = paired_moves(repository, gone, added)
    pairs: list[Pair] = [(name, name) for name in (*touched, *same)]
    pairs += [*moved.items()]
    pairs += [(name, None) for name in gone if name not in moved]
    pairs += [(None, name) for name in added if name not in moved.values()]
    return sorted(pairs, key=lambda pair: (pair[1] or pair[0] or "", pair[0] or ""))


def _reached(snapshots: Snapshots, names: list[str], old: Moment, new: Moment) -> list[str]:
    """Return those of the prompts whose own file is the same, but perhaps not what they name."""
    changed = changed_paths(snapshots.repository, old, new)
    others = changed - {name for name in changed if name in names}
    if not others:
        return []
    reached: list[str] = []
    unknown: list[str] = []
    for name in names:
        known = snapshots.stored(old, snapshots.repository.top / name)
        if known is None:
            unknown.append(name)
        elif not changed.isdisjoint(known.asked):
            reached.append(name)
    return reached + _mentioning(unknown, changed, new, snapshots.repository)


def _mentioning(names: list[str], changed: set[str], moment: Moment, repository: Repository) -> list[str]:
    """Return the prompts whose text, or a text they name, may name one of the changed files."""
    if not names:
        return []
    others = [name for name in _all_names(moment, repository) if name not in changed and name not in set(names)]
    texts = {name: _content(moment, repository.top / name) for name in others}
    needles = {_needle(name) for name in changed}
    while found := {name for name, text in texts.items() if _mentions(text, needles)}:
        needles |= {_needle(name) for name in found}
        texts = {name: text for name, text in texts.items() if name not in found}
    return [name for name in names if _mentions(_content(moment, repository.top / name), needles)]


def _needle(name: str) -> bytes:
    """Return what of a file's name stands in a text that names it, however its lines are folded."""
    return max(name.rpartition("/")[2].split(), key=len, default="").encode("utf-8", "surrogateescape")


def _mentions(text: bytes, needles: Iterable[bytes]) -> bool:
    return any(needle in text for needle in needles) or _MAY_HIDE_A_NAME.search(text) is not None


def _content(moment: Moment, path: Path) -> bytes:
    try:
        return moment.files.text(path, shown="").encode()
    except UserError:
        return b"\\x"  # unreadable: it may name anything


def paired_moves(
    repository: Repository, gone: Mapping[str, str | None], added: Mapping[str, str | None]
) -> dict[str, str]:
    """Return old path → new path for files that moved: of equal content, else the most alike, at least half.

    The mappings are from path to content id; contents are read from the repository or the working tree.
    """
    moved: dict[str, str] = {}
    free = dict(added)
    for name, oid in sorted(gone.items()):
        same = [other for other, blob in free.items() if blob == oid]
        if same:
            moved[name] = min(same, key=lambda other: (other.rpartition("/")[2] != name.rpartition("/")[2], other))
            del free[moved[name]]
    left = {name: oid for name, oid in gone.items() if name not in moved}
    if left and free and len(left) * len(free) <= MAX_COMPARED:
        moved |= _alike(_lines_of(repository, left), _lines_of(repository, free))
    return moved


def _alike(gone: Mapping[str, list[bytes]], added: Mapping[str, list[bytes]]) -> dict[str, str]:
    scores = [(likeness(gone[one], added[other]), one, other) for one in gone for other in added]
    moved: dict[str, str] = {}
    for score, one, other in sorted(scores, key=lambda item: (-item[0], item[1], item[2])):
        if score >= SIMILAR and one not in moved and other not in moved.values():
            moved[one] = other
    return moved


def likeness(one: list[bytes], other: list[bytes]) -> float:
    """Return how much of the larger text stands in the other one too, by lines, from 0 to 1."""
    counts: dict[bytes, int] = {}
    for line in one:
        counts[line] = counts.get(line, 0) + 1
    shared = 0
    for line in other:
        if counts.get(line, 0) > 0:
            counts[line] -= 1
            shared += len(line) + 1
    largest = max(sum(len(line) + 1 for line in text) for text in (one, other))
    return shared / largest if largest else 1.0


def _lines_of(repository: Repository, oids: Mapping[str, str | None]) -> dict[str, list[bytes]]:
    """Return the lines of contents; one that is only in the working tree is read there."""
    found: dict[str, list[bytes]] = {}
    names = [name for name, oid in oids.items() if oid is not None]
    for name, stored in zip(names, repository.objects([oids[name] or "" for name in names]), strict=True):
        try:
            content = stored.content if stored is not None else (repository.top / name).read_bytes()
        except OSError:
            continue
        found[name] = content.splitlines()
    return found
