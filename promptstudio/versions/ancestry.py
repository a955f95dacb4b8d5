"""A prompt's file and a commit → the commits that touched it, and what each of them made of it.

What was found out is kept: the same commit always has the same past.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from promptstudio.errors import Problem, UserError
from promptstudio.prompts.hashes import Identity
from promptstudio.versions.snapshots import Known, Snapshots
from promptstudio.versions.walk import Commit, Node, walk

GONE = Known("", None, None, {}, {}, None)
"""A prompt whose file is not there."""

KIND = "history"
Signature = tuple[object, ...]


class History(NamedTuple):
    """The commits that touched a prompt, newest first, and what each of them made of it."""

    nodes: Mapping[str, Node]
    known: Mapping[str, Known]

    @property
    def newest(self) -> str | None:
        return next(iter(self.nodes), None)


def history_of(snapshots: Snapshots, name: str, head: str) -> History:
    """Walk back from a commit, or take what was found out when that was done the last time."""
    state = history_state(snapshots, head)
    kept = None if snapshots.fresh else snapshots.db.finding(KIND, name)
    if kept is not None and kept[0] == state:
        return _unpacked(kept[1])
    history = _walked(snapshots, name, head, kept[1]["names"] if kept is not None else [])
    if not snapshots.fresh:
        snapshots.db.keep_finding(KIND, name, state, _packed(history))
    return history


def history_state(snapshots: Snapshots, head: str) -> str:
    """Return all that the past of a prompt depends on: the commit, where a shallow clone ends, the settings of now."""
    repository = snapshots.repository
    cut = (repository.common_dir / "shallow").read_bytes() if repository.is_shallow else b""
    return f"{head} {hashlib.sha256(cut).hexdigest() if cut else '-'} {snapshots.context(snapshots.settings)}"


def _walked(snapshots: Snapshots, name: str, head: str, hint: Sequence[str]) -> History:
    found: dict[str, Known] = {}

    def depends(node: Node) -> Iterator[str]:
        found[node.commit.id] = known = known_at(snapshots, node)
        yield from known.asked
        yield from () if snapshots.settings_name is None else (snapshots.settings_name,)

    nodes = walk(snapshots.repository, head, name, depends, hint).nodes
    return History(nodes, {commit: found[commit] for commit in nodes})


def known_at(snapshots: Snapshots, node: Node) -> Known:
    """Return what a prompt was at a node; settings that cannot be read are a problem of its own."""
    if node.state[node.path] is None:
        return GONE
    try:
        moment = snapshots.at(node.commit.id, node.state)
    except UserError as error:
        return GONE._replace(problem=error.problems[0])
    return snapshots.known(moment, snapshots.repository.top / node.path)


def signature(known: Known, variant: str | None = None) -> Signature:
    """Return what two commits of one version have in common; of a variant, where only that one is looked at."""
    if known.identity is None:
        problem = known.problem
        return (problem.message, problem.line) if problem else ("gone",)
    if variant is not None:
        return (known.variants.get(variant),)
    return (known.identity.behavior, *sorted(known.variants.items()))


# -- kept as JSON -----------------------------------------------------------------------------------------------------


def _packed(history: History) -> dict[str, Any]:
    """Return plain data. Contents are listed once; most commits change one of them."""
    names = sorted({name for node in history.nodes.values() for name in node.state})
    nodes = []
    for node in history.nodes.values():
        commit = node.commit
        who = [commit.id, commit.author, commit.email, commit.authored_s, commit.committed_s, commit.subject]
        state = {place: node.state[name] for place, name in enumerate(names) if name in node.state}
        flags = [node.is_merge, node.is_cut]
        nodes.append([who, node.path, list(state.items()), list(node.parents), flags, _facts(history, node, names)])
    return {"names": names, "nodes": nodes}


def _facts(history: History, node: Node, names: list[str]) -> list[Any] | None:
    known = history.known[node.commit.id]
    if known is GONE:
        return None
    identity, problem = known.identity, known.problem
    return [
        known.name,
        known.version,
        [identity.behavior, identity.interface, identity.text] if identity else None,
        dict(known.variants),
        [[names.index(name), oid] if name in names else [name, oid] for name, oid in known.asked.items()],
        [problem.message, problem.file, problem.line, problem.column, problem.hint] if problem else None,
    ]


def _unpacked(body: Mapping[str, Any]) -> History:
    names = body["names"]
    nodes: dict[str, Node] = {}
    known: dict[str, Known] = {}
    for who, path, state, parents, flags, facts in body["nodes"]:
        commit = Commit(*who)
        contents = {names[place]: oid for place, oid in state}
        nodes[commit.id] = Node(commit, path, contents, tuple(parents), *flags)
        known[commit.id] = _known(facts, names) if facts is not None else GONE
    return History(nodes, known)


def _known(facts: Sequence[Any], names: Sequence[str]) -> Known:
    name, version, identity, variants, asked, problem = facts
    return Known(
        name,
        version,
        Identity(*identity) if identity else None,
        variants,
        {names[place] if isinstance(place, int) else place: oid for place, oid in asked},
        Problem(problem[0], file=problem[1], line=problem[2], column=problem[3], hint=problem[4]) if problem else None,
    )
