"""Two moments → what must not be merged as it is: prompts that do not load, changed behavior that nobody evaluated, and
versions that were not raised by as much as the change asks for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from promptstudio.errors import Problem, ToolError, UsageError, UserError
from promptstudio.prompts.snapshot import Snapshot
from promptstudio.prompts.wording import shown
from promptstudio.versions.bump import raised_level
from promptstudio.versions.diff.schema import Level, Reason, Verdict
from promptstudio.versions.diff.verdict import verdict_of
from promptstudio.versions.moments import Moment
from promptstudio.versions.repo import Repository
from promptstudio.versions.snapshots import Change, Snapshots, prompts_at
from promptstudio.versions.stanza import Evidence, is_passing

FindingLevel = Literal["error", "warning"]
KnownEvidence = Callable[[str, str], Iterable[Evidence]]
"""A prompt's name and a behavior hash → the evaluations of it."""

_STEPS = ("patch", "minor", "major")


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """One thing that is wrong. `rule` is a stable name such as `not-evaluated`."""

    level: FindingLevel
    rule: str
    prompt: str
    problem: Problem
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class CheckReport:
    """`changed` are the names of prompts that differ in any way, `since` the commit compared with, None for nothing."""

    since: str | None
    changed: tuple[str, ...]
    findings: tuple[CheckFinding, ...]


def check_changes(
    snapshots: Snapshots, old: Moment | None, new: Moment, known_evidence: KnownEvidence, *, strict: bool = False
) -> CheckReport:
    """Compare two moments; without an old one every prompt is new. With `strict` there are no warnings, only errors."""
    changed: list[str] = []
    findings: list[CheckFinding] = []
    for change in _changes(snapshots, old, new):
        verdict = _verdict(change)
        if verdict is not None and verdict.level == Level.NONE and not _moved_back(change):
            continue
        changed.append(_name(change))
        findings += _findings(change, verdict, new, snapshots, known_evidence)
    if strict:
        findings = [replace(finding, level="error") for finding in findings]
    return CheckReport(old.commit if old else None, tuple(changed), tuple(findings))


def merge_base(repository: Repository, revision: str) -> str:
    """Return the newest commit that HEAD and a revision share. Raises UsageError, NotFoundError or ToolError."""
    commit = repository.commit_of(revision)
    head = repository.commit_of("HEAD")
    try:
        found = repository.read("merge-base", commit, head).decode().split()
    except ToolError:
        found = []  # git says no with an exit code and without a word
    if not found:
        hint = "`git fetch --unshallow` brings the rest" if repository.is_shallow else "name a branch this one began at"
        where = "this shallow clone does not know" if repository.is_shallow else "there is no"
        raise UsageError(f"{where} the commit that {shown(revision)} and HEAD have in common", hint=hint)
    return found[0]


def _changes(snapshots: Snapshots, old: Moment | None, new: Moment) -> Iterator[Change]:
    if old is not None:
        yield from snapshots.changes(old, new)
        return
    for name, path in prompts_at(new, snapshots.repository).items():
        yield Change(None, name, None, snapshots.of(new, path))


def _name(change: Change) -> str:
    side = change.new if isinstance(change.new, Snapshot) else change.old
    return side.name if isinstance(side, Snapshot) else change.new_path or change.old_path or ""


def _verdict(change: Change) -> Verdict | None:
    """Return what changed beside the version number; None where a side does not load."""
    old, new = change.old, change.new
    if isinstance(old, Problem) or isinstance(new, Problem):
        return None
    if old is not None and new is not None:
        return verdict_of(old, replace(new, version=old.version))
    return verdict_of(old, new)


def _moved_back(change: Change) -> bool:
    """Whether only the version changed, to a lower one."""
    old, new = change.old, change.new
    if not isinstance(old, Snapshot) or not isinstance(new, Snapshot) or not old.version or not new.version:
        return False
    return old.version != new.version and _raised(old.version, new.version) is None


def _findings(
    change: Change, verdict: Verdict | None, new: Moment, snapshots: Snapshots, known_evidence: KnownEvidence
) -> Iterator[CheckFinding]:
    if isinstance(change.new, Problem):
        yield CheckFinding("error", "does-not-load", _name(change), change.new)
    elif change.new is not None:
        source = _Source(change.new, change.old, verdict, _text(change, new, snapshots))
        yield from source.evidence_findings(known_evidence)
        yield from source.version_findings()


def _text(change: Change, moment: Moment, snapshots: Snapshots) -> str:
    try:
        return moment.files.text(snapshots.repository.top / (change.new_path or ""), shown="")
    except UserError:
        return ""  # it was read a moment ago; the text serves to tell lines only


