"""Values, and the clusters they come in → mean, standard error and degrees of freedom. Standard library alone."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

_NOISE = 1e-12  # differences of thirds differ by their rounding


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean and how sure it is. `standard_error` and `df` are None with one value, or one cluster.

    `df` are degrees of freedom, not whole where clusters differ in size. `is_constant` says that all values are equal.
    """

    n: int
    mean: float
    standard_error: float | None
    df: float | None
    clusters: int | None
    is_constant: bool


def spread_of(values: Sequence[float], clusters: Sequence[Hashable] | None = None) -> Spread:
    """Return the spread of at least one finite value; ValueError for none, for NaN and for infinity.

    `clusters` has one label a value. Labels that are all different are the same as no clusters.
    """
    n = len(values)
    if not n or not all(math.isfinite(value) for value in values):
        raise ValueError("a mean needs values, all of them finite numbers")
    if clusters is not None and len(clusters) != n:
        raise ValueError(f"{n} values and {len(clusters)} cluster labels")
    mean = math.fsum(values) / n
    constant = max(values) - min(values) <= _NOISE * max(abs(mean), 1e-9)
    if constant:
        mean = float(values[0])  # and not what rounding made of the sum
    if clusters is None or len(set(clusters)) == n:
        if n == 1:
            return Spread(n, mean, None, None, None, constant)
        squares = math.fsum((value - mean) ** 2 for value in values)
        return Spread(n, mean, math.sqrt(squares / (n - 1) / n), n - 1.0, None, constant)
    sums: dict[Hashable, float] = {}
    sizes: dict[Hashable, int] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + value - mean
        sizes[cluster] = sizes.get(cluster, 0) + 1
    if len(sums) == 1:
        return Spread(n, mean, None, None, 1, constant)
    weights = [1 / (1 - size / n) for size in sizes.values()]
    total = math.fsum(weight * part * part for weight, part in zip(weights, sums.values(), strict=True))
    return Spread(n, mean, math.sqrt(total) / n, _cluster_df(list(sizes.values()), n), len(sums), constant)


def _cluster_df(sizes: Sequence[int], n: int) -> float:
    """Satterthwaite's degrees of freedom of the corrected variance: clusters − 1 where all are of one size.

    With a_g = 1/(1−s_g/n) and residual sums whose covariance C_gh is s_g·[g=h] − s_g·s_h/n, it is
    (Σ a_g·C_gg)²/Σ a_g·a_h·C_gh².
    Every a_g·C_gg is s_g, so the numerator is n²; the double sum splits into three single ones.
    """
    weights = [1 / (1 - size / n) for size in sizes]
    cross = math.fsum(weight * size * size for weight, size in zip(weights, sizes, strict=True)) / n
    own = math.fsum((weight * size * size / n) ** 2 for weight, size in zip(weights, sizes, strict=True))
    return n * n / (math.fsum(size * size for size in sizes) + cross * cross - own)
