"""What stands behind `@` in an address → the commit it means: a label, a version, or a revision of git.

A word that means several commits (a label and a branch of one name) is refused with every way to say which. A word in
full, `label:production` or `refs/tags/v2.1.0`, means one thing only.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from promptstudio.config import Settings
from promptstudio.errors import CheckFailed, NotFoundError, UsageError
from promptstudio.prompts.address import Address, find_file
from promptstudio.prompts.library import row_of
from promptstudio.prompts.prompt import Prompt, Revision
from promptstudio.prompts.wording import nearest, shown
from promptstudio.versions.lock import Label, Lock, read_lock
from promptstudio.versions.lock_reading import is_label_name
from promptstudio.versions.moments import below_top
from promptstudio.versions.repo import Repository, check_revision
from promptstudio.versions.tags import tag_name

LABEL_PREFIX = "label:"
_VERSION = re.compile(r"v?(\d+(?:\.\d+)+[\w.+-]*)")
_VERSION_LINE = re.compile(rb"""^["']?version["']?[ \t]*:[ \t]*["']?([^"'\s#]+)""", re.MULTILINE)
_REF_FOLDERS = ("refs/tags", "refs/heads", "refs/remotes")
_NO_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|@\{|\.\.")


@dataclass(frozen=True, slots=True)
class _Meaning:
    """One thing a word may mean: `how` is how to write it so that it means nothing else."""

    what: str
    how: str
    commit: str
    label: str | None = None


def revision_of(address: Address, settings: Settings, cwd: Path, repository: Repository) -> Revision:
    """Return the commit an address means. Raises NotFoundError or UsageError where it means none, or several."""
    asked = address.revision or "HEAD"
    check_revision(asked)
    # What can be no label needs no lock file: a broken one keeps nobody from looking at HEAD~1.
    lock = read_lock(settings.root) if asked.startswith(LABEL_PREFIX) or is_label_name(asked) else Lock()
    name = stanza_name(address, settings, cwd, lock)
    stanza = lock.prompts.get(name)
    labels: Mapping[str, Label] = stanza.labels if stanza else {}
    if asked.startswith(LABEL_PREFIX):
        label = asked.removeprefix(LABEL_PREFIX)
        if label not in labels:
            raise _unknown_label(label, name, labels)
        return Revision(asked, _commit_of_label(name, label, lock, repository), label)
    meanings = list(_meanings(asked, name, labels, repository))
    commits = {meaning.commit for meaning in meanings}
    if len(commits) > 1:
        raise _ambiguous(asked, address, meanings)
    if meanings:
        # A label says most of all: what it means is checked against the repository.
        label_meant = next((meaning.label for meaning in meanings if meaning.label), None)
        commit = _commit_of_label(name, label_meant, lock, repository) if label_meant else meanings[0].commit
        return Revision(asked, commit, label_meant)
    version = _VERSION.fullmatch(asked)
    commit_of_version = newest_with_version(address, version[1], settings, cwd, repository) if version else None
    return Revision(asked, commit_of_version or _commit_of(asked, name, labels, repository))


def stanza_name(address: Address, settings: Settings, cwd: Path, lock: Lock) -> str:
    """Return the name under which the lock file knows a prompt that is given by its name or its path."""
    if address.kind == "name" and not (address.target not in lock.prompts and (cwd / address.target).is_file()):
        return unicodedata.normalize("NFC", address.target)
    path = Path(os.path.normpath(cwd / Path(address.target).expanduser()))
    root = settings.root
    below = path.relative_to(root).as_posix() if root is not None and path.is_relative_to(root) else None
    named = next((stanza.name for stanza in lock.prompts.values() if stanza.file == below), None)
    if named is not None:
        return named
    inside = settings.prompts_dir is not None and path.is_relative_to(settings.prompts_dir)
    return row_of(path, settings).name if inside else path.stem


def path_of_label(revision: Revision, address: Address, settings: Settings, cwd: Path) -> Path | None:
    """Return the file a label was put on, which may have moved since; None where the revision is no label."""
    if revision.label is None or settings.root is None:
        return None
    lock = read_lock(settings.root)
    label = lock.label(stanza_name(address, settings, cwd, lock), revision.label)
    return settings.root / label.file if label is not None else None


def check_label(prompt: Prompt, revision: Revision, address: Address, settings: Settings, cwd: Path) -> None:
    """Raise CheckFailed where a label's prompt is not what was promoted: somebody edited the lock file by hand."""
    lock = read_lock(settings.root)
    name = stanza_name(address, settings, cwd, lock)
    label = lock.label(name, revision.label or "")
    if label is None or revision.label is None:
        return
    recorded = label.variants.get(prompt.variant) if prompt.variant else label.behavior
    computed = prompt.identity.behavior
    if recorded not in (None, computed):
        place = ("variants", prompt.variant) if prompt.variant else ("behavior",)
        said = f"recorded {(recorded or '')[:15]}…, computed {computed[:15]}…"
        raise CheckFailed(
            f"the label {revision.label} of {name} is not what was promoted: {said}",
            file=lock.file,
            line=lock.line_of(name, "labels", revision.label, *place),
            hint="`ps verify` says what was changed by hand; take the file from git again, or promote the prompt again",
        )


def _meanings(asked: str, name: str, labels: Mapping[str, Label], repository: Repository) -> Iterator[_Meaning]:
    if label := labels.get(asked):
        yield _Meaning(f"the label {asked}", f"@{LABEL_PREFIX}{asked}", label.commit, asked)
    if asked.startswith("refs/") or _NO_REF.search(asked):
        return
    refs = [f"{folder}/{asked}" for folder in _REF_FOLDERS]
    if version := _VERSION.fullmatch(asked):
        refs.insert(0, f"refs/tags/{tag_name(name, version[1])}")
        if not asked.startswith("v"):
            refs.insert(1, f"refs/tags/v{asked}")
    for ref, commit in zip(refs, repository.ids([f"{ref}^{{commit}}" for ref in refs]), strict=True):
        if commit is not None:
            kind = {"refs/tags": "tag", "refs/heads": "branch"}.get("/".join(ref.split("/")[:2]), "remote branch")
            yield _Meaning(f"the {kind} {ref.split('/', 2)[2]}", f"@{ref}", commit)


def _ambiguous(asked: str, address: Address, meanings: list[_Meaning]) -> UsageError:
    known = "; ".join(f"{meaning.what} ({meaning.commit[:12]})" for meaning in meanings)
    written = " or ".join(f"{address.target}{meaning.how}" for meaning in meanings)
    return UsageError(f"{shown(asked)} means several commits: {known}", hint=f"write {written}")


def _commit_of_label(name: str, label: str, lock: Lock, repository: Repository) -> str:
    commit = lock.prompts[name].labels[label].commit
    if repository.ids([f"{commit}^{{commit}}"])[0] is None:
        raise NotFoundError(
            f"the label {label} of {name} points at the commit {commit[:12]}, which is not in this repository",
            file=lock.file,
            line=lock.line_of(name, "labels", label, "commit"),
            hint=repository.lost_hint(),
        )
    return commit


def _commit_of(asked: str, name: str, labels: Mapping[str, Label], repository: Repository) -> str:
    try:
        return repository.commit_of(asked)
    except NotFoundError as cause:
        close = nearest(asked, [*labels, *repository.ref_names()])
        hint = f"did you mean {close!r}?" if close and not repository.is_shallow else cause.hint
        known = f"; the labels of {name} are {', '.join(sorted(labels))}" if labels else f"; {name} has no labels"
        raise NotFoundError(f"{cause.message}{known}", hint=hint) from cause


def _unknown_label(label: str, name: str, labels: Mapping[str, Label]) -> NotFoundError:
    close = nearest(label, labels)
    hint = f"did you mean {close!r}?" if close else f"`ps label set {name} {label}` makes it"
    return NotFoundError(f"{name} has no label {shown(label)}", hint=hint)


def newest_with_version(
    address: Address, version: str, settings: Settings, cwd: Path, repository: Repository
) -> str | None:
    """Return the newest commit in which the `version:` of a prompt was this one, None where it never was."""
    path = _path_of(address, settings, cwd)
    below = below_top(path, repository) if path is not None else None
    head = repository.head()
    if below is None or head is None:
        return None
    later: str | None = None
    for commit, place in commits_of(repository, below):
        if _version_in(repository, f"{commit}:{place}") == version:
            return head if later is None else _last_before(repository, later, place, version) or commit
        later = commit
    return None


def commits_of(repository: Repository, below: str) -> list[tuple[str, str]]:
    """Return the commits that changed a file, newest first, each with the path the file had in it."""
    listed = repository.read(
        "log", "--follow", "--format=%x01%H", "--name-only", "-z", "HEAD", "--", f":(top,literal){below}"
    )
    found = []
    for entry in os.fsdecode(listed).split("\x01")[1:]:
        commit, *names = [part for part in (part.strip("\n") for part in entry.split("\0")) if part]
        if names:
            found.append((commit, names[-1]))
    return found


def _path_of(address: Address, settings: Settings, cwd: Path) -> Path | None:
    try:
        return find_file(address, settings, cwd)
    except NotFoundError:
        return None  # deleted by now: a tag or a commit still reaches it


def _version_in(repository: Repository, name: str) -> str | None:
    found = repository.object(name)
    line = _VERSION_LINE.search(found.content) if found is not None else None
    return line[1].decode(errors="replace") if line else None


def _last_before(repository: Repository, later: str, place: str, version: str) -> str | None:
    """Return the parent of the commit that changed a version away, if it still had it: partials may be newer in it."""
    parents = repository.read("rev-list", "--parents", "-n", "1", later).decode().split()[1:]
    return next((parent for parent in parents if _version_in(repository, f"{parent}:{place}") == version), None)
