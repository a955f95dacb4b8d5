"""What is asked for + a repository → one row for each prompt that differs, with both versions of it.

Only what may differ is loaded. A version that cannot be read is a row with what is wrong; the others go on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from promptstudio.errors import NotFoundError, ToolError, UsageError, UserError
from promptstudio.prompts.wording import nearest, shown, suggestion
from promptstudio.versions.compare import paired_paths
from promptstudio.versions.diff.ask import Question
from promptstudio.versions.diff.rows import Comparison, Found, PromptRow, Version
from promptstudio.versions.diff.verdict import UNCHANGED, verdict_of
from promptstudio.versions.gitfiles import GitFiles
from promptstudio.versions.lock import Lock, read_lock
from promptstudio.versions.moments import Moment, below_top
from promptstudio.versions.repo import Repository, check_revision
from promptstudio.versions.snapshots import Snapshots
from promptstudio.versions.staged import staged_tree

if TYPE_CHECKING:
    from promptstudio.prompts.load import Address

WORKING_TREE, INDEX = "working tree", "index"
LABEL_PREFIX = "label:"
_EMPTY_TREES = (
    "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a comparison is made: the prompts of a repository as seen from a folder."""

    snapshots: Snapshots
    cwd: Path

    @property
    def repository(self) -> Repository:
        return self.snapshots.repository


def collect(question: Question, ground: Ground, *, staged: bool = False) -> Comparison:
    """Find what is asked for. Raises UsageError and NotFoundError for what is not there."""
    if question.pair is not None:
        return _pair(*question.pair, ground)
    # A lock file that cannot be read is in the way only of who names a revision: it may be a label.
    lock = read_lock(ground.snapshots.settings.root) if question.old or question.new else Lock()
    prompts = [_address(word) for word in question.prompts]
    old = _old_version(question, ground, lock, prompts)
    if staged:
        new = Version(INDEX, staged_tree(ground.repository))
    else:
        new = _version(question.new, ground, lock, prompts) if question.new is not None else Version(WORKING_TREE)
    if question.from_fork:
        old = _fork(old, new, ground.repository)
    if old.label or new.label:
        return _by_label(old, new, ground, lock, prompts)
    return _by_commit(old, new, ground, prompts)


def _address(word: str) -> Address:
    from promptstudio.prompts.load import parse_address  # weight: a comparison of all prompts needs no loader

    return parse_address(word)


def _file_of(address: Address, moment: Moment, ground: Ground) -> Path:
    from promptstudio.prompts.load import find_file  # weight, as above

    return find_file(address, moment.settings, ground.cwd, moment.files)


def _commit_of(address: Address, ground: Ground) -> str:
    from promptstudio.versions.revisions import revision_of  # weight, as above

    return revision_of(address, ground.snapshots.settings, ground.cwd, ground.repository).commit or ""


def _at_revision(address: Address, ground: Ground) -> tuple[Moment, Path]:
    """Return the moment an address names and its file there: that of a label may have had another name."""
    from promptstudio.versions.revisions import path_of_label, revision_of  # weight, as above

    settings = ground.snapshots.settings
    revision = revision_of(address, settings, ground.cwd, ground.repository)
    moment = ground.snapshots.at(revision.commit or "")
    path = path_of_label(revision, address, settings, ground.cwd)
    return moment, path or _file_of(address, moment, ground)


# -- sides ------------------------------------------------------------------------------------------------------------


def is_revision(word: str, ground: Ground) -> bool:
    """Say whether a word names a commit, or a label of any prompt."""
    if word.startswith("-") or word != word.strip() or any(ord(letter) < 32 for letter in word):
        return False
    if word.startswith(LABEL_PREFIX) or word in all_labels(read_lock(ground.snapshots.settings.root)):
        return True
    return ground.repository.ids([f"{word}^{{commit}}"])[0] is not None


def all_labels(lock: Lock) -> set[str]:
    return {label for stanza in lock.prompts.values() for label in stanza.labels}


def is_prompt(word: str, ground: Ground) -> bool:
    """Say whether a word names a prompt of now, a file, or a folder. Of HEAD only files that bear the name count."""
    from promptstudio.prompts.library import SUFFIXES, prompt_names  # weight: only a bare word needs them

    if len(word) >= 40 and all(letter in "0123456789abcdef" for letter in word):
        return False
    settings = ground.snapshots.settings
    moments = [ground.snapshots.now()]
    head = ground.repository.head()
    moments += [ground.snapshots.at(head)] if head else []
    places = [ground.cwd / word, *(settings.prompts_dir / (word + end) for end in SUFFIXES if settings.prompts_dir)]
    if any(moment.files.is_file(place) for moment in moments for place in places):
        return True
    return (ground.cwd / word).is_dir() or word in prompt_names(settings)


