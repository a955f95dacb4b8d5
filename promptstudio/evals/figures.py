"""A run's figures with their intervals: pass rate, metrics, flakes, pass@k. Plain data, as records and reports keep it.

The pass rate of a run without metrics needs its counts alone; anything else is read back from what was stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from promptstudio.evals.series import By, Series
from promptstudio.evals.statistics.figures import figure, flake_rate, pass_at_k, pass_hat_k, share
from promptstudio.evals.statistics.gates import gate_one
from promptstudio.evals.statistics.schema import Certainty, Figure
from promptstudio.evals.totals import Totals

MAX_K = 5


def quick_figures(totals: Totals) -> dict[str, Any]:
    """Return the pass rate over all cases that were to be judged, from counts alone."""
    return {"pass_rate": figure_data(share(totals.counts["pass"], totals.judged))}


def figures_of(series: Series, confidence: float = 0.95) -> dict[str, Any]:
    """Return the figures of one target: repeats are averaged within the case, clusters widen the intervals."""
    found: dict[str, Any] = {"pass_rate": _figure(_with_missing(series), series.clusters, confidence)}
    if series.metrics:
        found["metrics"] = {name: _figure(by, series.clusters, confidence) for name, by in series.metrics.items()}
    if series.repeats > 1:
        found |= _repeated(series.passed)
    return found


def _with_missing(series: Series) -> By:
    """An error, or what could not be judged, has not passed."""
    cases = dict.fromkeys((*series.passed, *series.unjudged))
    return {case: [*series.passed.get(case, ()), *[0.0] * series.unjudged.get(case, 0)] for case in cases}


def gate_certainty(series: Series, name: str, limit: float, confidence: float = 0.95) -> Certainty:
    """Say whether luck could explain on which side of its limit a figure is: the pass rate, or the mean of a metric."""
    by = _with_missing(series) if name == "pass_rate" else series.metrics.get(name, {})
    values, clusters = _case_values(by, series.clusters)
    at_least = name not in series.lower
    return gate_one(values, limit, clusters=clusters, at_least=at_least, confidence=confidence).certainty


def _figure(by: Mapping[str, Sequence[float]], clusters: Mapping[str, str], confidence: float) -> dict[str, Any]:
    values, named = _case_values(by, clusters)
    return figure_data(figure(values, clusters=named, confidence=confidence))


def _case_values(
    by: Mapping[str, Sequence[float]], clusters: Mapping[str, str]
) -> tuple[list[float], list[str] | None]:
    """Return one value a case, the mean of its repeats, and the clusters where there are any."""
    named = [clusters.get(case, f"\0{case}") for case in by] if clusters else None
    return [fmean(repeats) for repeats in by.values()], named


def _repeated(passed: By) -> dict[str, Any]:
    fewest = min((len(values) for values in passed.values() if len(values) > 1), default=1)
    whole = [(len(values), round(sum(values))) for values in passed.values() if len(values) >= fewest]
    ks = sorted({k for k in (1, 2, 3, MAX_K, fewest) if k <= fewest})
    return {
        "flake_rate": flake_rate(passed),
        "pass_at": {str(k): fmean(pass_at_k(n, c, k) for n, c in whole) for k in ks} if whole else {},
        "pass_hat": {str(k): fmean(pass_hat_k(n, c, k) for n, c in whole) for k in ks} if whole else {},
    }


def figure_data(found: Figure) -> dict[str, Any]:
    """Return a figure as plain data."""
    return {
        "estimate": found.estimate,
        "lower": found.interval.lower,
        "upper": found.interval.upper,
        "confidence": found.interval.confidence,
        "method": found.interval.method,
        "n": found.n,
        **({"clusters": found.clusters} if found.clusters is not None else {}),
    }
