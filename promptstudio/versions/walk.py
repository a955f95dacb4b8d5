"""A prompt's file and what it depends on → the commits that touched any of it, renames followed.

Git tells which commits touched a set of paths, with the contents before and after. So the contents at each commit are
known without opening trees, as long as none of them is a link and the commit is no merge; else they are looked up.

Values that `ps log` and `ps blame` load are named tuples: making the class of one takes a tenth of a data class's time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from promptstudio.errors import ToolError
from promptstudio.versions.compare import paired_moves
from promptstudio.versions.gitfiles import GitFiles
from promptstudio.versions.repo import LINK, Repository

MAX_SEGMENTS = 200
_FORMAT = "%H%x00%P%x00%aN%x00%aE%x00%at%x00%ct%x00%s"
_FIELDS = 7

State = Mapping[str, str | None]


class Commit(NamedTuple):
    """Who, when and why. Times are seconds since 1970; `author` is `Name <email>` as git has it."""

    id: str
    author: str
    email: str
    authored_s: int
    committed_s: int
    subject: str


class Node(NamedTuple):
    """One commit of a prompt's history: where its file lay, and the contents of all paths that count.

    `parents` are ids of older nodes. `is_cut` says that this clone does not hold what came before.
    """

    commit: Commit
    path: str
    state: State
    parents: tuple[str, ...] = ()
    is_merge: bool = False
    is_cut: bool = False


class Walk(NamedTuple):
    """Nodes by commit, newest first, children before parents."""

    nodes: Mapping[str, Node]

    @property
    def newest(self) -> Node | None:
        return next(iter(self.nodes.values()), None)


class _Entry(NamedTuple):
    """One commit as git lists it: `changes` is path → (old mode, new mode, old content, new content)."""

    commit: Commit
    parents: tuple[str, ...]
    changes: Mapping[str, tuple[int, int, str | None, str | None]]


Dependencies = Callable[[Node], Iterable[str]]


def walk(repository: Repository, start: str, path: str, depends: Dependencies, hint: Iterable[str] = ()) -> Walk:
    """Follow a file from a commit back to where it came from.

    `depends` tells the paths that count beside the file at a node, `hint` those that are likely to.
    """
    found: dict[str, Node] = {}
    waiting = [_Segment(start, path, None)]
    done: set[tuple[str, str]] = set()
    while waiting and len(done) < MAX_SEGMENTS:
        segment = waiting.pop(0)
        if (segment.start, segment.path) in done:
            continue
        done.add((segment.start, segment.path))
        nodes = _nodes(repository, segment, depends, hint)
        _join(found, segment, nodes)
        waiting += _earlier(repository, nodes)
    return Walk({node.commit.id: node for node in _ordered(_without_absent(found))})


class _Segment(NamedTuple):
    """A stretch of history under one path; `child` is the node that it leads to."""

    start: str
    path: str
    child: str | None


def _join(found: dict[str, Node], segment: _Segment, nodes: Mapping[str, Node]) -> None:
    """Add a segment's nodes, and make its newest the parent of the node that it leads to."""
    for name, node in nodes.items():
        known = found.get(name)
        if known is None or (known.state[known.path] is None and node.state[node.path] is not None):
            found[name] = node
        elif set(node.parents) - set(known.parents):
            found[name] = known._replace(parents=tuple(dict.fromkeys((*known.parents, *node.parents))))
    newest = next(iter(nodes), None)
    child = found.get(segment.child or "")
    if newest is not None and child is not None and newest != child.commit.id and newest not in child.parents:
        # Another file may have borne the name before this one was moved to it.
        others = child.parents if child.is_merge else ()
        found[child.commit.id] = child._replace(parents=(*others, newest))


