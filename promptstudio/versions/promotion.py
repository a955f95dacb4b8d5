"""A prompt, a label and a revision → what moving the label means: the content it gets, and how that differs."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from promptstudio.config import Settings
from promptstudio.errors import CheckFailed, NotFoundError, Problem, UsageError, UserError
from promptstudio.prompts.address import Address, find_file
from promptstudio.prompts.lint import lint_file
from promptstudio.prompts.snapshot import Snapshot
from promptstudio.versions.diff.schema import Verdict
from promptstudio.versions.diff.verdict import verdict_of
from promptstudio.versions.labels import (
    Who,
    check_label_name,
    completed,
    is_same_content,
    label_at,
    label_of,
    prompt_files,
    with_label,
)
from promptstudio.versions.moments import below_top
from promptstudio.versions.repo import Repository
from promptstudio.versions.revisions import revision_of
from promptstudio.versions.snapshots import Snapshots
from promptstudio.versions.stanza import Evidence, Label, Lock, Stanza

HEAD = "HEAD"


@dataclass(frozen=True, slots=True)
class Move:
    """One label of one prompt going somewhere. `old` is None for a new label.

    `verdict` is the change from what the label had; None where that cannot be read any more, and `note` says so.
    `is_needed` is False where the label has that very content already.
    """

    prompt: str
    label: str
    asked: str
    old: Label | None
    new: Label
    verdict: Verdict | None
    note: str | None
    is_needed: bool


def plan_move(
    snapshots: Snapshots, lock: Lock, prompt: str, label: str, asked: str, who: Who, *, to: Label | None = None
) -> Move:
    """Work out a move without making it: to what `asked` means (HEAD, a label, a revision), or back to a label `to`.

    Raises UsageError, NotFoundError or PromptFileError where there is nothing to point at.
    """
    check_label_name(label)
    repository = snapshots.repository
    root = snapshots.settings.root or repository.top
    commit, source = _source(snapshots, lock, prompt, label, asked, to)
    moment = snapshots.at(commit)
    path = root / source.file if source else find_file(Address("name", prompt), moment.settings, root, moment.files)
    new = label_at(snapshots, moment, path, who)
    old = lock.label(prompt, label)
    verdict, note = _verdict(snapshots, old, snapshots.of(moment, path))
    return Move(prompt, label, asked, old, new, verdict, note, old is None or not is_same_content(old, new))


def _source(
    snapshots: Snapshots, lock: Lock, prompt: str, label: str, asked: str, to: Label | None
) -> tuple[str, Label | None]:
    """Return the commit to point at, and the label that points there already, where one was asked for."""
    repository, settings = snapshots.repository, snapshots.settings
    if to is not None:
        if repository.ids([f"{to.commit}^{{commit}}"])[0] is None:
            message = f"{label} of {prompt} pointed at the commit {to.commit[:12]}, which is not in this repository"
            raise NotFoundError(message, hint=repository.lost_hint())
        return to.commit, to
    if asked == HEAD:
        return head_of(repository), None
    root = settings.root or repository.top
    revision = revision_of(Address("name", prompt, None, asked), settings, root, repository)
    return revision.commit or "", label_of(lock, prompt, revision.label) if revision.label else None


@functools.lru_cache(maxsize=1)
def head_of(repository: Repository) -> str:
    """Return the commit that is checked out; asked once for all prompts. Raises UsageError before the first one."""
    head = repository.head()
    if head is None:
        raise UsageError("nothing is committed yet: a label points at a commit", hint="commit the prompt first")
    return head


def _verdict(snapshots: Snapshots, old: Label | None, new: Snapshot | Problem) -> tuple[Verdict | None, str | None]:
    if old is None or isinstance(new, Problem):
        return None, None
    root = snapshots.settings.root or snapshots.repository.top
    try:
        before = snapshots.of(snapshots.at(old.commit), root / old.file)
    except UserError as cause:  # the commit is gone, or what it needs is
        return None, f"what it pointed at cannot be compared: {cause.problems[0].message}"
    if isinstance(before, Problem):
        return None, f"what it pointed at cannot be compared: {before.message}"
    return verdict_of(before, new), None


def check_committed(snapshots: Snapshots, prompt: str) -> None:
    """Raise UsageError where a prompt, a file it reads, or the settings it depends on are not as HEAD has them."""
    repository, settings = snapshots.repository, snapshots.settings
    root = settings.root or repository.top
    now, then = snapshots.now(), snapshots.at(head_of(repository))
    path = find_file(Address("name", prompt), settings, root)
    below = below_top(path, repository)
    if below is None:
        raise UsageError(f"{prompt} lies outside the repository", hint="a label points at a commit of this repository")
    names = [below, *snapshots.known(now, path).asked]
    names += snapshots.known(then, path).asked if then.files.is_file(path) else []
    if snapshots.settings_name and snapshots.context(now.settings) != snapshots.context(then.settings):
        names.append(snapshots.settings_name)
    changed = [name for name in dict.fromkeys(names) if now.files.oid_at(name) != then.files.oid_at(name)]
    if changed:
        listed = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        raise UsageError(
            f"{prompt}: not committed as it is now: {listed}",
            hint=f"commit it first, or name the commit that is meant: ps promote {prompt} '{then.commit[:12]}->LABEL'",
        )


def check_lint(settings: Settings, prompt: str) -> None:
    """Raise CheckFailed with what lint calls an error in a prompt of the working tree."""
    path = find_file(Address("name", prompt), settings, settings.root or Path.cwd())
    problems = [finding.problem for finding in lint_file(path, settings) if finding.level == "error"]
    if problems:
        raise CheckFailed(problems)


def moved(
    lock: Lock, moves: Iterable[Move], evidence: Mapping[str, tuple[Evidence, ...]], snapshots: Snapshots
) -> dict[str, Stanza]:
    """Return the stanzas after the moves; `evidence` by behavior is what is known beside the lock file."""
    prompts = completed(lock.prompts, prompt_files(snapshots.settings, snapshots.repository))
    for move in moves:
        stanza = prompts.get(move.prompt) or Stanza(move.prompt, move.new.file)
        kept = stanza.labels.get(move.label)
        label = move.new if move.is_needed or kept is None else kept
        prompts[move.prompt] = with_label(stanza, move.label, label, evidence.get(move.new.behavior, ()))
    return prompts
