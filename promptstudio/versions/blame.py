"""A prompt → each field of its file with the commit that last changed its value.

Layout, quotes, comments, the order of keys and the place of an item in its list are not the value. Versions that
cannot be read are passed over: a field is not newer because a conflict stood around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from promptstudio.errors import NotFoundError, PromptFileError
from promptstudio.prompts.textfile import read_text_file
from promptstudio.versions.ancestry import History, history_of, history_state
from promptstudio.versions.fields import FieldPath, Fields, corresponding, fields_of
from promptstudio.versions.moments import below_top
from promptstudio.versions.snapshots import Snapshots
from promptstudio.versions.walk import Commit, Node

KIND = "blame"
SHALLOW_NOTE = (
    "this clone is shallow: fields blamed on its oldest commits may be older; `git fetch --unshallow` brings the rest"
)


class Line(NamedTuple):
    """One field, or a file that the prompt reads. `commit` is None where the change is not committed.

    `is_cut` says that the change may be older than the commit, which is the oldest that this clone holds.
    """

    field: str
    value: Any
    commit: Commit | None
    file: str | None = None
    is_cut: bool = False


class Blame(NamedTuple):
    """`notes` say what cannot be known here."""

    path: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()


def blame(snapshots: Snapshots, path: Path, *, start: str | None = None) -> Blame:
    """Return who last changed each field of a prompt, in the working tree or at the commit `start`.

    Raises PromptFileError or NotFoundError where the file cannot be read there.
    """
    name = below_top(path, snapshots.repository)
    head = start or snapshots.repository.head()
    history = history_of(snapshots, name, head) if name is not None and head is not None else History({}, {})
    newest = history.nodes.get(history.newest or "")
    committed = _fields(snapshots, newest) if newest is not None else None
    if start is not None:
        fields, matched = _committed(committed, history, path), None
    else:
        fields = _fields_now(snapshots, path, name)
        matched = corresponding(fields, committed) if committed is not None else {}
    # The whole past is looked at only where the file had one.
    blamed = _blamed(snapshots, history, name, head) if name is not None and committed is not None else {}
    lines = [*_lines(fields, blamed, matched, history)]
    lines += _files(snapshots, history, path, start) if newest is not None else []
    return Blame(name or str(path), tuple(lines), tuple(_notes(name, head, lines)))


def _notes(name: str | None, head: str | None, lines: list[Line]) -> Iterator[str]:
    if name is None:
        yield "the file is outside the git repository"
    elif head is None:
        yield "nothing is committed yet"
    if any(line.is_cut for line in lines):
        yield SHALLOW_NOTE


def _committed(fields: Fields | None, history: History, path: Path) -> Fields:
    known = history.known.get(history.newest or "")
    if fields is None:
        problem = known.problem if known is not None else None
        raise PromptFileError(problem) if problem else NotFoundError(f"{path.name} is not in this commit")
    return fields


def _fields_now(snapshots: Snapshots, path: Path, name: str | None) -> Fields:
    """Return the fields of the file in the working tree. Raises PromptFileError with what is wrong with it."""
    oid = snapshots.now().files.oid_at(name) if name is not None else None
    kept = snapshots.kept_document(oid) if oid is not None else None
    if kept is not None:
        return fields_of(kept)
    from promptstudio.prompts.address import shown_path_of
    from promptstudio.prompts.yamlfile import read_yaml  # weight: what is known already is not parsed

    shown = shown_path_of(path, snapshots.settings, Path.cwd())
    return fields_of(read_yaml(read_text_file(path, shown=shown), file=shown).value)


def _fields(snapshots: Snapshots, node: Node) -> Fields | None:
    """Return the fields of the file at a node, None where it cannot be read."""
    oid = node.state[node.path]
    document = snapshots.document(oid) if oid is not None else None
    return fields_of(document) if document is not None else None


# -- the past ---------------------------------------------------------------------------------------------------------


def _blamed(snapshots: Snapshots, history: History, name: str, head: str | None) -> dict[FieldPath, str]:
    """Return for each field of the newest commit the commit that last changed it; kept for the next time."""
    state = history_state(snapshots, head or "")
    kept = None if snapshots.fresh else snapshots.db.finding(KIND, name)
    if kept is not None and kept[0] == state:
        return {tuple(path): commit for path, commit in kept[1]}
    blamed = _followed(snapshots, history)
    if not snapshots.fresh:
        snapshots.db.keep_finding(KIND, name, state, [[list(path), commit] for path, commit in blamed.items()])
    return blamed


def _followed(snapshots: Snapshots, history: History) -> dict[FieldPath, str]:
    """Hand the fields of the newest commit down to parents that have the same value, until none has."""
    blamed: dict[FieldPath, str] = {}
    # For each commit: its field → the fields of the newest commit that this one stands for.
    waiting: dict[str, dict[FieldPath, list[FieldPath]]] = {}
    first = True
    for name, node in history.nodes.items():
        fields = _fields(snapshots, node)
        if first and fields is not None:
            waiting[name] = {path: [path] for path in fields.leaves}
            first = False
        mine = waiting.pop(name, None)
        if not mine or fields is None:
            continue
        for parent, before in _readable_parents(snapshots, history, node):
            matched = corresponding(fields, before)
            theirs = waiting.setdefault(parent, {})
            for path in [path for path in mine if path in matched]:
                theirs.setdefault(matched[path], []).extend(mine.pop(path))
        blamed |= {origin: name for origins in mine.values() for origin in origins}
    return blamed


def _readable_parents(snapshots: Snapshots, history: History, node: Node) -> Iterator[tuple[str, Fields]]:
    """Yield the older commits to compare with; behind one whose file cannot be read, the ones before it."""
    waiting, seen = list(node.parents), set(node.parents)
    while waiting:
        name = waiting.pop(0)
        parent = history.nodes.get(name)
        if parent is None or parent.state[parent.path] is None:
            continue  # the file was not there: what came back later is new
        fields = _fields(snapshots, parent)
        if fields is not None:
            yield name, fields
            continue
        waiting += [older for older in parent.parents if older not in seen]
        seen.update(parent.parents)


# -- lines ------------------------------------------------------------------------------------------------------------


def _lines(
    fields: Fields, blamed: Mapping[FieldPath, str], matched: Mapping[FieldPath, FieldPath] | None, history: History
) -> Iterator[Line]:
    """Yield one line for each field as the file writes it: the newest of what it consists of."""
    order = {name: place for place, name in enumerate(history.nodes)}
    groups: dict[str, list[FieldPath]] = {}
    for path in fields.leaves:
        groups.setdefault(fields.shown[path], []).append(path)
    for field, paths in groups.items():
        befores = [matched.get(path) if matched is not None else path for path in paths]
        commits = [blamed.get(before) if before is not None else None for before in befores]
        value = fields.leaves[paths[-1]] if len(paths) == 1 else {str(path[-1]): fields.leaves[path] for path in paths}
        known = [commit for commit in commits if commit is not None]
        newest = min(known, key=order.__getitem__) if len(known) == len(commits) else None
        node = history.nodes[newest] if newest is not None else None
        yield Line(field, value, node.commit if node else None, is_cut=node.is_cut if node else False)


def _files(snapshots: Snapshots, history: History, path: Path, start: str | None) -> Iterator[Line]:
    """Yield a line for each file that the prompt reads beside its own: its last change."""
    moment = snapshots.now() if start is None else None
    newest = next(iter(history.nodes.values()))
    known = snapshots.known(moment, path) if moment is not None else history.known[newest.commit.id]
    for name, oid in known.asked.items():
        if name == below_top(path, snapshots.repository) or oid is None:
            continue
        shown = snapshots.below_root(name)
        node = _last_change(history, name) if newest.state.get(name) == oid else None
        yield Line(f"file {shown}", None, node.commit if node else None, shown, node.is_cut if node else False)


def _last_change(history: History, name: str) -> Node | None:
    """Return the newest node that has a file otherwise than each of its parents."""
    oid = next(iter(history.nodes.values())).state.get(name)
    waiting, seen = [next(iter(history.nodes))], set[str]()
    while waiting:
        node = history.nodes[waiting.pop()]
        parents = [history.nodes[parent] for parent in node.parents if parent in history.nodes]
        same = [parent for parent in parents if parent.state.get(name) == oid]
        if not same:
            return node
        waiting += [parent.commit.id for parent in same[:1] if parent.commit.id not in seen]
        seen.add(node.commit.id)
    return None
