"""Two series over the same cases → a comparison for each figure, with its verdict, and what cannot be compared.

Pairs are made by case id. Scores of another engine, engine version, settings or judge are not comparable, nor is a pass
rate that they decide; both are refused unless they are asked for across engines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from promptstudio.evals.series import COST, LATENCY, PASSED, By, Maker, Series
from promptstudio.evals.statistics.schema import Comparison, Flip

CONFIDENCE = 0.95
MAX_LISTED = 100
UNITS = {COST: "$", LATENCY: "ms"}


@dataclass(frozen=True, slots=True)
class Paired:
    """How one target did against another. `refused` says, by figure, why it was not compared.

    `is_same` says that both are the same prompt, by what it does, and the same model.
    """

    baseline: str
    candidate: str
    comparisons: Mapping[str, Comparison]
    refused: Mapping[str, str] = field(default_factory=dict)
    is_same: bool = False


def compare_series(
    old: Series,
    new: Series,
    *,
    margin: float = 0.0,
    metrics: Iterable[str] | None = None,
    spent: bool = False,
    across_engines: bool = False,
    confidence: float = CONFIDENCE,
    settled: bool = True,
) -> Paired:
    """Compare the pass rate and the metrics (those of both, or the named ones); with `spent` cost and latency too.

    The verdicts hold for all of the compared quality figures together, by Holm's method; not `settled`, each holds by
    itself, for who puts it into a larger family. Imports scipy.
    """
    from promptstudio.evals.statistics.families import settle_family
    from promptstudio.evals.statistics.paired import compare_paired  # scipy: only comparisons need it

    names = list(metrics) if metrics is not None else [name for name in new.metrics if name in old.metrics]
    refused: dict[str, str] = {}
    found: dict[str, Comparison] = {}
    clusters = _clusters(old, new)
    for name, mine, theirs in [
        (PASSED, old.passed, new.passed),
        *((one, old.metrics.get(one, {}), new.metrics.get(one, {})) for one in names),
    ]:
        why = None if across_engines else _why_not(name, old, new)
        if why is not None:
            refused[name] = why
            continue
        found[name] = compare_paired(
            mine,
            theirs,
            clusters=clusters,
            kind=_kind(name, mine, theirs),
            margin=margin,
            confidence=confidence,
            better="lower" if name in new.lower else "higher",
        )
    figures = dict(settle_family(found)) if settled and len(found) > 1 else found
    for name, mine, theirs in (
        ((COST, old.cost_usd, new.cost_usd), (LATENCY, old.latency_ms, new.latency_ms)) if spent else ()
    ):
        figures[name] = compare_paired(
            mine, theirs, clusters=clusters, kind="mean", confidence=confidence, better="lower", is_amount=True
        )
    return Paired(_name(old), _name(new), figures, refused)


def _clusters(old: Series, new: Series) -> dict[str, str] | None:
    """Return the cluster of every case; one that names none is a cluster of its own."""
    named = {**old.clusters, **new.clusters}
    if not named:
        return None
    sides: list[Mapping[str, object]] = [*old.metrics.values(), *new.metrics.values()]
    for one in (old, new):
        sides += [one.passed, one.missing, one.cost_usd, one.latency_ms]
    return {case: named.get(case, f"\0{case}") for side in sides for case in side}


def _kind(name: str, old: By, new: By) -> Any:
    is_single = all(len(values) == 1 for side in (old, new) for values in side.values())
    return "binary" if name == PASSED and is_single else "mean"


def _why_not(name: str, old: Series, new: Series) -> str | None:
    """Return why a figure of two runs is not compared. Who passes is decided by all scores that have a weight."""
    if name != PASSED:
        return _incomparable(old.makers.get(name), new.makers.get(name))
    for each in sorted(old.deciding & new.deciding):
        if (why := _incomparable(old.makers.get(each), new.makers.get(each))) is not None:
            return f"{each} decides who passes: {why}"
    return None


def _incomparable(old: set[Maker] | None, new: set[Maker] | None) -> str | None:
    old, new = old or set(), new or set()
    if old == new or not old or not new:
        return None
    one, other = (", ".join(sorted(map(str, side))) for side in (old, new))
    if one == other:
        return f"its settings, or the prompt of its judge, are others than those of the baseline ({one})"
    return f"the baseline's scores are of {one}, these are of {other}"


def _name(series: Series) -> str:
    return f"{series.prompt} · {series.model}"


def comparison_data(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as plain data, as records and reports keep it."""
    interval, detectable = comparison.interval, comparison.detectable
    return {
        "verdict": comparison.verdict,
        "surely_worse": comparison.is_surely_worse,
        "baseline": comparison.baseline_mean,
        "candidate": comparison.candidate_mean,
        "difference": comparison.difference,
        "lower": interval.lower,
        "upper": interval.upper,
        "confidence": interval.confidence,
        "p_value": comparison.p_value,
        "method": comparison.method,
        "margin": comparison.margin,
        "pairs": comparison.n_pairs,
        "clusters": comparison.clusters,
        "could_detect": detectable.difference,
        "needs_cases": detectable.cases,
        "broke": [flip_data(flip) for flip in comparison.broke[:MAX_LISTED]],
        "mended": [flip_data(flip) for flip in comparison.mended[:MAX_LISTED]],
        "broke_count": len(comparison.broke),
        "mended_count": len(comparison.mended),
        "only_baseline": list(comparison.only_baseline[:MAX_LISTED]),
        "only_candidate": list(comparison.only_candidate[:MAX_LISTED]),
        "only_baseline_count": len(comparison.only_baseline),
        "only_candidate_count": len(comparison.only_candidate),
        "unmatched": len(comparison.only_baseline) + len(comparison.only_candidate),
        "note": comparison.note,
    }


def flip_data(flip: Flip) -> dict[str, Any]:
    return {"case": flip.case, "baseline": flip.baseline, "candidate": flip.candidate}