def _old_version(question: Question, ground: Ground, lock: Lock, prompts: Sequence[Address]) -> Version:
    if question.old is not None:
        return _version(question.old, ground, lock, prompts)
    head = ground.repository.head()
    if head is None:
        return Version("nothing committed yet", _EMPTY_TREES[ground.repository.is_sha256])
    return Version("HEAD", head)


def _version(word: str, ground: Ground, lock: Lock, prompts: Sequence[Address]) -> Version:
    """Return what a revision means: a commit, or a label where the lock file has it."""
    check_revision(word)
    known = all_labels(lock)
    label = word.removeprefix(LABEL_PREFIX)
    if word.startswith(LABEL_PREFIX) and label not in known:
        raise NotFoundError(f"no prompt has the label {shown(label)}", hint=suggestion(label, sorted(known)))
    commit = None if word.startswith(LABEL_PREFIX) else ground.repository.ids([f"{word}^{{commit}}"])[0]
    if label in known and commit is not None:
        hint = f"write {LABEL_PREFIX}{word}, or refs/heads/{word} or refs/tags/{word}"
        raise UsageError(f"{shown(word)} is a label and a revision of git", hint=hint)
    if label in known:
        return Version(word, label=label)
    if commit is None and len(prompts) == 1:
        asked = replace(prompts[0], variant=None, revision=word)
        return Version(word, _commit_of(asked, ground))
    return Version(word, ground.repository.commit_of(word))


def _fork(old: Version, new: Version, repository: Repository) -> Version:
    head = new.commit or repository.head()
    if old.label or new.label or old.commit is None or head is None:
        raise UsageError("`...` is for two commits, and a label is one for each prompt", hint="write `..`")
    try:
        found = repository.read("merge-base", old.commit, head).decode().strip()
    except ToolError as cause:
        hint = repository.lost_hint() if repository.is_shallow else "write `..` to compare them as they are"
        raise NotFoundError(f"{old.shown} and {new.shown} have no commit in common", hint=hint) from cause
    return Version(f"{old.shown}...{new.shown}", found)


# -- all prompts ------------------------------------------------------------------------------------------------------


def _by_commit(old: Version, new: Version, ground: Ground, prompts: Sequence[Address]) -> Comparison:
    snapshots = ground.snapshots
    before, after = (snapshots.at(side.commit) if side.commit else snapshots.now() for side in (old, new))
    if new.shown == INDEX and isinstance(after.files, GitFiles):
        after.files.prefix = ""  # people know these files by their names, not by the id of a tree
    pairs = paired_paths(snapshots, before, after)
    if not prompts:
        found = (_row(_found(one, before, ground), _found(other, after, ground)) for one, other in pairs)
        differing = [row for row in found if row.status != "same"]
        return Comparison(old, new, tuple(sorted(differing, key=_weight)))
    rows: list[PromptRow] = []
    for address in prompts:
        rows += _asked_rows(address, pairs, before, after, ground)
    return Comparison(old, new, tuple(rows), is_asked=True)


def _asked_rows(
    address: Address, pairs: Sequence[tuple[str | None, str | None]], before: Moment, after: Moment, ground: Ground
) -> Iterator[PromptRow]:
    names = set(_paths(address, ground, after)) or set(_paths(address, ground, before))
    if not names:
        raise _unknown(address, after, ground)
    if len(names) > 1:
        names |= set(_paths(address, ground, before))  # a folder may have lost some
    wanted = [(one, other) for one, other in pairs if one in names or other in names]
    touched = {name for pair in wanted for name in pair}
    wanted += [(name, name) for name in sorted(names - touched)]
    for one, other in wanted:
        row = _row(_found(one, before, ground), _found(other, after, ground), address.variant)
        if len(names) == 1 or row.status != "same":
            yield row


def _unknown(address: Address, moment: Moment, ground: Ground) -> UserError:
    """Say that a word names nothing, and what is near: it may have been meant as a revision."""
    try:
        _file_of(address, moment, ground)
    except UserError as cause:
        close = nearest(address.target, ground.repository.ref_names())
        is_near = "did you mean" in (cause.hint or "")
        if not isinstance(cause, NotFoundError):
            return cause
        hint = f"did you mean the revision {close!r}?" if close and not is_near else cause.hint
        return NotFoundError(f"there is no prompt and no revision {shown(address.target)}", hint=hint)
    return NotFoundError(f"there is no prompt {shown(address.target)} in either version")


def _paths(address: Address, ground: Ground, moment: Moment) -> list[str]:
    """Return the files below the top that an address means at a moment: one, all of a folder, or none."""
    folder = _folder(address, ground, moment)
    if folder is not None:
        from promptstudio.versions.snapshots import prompts_at  # only a folder needs the whole list

        listed = prompts_at(moment, ground.repository)
        inside = below_top(folder, ground.repository)
        return [name for name in listed if inside in ("", None) or name.startswith(f"{inside}/")]
    try:
        path = _file_of(address, moment, ground)
    except UserError:
        return []
    name = below_top(path, ground.repository)
    return [name] if name is not None and moment.files.is_file(path) else []


