"""The stored runs of a suite → how its figures went over the commits, and where they changed for sure.

Only whole runs count: a selection of cases, or a run that was stopped, says nothing of the suite. Of runs that asked
the same of the same prompts at the same commit the newest stands for all. A point is compared with the one before on
the cases that both have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from promptstudio.errors import NotFoundError
from promptstudio.evals.paired import compare_series
from promptstudio.evals.records import RunRecord
from promptstudio.evals.series import PASSED, Series, series_of, whole_of
from promptstudio.evals.statistics.figures import share
from promptstudio.evals.store import EvalStore
from promptstudio.prompts.wording import nearest, shown

Change = Literal["improved", "regressed"]
Figure = Mapping[str, Any]
MAX_RUNS = 10_000
_LEVELS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One run. `pass_rate` and `metrics` have estimate, lower and upper, None where not known; costs are of all cases.

    `change` says that the figure asked for is surely another than at the point before; `note` why it was not compared.
    """

    run: RunRecord
    pass_rate: Figure
    metrics: Mapping[str, Figure]
    cost_usd: float | None
    latency_ms: float | None
    change: Change | None = None
    note: str | None = None

    @property
    def at(self) -> datetime:
        return self.run.created_at

    def figure(self, metric: str | None) -> Figure | None:
        """Return the pass rate, or a metric; None where the run has no such metric."""
        return self.pass_rate if metric is None else self.metrics.get(metric)


def trend_of(store: EvalStore, suite: str, *, last: int = 20) -> list[TrendPoint]:
    """Return the newest points of a suite, oldest first. Raises NotFoundError where there is none."""
    runs = store.runs(suite=suite, limit=MAX_RUNS)
    if not runs:
        known = sorted({run.suite for run in store.runs(limit=MAX_RUNS)})
        close = nearest(suite, known)
        hint = f"did you mean {close!r}?" if close else "`ps runs list` shows what there is"
        raise NotFoundError(f"there is no run of a suite {shown(suite)}", hint=hint)
    return points_of(runs, last=last)


def points_of(runs: Sequence[RunRecord], *, last: int) -> list[TrendPoint]:
    """Return the points of runs that come newest first; the points come oldest first."""
    seen: set[tuple[object, ...]] = set()
    found: list[TrendPoint] = []
    for run in runs:
        mark = (run.commit, run.dirty, tuple(sorted(run.prompts.items())), run.models, run.suite_digest)
        if not _is_whole(run) or mark in seen:
            continue
        seen.add(mark)
        found.append(_point(run))
        if len(found) == last:
            break
    return found[::-1]


def _is_whole(run: RunRecord) -> bool:
    """Whether a run says how the suite is: not some cases, not half of them, and no comparison of several sides."""
    is_whole = run.status == "finished" and not run.options.get("selection") and "ab" not in run.totals
    return is_whole and _judged(run) > 0


def _judged(run: RunRecord) -> int:
    return sum(int(run.totals.get(outcome, 0)) for outcome in ("pass", "fail", "error", "unscored"))


def _point(run: RunRecord) -> TrendPoint:
    totals = run.totals
    figures = totals.get("figures") or {}
    means: Mapping[str, float | None] = totals.get("metrics") or {}
    metrics = {name: {"estimate": mean, "lower": None, "upper": None} for name, mean in means.items()}
    return TrendPoint(
        run,
        figures.get("pass_rate") or _share(int(totals.get("pass", 0)), _judged(run)),
        {**metrics, **(figures.get("metrics") or {})},
        None if totals.get("unpriced") else float(totals.get("cost_usd") or 0) + float(totals.get("saved_usd") or 0),
        (totals.get("latency_ms") or {}).get("p50"),
    )


def _share(passed: int, judged: int) -> Figure:
    found = share(passed, judged)
    return {"estimate": found.estimate, "lower": found.interval.lower, "upper": found.interval.upper}


def with_changes(store: EvalStore, points: Sequence[TrendPoint], metric: str | None = None) -> list[TrendPoint]:
    """Say of each point whether the pass rate, or a metric, is surely another than at the one before. Imports scipy."""
    found: list[TrendPoint] = []
    before: Series | None = None
    for point in points:
        now = whole_of(series_of(store.results(point.run)))
        found.append(point if before is None else _compared(point, before, now, metric))
        before = now
    return found


def _compared(point: TrendPoint, before: Series, now: Series, metric: str | None) -> TrendPoint:
    paired = compare_series(before, now, metrics=[metric] if metric is not None else [], settled=False)
    name = metric or PASSED
    if name in paired.refused:
        return replace(point, note=paired.refused[name])
    verdict = paired.comparisons[name].verdict
    changed: Change | None = verdict if verdict in ("improved", "regressed") else None
    return replace(point, change=changed)


def sparkline(values: Sequence[float | None]) -> str:
    """Draw values as one line of bars, a blank for none; equal values are drawn in the middle."""
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    width = high - low

    def bar(value: float | None) -> str:
        if value is None:
            return " "
        return _LEVELS[round((value - low) / width * (len(_LEVELS) - 1))] if width else _LEVELS[3]

    return "".join(map(bar, values))


def point_data(point: TrendPoint) -> dict[str, Any]:
    """Return a point as plain data."""
    run = point.run
    return {
        "run": run.id,
        "commit": run.commit,
        "dirty": run.dirty,
        "at": run.created_at.isoformat(),
        "prompts": dict(run.prompts),
        "models": list(run.models),
        "pass_rate": dict(point.pass_rate),
        "metrics": {name: dict(figure) for name, figure in point.metrics.items()},
        "cost_usd": point.cost_usd,
        "latency_p50_ms": point.latency_ms,
        "change": point.change,
        "note": point.note,
    }
