"""`--mde`: how many cases, or repeats of them, it takes to see a difference. From the last run, or from guesses.

Needs scipy; asks nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, pvariance, stdev

from promptstudio.config import Settings
from promptstudio.errors import UsageError
from promptstudio.evals.series import By, Series, whole_of
from promptstudio.evals.statistics.schema import Plan as CasePlan
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import Suite
from promptstudio.evals.sure import read_series

GUESSED_RATE = 0.8
MOST_SURE = 0.98  # a rate of 1 seen in some cases is no rate of 1


@dataclass(frozen=True, slots=True)
class Sized:
    """What one figure takes. `compared` says whether it is held against a baseline or against its limit."""

    figure: str
    compared: bool
    plan: CasePlan


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a suite takes, and what that is taken from: the id of a run, or None for guesses."""

    suite: str
    run: str | None
    cases: int | None
    rate: float
    flake: float
    sized: tuple[Sized, ...]


def sizes_of(suite: Suite, mde: float, settings: Settings) -> Sizes:
    """Plan each gating figure of a suite. Raises UsageError for a difference that no share can have."""
    if not 0 < mde < 1:
        raise UsageError(f"--mde {mde:g}: a difference of shares is between 0 and 1", hint="--mde 0.05 is 5 points")
    run, series = _last(suite, settings)
    rate = min(max(_mean(series.passed), mde + 0.01), MOST_SURE) if series else max(GUESSED_RATE, mde + 0.01)
    flake = _flake(series.passed) if series else 0.0
    cases = len(series.passed) if series else None
    return Sizes(suite.name, run, cases, rate, flake, tuple(_sized(suite, mde, rate, flake, cases, series)))


def _sized(
    suite: Suite, mde: float, rate: float, flake: float, cases: int | None, series: Series | None
) -> list[Sized]:
    from promptstudio.evals.statistics.plan import plan_gate, plan_means, plan_shares

    found = [Sized("pass rate", compared=False, plan=plan_gate(mde, min(rate, 0.999), flake=flake, cases=cases))]
    found.append(Sized("pass rate", compared=True, plan=plan_shares(mde, rate, flake=flake, cases=cases)))
    for name in suite.gate.metrics:
        values = [fmean(repeats) for repeats in series.metrics.get(name, {}).values()] if series else []
        if len(values) > 1 and (spread := stdev(values)) > 0:
            shaky = _flake(series.metrics[name]) if series else 0.0
            found.append(Sized(name, compared=True, plan=plan_means(mde, spread, flake=shaky, cases=cases)))
    return found


def _last(suite: Suite, settings: Settings) -> tuple[str | None, Series | None]:
    with EvalStore(store_path(settings)) as store:
        runs = [run for run in store.runs(suite=suite.name, limit=10) if run.status == "finished"]
    for run in runs:
        series = whole_of(read_series(run, settings))
        if series.passed:
            return run.id, series
    return None, None


def _mean(by: By) -> float:
    return fmean(fmean(values) for values in by.values())


def _flake(by: By) -> float:
    """Return the share of the variance that lies within cases; 0 where none was asked twice."""
    repeated = [values for values in by.values() if len(values) > 1]
    whole = pvariance([value for values in by.values() for value in values])
    if not repeated or not whole:
        return 0.0
    within = fmean(pvariance(values) * len(values) / (len(values) - 1) for values in repeated)
    return min(1.0, within / whole)
