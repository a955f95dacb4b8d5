"""Labels of prompts: where they point, what that content is, and how a stanza changes when one moves.

Nothing here writes a file: the functions return what `promptstudio.lock` should hold.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from promptstudio.config import Settings
from promptstudio.errors import LockFileError, NotFoundError, Problem, PromptFileError, UsageError
from promptstudio.prompts.library import prompt_rows
from promptstudio.prompts.secrets import redact
from promptstudio.prompts.wording import shown, suggestion
from promptstudio.versions.lock import lock_at, read_lock, relative_path, root_prefix
from promptstudio.versions.lock_reading import LABEL, is_label_name
from promptstudio.versions.moments import Moment
from promptstudio.versions.repo import Repository
from promptstudio.versions.snapshots import Known, Snapshots
from promptstudio.versions.stanza import LOCK_NAME, Evidence, Label, Lock, Stanza, evidence_order

MAX_EVALUATIONS = 10
"""Of one behavior the newest are kept."""
MAX_UNLABELED = 20
"""So many behaviors without a label keep their evaluations, those that were evaluated last."""
MAX_REASON = 500  # characters


@dataclass(frozen=True, slots=True)
class Who:
    """Who moves a label, when (`2026-11-21T10:00:00Z`), and why."""

    by: str
    at: str
    reason: str | None = None


def who_now(by: str, reason: str | None = None, now: datetime | None = None) -> Who:
    moment = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    cleaned = redact(" ".join((reason or "").split())) or None
    if cleaned is not None and len(cleaned) > MAX_REASON:
        raise UsageError(f"the reason has {len(cleaned)} characters; the limit is {MAX_REASON}")
    return Who(" ".join(by.split()) or "unknown", moment, cleaned)


def check_label_name(name: str) -> None:
    """Raise UsageError for what cannot be a label, or would mean something else after `@`."""
    if not LABEL.fullmatch(name):
        raise UsageError(
            f"{shown(name)} is not a name of a label",
            hint="letters, digits, `.`, `-` and `_`, at most 60, with a letter or a digit at both ends",
        )
    if not is_label_name(name):
        raise UsageError(f"{shown(name)} cannot be a label: after @ it means a revision", hint="production, staging, …")


def label_at(snapshots: Snapshots, moment: Moment, path: Path, who: Who) -> Label:
    """Return a label for a prompt's file as a commit has it. Raises PromptFileError where it does not load."""
    known = snapshots.known(moment, path)
    if known.problem is not None or known.identity is None:
        raise PromptFileError(known.problem or Problem("the prompt cannot be read", file=str(path)))
    return Label(
        commit=moment.commit,
        file=_below_root(path, snapshots),
        behavior=known.identity.behavior,
        interface=known.identity.interface,
        text=known.identity.text,
        promoted=who.at,
        by=who.by,
        version=known.version,
        reason=who.reason,
        variants=known.variants,
        includes=include_digests([(_below_root(path, snapshots), known)], snapshots)[0],
    )


def _below_root(path: Path, snapshots: Snapshots) -> str:
    root = snapshots.settings.root or snapshots.repository.top
    below = path if path.is_relative_to(root) else Path(os.path.realpath(path.parent)) / path.name
    base = root if path.is_relative_to(root) else Path(os.path.realpath(root))
    if not below.is_relative_to(base):
        raise UsageError(f"{shown(str(path))} lies outside the project", hint="labels are for prompts of the project")
    return below.relative_to(base).as_posix()


def include_digests(prompts: Iterable[tuple[str, Known]], snapshots: Snapshots) -> list[dict[str, str]]:
    """Return, for each prompt, the files it read beside its own with their `sha256:…`.

    A prompt is its path below the project's root, as the paths that come out are, and what is known of it.
    """
    prefix = root_prefix(snapshots.repository, snapshots.settings.root)
    asked = [
        {name: oid for name, oid in known.asked.items() if oid is not None and name != prefix + path}
        for path, known in prompts
    ]
    digests = _digests({oid for each in asked for oid in each.values()}, snapshots.repository)
    return [{name.removeprefix(prefix): digests[oid] for name, oid in sorted(each.items())} for each in asked]


def _digests(oids: set[str], repository: Repository) -> dict[str, str]:
    listed = sorted(oids)
    found = zip(listed, repository.objects(listed), strict=True)
    return {oid: "sha256:" + hashlib.sha256(each.content if each else b"").hexdigest() for oid, each in found}


def is_same_content(one: Label, other: Label) -> bool:
    """Whether two labels stand for one content: nobody would notice a move from one to the other."""
    plain = {"commit": "", "promoted": "", "by": "", "reason": None, "evaluations": ()}
    return replace(one, **plain) == replace(other, **plain)  # type: ignore[arg-type]  # each key has a value of its type


# -- stanzas


def with_label(stanza: Stanza, name: str, label: Label, evidence: Iterable[Evidence] = ()) -> Stanza:
    """Return the stanza with a label moved, and `evidence` of its behavior added."""
    pool = _pool(stanza)
    pool.setdefault(label.behavior, []).extend(evidence)
    return settled(stanza.name, stanza.file, {**stanza.labels, name: label}, pool)


