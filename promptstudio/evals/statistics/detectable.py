"""What a comparison of so many pairs can see, and how many it takes to see more. Needs scipy.

Sources: Connor 1987, Biometrics 43:207, for paired shares; noncentral t for means.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from promptstudio.evals.statistics import scipy_door as door
from promptstudio.evals.statistics.schema import Detectable
from promptstudio.evals.statistics.spread import Spread

_LARGEST = 10_000_000


def detectable_share(gained: int, lost: int, n: int, margin: float, alpha: float, power: float) -> Detectable:
    """Return what McNemar's test sees with n pairs, gained and lost among them; a share is taken to change in between.

    One gained or lost pair is added to those seen, and two equal ones: a chance of 0 is nothing to plan with.
    """
    changed = (gained + lost + 1) / (n + 2)
    difference = share_difference(n, changed, alpha, power)
    return _detectable(
        difference, n, margin, (gained - lost) / n, power, lambda target: share_cases(target, changed, alpha, power)
    )


def detectable_mean(spread: Spread, margin: float, alpha: float, power: float, *, is_share_like: bool) -> Detectable:
    """Return what a t test sees with this spread; of equal differences in [0, 1] as if one pair had changed."""
    if spread.df is None or (not spread.standard_error and not is_share_like):
        return Detectable(None, None, None, power)
    error = spread.standard_error or math.sqrt(1 / (spread.n + 2) / (spread.clusters or spread.n))
    difference = door.shift_for(power, spread.df, alpha) * error

    def cases(target: float) -> int | None:
        units = (spread.clusters or spread.n) / spread.n
        found = mean_cases(target, error * math.sqrt(spread.n * units), alpha, power)
        return None if found is None else math.ceil(found / units)

    return _detectable(difference, spread.n, margin, spread.mean, power, cases)


def share_difference(n: int, changed: float, alpha: float, power: float) -> float:
    """Return the least difference of paired shares that n pairs show; a pair differs with chance `changed`."""
    z, beta = door.normal_quantile(1 - alpha / 2), door.normal_quantile(power)

    def surplus(difference: float) -> float:
        share = max(changed, difference)
        return difference * math.sqrt(n) - z * math.sqrt(share) - beta * math.sqrt(max(0.0, share - difference**2))

    return 1.0 if surplus(1.0) <= 0 else door.root_between(surplus, 1e-9, 1.0)


def share_cases(difference: float, changed: float, alpha: float, power: float) -> int | None:
    """Return how many pairs show a difference of paired shares; None beyond ten million."""
    z, beta = door.normal_quantile(1 - alpha / 2), door.normal_quantile(power)
    share = max(changed, difference)
    found = (z * math.sqrt(share) + beta * math.sqrt(max(0.0, share - difference**2))) ** 2 / difference**2
    return math.ceil(found) if found <= _LARGEST else None


def mean_cases(difference: float, sd: float, alpha: float, power: float) -> int | None:
    """Return the least n ≥ 2 whose t test on values of this spread has the power; None beyond ten million."""
    z = door.normal_quantile(1 - alpha / 2) + door.normal_quantile(power)
    n = max(2, math.ceil((z * sd / difference) ** 2))
    if n > _LARGEST:
        return None
    while door.t_power(difference * math.sqrt(n) / sd, n - 1, alpha) < power:
        n += 1
    return n


def _detectable(
    difference: float, n: int, margin: float, seen: float, power: float, cases: Callable[[float], int | None]
) -> Detectable:
    for target in (margin, abs(seen + margin)):
        if target > 0:
            needed = cases(target)
            if needed is None or needed > n:
                return Detectable(difference, needed, target, power)
    return Detectable(difference, None, None, power)