def _folder(address: Address, ground: Ground, moment: Moment) -> Path | None:
    """Return the folder an address means: from here, or below the prompts folder as names are."""
    if address.kind == "stdin" or address.variant is not None:
        return None
    bases = (ground.cwd, moment.settings.prompts_dir)
    places = [Path(os.path.normpath(base / Path(address.target).expanduser())) for base in bases if base is not None]
    return next((place for place in places if moment.files.is_dir(place)), None)


def _found(name: str | None, moment: Moment, ground: Ground) -> Found:
    if name is None or not moment.files.is_file(ground.repository.top / name):
        return Found(None, moment)
    return Found(name, moment, ground.snapshots.of(moment, ground.repository.top / name))


def _row(old: Found, new: Found, variant: str | None = None) -> PromptRow:
    if variant is not None:
        old, new = _variant_of(old, variant), _variant_of(new, variant)
    if old.problem or new.problem:
        return PromptRow(old, new, None, variant)
    return PromptRow(old, new, verdict_of(old.snapshot, new.snapshot), variant)


def _variant_of(found: Found, variant: str) -> Found:
    snapshot = found.snapshot
    if snapshot is None:
        return found
    return replace(found, content=snapshot.variants.get(variant), variant=variant)


def _weight(row: PromptRow) -> tuple[int, str]:
    return (-(row.level if row.level is not None else 4), row.name)


# -- labels -----------------------------------------------------------------------------------------------------------


def _by_label(old: Version, new: Version, ground: Ground, lock: Lock, prompts: Sequence[Address]) -> Comparison:
    """Compare each prompt that has the label, with the commit its label names."""
    asked = {path for address in prompts for path in _paths(address, ground, ground.snapshots.now())}
    targets = {address.target for address in prompts}
    rows: list[PromptRow] = []
    left_out: list[str] = []
    for name, stanza in sorted(lock.prompts.items()):
        if targets and name not in targets and stanza.file not in asked:
            continue
        labels = [side.label for side in (old, new) if side.label]
        if all(label in stanza.labels for label in labels):
            row = _row(_labeled(name, old, ground), _labeled(name, new, ground))
            rows += [row] if row.status != "same" or prompts else []
        else:
            left_out.append(name)
    if targets and not rows:
        named = " or ".join(label for label in (old.label, new.label) if label)
        raise NotFoundError(f"{', '.join(sorted(targets))} has no label {named}", hint="`ps label list` shows them")
    return Comparison(old, new, tuple(sorted(rows, key=_weight)), is_asked=bool(prompts), left_out=tuple(left_out))


def _labeled(name: str, side: Version, ground: Ground) -> Found:
    address = _address(name)
    try:
        if side.label is not None:
            moment, path = _at_revision(replace(address, revision=f"{LABEL_PREFIX}{side.label}"), ground)
        else:
            moment = ground.snapshots.at(side.commit) if side.commit else ground.snapshots.now()
            path = _file_of(address, moment, ground)
    except UserError as error:
        return Found(content=error.problems[0])
    return _found(below_top(path, ground.repository), moment, ground)


# -- two addresses ----------------------------------------------------------------------------------------------------


def _pair(first: str, second: str, ground: Ground) -> Comparison:
    one, other = (_addressed(word, ground) for word in (first, second))
    if any(_address(word).variant for word in (first, second)):
        one, other = _without_variants(one), _without_variants(other)
    if one.problem or other.problem:
        row = PromptRow(one, other, None)
    else:
        row = PromptRow(one, other, verdict_of(one.snapshot, other.snapshot) if one.content else UNCHANGED)
    return Comparison(Version(first), Version(second), (row,), is_asked=True)


def _addressed(word: str, ground: Ground) -> Found:
    address = _address(word)
    if address.kind == "stdin":
        raise UsageError("standard input is no version of a prompt", hint="name two prompts, or one and a revision")
    if address.revision is not None:
        moment, path = _at_revision(address, ground)
    else:
        moment = ground.snapshots.now()
        path = _file_of(address, moment, ground)
    found = Found(below_top(path, ground.repository) or str(path), moment, ground.snapshots.of(moment, path))
    snapshot = found.snapshot
    if address.variant is None or snapshot is None:
        return found
    if address.variant not in snapshot.variants:
        hint = suggestion(address.variant, snapshot.variants) if snapshot.variants else "it has no variants"
        raise NotFoundError(f"{address.target} has no variant {shown(address.variant)}", hint=hint)
    return replace(found, content=snapshot.variants[address.variant], variant=address.variant)


def _without_variants(found: Found) -> Found:
    """A variant has none: beside one, those of a prompt are no difference."""
    return replace(found, content=replace(found.snapshot, variants={})) if found.snapshot else found
