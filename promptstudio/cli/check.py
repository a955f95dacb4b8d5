"""`ps check`: what changed since a revision, and whether it may go in. For pre-commit and CI."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

import typer

from promptstudio.cli.context import Context, root_of
from promptstudio.cli.known_evidence import known_evidence
from promptstudio.config import Settings
from promptstudio.errors import Problem
from promptstudio.prompts.wording import shown
from promptstudio.versions.check import CheckFinding, CheckReport, KnownEvidence, check_changes, merge_base
from promptstudio.versions.lock import Evidence, Lock, lock_at, read_lock
from promptstudio.versions.moments import Moment
from promptstudio.versions.repo import Repository, open_repository
from promptstudio.versions.snapshots import Snapshots
from promptstudio.versions.staged import staged_tree


def check(
    ctx: typer.Context,
    *,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="REV", help="Compare with where this branch left REV; default: with HEAD."),
    ] = None,
    staged: Annotated[
        bool, typer.Option("--staged", help="Look at what is staged, not at the working tree: for pre-commit.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Fail when prompts changed in a way that nobody answered for.

    Errors, with exit code 1: a prompt does not load, its behavior changed and there is no passing evaluation of what it
    is now, or a MAJOR change did not raise the first number of its version. Warnings: a MINOR or PATCH change that did
    not raise the version, a new prompt that was not evaluated.
    """
    context: Context = ctx.obj
    settings = context.project_settings()
    with open_repository(root_of(settings)) as repository, Snapshots(repository, settings) as snapshots:
        old = _old(since, repository, snapshots)
        new, lock = _new(repository, snapshots, settings, staged=staged)
        report = check_changes(snapshots, old, new, _lookup(lock, settings), strict=strict)
    if staged:
        report = _plainly_named(report, new.files.prefix)
    failed = any(finding.level == "error" for finding in report.findings)
    if as_json:
        context.output.json(_object(report, failed=failed))
    else:
        for line in _lines(report):
            context.output.line(line)
        context.output.flush()  # in a log both streams are one
        context.output.note(_summary(report, since))
    return 1 if failed else 0


def _old(since: str | None, repository: Repository, snapshots: Snapshots) -> Moment | None:
    if since is not None:
        return snapshots.at(merge_base(repository, since))
    head = repository.head()
    return snapshots.at(head) if head is not None else None


def _new(repository: Repository, snapshots: Snapshots, settings: Settings, *, staged: bool) -> tuple[Moment, Lock]:
    if not staged:
        return snapshots.now(), read_lock(settings.root)
    tree = staged_tree(repository)
    return snapshots.at(tree), lock_at(repository, tree, settings)


def _plainly_named(report: CheckReport, prefix: str) -> CheckReport:
    """Return the report with files as people know them, without the id of the tree they are staged in."""
    findings = (
        replace(finding, problem=_problem_in(finding.problem, (finding.problem.file or "").removeprefix(prefix)))
        for finding in report.findings
    )
    return replace(report, findings=tuple(findings))


def _problem_in(problem: Problem, file: str) -> Problem:
    return Problem(problem.message, file=file or None, line=problem.line, column=problem.column, hint=problem.hint)


def _lookup(lock: Lock, settings: Settings) -> KnownEvidence:
    def evidence(_prompt: str, behavior: str) -> tuple[Evidence, ...]:
        return known_evidence(lock, settings, [behavior])[behavior]

    return evidence


def _lines(report: CheckReport) -> Iterator[str]:
    for finding in report.findings:
        problem = finding.problem
        yield f"{problem.place or '-'}: {finding.level}: {problem.message} ({finding.rule})"
        if problem.hint:
            yield f"    hint: {problem.hint}"


def _summary(report: CheckReport, since: str | None) -> str:
    than = f"where this branch left {shown(since)} ({(report.since or '')[:12]})" if since else "the last commit"
    than = than if report.since else "the beginning"
    if not report.changed:
        return f"no prompt changed since {than}"
    number = len(report.changed)
    said = f"{number} prompt{'' if number == 1 else 's'} changed since {than}"
    levels = [finding.level for finding in report.findings]
    if not levels:
        return f"{said}; nothing to complain about"
    counts = [(levels.count(level), level) for level in ("error", "warning") if level in levels]
    return f"{said}: {', '.join(f'{count} {level}' + ('s' if count > 1 else '') for count, level in counts)}"


def _object(report: CheckReport, *, failed: bool) -> dict[str, Any]:
    return {
        "ok": not failed,
        "since": report.since,
        "changed": list(report.changed),
        "findings": [_finding(finding) for finding in report.findings],
    }


def _finding(finding: CheckFinding) -> dict[str, Any]:
    problem, verdict = finding.problem, finding.verdict
    return {
        "level": finding.level,
        "rule": finding.rule,
        "prompt": finding.prompt,
        "message": problem.message,
        "hint": problem.hint,
        "file": problem.file,
        "line": problem.line,
        "verdict": verdict.level.name if verdict else None,
        "reasons": [
            {"rule": each.rule, "level": each.level.name, "where": each.place, "text": each.text}
            for each in (verdict.reasons if verdict else ())
        ],
    }
