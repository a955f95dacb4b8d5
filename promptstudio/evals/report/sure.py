"""A run → how sure its figures are, and who judged, as texts for people. Not yet safe.

The record of an older run has no intervals: then there is nothing here, and the reports are as they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from promptstudio.evals.calibrations import agreement_text
from promptstudio.evals.report.against import value_text
from promptstudio.evals.report.schema import RunReport
from promptstudio.evals.report.texts import percent
from promptstudio.evals.series import PASSED

MAX_TARGETS = 50


@dataclass(frozen=True, slots=True)
class Sure:
    """A figure with its interval. `target` is empty for the run as a whole; `cases` is over how many it goes."""

    target: str
    name: str
    value: str
    interval: str
    cases: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """How one target did over repeats: each a name, such as `pass^3`, with its value."""

    target: str
    figures: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """Who made the scores of a metric. `agreement` is how far the judge agrees with people, empty where none judged."""

    metric: str
    engine: str
    judge: str
    settings: str
    agreement: str


def sure_figures(totals: Mapping[str, Any]) -> tuple[Sure, ...]:
    """Return the figures of the run as a whole, and then of each target where there are several."""
    return tuple(row for target, one in _figures_of(totals) for row in _rows(target, one))


def confidence_of(totals: Mapping[str, Any]) -> str:
    """Return the confidence of the intervals: `95%`."""
    return f"{((totals.get('figures') or {}).get('pass_rate') or {}).get('confidence') or 0.95:.0%}"


def _figures_of(totals: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    found = totals.get("figures")
    if not isinstance(found, Mapping):
        return
    yield "", found
    for one in (found.get("targets") or ())[:MAX_TARGETS]:
        yield f"{one.get('prompt')} · {one.get('model')}", one


def _rows(target: str, found: Mapping[str, Any]) -> Iterator[Sure]:
    named = {PASSED: found.get("pass_rate"), **(found.get("metrics") or {})}
    for name, figure in named.items():
        if not isinstance(figure, Mapping):
            continue
        bounds = [figure.get(bound) for bound in ("lower", "upper")]
        interval = "not known" if None in bounds else " to ".join(value_text(name, bound) for bound in bounds)
        count = figure.get("n")
        cases = "–" if count is None else f"{count:,}"
        if figure.get("clusters") is not None:
            cases += f" in {figure['clusters']:,} clusters"
        yield Sure(target, name, value_text(name, figure.get("estimate")), interval, cases)


def repeated_figures(totals: Mapping[str, Any]) -> tuple[Repeated, ...]:
    """Return flake rate, pass@k and pass^k where cases were asked more than once."""
    found = []
    for target, one in _figures_of(totals):
        if one.get("flake_rate") is None:
            continue
        figures = [("flake rate", percent(one["flake_rate"]))]
        for key, name in (("pass_at", "pass@"), ("pass_hat", "pass^")):
            figures += [(f"{name}{k}", percent(rate)) for k, rate in (one.get(key) or {}).items() if k != "1"]
        found.append(Repeated(target, tuple(figures)))
    return tuple(found)


def judged_by(report: RunReport) -> tuple[Judged, ...]:
    """Return who judged: what the run noted of its judges, and the engines that made scores."""
    rows = {(row["metric"], row["judge"], row["settings_hash"]): row for row in report.run.totals.get("judges") or ()}
    found = []
    for metric, maker in report.figures.makers:
        row = rows.pop((metric, maker.judge, maker.settings), None)
        engine = " ".join(filter(None, (maker.engine, maker.version)))
        agreement = agreement_text(row) if row is not None else ""
        found.append(Judged(metric, engine, maker.judge or "", maker.settings or "", agreement))
    silent = (
        Judged(row["metric"], "", row["judge"], row["settings_hash"] or "", agreement_text(row))
        for row in rows.values()
    )
    return (*found, *silent)
