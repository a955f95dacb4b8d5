"""A run that ended → the same with how sure its figures are: intervals, flakes, and the odds of luck at its gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from promptstudio.config import Settings
from promptstudio.evals.figures import figures_of, gate_certainty, quick_figures
from promptstudio.evals.gate import Check, share_text
from promptstudio.evals.records import RunRecord
from promptstudio.evals.series import Series, Target, series_of, whole_of
from promptstudio.evals.statistics.gates import gate_share
from promptstudio.evals.statistics.schema import Certainty
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.totals import Totals

Figures = Mapping[str, Any]


def needs_cases(totals: Totals) -> bool:
    """Whether the counts alone do not say how sure the figures are."""
    return bool(totals.metrics) or totals.repeated or totals.clustered


def read_series(run: RunRecord, settings: Settings) -> dict[Target, Series]:
    with EvalStore(store_path(settings)) as store:
        return series_of(store.results(run))


def run_figures(totals: Totals, series: Mapping[Target, Series] | None, confidence: float) -> dict[str, Any]:
    """Return the figures of a run as a whole, and of each target where there are several."""
    if series is None:
        return quick_figures(totals)
    found = figures_of(whole_of(series), confidence)
    if len(series) > 1:
        found["targets"] = [
            {"prompt": prompt, "model": model, **figures_of(one, confidence)} for (prompt, model), one in series.items()
        ]
    return found


def sure_check(
    check: Check, figures: Figures, limit: float | None, totals: Totals, series: Mapping[Target, Series] | None
) -> Check:
    """Add to a check of the whole suite how sure its figure is: its interval, and whether luck could explain it."""
    if check.scope:
        return check
    name = check.name.removesuffix(" mean")
    found = figures.get("pass_rate") if name == "pass_rate" else figures.get("metrics", {}).get(name)
    if check.name not in ("pass_rate", f"{name} mean") or not found or found["lower"] is None or found["upper"] is None:
        return check
    texts = [share_text(found[part]) if name == "pass_rate" else f"{found[part]:.3g}" for part in ("lower", "upper")]
    note = f"{found['confidence']:.0%} interval {texts[0]} to {texts[1]}"
    if limit is not None and 0 < limit < 1 and _certainty(name, limit, found, totals, series) == "uncertain":
        note += "; with so few cases that may be luck"
    return replace(check, note=note)


def _certainty(
    name: str, limit: float, found: Figures, totals: Totals, series: Mapping[Target, Series] | None
) -> Certainty:
    if series is None:
        return gate_share(totals.counts["pass"], totals.judged, limit, confidence=found["confidence"]).certainty
    return gate_certainty(whole_of(series), name, limit, found["confidence"])
