"""Three functions of probability, from the standard library alone.

scipy has them too, and better; but a figure of a suite without a judge carries an interval, and such a suite neither
needs the extra `evals` nor waits for scipy to load. The tests hold each against scipy.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()
_EXACT_UP_TO = 400


def normal_quantile(probability: float) -> float:
    """Return the z below which `probability` (0 to 1, both excluded) of the standard normal lies."""
    return _NORMAL.inv_cdf(probability)


def t_distribution(t: float, df: int) -> float:
    """Return P(T ≤ t) of Student's t with a whole number of degrees of freedom, at least 1.

    Exact to rounding up to 400 degrees of freedom; beyond, the normal with Hill's change of variable, to 1e-11.
    Sources: Abramowitz & Stegun 26.7.3 and 26.7.4; Hill 1970, Communications of the ACM 13:617.
    """
    if df > _EXACT_UP_TO:
        return _NORMAL.cdf(math.copysign(_as_normal(abs(t), df), t))
    angle = math.atan(abs(t) / math.sqrt(df))
    cosine2 = math.cos(angle) ** 2
    term = math.cos(angle) if df % 2 else 1.0
    total = 0.0
    for number in range(3 if df % 2 else 2, df + 1, 2):
        total += term
        term *= cosine2 * (number - 1) / number
    inside = (angle + math.sin(angle) * total) * 2 / math.pi if df % 2 else math.sin(angle) * total
    return 0.5 + math.copysign(inside, t) / 2


@lru_cache(maxsize=4096)
def t_quantile(probability: float, df: int) -> float:
    """Return the t below which `probability` (0 to 1, both excluded) of Student's t lies; `df` is at least 1."""
    if probability == 0.5:
        return 0.0
    if probability < 0.5:
        return -t_quantile(1 - probability, df)
    low, high = 0.0, 2.0
    while t_distribution(high, df) < probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_distribution(middle, df) < probability else (low, middle)
    return (low + high) / 2


def binomial_tail(successes: int, n: int, share: float) -> float:
    """Return P(X ≥ successes) of n tries that each succeed with probability `share`."""
    if successes <= 0:
        return 1.0
    if successes > n or share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    whole, yes, no = math.lgamma(n + 1), math.log(share), math.log1p(-share)
    return min(
        1.0,
        math.fsum(
            math.exp(whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * yes + (n - k) * no)
            for k in range(successes, n + 1)
        ),
    )


def _as_normal(t: float, df: int) -> float:
    a = df - 0.5
    b = 48 * a * a
    z2 = a * math.log1p(t * t / df)
    z = math.sqrt(z2)
    first = (z**3 + 3 * z) / b
    second = (4 * z**7 + 33 * z**5 + 240 * z**3 + 855 * z) / (10 * b * (b + 0.8 * z2 * z2 + 100))
    return z + first - second