def _nodes(repository: Repository, segment: _Segment, depends: Dependencies, hint: Iterable[str]) -> dict[str, Node]:
    """List the commits, and list again while they turn out to depend on more paths."""
    names = {segment.path, *hint}
    while True:
        entries = _entries(repository, segment.start, sorted(names))
        has_links = _has_links(repository, segment, entries, names)
        nodes = dict(_placed(repository, segment, entries, names, has_links=has_links))
        more = {name for node in nodes.values() for name in depends(node)}
        more = (more | _link_targets(repository, nodes) if has_links else more) - names
        if not more:
            return nodes
        names |= more


def _without_absent(found: Mapping[str, Node]) -> dict[str, Node]:
    """Leave out commits that touched other paths while the file was not there; one that removed it stays."""

    def is_there(name: str) -> bool:
        return found[name].state[found[name].path] is not None

    def is_told(name: str) -> bool:
        return is_there(name) or any(is_there(parent) for parent in found[name].parents if parent in found)

    def told_parents(node: Node) -> tuple[str, ...]:
        parents: dict[str, None] = {}
        waiting, seen = list(node.parents), set(node.parents)
        while waiting:
            name = waiting.pop(0)
            if name in found and is_told(name):
                parents[name] = None
            elif name in found:
                waiting += [older for older in found[name].parents if older not in seen]
                seen.update(found[name].parents)
        return tuple(parents)

    return {name: node._replace(parents=told_parents(node)) for name, node in found.items() if is_told(name)}


def _link_targets(repository: Repository, nodes: Mapping[str, Node]) -> set[str]:
    """Return what the links among the paths of some commits point at: a change there is one of the prompt too."""
    targets: set[str] = set()
    for node in nodes.values():
        files = GitFiles(repository, node.commit.id)
        real = (files.real_name(name) for name in node.state if files.is_through_link(name))
        targets.update(name for name in real if name is not None)
    return targets


def _entries(repository: Repository, start: str, names: list[str]) -> list[_Entry]:
    said = repository.read(
        *("--literal-pathspecs", "log", "-z", "--raw", "--no-abbrev", "--no-renames", "--topo-order", "--parents"),
        *("--diff-merges=off", "--encoding=UTF-8", "--no-notes", "--no-color", "--no-textconv", "--no-ext-diff"),
        *("--ignore-submodules=all", f"--format={_FORMAT}", start, "--", *names),
    )
    # Names of files are bytes to git; so are names of people, whatever the commit says of their encoding.
    tokens = said.decode("utf-8", "surrogateescape").split("\0")
    return list(_parsed(tokens))


def _parsed(tokens: list[str]) -> Iterator[_Entry]:
    place = 0
    while place + _FIELDS <= len(tokens):
        commit, parents, author, email, authored, committed, subject = tokens[place : place + _FIELDS]
        place += _FIELDS
        changes = {}
        while place + 1 < len(tokens) and tokens[place].lstrip("\n").startswith(":"):
            old_mode, new_mode, old, new, _ = tokens[place].lstrip("\n")[1:].split(" ")
            modes = int(old_mode, 8), int(new_mode, 8)
            changes[tokens[place + 1]] = (*modes, old if modes[0] else None, new if modes[1] else None)
            place += 2
        who = Commit(commit.strip("\n"), author, email, int(authored), int(committed), subject)
        yield _Entry(who, tuple(parents.split()), changes)


def _has_links(repository: Repository, segment: _Segment, entries: list[_Entry], names: set[str]) -> bool:
    if any(LINK in change[:2] for entry in entries for change in entry.changes.values()):
        return True
    files = GitFiles(repository, segment.start)
    return any(files.is_through_link(name) for name in names)


