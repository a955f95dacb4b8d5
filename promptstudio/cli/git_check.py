"""The pre-commit check: what is staged of prompts, what it means, and whether it may be committed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from promptstudio.cli.context import Context
from promptstudio.cli.known_evidence import known_evidence
from promptstudio.errors import Problem
from promptstudio.prompts.lint import lint_file
from promptstudio.versions.check import CheckReport, check_changes
from promptstudio.versions.diff.ask import Question
from promptstudio.versions.diff.collect import Ground, collect
from promptstudio.versions.diff.rows import Comparison, PromptRow
from promptstudio.versions.lock import lock_at
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots

_ALWAYS = frozenset({"does-not-load", "major-not-raised"})


def check_staged(context: Context, *, strict: bool) -> int:
    """Print the verdicts and what stands against the commit; return 1 where something does."""
    settings = context.project_settings()
    with (
        open_repository(settings.root or Path.cwd()) as repository,
        Snapshots(repository, settings) as snapshots,
    ):
        ground = Ground(snapshots, Path.cwd())
        found = collect(Question(), ground, staged=True)
        if not found.rows:
            return 0
        report = _report(found, ground)
        faults = [*_lint_problems(found, ground)]
    for row in found.rows:
        context.output.note(f"{row.level.name if row.level is not None else 'ERROR':<6} {row.name}: {_why(row)}")
    faults += [one.problem for one in report.findings if one.level == "error" and (strict or one.rule in _ALWAYS)]
    warned = [one.problem for one in report.findings if one.problem not in faults]
    for problem in faults:
        context.output.labeled("error", str(problem), "red")
        if problem.hint:
            context.output.labeled("hint", problem.hint, "green")
    for problem in warned:
        context.output.labeled("warning", str(problem), "yellow")
    if faults:
        context.output.note("the commit was stopped; `git commit --no-verify` makes it all the same")
    return 1 if faults else 0


def _why(row: PromptRow) -> str:
    reasons = row.verdict.reasons if row.verdict else ()
    said = [f"{one.place}: {one.text}" for one in reasons[:2]]
    more = f" and {len(reasons) - 2} more" if len(reasons) > 2 else ""
    return "; ".join(said) + more or row.status


def _report(found: Comparison, ground: Ground) -> CheckReport:
    snapshots, repository = ground.snapshots, ground.repository
    head, tree = repository.head(), found.new.commit or ""
    settings = snapshots.settings
    lock = lock_at(repository, tree, settings)
    old = snapshots.at(head) if head is not None else None
    return check_changes(
        snapshots, old, snapshots.at(tree), lambda _, behavior: known_evidence(lock, settings, [behavior])[behavior]
    )


def _lint_problems(found: Comparison, ground: Ground) -> Iterator[Problem]:
    """Yield the errors lint finds in files that lie in the working tree as they are staged."""
    now = ground.snapshots.now()
    for row in found.rows:
        path, moment = row.new.path, row.new.moment
        if path is None or moment is None or now.files.oid_at(path) != moment.files.oid_at(path):
            continue
        for finding in lint_file(ground.repository.top / path, ground.snapshots.settings):
            if finding.level == "error" and row.new.problem is None:
                yield finding.problem
