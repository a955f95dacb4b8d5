"""Values → estimates with intervals, and what repeats of a case tell. Needs the standard library alone.

A share (every value 0 or 1) gets a Wilson score interval, a mean a t interval. Cases that belong together, such as
questions about one document, are given as `clusters`, one label a value: they count for less than as many independent
cases, and the interval says how much less.

Sources: Wilson 1927, JASA 22:209; Miller 2024, "Adding error bars to evals", arXiv:2411.00640, section 2.2, with the
small-sample correction and degrees of freedom of Bell & McCaffrey 2002, Survey Methodology 28:169; Korn & Graubard
1998, Survey Methodology 24:193, for the effective number of cases; Chen et al. 2021, arXiv:2107.03374, for pass@k.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from statistics import fmean

from promptstudio.evals.statistics.distributions import normal_quantile, t_quantile
from promptstudio.evals.statistics.schema import Figure, Interval, Measure
from promptstudio.evals.statistics.spread import Spread, spread_of

CONFIDENCE = 0.95


def figure(
    values: Sequence[float], *, clusters: Sequence[Hashable] | None = None, confidence: float = CONFIDENCE
) -> Figure:
    """Return the mean of finite values, one a case, with its interval; a share where all of them are 0 or 1.

    `clusters` names the group of each value. Without values nothing is known; with one value, or one cluster, only the
    share has an interval. Raises ValueError for a value that is not finite.
    """
    n = len(values)
    if not n:
        return Figure(None, Interval(None, None, confidence, "no cases"), 0)
    spread = spread_of(values, clusters)
    if all(value in {0, 1} for value in values):
        shown = _share_interval(spread, confidence)
    else:
        shown = mean_interval(spread, confidence)
    return Figure(spread.mean, shown, n, spread.standard_error, spread.clusters)


def share(successes: int, n: int, *, confidence: float = CONFIDENCE) -> Figure:
    """Return the share of `successes` among `n` independent cases with its Wilson interval: `figure` from counts."""
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is not a share")
    if not n:
        return Figure(None, Interval(None, None, confidence, "no cases"), 0)
    rate = successes / n
    error = math.sqrt(rate * (1 - rate) / (n - 1)) if n > 1 else None
    return Figure(rate, wilson(rate, n, confidence), n, error)


def wilson(rate: float, n: float, confidence: float = CONFIDENCE) -> Interval:
    """Return Wilson's score interval of a share among `n` > 0 cases; `n` may be an effective number, not whole."""
    z = normal_quantile((1 + confidence) / 2)
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    lower = 0.0 if rate <= 0 else max(0.0, middle - half)
    return Interval(lower, 1.0 if rate >= 1 else min(1.0, middle + half), confidence, "Wilson")


def mean_interval(spread: Spread, confidence: float = CONFIDENCE) -> Interval:
    """Return the t interval of a mean; unknown for one value and where all values are equal, which says no width."""
    method = "t" if spread.clusters is None else "clustered t"
    if spread.standard_error is None or spread.df is None:
        return Interval(None, None, confidence, f"{method}: one {'case' if spread.clusters is None else 'cluster'}")
    if spread.is_constant:
        return Interval(None, None, confidence, f"{method}: all cases equal")
    half = t_quantile((1 + confidence) / 2, whole_df(spread.df)) * spread.standard_error
    return Interval(spread.mean - half, spread.mean + half, confidence, method)


def effective_n(spread: Spread, variance: float, *, confidence: float = CONFIDENCE, is_cautious: bool = False) -> float:
    """Return how many independent 0/1 draws, whose variance is `variance`, are worth as much as these cases.

    Where the cases show no spread at all it is the number of clusters, or of cases: the fewest that they can be. A
    cautious number is smaller by what t needs more than the normal, as in Korn & Graubard.
    """
    fewest = spread.clusters or spread.n
    if not spread.standard_error or spread.df is None or spread.is_constant or variance <= 0:
        return float(fewest)
    worth = variance / spread.standard_error**2
    if not is_cautious:
        return worth
    return worth * (normal_quantile((1 + confidence) / 2) / t_quantile((1 + confidence) / 2, whole_df(spread.df))) ** 2


def whole_df(df: float) -> int:
    """Return degrees of freedom rounded down, at least 1: the wider interval."""
    return max(1, math.floor(df + 1e-9))


def cluster_standard_error(values: Sequence[float], clusters: Sequence[Hashable]) -> float | None:
    """Return the standard error of a mean of cases in clusters, in the unit of the values; None with one cluster.

    Equal clusters of n/G cases: sqrt(G/(G−1) · Σ over clusters of (sum of residuals)²)/n.
    """
    return spread_of(values, clusters).standard_error


def case_value(measure: Measure) -> float:
    """Return one value of a case: the mean of its repeats."""
    return fmean(measure) if isinstance(measure, Sequence) else float(measure)


def flake_rate(repeats: Mapping[str, Sequence[bool | float]]) -> float | None:
    """Return the share of cases, among those asked at least twice, whose repeats did not all end the same.

    Values are outcomes (1 passed, 0 did not). None where no case was asked twice.
    """
    asked = [outcomes for outcomes in repeats.values() if len(outcomes) > 1]
    return sum(len(set(map(float, outcomes))) > 1 for outcomes in asked) / len(asked) if asked else None


def repeat_variance(repeats: Mapping[str, Sequence[float]]) -> float | None:
    """Return the variance within cases, pooled over those with at least two repeats, in squared units of the score."""
    squares, df = 0.0, 0
    for scores in repeats.values():
        if len(scores) > 1:
            middle = fmean(scores)
            squares += math.fsum((score - middle) ** 2 for score in scores)
            df += len(scores) - 1
    return squares / df if df else None


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return the chance that at least one of k answers passes, unbiased, where c of n did: 1 − C(n−c,k)/C(n,k).

    Raises ValueError unless 0 ≤ c ≤ n and 1 ≤ k ≤ n. Over a suite it is averaged over the cases.
    """
    _check_counts(n, c, k)
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def pass_hat_k(n: int, c: int, k: int) -> float:
    """Return the chance that all of k answers pass (pass^k), unbiased, where c of n did: C(c,k)/C(n,k).

    Raises ValueError unless 0 ≤ c ≤ n and 1 ≤ k ≤ n. Source: Yao et al. 2024, τ-bench, arXiv:2406.12045.
    """
    _check_counts(n, c, k)
    return math.comb(c, k) / math.comb(n, k)


def _share_interval(spread: Spread, confidence: float) -> Interval:
    """A share of clustered cases: the wider bound of clustered t and of Wilson with the effective number of cases."""
    if spread.clusters is None:
        return wilson(spread.mean, spread.n, confidence)
    worth = min(spread.n, effective_n(spread, spread.mean * (1 - spread.mean), confidence=confidence))
    score, mean = wilson(spread.mean, worth, confidence), mean_interval(spread, confidence)
    if mean.lower is None or mean.upper is None or score.lower is None or score.upper is None:
        return Interval(score.lower, score.upper, confidence, "clustered Wilson")
    lower, upper = max(0.0, min(mean.lower, score.lower)), min(1.0, max(mean.upper, score.upper))
    return Interval(lower, upper, confidence, "clustered t, Wilson")


def _check_counts(n: int, c: int, k: int) -> None:
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"{c} of {n} passed and k is {k}: wanted 0 ≤ passed ≤ n and 1 ≤ k ≤ n")