@dataclass(frozen=True, slots=True)
class _Source:
    """One prompt that loads now, and what it was."""

    new: Snapshot
    old: Snapshot | Problem | None
    verdict: Verdict | None
    text: str

    def finding(self, level: FindingLevel, rule: str, message: str, where: str, hint: str) -> CheckFinding:
        problem = Problem(message, file=self.new.path, line=_line_of(where, self.text), hint=hint)
        return CheckFinding(level, rule, self.new.name, problem, self.verdict)

    def evidence_findings(self, known_evidence: KnownEvidence) -> Iterator[CheckFinding]:
        for variant, behavior in self.changed_behaviors():
            address = f"{self.new.name}:{variant}" if variant else self.new.name
            evidence = tuple(known_evidence(self.new.name, behavior))
            if is_passing(evidence):
                continue
            is_new = not isinstance(self.old, Snapshot) or (variant is not None and variant not in self.old.variants)
            where = next((reason.where for reason in self.reasons(variant) if reason.level > Level.PATCH), "")
            short = f"{behavior[:15]}…"
            if evidence:
                message = f"the evaluation of {address} as it is now ({short}) did not meet its gate"
                yield self.finding(
                    "error", "gate-missed", message, where, "make it pass, and record the new evaluation"
                )
                continue
            fact = "is new" if is_new else f"changed: {self.summary(variant)}"
            message = f"{address} {fact}; nobody evaluated it as it is now ({short})"
            rule = "new-not-evaluated" if is_new else "not-evaluated"
            hint = f"evaluate it and record that: ps evidence record {address}, or ps evidence add {address} --suite …"
            yield self.finding("warning" if is_new else "error", rule, message, where, hint)

    def changed_behaviors(self) -> Iterator[tuple[str | None, str]]:
        """Yield the behaviors that are new: the prompt's, and those of variants that differ by their own overlay."""
        if not isinstance(self.old, Snapshot):
            yield None, self.new.identity.behavior
            return
        if self.old.identity.behavior != self.new.identity.behavior:
            yield None, self.new.identity.behavior
        for name, variant in self.new.variants.items():
            before = self.old.variants.get(name)
            is_own = before is None or any(reason.level > Level.PATCH for reason in self.reasons(name))
            if is_own and (before is None or before.identity.behavior != variant.identity.behavior):
                yield name, variant.identity.behavior

    def reasons(self, variant: str | None) -> list[Reason]:
        """Return what changed in the prompt itself, or in the overlay of a variant."""
        return [reason for reason in (self.verdict.reasons if self.verdict else ()) if reason.variant == variant]

    def summary(self, variant: str | None) -> str:
        texts = [f"{reason.place}: {reason.text}" for reason in self.reasons(variant) if reason.level > Level.PATCH]
        more = f" and {len(texts) - 2} more" if len(texts) > 2 else ""
        return "; ".join(texts[:2]) + more if texts else "its behavior"

    def version_findings(self) -> Iterator[CheckFinding]:
        old, new = self.old, self.new
        if not isinstance(old, Snapshot) or self.verdict is None:
            return
        hint = f"`ps bump {new.name}` raises it"
        raised = _raised(old.version, new.version)
        if self.verdict.level == Level.NONE:
            if old.version and new.version and raised is None:
                message = f"the version went from {old.version} down to {new.version}"
                yield self.finding("warning", "version-lowered", message, "version", hint)
            return
        needed = self.verdict.level.name.lower()
        if raised is not None and _STEPS.index(raised) >= _STEPS.index(needed):
            return
        if self.verdict.level != Level.MAJOR and not (old.version and new.version):
            return  # who numbers no versions need not begin with a small change
        first = self.verdict.reasons[0]
        was = f"the version is still {new.version}" if old.version == new.version else f"{old.version} → {new.version}"
        number = "there is no version" if not new.version else was
        message = f"{number}, and the change is {self.verdict.level.name}: {first.place}: {first.text}"
        level: FindingLevel = "error" if self.verdict.level == Level.MAJOR else "warning"
        yield self.finding(level, f"{needed}-not-raised", message, "version", hint)


def _raised(old: str | None, new: str | None) -> str | None:
    """Return by how much a version was raised; a first one counts as a whole step."""
    if new is None:
        return None
    if old is None:
        return "major"
    try:
        return raised_level(old, new)
    except UsageError:  # not three numbers: lint says so; another text is all one can ask for
        return "major" if old != new else None


def _line_of(where: str, text: str) -> int:
    """Return the line of the key a reason speaks of (`inputs.ticket`), 1 where it is not written there."""
    key = re.split(r"[.\[]", where, maxsplit=1)[0]
    keys = [key, "prompt"] if key == "messages" else [key]
    for each in keys:
        if each and (found := re.search(rf"^[\"']?{re.escape(each)}[\"']?\s*:", text, re.MULTILINE)):
            return text.count("\n", 0, found.start()) + 1
    return 1