def _placed(
    repository: Repository, segment: _Segment, entries: list[_Entry], names: set[str], *, has_links: bool
) -> Iterator[tuple[str, Node]]:
    """Yield the nodes with their states: each is told by its child, or looked up."""
    told: dict[str, State] = {}
    first = GitFiles(repository, segment.start)
    if entries and not has_links:
        told[entries[0].commit.id] = {name: first.oid_at(name) for name in names}
    cut = _cut_off(repository)
    for entry in entries:
        name = entry.commit.id
        state = told.get(name)
        if state is None or state[segment.path] is None:
            files = GitFiles(repository, name)
            state = {path: files.oid_at(path) for path in names}
        # A merge is listed without changes, since it has several parents that they could be told from.
        yield name, Node(entry.commit, segment.path, state, entry.parents, not entry.changes, name in cut)
        if entry.changes and len(entry.parents) == 1 and not has_links:
            before = {path: change[2] for path, change in entry.changes.items()}
            told.setdefault(entry.parents[0], {**state, **before})


def _cut_off(repository: Repository) -> frozenset[str]:
    if not repository.is_shallow:
        return frozenset()
    return frozenset((repository.common_dir / "shallow").read_text(encoding="ascii", errors="replace").split())


def _earlier(repository: Repository, nodes: Mapping[str, Node]) -> list[_Segment]:
    """Return where the file came from: for each node, each real parent that lacks it under this path."""
    segments = []
    for node in nodes.values():
        if node.state[node.path] is None:
            continue  # it was removed here; what it was before stands under the same path
        listed = [nodes[parent] for parent in node.parents if parent in nodes]
        if not node.is_merge and listed and listed[0].state[node.path] is not None:
            continue
        for parent in _real_parents(repository, node.commit.id):
            source = _source(repository, parent, node)
            if source is not None:
                segments.append(_Segment(parent, source, node.commit.id))
    return segments


def _real_parents(repository: Repository, commit: str) -> list[str]:
    if commit in _cut_off(repository):
        return []
    found = repository.object(commit)
    if found is None:
        raise ToolError(f"the commit {commit[:12]} is missing", hint="`git fsck` says whether the repository is whole")
    header = found.content.partition(b"\n\n")[0]
    return [line[7:].decode() for line in header.split(b"\n") if line.startswith(b"parent ")]


def _source(repository: Repository, parent: str, node: Node) -> str | None:
    """Return the path under which the file lay in a parent; None where it lay in the same place, or nowhere."""
    if GitFiles(repository, parent).oid_at(node.path) is not None:
        return None
    said = repository.read("diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", parent, node.commit.id)
    tokens = said.decode("utf-8", "surrogateescape").split("\0")
    gone: dict[str, str | None] = {}
    for about, name in zip(tokens[::2], tokens[1::2], strict=False):
        modes_and_ids = about[1:].split(" ")
        if modes_and_ids[4] == "D" and modes_and_ids[0] != "160000":
            gone[name] = modes_and_ids[2]
    likely = {name: oid for name, oid in gone.items() if name.rpartition(".")[2] == node.path.rpartition(".")[2]}
    moved = paired_moves(repository, likely, {node.path: node.state[node.path]})
    return next(iter(moved), None)


def _ordered(found: Mapping[str, Node]) -> Iterator[Node]:
    """Yield what leads to the newest node: children before parents, and else the newest first."""
    reached = _reachable(found)
    children = dict.fromkeys(reached, 0)
    for name in reached:
        for parent in _known_parents(found, name):
            children[parent] += 1
    ready = [(0, name) for name in reached[:1]]
    while ready:
        node = found[heapq.heappop(ready)[1]]
        yield node
        for parent in _known_parents(found, node.commit.id):
            children[parent] -= 1
            if not children[parent]:
                heapq.heappush(ready, (-found[parent].commit.committed_s, parent))


def _reachable(found: Mapping[str, Node]) -> list[str]:
    seen = dict.fromkeys(list(found)[:1])
    waiting = list(seen)
    while waiting:
        for parent in _known_parents(found, waiting.pop()):
            if parent not in seen:
                seen[parent] = None
                waiting.append(parent)
    return list(seen)


def _known_parents(found: Mapping[str, Node], name: str) -> list[str]:
    return [parent for parent in dict.fromkeys(found[name].parents) if parent in found]
