"""A difference worth seeing → how many cases and repeats it takes. Needs scipy.

Answers to one case differ less than answers to different cases: with a share `flake` of the variance within cases, k
repeats divide only that share by k. So one repeat of more cases is always fewer calls; repeats pay where cases are
scarce.
"""

from __future__ import annotations

import math

from promptstudio.evals.statistics import scipy_door as door
from promptstudio.evals.statistics.detectable import mean_cases
from promptstudio.evals.statistics.schema import Option, Plan

REPEATS = (1, 2, 3, 5, 10)


def plan_gate(
    mde: float,
    rate: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    flake: float = 0.0,
    cases: int | None = None,
) -> Plan:
    """Plan a gate on one share: cases to tell `rate` − `mde` from a threshold of `rate` (0 < mde < rate < 1).

    `flake` (0 to 1) is the share of variance within cases; `cases` is how many there are.
    """
    _check(mde, power, alpha, flake)
    if not mde < rate < 1:
        raise ValueError(f"a rate of {rate:g} is not between {mde:g} and 1")
    z, beta = door.normal_quantile(1 - alpha / 2), door.normal_quantile(power)
    low = rate - mde
    needed = ((z * math.sqrt(rate * (1 - rate)) + beta * math.sqrt(low * (1 - low))) / mde) ** 2
    return _plan(mde, power, alpha, "one share", needed, flake, cases)


def plan_shares(
    mde: float,
    rate: float,
    *,
    correlation: float = 0.5,
    power: float = 0.8,
    alpha: float = 0.05,
    flake: float = 0.0,
    cases: int | None = None,
) -> Plan:
    """Plan a paired comparison of shares: baseline `rate`, candidate `rate` − `mde`, pairs correlated."""
    _check(mde, power, alpha, flake)
    if not (mde < rate <= 1 and -1 <= correlation <= 1):
        raise ValueError(f"a rate of {rate:g} with a correlation of {correlation:g} cannot be")
    changed = discordance(rate, rate - mde, correlation)
    z, beta = door.normal_quantile(1 - alpha / 2), door.normal_quantile(power)
    needed = ((z * math.sqrt(changed) + beta * math.sqrt(max(0.0, changed - mde**2))) / mde) ** 2
    return _plan(mde, power, alpha, "paired shares", needed, flake, cases)


def plan_means(
    mde: float,
    sd: float,
    *,
    correlation: float = 0.5,
    power: float = 0.8,
    alpha: float = 0.05,
    flake: float = 0.0,
    cases: int | None = None,
) -> Plan:
    """Plan a paired comparison of means, both sides with standard deviation `sd` > 0, in the unit of `mde`."""
    _check(mde, power, alpha, flake)
    if not (sd > 0 and -1 <= correlation < 1):
        raise ValueError(f"a standard deviation of {sd:g} with a correlation of {correlation:g} cannot be")
    needed = mean_cases(mde, sd * math.sqrt(2 * (1 - correlation)), alpha, power)
    if needed is None:
        raise ValueError(f"a difference of {mde:g} takes more than ten million cases")
    return _plan(mde, power, alpha, "paired means", needed, flake, cases)


def discordance(old: float, new: float, correlation: float) -> float:
    """Return the chance that a pair of outcomes differs, at least |old − new|."""
    both = old * new + correlation * math.sqrt(old * (1 - old) * new * (1 - new))
    both = min(max(both, old + new - 1, 0.0), old, new)
    return old + new - 2 * both


def _plan(mde: float, power: float, alpha: float, method: str, needed: float, flake: float, cases: int | None) -> Plan:
    options = []
    for repeats in REPEATS:
        wanted = max(2, math.ceil(needed * ((1 - flake) + flake / repeats) - 1e-9))
        options.append(Option(repeats, wanted, wanted * repeats))
    options.sort(key=lambda one: (one.calls, one.repeats))
    chosen = next((one for one in options if cases is None or one.cases <= cases), None)
    return Plan(mde, power, alpha, method, tuple(options), chosen)


def _check(mde: float, power: float, alpha: float, flake: float) -> None:
    if not (mde > 0 and 0 < alpha < power < 1 and 0 <= flake <= 1):
        raise ValueError("a plan needs mde > 0, 0 < alpha < power < 1 and a flake share between 0 and 1")
