"""A judge's scores beside people's → whether it favors a place, a length or a language. Needs scipy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from promptstudio.evals.statistics import scipy_door as door
from promptstudio.evals.statistics.families import holm
from promptstudio.evals.statistics.figures import CONFIDENCE, share
from promptstudio.evals.statistics.schema import Bias, Figure, Interval, Trend


def bias_by(groups: Mapping[str, Sequence[float]], *, confidence: float = CONFIDENCE) -> tuple[Bias, ...]:
    """Return, for each group such as a language, how judge − human differs from that in all other groups.

    `groups` holds the judge − human of each item. Welch's t test, adjusted by Holm over the groups; a group of one
    item, and items that are all equal, have no interval.
    """
    found = [
        _bias(name, values, [one for other, more in groups.items() if other != name for one in more], confidence)
        for name, values in groups.items()
    ]
    known = [one for one in found if one.p_value is not None]
    adjusted = {
        one.group: result.adjusted
        for one, result in zip(known, holm([one.p_value or 0.0 for one in known]), strict=True)
    }
    return tuple(replace(one, adjusted=adjusted.get(one.group)) for one in found)


def position_bias(first: int, decided: int, *, confidence: float = CONFIDENCE) -> tuple[Figure, float | None]:
    """Return how often the answer shown first won among `decided` comparisons, each asked in both orders, and its p.

    Without a bias it is half; p is of the exact two-sided binomial test, None where nothing was decided.
    """
    return share(first, decided, confidence=confidence), door.binomial_p(first, decided, 0.5) if decided else None


def trend(name: str, sizes: Sequence[float], differences: Sequence[float], *, confidence: float = CONFIDENCE) -> Trend:
    """Return how judge − human goes with a number such as the length of the answer: Spearman's rank correlation.

    Not defined for fewer than three items, or where either side is constant.
    """
    n = len(sizes)
    if n != len(differences):
        raise ValueError(f"{n} sizes and {len(differences)} differences")
    if n < 3 or len(set(sizes)) == 1 or len(set(differences)) == 1:
        return Trend(name, n, None, Interval(None, None, confidence, "bootstrap: not defined"), None)
    correlation, p_value = door.rank_correlation(sizes, differences)

    def drawn(indexes: Sequence[int]) -> float:
        x, y = [sizes[index] for index in indexes], [differences[index] for index in indexes]
        return float("nan") if len(set(x)) == 1 or len(set(y)) == 1 else door.rank_correlation(x, y)[0]

    bounds = door.index_bootstrap(drawn, n, confidence) or (None, None)
    return Trend(name, n, correlation, Interval(bounds[0], bounds[1], confidence, "bootstrap"), p_value)


def _bias(group: str, values: Sequence[float], others: Sequence[float], confidence: float) -> Bias:
    difference = fmean(values) - fmean(others) if values and others else None
    if difference is None or min(len(values), len(others)) < 2 or len(set(values)) == len(set(others)) == 1:
        unknown = Interval(None, None, confidence, "Welch: too few, or all equal")
        return Bias(group, len(values), len(others), difference, unknown, None, None)
    p_value, low, high = door.welch(values, others, confidence)
    return Bias(group, len(values), len(others), difference, Interval(low, high, confidence, "Welch"), p_value, None)
