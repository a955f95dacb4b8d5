"""scipy and numpy, behind one door: import it inside the function that needs it, it takes a third of a second.

Numbers and lists go in, numbers and lists come out, so that nothing else has to know numpy. Importing this module
without scipy raises MissingExtraError with the command that installs it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from promptstudio.errors import MissingExtraError

try:
    import numpy as np
    from scipy import optimize, stats
except ModuleNotFoundError as missing:
    raise MissingExtraError(
        f"comparing, planning and calibrating need {missing.name}, which is not installed",
        hint="pip install 'promptstudio[evals]'",
    ) from missing

SEED = 20_240_501
RESAMPLES = 2_000
_LARGEST_BATCH = 4_000_000


def normal_tail(z: float) -> float:
    """Return P(Z ≥ z)."""
    return float(stats.norm.sf(z))


def normal_quantile(probability: float) -> float:
    return float(stats.norm.ppf(probability))


def t_tail(t: float, df: float) -> float:
    """Return P(T ≥ t)."""
    return float(stats.t.sf(t, df))


def t_quantile(probability: float, df: float) -> float:
    return float(stats.t.ppf(probability, df))


def paired_t(baseline: Sequence[float], candidate: Sequence[float]) -> tuple[float, float]:
    """Return the t of candidate − baseline and its two-sided p; the differences must not all be equal."""
    found = stats.ttest_rel(candidate, baseline)
    return float(found.statistic), float(found.pvalue)


def one_sample_t(values: Sequence[float], mean: float, alternative: str) -> float:
    """Return the one-sided p of "the mean is `greater`" or `less` than `mean`; the values must not all be equal."""
    return float(stats.ttest_1samp(values, mean, alternative=alternative).pvalue)


def mid_p_binomial(successes: int, n: int) -> float:
    """Return the two-sided mid-p of a fair coin: at most `successes` = the smaller count, less half of its chance."""
    return float(min(1.0, 2 * stats.binom.cdf(successes, n, 0.5) - stats.binom.pmf(successes, n, 0.5)))


def binomial_p(successes: int, n: int, share: float) -> float:
    """Return the exact two-sided p of a binomial test."""
    return float(stats.binomtest(successes, n, share).pvalue)


def trinomial_tails(
    score: Callable[..., Any], observed: float, n: int, gained: float, lost: float
) -> tuple[float, float]:
    """Return P(score ≥ observed) and P(score ≤ observed) over all splits of n pairs into gained, lost and equal.

    `gained` and `lost` are the chances of a pair; `score(g, l)` takes arrays of counts. Splits with a chance below
    1e-12 of either count are left out. Ties, to 1e-9, count on both sides.
    """
    gains = _likely(n, gained)
    losses = _likely(n, lost)
    g, lo = np.meshgrid(gains, losses, indexing="ij")
    rest = lost / (1 - gained) if gained < 1 else 0.0
    chance = stats.binom.pmf(gains, n, gained)[:, None] * stats.binom.pmf(lo, n - g, min(1.0, rest))
    scores = np.where(g + lo <= n, score(g, lo), np.nan)
    return float(chance[scores >= observed - 1e-9].sum()), float(chance[scores <= observed + 1e-9].sum())


def tango_scores(gained: Any, lost: Any, n: Any, difference: float) -> Any:
    """Return Tango's score of counts, or of arrays of counts, for a true difference; 0 where nothing speaks against it.

    Source: Tango 1998, Statistics in Medicine 17:891, equation 6 and appendix.
    """
    g, lo = np.asarray(gained, dtype=float), np.asarray(lost, dtype=float)
    top = g - lo - n * difference
    variance = n * (2 * constrained_loss(g, lo, n, difference) + difference * (1 - difference))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(top) < 1e-12, 0.0, top / np.sqrt(np.maximum(variance, 0.0)))


def constrained_loss(gained: Any, lost: Any, n: Any, difference: float) -> Any:
    """Return the chance of a lost pair that fits the counts best, given gained − lost chances of `difference`."""
    g, lo = np.asarray(gained, dtype=float), np.asarray(lost, dtype=float)
    middle = -g - lo + (2 * n - g + lo) * difference
    root = np.sqrt(np.maximum(middle * middle + 8 * n * lo * difference * (1 - difference), 0.0))
    return np.maximum((root - middle) / (4 * n), max(0.0, -difference))


def root_between(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function changes its sign between two places where its signs differ."""
    return float(optimize.brentq(function, low, high, xtol=1e-7))


def bca_interval(
    values: Sequence[float], confidence: float, *, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[float, float] | None:
    """Return the BCa bootstrap interval of a mean, the same for the same values; None where it is not defined.

    Source: Efron 1987, JASA 82:171, as scipy.stats.bootstrap computes it.
    """
    array = np.asarray(values, dtype=float)
    batch = max(1, min(resamples, _LARGEST_BATCH // max(1, array.size)))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of degenerate data: the answer is None then
        found = stats.bootstrap(
            (array,),
            np.mean,
            confidence_level=confidence,
            n_resamples=resamples,
            batch=batch,
            method="BCa",
            rng=np.random.default_rng(seed),
        ).confidence_interval
    low, high = float(found.low), float(found.high)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def index_bootstrap(
    statistic: Callable[[Sequence[int]], float],
    n: int,
    confidence: float,
    *,
    resamples: int = 1_000,
    seed: int = SEED,
) -> tuple[float, float] | None:
    """Return the percentile interval of a statistic of n items, told by the indexes that were drawn.

    Draws for which the statistic is not defined (NaN) are left out; None where that is more than one in twenty.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of draws it is not defined for: they are counted below
        found = stats.bootstrap(
            (np.arange(n),),
            lambda drawn: statistic(drawn.tolist()),
            vectorized=False,
            confidence_level=confidence,
            n_resamples=resamples,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    values = found.bootstrap_distribution[np.isfinite(found.bootstrap_distribution)]
    if len(values) < 0.95 * resamples:
        return None
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def welch(one: Sequence[float], other: Sequence[float], confidence: float) -> tuple[float, float, float]:
    """Return p, and the interval of mean(one) − mean(other), without assuming equal variances."""
    found = stats.ttest_ind(one, other, equal_var=False)
    interval = found.confidence_interval(confidence)
    return float(found.pvalue), float(interval.low), float(interval.high)


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Return Spearman's correlation and its two-sided p; neither side may be constant."""
    found = stats.spearmanr(one, other)
    return float(found.statistic), float(found.pvalue)


def t_power(shift: float, df: float, alpha: float) -> float:
    """Return the power of a two-sided t test whose statistic is shifted by `shift` standard errors."""
    wanted = stats.t.ppf(1 - alpha / 2, df)
    above, below = stats.nct.sf(wanted, df, shift), stats.nct.cdf(-wanted, df, shift)
    return float(np.nan_to_num(above, nan=1.0) + np.nan_to_num(below, nan=0.0))  # both overflow for huge shifts


def shift_for(power: float, df: float, alpha: float) -> float:
    """Return by how many standard errors a t test with `df` degrees of freedom must be shifted to have this power."""
    return root_between(lambda shift: t_power(shift, df, alpha) - power, 0.0, 200.0)


def _likely(n: int, chance: float) -> np.ndarray[Any, Any]:
    low, high = stats.binom.ppf([1e-12, 1 - 1e-12], n, chance)
    return np.arange(max(0, int(low)), min(n, int(high)) + 1)
