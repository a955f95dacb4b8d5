"""One figure against its threshold → met or not, and whether more of the same cases could turn that around.

A gate `pass_rate: 0.95` is a plain comparison: the estimate reaches the threshold or it does not. What a comparison
cannot say is how much of it is luck; `certainty` can. Shares are held against the exact binomial test, means against t,
and in either case the interval that is shown must exclude the threshold too, so that text and verdict never disagree.
Standard library alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from promptstudio.evals.statistics.distributions import binomial_tail, t_distribution
from promptstudio.evals.statistics.figures import CONFIDENCE, effective_n, figure, share, whole_df, wilson
from promptstudio.evals.statistics.schema import Certainty, Figure, GateFigure, Interval
from promptstudio.evals.statistics.spread import Spread, spread_of

_SLACK = 1e-12
_NEAR = 0.4


def gate_share(successes: int, n: int, threshold: float, *, confidence: float = CONFIDENCE) -> GateFigure:
    """Hold a share of independent cases against a threshold of at least; as `gate_one`, from counts."""
    return _gate_share(share(successes, n, confidence=confidence), successes, threshold)


def gate_one(
    values: Sequence[float],
    threshold: float,
    *,
    clusters: Sequence[Hashable] | None = None,
    at_least: bool = True,
    confidence: float = CONFIDENCE,
) -> GateFigure:
    """Hold the mean of finite values, one a case, against a threshold in their unit.

    `met` and `missed` are each wrong at most (1 − confidence)/2 of the time where the truth is on the threshold.
    With no cases nothing is met, and all is uncertain.
    """
    if not at_least:
        return _gate_at_most(values, threshold, clusters, confidence)
    found = figure(values, clusters=clusters, confidence=confidence)
    if not values:
        return GateFigure(found, threshold, is_met=False, certainty="uncertain", p_value=None)
    spread = spread_of(values, clusters)
    if spread.clusters is None and all(value in {0, 1} for value in values):
        return _gate_share(found, round(sum(values)), threshold)
    return _gate_mean(found, spread, threshold, is_share_like=_is_share_like(values))


def _gate_at_most(
    values: Sequence[float], threshold: float, clusters: Sequence[Hashable] | None, confidence: float
) -> GateFigure:
    """At most is at least, seen in a mirror that keeps shares shares."""
    top = 1 if _is_share_like(values) else 0
    turned = gate_one([top - value for value in values], top - threshold, clusters=clusters, confidence=confidence)
    found = figure(values, clusters=clusters, confidence=confidence)
    return GateFigure(found, threshold, turned.is_met, turned.certainty, turned.p_value)


def _gate_share(found: Figure, successes: int, threshold: float) -> GateFigure:
    if found.estimate is None:
        return GateFigure(found, threshold, is_met=False, certainty="uncertain", p_value=None)
    at_least = binomial_tail(successes, found.n, threshold)
    at_most = 1 - binomial_tail(successes + 1, found.n, threshold)
    return _gate(found, threshold, (at_least, at_most), (found.interval,))


def _gate_mean(found: Figure, spread: Spread, threshold: float, *, is_share_like: bool) -> GateFigure:
    """Hold a mean against its threshold. For values in [0, 1] a share of as many effective cases must agree.

    A t interval knows nothing of the bounds: twenty cases that all pass have no spread, and prove no share of 1.
    """
    if spread.df is None or (spread.is_constant and not is_share_like):
        is_met = spread.mean >= threshold - _SLACK
        return GateFigure(found, threshold, is_met=is_met, certainty="uncertain", p_value=None)
    tails = None
    if spread.standard_error and not spread.is_constant:
        below = t_distribution((spread.mean - threshold) / spread.standard_error, whole_df(spread.df))
        tails = (1 - below, below)
    intervals = [found.interval] if found.interval.is_known else []
    if is_share_like:
        intervals.append(_share_like_interval(spread, threshold, found.interval.confidence))
    return _gate(found, threshold, tails, intervals)


def _share_like_interval(spread: Spread, threshold: float, confidence: float) -> Interval:
    """What a share of as many effective cases says, and no more than cases that all pass, or all fail, could prove.

    A claim towards the near end of the scale rests on the few cases that are missing there, and t errs most with it.
    """
    level, units = (1 - confidence) / 2, spread.clusters or spread.n
    is_met = spread.mean >= threshold
    room = 1 - threshold if is_met else threshold
    if not 0 < room < 1 or (1 - room) ** units > level:
        return Interval(0.0, 1.0, confidence, "too few cases")
    variance = spread.mean * (1 - spread.mean)
    worth = effective_n(spread, variance, confidence=confidence, is_cautious=room < _NEAR)
    return wilson(spread.mean, worth, confidence)


def _gate(
    found: Figure, threshold: float, tails: tuple[float, float] | None, intervals: Sequence[Interval]
) -> GateFigure:
    """`tails` are the chances of a figure at least so high and at most so high, were the truth on the threshold."""
    level = (1 - found.interval.confidence) / 2
    at_least, at_most = tails or (0.0, 0.0)
    is_met = found.estimate is not None and found.estimate >= threshold - _SLACK
    certainty: Certainty = "uncertain"
    if is_met and at_least <= level and all(one.lower is not None and one.lower > threshold for one in intervals):
        certainty = "met"
    elif not is_met and at_most <= level and all(one.upper is not None and one.upper < threshold for one in intervals):
        certainty = "missed"
    return GateFigure(found, threshold, is_met, certainty, None if tails is None else at_least if is_met else at_most)


def _is_share_like(values: Sequence[float]) -> bool:
    return bool(values) and min(values) >= 0 and max(values) <= 1