def without_label(stanza: Stanza, name: str) -> Stanza:
    """Return the stanza without a label; what is known of its behavior stays."""
    labels = {each: label for each, label in stanza.labels.items() if each != name}
    return settled(stanza.name, stanza.file, labels, _pool(stanza))


def with_evidence(stanza: Stanza, behavior: str, evidence: Iterable[Evidence]) -> Stanza:
    pool = _pool(stanza)
    pool.setdefault(behavior, []).extend(evidence)
    return settled(stanza.name, stanza.file, stanza.labels, pool)


def _pool(stanza: Stanza) -> dict[str, list[Evidence]]:
    behaviors = {*stanza.evaluations, *(label.behavior for label in stanza.labels.values())}
    return {behavior: list(stanza.evidence(behavior)) for behavior in behaviors}


def settled(name: str, file: str, labels: Mapping[str, Label], pool: Mapping[str, Iterable[Evidence]]) -> Stanza:
    """Return a stanza in which evidence stands with the labels of its behavior, and the rest by itself."""
    kept = {
        behavior: tuple(sorted(dict.fromkeys(evidence), key=evidence_order)[-MAX_EVALUATIONS:])
        for behavior, evidence in pool.items()
    }
    placed = {each: replace(label, evaluations=kept.get(label.behavior, ())) for each, label in labels.items()}
    labeled = {label.behavior for label in labels.values()}
    variants = {behavior for label in labels.values() for behavior in label.variants.values()}
    rest = [behavior for behavior, evidence in kept.items() if evidence and behavior not in labeled]
    by_age = sorted(rest, key=lambda behavior: (behavior in variants, kept[behavior][-1].at, behavior))
    return Stanza(name, file, placed, {behavior: kept[behavior] for behavior in sorted(by_age[-MAX_UNLABELED:])})


def completed(prompts: Mapping[str, Stanza], files: Mapping[str, str]) -> dict[str, Stanza]:
    """Return the stanzas with one for every prompt of the project (name → file), and none for what is gone.

    What is gone but has a label stays: a label is taken away by nobody but a person.
    """
    kept = {name: stanza for name, stanza in prompts.items() if stanza.labels or name in files}
    new = {name: kept.get(name, Stanza(name, file)) for name, file in files.items()}
    return {**kept, **{name: replace(stanza, file=files[name]) for name, stanza in new.items()}}


def prompt_files(settings: Settings, repository: Repository | None) -> dict[str, str]:
    """Return the prompts of the working tree, name → path below the root, without drafts that git does not know."""
    tracked = _tracked(settings, repository) if repository is not None else None
    known = read_lock(settings.root).prompts  # a prompt that `ps new` made has its stanza before git knows the file
    rows = [row for row in prompt_rows(settings) if tracked is None or row.shown_path in tracked or row.name in known]
    return {row.name: row.shown_path for row in reversed(rows)}


def _tracked(settings: Settings, repository: Repository) -> set[str]:
    prefix = root_prefix(repository, settings.root)
    below = ["--", f":(top,literal){prefix}"] if prefix else []
    listed = os.fsdecode(repository.read("ls-files", "-z", *below))
    return {name.removeprefix(prefix) for name in listed.split("\0") if name}


def renamed(prompts: Mapping[str, Stanza], old: str, new: str, file: str) -> dict[str, Stanza]:
    """Return the stanzas after a prompt was renamed: labels go with it."""
    stanza = prompts.get(old)
    rest = {name: each for name, each in prompts.items() if name != old}
    return {**rest, new: replace(stanza, name=new, file=file)} if stanza else rest


def stanza_of(lock: Lock, name: str) -> Stanza:
    """Return the stanza of a prompt. Raises NotFoundError where the lock file has none."""
    if name not in lock.prompts:
        hint = suggestion(name, lock.prompts) if lock.prompts else "`ps promote` makes the file"
        raise NotFoundError(f"{LOCK_NAME} has no prompt {shown(name)}", hint=hint)
    return lock.prompts[name]


def label_of(lock: Lock, name: str, label: str) -> Label:
    """Return a label. Raises NotFoundError where the prompt has none of that name."""
    stanza = stanza_of(lock, name)
    if label not in stanza.labels:
        known = suggestion(label, stanza.labels) if stanza.labels else f"{name} has no labels yet"
        raise NotFoundError(f"{name} has no label {shown(label)}", hint=known)
    return stanza.labels[label]


def label_before(repository: Repository, settings: Settings, name: str, label: str, now: Label) -> Label:
    """Return where a label pointed before, from the history of the lock file. Raises NotFoundError."""
    below = relative_path(repository, settings.root, LOCK_NAME)
    head = repository.head()
    listed = (
        repository.read("log", "--format=%H", "HEAD", "--", f":(top,literal){below}").decode().split() if head else []
    )
    for commit in listed:
        try:
            found = lock_at(repository, commit, settings).label(name, label)
        except LockFileError:  # a merge was committed with its conflicts: what was before it still counts
            continue
        if found is not None and (found.commit, found.behavior) != (now.commit, now.behavior):
            return found
    if repository.is_shallow:
        raise NotFoundError(
            f"where {label} of {name} pointed before is not in this shallow clone",
            hint="`git fetch --unshallow` brings the rest, or say where to: --to REV",
        )
    raise NotFoundError(f"{label} of {name} never pointed anywhere else", hint="say where to: --to REV")
