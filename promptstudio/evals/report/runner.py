"""Requests and runs → the reports written. One that cannot be written does not keep the others from being."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from promptstudio.errors import Problem, PromptStudioError, UserError
from promptstudio.evals.records import CaseResult, RunRecord
from promptstudio.evals.report.clean import clean_result
from promptstudio.evals.report.figures import figures_of
from promptstudio.evals.report.formats import reporter_for
from promptstudio.evals.report.place import added_text, replaced_file
from promptstudio.evals.report.schema import ReportRequest, RunReport
from promptstudio.evals.store import EvalStore
from promptstudio.evals.trend import TrendPoint, points_of

MAX_RUNS, MAX_POINTS = 500, 40


@dataclass(frozen=True, slots=True)
class StoredResults:
    """The results of a run, read anew from the store each time they are gone through, without secrets."""

    store: EvalStore
    run: RunRecord

    def __iter__(self) -> Iterator[CaseResult]:
        return map(clean_result, self.store.results(self.run))


@dataclass(frozen=True, slots=True)
class StoredTrend:
    """The points of a suite up to a run, oldest first; read where a report shows them."""

    store: EvalStore
    run: RunRecord

    def __iter__(self) -> Iterator[TrendPoint]:
        runs = self.store.runs(suite=self.run.suite, limit=MAX_RUNS)
        return iter(points_of([one for one in runs if one.id <= self.run.id], last=MAX_POINTS))


def report_of(store: EvalStore, run: RunRecord) -> RunReport:
    """Return a run as reporters want it."""
    figures = figures_of(run, store.results(run))
    return RunReport(
        run, StoredResults(store, run), figures, root=store.path.parent.parent, trend=StoredTrend(store, run)
    )


def write_reports(
    requests: Sequence[ReportRequest],
    store: EvalStore,
    run: RunRecord | Sequence[RunRecord],
    *,
    shown: Callable[[str], None],
) -> None:
    """Write every report that was asked for; several runs go into one document.

    `shown` is told each line to print to standard error: annotations, and where the files are. A report that cannot be
    written raises UserError, after the others were.
    """
    if not requests:
        return
    runs = [run] if isinstance(run, RunRecord) else list(run)
    reports = [report_of(store, each) for each in runs]
    problems: list[Problem] = []
    cause: Exception | None = None
    for request in requests:
        try:
            _write(request, reports, shown)
        except Exception as error:  # noqa: BLE001  another package's reporter may raise anything; the others are written
            cause = error
            problems += _problems(request, error)
    if problems:
        raise UserError(problems) from cause


def _write(request: ReportRequest, reports: Sequence[RunReport], shown: Callable[[str], None]) -> None:
    if request.format == "github":
        from promptstudio.evals.report.github import commands  # only where there is somebody to read them

        for line in commands(reports, request.workspace):
            shown(line)
        return
    reporter = reporter_for(request.format)
    if request.path is None:
        raise UserError(f"{request.format}: a report of this format needs a file", hint=f"{request.format}:FILE")
    if request.is_shared:
        added_text(request.path, lambda limit: _summary(reports, limit), request.max_bytes)
    else:
        with replaced_file(request.path) as stream:
            reporter(reports, stream)
    shown(f"{request.format} report: {request.path}")


def _summary(reports: Sequence[RunReport], limit: int | None) -> str:
    from promptstudio.evals.report.markdown import write_within  # only where there is somebody to read it

    stream = io.StringIO()
    write_within(reports, stream, limit)
    return stream.getvalue()


def _problems(request: ReportRequest, error: Exception) -> list[Problem]:
    place = str(request.path) if request.path is not None else request.asked
    if isinstance(error, PromptStudioError):
        return [
            Problem(f"the {request.format} report {place} was not written: {each.message}", hint=each.hint)
            for each in error.problems
        ]
    reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
    hint = "`ps runs export` writes it again, without a new run" if isinstance(error, OSError) else None
    return [Problem(f"the {request.format} report {place} was not written: {reason}", hint=hint)]
