"""A prompt's file → its versions, newest first: which commit made each, why it differs, and what bears it today.

A version is a commit whose prompt behaves like that of none of its parents: its file changed, or a file it names, or
the default model or profile. Commits that leave the behavior alone belong to the version they keep.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from promptstudio.errors import Problem, PromptStudioError, UserError
from promptstudio.versions.ancestry import GONE, History, history_of, signature
from promptstudio.versions.gitfiles import GitFiles
from promptstudio.versions.moments import below_top
from promptstudio.versions.snapshots import Known, Snapshots
from promptstudio.versions.walk import Commit, Node, State

if TYPE_CHECKING:  # weight: most projects have no lock file when they begin
    from promptstudio.versions.lock import Lock

LOCK_NAME = "promptstudio.lock"
MAX_TAGS = 200


class Member(NamedTuple):
    """A commit of a version that changes nothing the model sees. `moved_from` is the path before it moved the file."""

    commit: Commit
    version: str | None = None
    moved_from: str | None = None


class Version(NamedTuple):
    """One version. `commit` is None for what is not committed yet.

    `known` is GONE where the file was removed. `causes` are the paths that made it differ, below the project's root;
    `kept` the commits that leave it alone, newest first; `number` is the `version:` that the newest of all has.
    `is_same` marks uncommitted changes the model does not see; `is_cut` a version that may be older than it seems.
    """

    commit: Commit | None
    path: str
    known: Known
    number: str | None = None
    causes: tuple[str, ...] = ()
    kept: tuple[Member, ...] = ()
    moved_from: str | None = None
    labels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    before: str | None = None  # the commit it is compared with
    is_first: bool = False
    is_same: bool = False
    is_cut: bool = False

    @property
    def is_gone(self) -> bool:
        return self.known is GONE

    @property
    def behavior(self) -> str | None:
        return self.known.identity.behavior if self.known.identity else None

    @property
    def behaviors(self) -> tuple[str, ...]:
        """The hashes that runs of this version are stored under: its own and those of its variants."""
        return (self.behavior, *self.known.variants.values()) if self.behavior else ()


class PromptLog(NamedTuple):
    """The versions of one prompt, newest first. `notes` say what cannot be known here."""

    name: str
    versions: tuple[Version, ...]
    notes: tuple[str, ...] = ()


def prompt_log(snapshots: Snapshots, path: Path, *, variant: str | None = None, start: str | None = None) -> PromptLog:
    """Return the versions of the prompt in a file, which may be gone from the working tree.

    With `start`, the log begins at that commit and the working tree is left out; with `variant`, versions are what the
    hash of that variant tells apart.
    """
    name = below_top(path, snapshots.repository)
    head = start or snapshots.repository.head()
    if name is None:
        known = snapshots.known(snapshots.now(), path)
        lone = (Version(None, str(path), known, known.version),)
        return PromptLog(known.name, lone, ("the file is outside the git repository",))
    history = history_of(snapshots, name, head) if head is not None else History({}, {})
    versions = [] if start is not None else list(_uncommitted(snapshots, history, path, name, variant))
    versions += _committed(snapshots, history, variant)
    titled = next((version.known.name for version in versions if version.known.name), name)
    lock = _lock(snapshots, titled)
    marked = _marked(snapshots, history, versions, titled, None if isinstance(lock, Problem) else lock)
    notes = [*_notes(head, versions), *([f"labels are left out: {lock}"] if isinstance(lock, Problem) else [])]
    return PromptLog(titled, tuple(marked), tuple(notes))


def _committed(snapshots: Snapshots, history: History, variant: str | None) -> Iterator[Version]:
    """Yield the versions that commits made, with the commits that keep them."""
    kept: dict[str, list[Member]] = {}
    for name, node in history.nodes.items():
        parents = [parent for parent in dict.fromkeys(node.parents) if parent in history.nodes]
        known = history.known[name]
        same = next(
            (one for one in parents if signature(history.known[one], variant) == signature(known, variant)), None
        )
        members = kept.pop(name, [])
        if same is not None:
            moved = history.nodes[same].path if history.nodes[same].path != node.path else None
            kept.setdefault(same, [])[:0] = [*members, Member(node.commit, known.version, moved)]
            continue
        before = history.nodes[parents[0]] if parents else None
        yield Version(
            commit=node.commit,
            path=node.path,
            known=known,
            number=members[0].version if members else known.version,
            causes=_causes(snapshots, node, before, known, history) if before else (),
            kept=tuple(members),
            moved_from=before.path if before and before.path != node.path else None,
            before=before.commit.id if before else None,
            is_first=before is None,
            is_cut=node.is_cut,
        )


def _causes(snapshots: Snapshots, node: Node, before: Node, known: Known, history: History) -> tuple[str, ...]:
    older = history.known[before.commit.id]
    names = dict.fromkeys((node.path, *known.asked, *older.asked))
    changed = [name for name in names if node.state.get(name) != before.state.get(name)]
    if before.path != node.path:
        changed = [name for name in changed if name != before.path]
        if node.state[node.path] == before.state[before.path]:
            changed = [name for name in changed if name != node.path]
    settings = snapshots.settings_name
    if settings is not None and node.state.get(settings) != before.state.get(settings) and settings not in changed:
        changed += [settings] if _settings_count(snapshots, node, before) else []
    return tuple(snapshots.below_root(name) for name in changed)


def _settings_count(snapshots: Snapshots, node: Node, before: Node) -> bool:
    """Whether two commits differ in those of the settings that prompts are resolved with."""
    try:
        one, other = (snapshots.at(each.commit.id, each.state).settings for each in (node, before))
    except UserError:
        return True
    return snapshots.context(one) != snapshots.context(other)


def _uncommitted(
    snapshots: Snapshots, history: History, path: Path, name: str, variant: str | None
) -> Iterator[Version]:
    """Yield what the working tree has and HEAD has not, also where it changes nothing the model sees."""
    moment = snapshots.now()
    newest = history.nodes.get(history.newest or "")
    committed = history.known[newest.commit.id] if newest is not None else GONE
    is_there = moment.files.oid_at(name) is not None
    known = snapshots.known(moment, path) if is_there else GONE
    state: State = newest.state if newest is not None else {}
    names = dict.fromkeys((name, *known.asked, *committed.asked))
    changed = [each for each in names if moment.files.oid_at(each) != state.get(each)]
    settings = snapshots.settings_name
    if settings is not None and moment.files.oid_at(settings) != state.get(settings):
        changed += [settings] if signature(known) != signature(committed) else []
    if (newest is None and not is_there) or (newest is not None and not changed):
        return
    yield Version(
        commit=None,
        path=name,
        known=known,
        number=known.version,
        causes=tuple(snapshots.below_root(each) for each in changed) if newest is not None else (),
        before=newest.commit.id if newest is not None else None,
        is_first=newest is None,
        is_same=newest is not None and signature(known, variant) == signature(committed, variant),
    )


def _marked(
    snapshots: Snapshots, history: History, versions: Sequence[Version], name: str, lock: Lock | None
) -> list[Version]:
    """Add the labels and tags that point at each version."""
    labels: dict[int, list[str]] = {}
    stanza = None if lock is None else lock.prompts.get(name)
    for label, where in stanza.labels.items() if stanza else ():
        place = _place_of(snapshots, history, versions, where.commit, where.behavior)
        if place is not None:
            labels.setdefault(place, []).append(label)
    tags: dict[int, list[str]] = {}
    for tag, commit in _tags(snapshots, name):
        place = _place_of(snapshots, history, versions, commit, None)
        if place is not None:
            tags.setdefault(place, []).append(tag)
    return [
        version._replace(labels=tuple(labels.get(place, ())), tags=tuple(tags.get(place, ())))
        for place, version in enumerate(versions)
    ]


def _lock(snapshots: Snapshots, name: str) -> Lock | Problem | None:
    """Return what the lock file of now says of a prompt, what is wrong with it, or None where there is none."""
    root = snapshots.settings.root
    if root is None or not (root / LOCK_NAME).exists():
        return None
    from promptstudio.versions.lock import read_stanza  # weight, as above

    try:
        return read_stanza(root, name)
    except PromptStudioError as error:
        return error.problems[0]


def _tags(snapshots: Snapshots, name: str) -> Iterator[tuple[str, str]]:
    """Yield the newest tags with their commits; those of other prompts (`other@v1.0.0`) are left out."""
    if not snapshots.repository.has_tags:
        return
    said = snapshots.repository.read(
        "for-each-ref",
        *("--sort=-creatordate", f"--count={MAX_TAGS}"),
        "--format=%(refname:strip=2)%00%(objectname)%00%(objecttype)%00%(*objectname)%00%(*objecttype)",
        "refs/tags",
    )
    for line in said.decode("utf-8", "surrogateescape").splitlines():
        tag, oid, kind, peeled, peeled_kind = line.split("\0")
        owner, at, _ = tag.rpartition("@v")
        if (at and owner != name) or "commit" not in (kind, peeled_kind):
            continue
        yield tag, peeled or oid


def _place_of(
    snapshots: Snapshots, history: History, versions: Sequence[Version], commit: str, behavior: str | None
) -> int | None:
    """Return which version a commit has: the newest that fits and is not newer than the commit."""
    for place, version in enumerate(versions):
        members = [member.commit.id for member in version.kept]
        if commit in members or (version.commit is not None and version.commit.id == commit):
            return place
    found = snapshots.repository.object(f"{commit}^{{commit}}")
    when_s = _committed_s(found.content) if found is not None else None
    fitting = list(_fitting(snapshots, history, versions, commit if found is not None else None, behavior))
    # One that is newer than the commit is meant only where clocks were wrong.
    newer = [place for place in fitting if when_s is not None and _age(versions[place]) > when_s]
    return next((place for place in fitting if place not in newer), newer[0] if newer else None)


def _age(version: Version) -> int:
    return version.commit.committed_s if version.commit else 0


def _fitting(
    snapshots: Snapshots, history: History, versions: Sequence[Version], commit: str | None, behavior: str | None
) -> Iterator[int]:
    """Yield the committed versions of a behavior; without one those of the same contents as the commit."""
    files = GitFiles(snapshots.repository, commit) if commit is not None and behavior is None else None
    for place, version in enumerate(versions):
        if version.commit is None:
            continue
        states = (history.nodes[one.id].state for one in (version.commit, *(each.commit for each in version.kept)))
        has_behavior = behavior is not None and version.behavior == behavior
        if has_behavior or (files is not None and any(_has_state(files, state) for state in states)):
            yield place


def _has_state(files: GitFiles, state: State) -> bool:
    return all(files.oid_at(name) == oid for name, oid in state.items())


def _committed_s(commit: bytes) -> int:
    line = next(line for line in commit.split(b"\n") if line.startswith(b"committer "))
    return int(line.rsplit(b" ", 2)[1])


def _notes(head: str | None, versions: Sequence[Version]) -> Iterator[str]:
    if head is None:
        yield "nothing is committed yet"
    if any(version.is_cut for version in versions):
        yield (
            "this clone is shallow: what came before its oldest commits is not known here; "
            "`git fetch --unshallow` brings the rest"
        )
