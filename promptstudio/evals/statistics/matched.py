"""Counts of pairs that were gained, lost or stayed → one-sided p-values and an interval for the difference of shares.

At no difference the test is the mid-p McNemar test. At any other difference it is Tango's score test, which at small n
and for rare changes errs up to twice as often as it says. So its exact level is computed as well, with the chance of a
change that fits best under the hypothesis ("estimated p"); the score test counts where that is within 0.3 points of it,
and the exact one where it is not. The interval holds the differences that are not refuted. Needs scipy.

Sources: Fagerland, Lydersen & Laake 2013, BMC Medical Research Methodology 13:91; Tango 1998, Statistics in Medicine
17:891; Lloyd & Moldovan 2008, Statistics in Medicine 27:3540.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from promptstudio.evals.statistics import scipy_door as door

TOLERANCE = 0.003
_MOST_EXACT = 2_000  # so many changed pairs: from there on the score test is exact enough, and enumerating slow
_STEPS = 24


def mid_p_mcnemar(gained: int, lost: int) -> float:
    """Return the two-sided mid-p value for counts of discordant pairs; 1.0 where both are 0."""
    return door.mid_p_binomial(min(gained, lost), gained + lost) if gained + lost else 1.0


@lru_cache(maxsize=65_536)
def tails(gained: int, lost: int, n: int, difference: float) -> tuple[float, float]:
    """Return one-sided p-values that the true difference, gained − lost, is above `difference`, and that it is below.

    Counts are of n pairs; `difference` is between −1 and 1.
    """
    if difference == 0:
        half = mid_p_mcnemar(gained, lost) / 2
        return (half, 1 - half) if gained >= lost else (1 - half, half)
    above, below = score_tails(gained, lost, n, difference)
    if gained + lost > _MOST_EXACT:
        return above, below
    lost_share = float(door.constrained_loss(gained, lost, n, difference))
    gained_share = max(0.0, min(1.0, lost_share + difference))
    observed = float(door.tango_scores(gained, lost, n, difference))
    exact = door.trinomial_tails(
        lambda g, lo: door.tango_scores(g, lo, n, difference), observed, n, gained_share, min(1.0, lost_share)
    )
    return _guarded(above, exact[0]), _guarded(below, exact[1])


def score_tails(gained: float, lost: float, n: float, difference: float) -> tuple[float, float]:
    """Return the p-values of Tango's score test by itself; counts may be effective ones, not whole."""
    score = float(door.tango_scores(gained, lost, n, difference))
    return door.normal_tail(score), door.normal_tail(-score)


def difference_interval(
    gained: int, lost: int, n: int, confidence: float, points: Iterable[float] = (0.0,)
) -> tuple[float, float]:
    """Return the interval of the difference of shares, gained − lost, of n ≥ 1 pairs.

    It excludes each of `points` exactly where the test at that point does.
    """
    level = (1 - confidence) / 2
    marks = tuple(points)

    def lower(more: int, less: int, sign: int) -> float:
        return lowest_kept(
            lambda difference: tails(more, less, n, difference)[0],
            (more - less) / n,
            level,
            [sign * point for point in marks],
        )

    return lower(gained, lost, 1), -lower(lost, gained, -1)


def lowest_kept(p_above: Callable[[float], float], estimate: float, level: float, points: Iterable[float]) -> float:
    """Return the least difference that is not refuted, to 1e-7; `p_above` rises with the difference."""
    low, high = -1.0, estimate
    if high <= low:
        return low
    for point in sorted(points):
        if low < point < high:
            if p_above(point) > level:
                high = point
                break
            low = point
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if p_above(middle) > level else (middle, high)
    return high


def _guarded(score: float, exact: float) -> float:
    return min(exact, max(score, exact - TOLERANCE))
