"""The tests of a gate on made-up suites, many thousands of times: how often they err, and how often they find.

A claim may err in 2.5 % of the runs, half of 5 %, where the truth lies on its boundary; 3.0 % is the bar. Its power is
held against the textbook test on the same draws, and may be two points less. A textbook test that itself errs more
than 3.0 % at this n and margin is no measure; then only the first bar counts.

Counts of shares go through the program's own functions, each different count once. Means and clusters are drawn 20,000
times with the formulas on whole arrays, and a sample of them is compared with what the program says.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.measure import Bar
from benchmarks.workspace import Workspace
from promptstudio.evals.statistics import matched, scipy_door
from promptstudio.evals.statistics.figures import whole_df
from promptstudio.evals.statistics.gates import gate_one, gate_share
from promptstudio.evals.statistics.paired import compare_paired
from promptstudio.evals.statistics.sequential import log_capital
from promptstudio.evals.statistics.spread import spread_of

Array = np.ndarray[Any, Any]

NOMINAL = 2.5
MOST_ERRORS = NOMINAL + 0.5
MOST_LOSS = 2.0
SIZES = (20, 50, 200)
SHARES = (0.5, 0.8, 0.95)
MARGINS = (0.02, 0.05, 0.1)
COUNT_DRAWS = 400_000  # standard error of 2.5 %: 0.025 points
DRAWS = 20_000  # 0.11 points
CHECKED = 20
WITHIN = 0.2  # correlation of cases within a cluster, and of repeats within a case
Z = float(stats.norm.ppf(0.975))


@dataclass(frozen=True)
class Cell:
    """One claim in one setting. Percentages of runs; `textbook` is None where that test does not hold its level."""

    gate: str
    claim: str
    n: int
    share: float
    setting: str
    errors: float
    power: float | None = None
    textbook: float | None = None

    @property
    def loss(self) -> float:
        return 0.0 if self.power is None or self.textbook is None else self.textbook - self.power

    @property
    def is_good(self) -> bool:
        return self.errors <= MOST_ERRORS and self.loss <= MOST_LOSS

    def __str__(self) -> str:
        power = "" if self.power is None else f"power {self.power:5.1f}"
        textbook = "" if self.power is None else "  -  " if self.textbook is None else f"{self.textbook:5.1f}"
        bad = "" if self.is_good else "   OUT OF BOUNDS"
        place = f"{self.gate:<22} {self.claim:<9} n={self.n:<4} p={self.share:<5g}{self.setting:<18}"
        return f"  {place} errs {self.errors:5.2f}   {power:<12} textbook {textbook}{bad}"


def measure(_workspace: Workspace, _options: argparse.Namespace) -> list[Bar]:
    chance = np.random.default_rng(20_240_501)
    luck = bare_gate()
    cells: list[Cell] = []
    parts = (thresholds, mcnemar, margins, means, clustered, clustered_thresholds, sequential)
    for part in parts:
        for cell in part(chance):
            print(cell, flush=True)
            cells.append(cell)
    lost = bootstrap_loss(chance)
    errors = max(cell.errors for cell in cells)
    loss = max(cell.loss for cell in cells)
    bad = sum(not cell.is_good for cell in cells)
    print(f"  {len(cells)} cells, {bad} out of bounds; errors up to {errors:.2f} %, power up to {loss:.1f} points less")
    return [
        Bar("cells out of bounds", bad, 0),
        Bar("errors of a claim in the worst cell", errors, MOST_ERRORS, " %"),
        Bar("power below the textbook test in the worst cell", loss, MOST_LOSS, " points"),
        Bar("power lost to the bootstrap in the worst cell", lost, MOST_LOSS, " points"),
        Bar("distance from the 28 % and 44 % of a bare threshold", luck, 0.5, " points"),
    ]


def bare_gate() -> float:
    """What a plain `pass_rate: 0.8` on 50 cases does to a prompt of 82 % and to one of 78 %."""
    fails = 100 * stats.binom.cdf(39, 50, 0.82)
    passes = 100 * stats.binom.sf(39, 50, 0.78)
    print(
        f"  80 % of 50 cases as bare threshold fails a true 82 % in {fails:.1f} %, passes a true 78 % in {passes:.1f} %"
    )
    return float(max(abs(fails - 28), abs(passes - 44)))


# --- one share against a threshold


@cache
def _share_claims(n: int, threshold: float) -> dict[str, Array]:
    found = [gate_share(k, n, threshold).certainty for k in range(n + 1)]
    return {name: np.array([one == name for one in found]) for name in ("met", "missed")}


def thresholds(chance: np.random.Generator) -> Iterator[Cell]:
    """A certain `met` or `missed` of a pass rate, against the exact one-sided binomial test."""
    for n in SIZES:
        k = np.arange(n + 1)
        for p in SHARES:
            textbook = {"met": stats.binom.sf(k - 1, n, p) <= 0.025, "missed": stats.binom.cdf(k, n, p) <= 0.025}
            for claim, sign in (("met", 1), ("missed", -1)):
                ours, theirs = _share_claims(n, p)[claim], textbook[claim]
                truth = _where_found(
                    lambda other, t=theirs, k=k, n=n: float(stats.binom.pmf(k, n, other)[t].sum()), p, sign
                )
                errors = 100 * ours[chance.binomial(n, p, COUNT_DRAWS)].mean()
                draws = chance.binomial(n, truth, COUNT_DRAWS)
                yield Cell("threshold", claim, n, p, "", errors, 100 * ours[draws].mean(), 100 * theirs[draws].mean())


def _where_found(power: Callable[[float], float], start: float, sign: int) -> float:
    """The truth, above or below, at which a test has 80 % power; the end of the scale where it never has."""
    end = 0.999 if sign > 0 else 0.001
    for truth in np.linspace(start, end, 200):
        if power(float(truth)) >= 0.8:
            return float(truth)
    return end


# --- pairs of 0 and 1


def _pair_shares(old: float, new: float, correlation: float) -> tuple[float, float]:
    """Chances that a pair is gained and lost."""
    both = old * new + correlation * np.sqrt(old * (1 - old) * new * (1 - new))
    both = min(max(both, old + new - 1), old, new)
    return new - both, old - both


def _draw_counts(chance: np.random.Generator, n: int, old: float, new: float, correlation: float) -> Array:
    gained, lost = _pair_shares(old, new, correlation)
    return chance.multinomial(n, [gained, lost, max(0.0, 1 - gained - lost)], COUNT_DRAWS)


def _share_of(counts: Array, n: int, claim: Callable[[int, int, int], bool]) -> float:
    pairs, times = np.unique(counts[:, 0] * (n + 1) + counts[:, 1], return_counts=True)
    yes = np.array([claim(int(pair) // (n + 1), int(pair) % (n + 1), n) for pair in pairs])
    return float(100 * times[yes].sum() / times.sum())


@cache
def _claims_of(gained: int, lost: int, n: int, margin: float) -> tuple[bool, bool]:
    """Whether it is shown to be above −margin, and below: the tests the interval is made of, as a test makes sure."""
    above, below = matched.tails(gained, lost, n, -margin)
    return above <= 0.025, below <= 0.025


def mcnemar(chance: np.random.Generator) -> Iterator[Cell]:
    """`improved` and `regressed` with no margin, against the mid-p McNemar test."""
    for n in SIZES:
        for p in SHARES:
            for correlation in (0.0, 0.5, 0.8):
                null = _draw_counts(chance, n, p, p, correlation)
                for claim, sign in (("improved", 1), ("regressed", -1)):
                    ours = lambda g, lo, n, s=sign: _claims_of(g, lo, n, 0.0)[0 if s > 0 else 1]  # noqa: E731
                    theirs = lambda g, lo, _n, s=sign: s * (g - lo) > 0 and _mid_p(g, lo) < 0.05  # noqa: E731
                    truth = _found_counts(chance, n, p, correlation, sign, theirs)
                    yield Cell(
                        "paired, binary", claim, n, p, f"r={correlation}",
                        _share_of(null, n, ours), _share_of(truth, n, ours), _share_of(truth, n, theirs),
                    )  # fmt: skip


@cache
def _mid_p(gained: int, lost: int) -> float:
    k, m = min(gained, lost), gained + lost
    return float(2 * stats.binom.cdf(k, m, 0.5) - stats.binom.pmf(k, m, 0.5)) if m else 1.0


def _found_counts(
    chance: np.random.Generator, n: int, p: float, correlation: float, sign: int, test: Callable[[int, int, int], bool]
) -> Array:
    for change in np.linspace(0.02, (1 - p if sign > 0 else p) - 0.001, 25):
        counts = _draw_counts(chance, n, p, p + sign * change, correlation)
        if _share_of(counts[:20_000], n, test) >= 80:
            break
    return counts


def margins(chance: np.random.Generator) -> Iterator[Cell]:
    """`no worse` (power where nothing changed) and `regressed` with a margin, against Tango's score test."""
    for n in SIZES:
        for margin in MARGINS:
            holds = [_score_errors(n, margin, sign) <= MOST_ERRORS for sign in (1, -1)]
            for p in SHARES:
                for correlation in (0.0, 0.5, 0.8):
                    null = _draw_counts(chance, n, p, p - margin, correlation)
                    same = _draw_counts(chance, n, p, p, correlation)
                    for claim, sign in (("no worse", 1), ("regressed", -1)):
                        ours = lambda g, lo, n, s=sign, m=margin: _claims_of(g, lo, n, m)[0 if s > 0 else 1]  # noqa: E731
                        theirs = lambda g, lo, n, s=sign, m=margin: s * _tango(g, lo, n, -m) > Z  # noqa: E731
                        truth = same if sign > 0 else _found_counts(chance, n, p, correlation, -1, theirs)
                        yield Cell(
                            "paired, with a margin", claim, n, p, f"r={correlation} m={margin}",
                            _share_of(null, n, ours), _share_of(truth, n, ours),
                            _share_of(truth, n, theirs) if holds[0 if sign > 0 else 1] else None,
                        )  # fmt: skip


@cache
def _tango(gained: int, lost: int, n: int, difference: float) -> float:
    return float(scipy_door.tango_scores(gained, lost, n, difference))  # type: ignore[arg-type]


def _score_errors(n: int, margin: float, sign: int) -> float:
    """The most the score test by itself errs, in percent, over all chances of a change; exact."""
    g, lo = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    g, lo = g[g + lo <= n], lo[g + lo <= n]
    claimed = sign * np.asarray(scipy_door.tango_scores(g, lo, n, -margin)) > Z
    worst = 0.0
    for changed in np.concatenate([np.linspace(max(margin, 0.01), 0.7, 60), np.linspace(margin, 3 * margin, 20)]):
        gained, lost = (changed - margin) / 2, (changed + margin) / 2
        log = stats.multinomial.logpmf(np.stack([g, lo, n - g - lo], 1), n, [gained, lost, 1 - changed])
        worst = max(worst, float(100 * np.exp(log)[claimed].sum()))
    return worst


# --- means and clusters: the same formulas on whole arrays


@dataclass(frozen=True)
class Spreads:
    """Means and standard errors of many suites at once."""

    mean: Array
    error: Array
    df: float
    fewest: int
    is_constant: Array


def _spreads(values: Array, sizes: Array | None) -> Spreads:
    n = values.shape[1]
    mean = values.mean(axis=1)
    constant = np.ptp(values, axis=1) <= 1e-12 * np.maximum(np.abs(mean), 1e-9)
    if sizes is None:
        return Spreads(mean, np.where(constant, 0, values.std(axis=1, ddof=1)) / np.sqrt(n), n - 1.0, n, constant)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    sums = np.add.reduceat(values - mean[:, None], starts, axis=1)
    error = np.sqrt((sums**2 / (1 - sizes / n)).sum(axis=1)) / n
    labels = np.repeat(np.arange(len(sizes)), sizes).tolist()
    df = spread_of(list(range(n)), labels).df
    assert df is not None
    return Spreads(mean, np.where(constant, 0, error), df, len(sizes), constant)


def _effective(found: Spreads, variance: Array, *, is_cautious: bool = False) -> Array:
    ratio = (Z / stats.t.ppf(0.975, whole_df(found.df))) ** 2 if is_cautious else 1.0
    usable = ~found.is_constant & (found.error > 0) & (variance > 0)
    with np.errstate(all="ignore"):
        return np.where(usable, variance / found.error**2 * ratio, found.fewest)


def _paired_claims(differences: Array, sizes: Array | None, margin: float) -> dict[str, Array]:
    """The claims of `compare_paired` without the bootstrap, and those of the plain t test, for scores in [0, 1]."""
    found = _spreads(differences, sizes)
    gained = np.maximum(differences, 0).mean(axis=1)
    lost = np.maximum(-differences, 0).mean(axis=1)
    worth = _effective(found, gained + lost - found.mean**2)
    wanted = stats.t.ppf(0.975, found.df)
    plain = found.is_constant | (found.error == 0)
    with np.errstate(all="ignore"):
        at_zero, at_margin = found.mean / found.error, (found.mean + margin) / found.error
        zero_score = np.asarray(scipy_door.tango_scores(gained * worth, lost * worth, worth, 0.0))  # type: ignore[arg-type]
        score = np.asarray(scipy_door.tango_scores(gained * worth, lost * worth, worth, -margin))  # type: ignore[arg-type]
    twice = float(stats.norm.ppf(0.95))
    guarded = (score > twice, score < -twice) if margin else (True, True)
    better = np.where(plain, zero_score > Z, at_zero > wanted)
    return {
        "improved": better,
        "no worse": np.where(plain, score > Z, (at_margin > wanted) & guarded[0]) | (better & (margin > 0)),
        "regressed": np.where(plain, score < -Z, (at_margin < -wanted) & guarded[1]),
        "t: improved": np.where(plain, found.mean > 0, at_zero > wanted),
        "t: no worse": np.where(plain, found.mean > -margin, at_margin > wanted),
        "t: regressed": np.where(plain, found.mean < -margin, at_margin < -wanted),
    }


def _draw_pairs(
    chance: np.random.Generator, n: int, old: float, new: float, repeats: int, sizes: Array | None
) -> tuple[Array, Array]:
    """Scores of both sides. Half of the cases answer the same on both sides, but for what the change turns over.

    Cases of one cluster are alike, and so are the repeats of one case.
    """
    k = 1 / WITHIN - 1
    groups = (np.arange(n), n) if sizes is None else (np.repeat(np.arange(len(sizes)), sizes), len(sizes))

    def side() -> Array:
        p = chance.beta(old * k, (1 - old) * k, (DRAWS, groups[1]))[:, groups[0]]
        return chance.binomial(repeats, p) if sizes is None or repeats > 1 else (chance.random((DRAWS, n)) < p) * 1

    first, second = side(), side()
    second = np.where(chance.random((DRAWS, n)) < 0.5, first, second)
    if new < old:
        second = chance.binomial(second, new / old)
    elif new > old:
        second = second + chance.binomial(repeats - second, (new - old) / (1 - old))
    return first / repeats, second / repeats


def _paired_cells(
    chance: np.random.Generator, gate: str, n: int, p: float, repeats: int, sizes: Array | None, setting: str
) -> Iterator[Cell]:
    for margin in (0.0, 0.05):
        old, new = _draw_pairs(chance, n, p, p - margin, repeats, sizes)
        null = _paired_claims(new - old, sizes, margin)
        _check_sample(old, new, sizes, margin, null)
        sd = float((new - old).std()) * (1 if sizes is None else np.sqrt(1 + (n / len(sizes) - 1) * WITHIN))
        step = min(p - 0.01, 2.8 * sd / np.sqrt(n) + margin)
        up = min(0.999 - p, 2.8 * sd / np.sqrt(n))
        truths = {"improved": p + up, "no worse": p, "regressed": p - step}
        for claim in ("improved", "regressed") if not margin else ("no worse", "regressed"):
            old, new = _draw_pairs(chance, n, p, truths[claim], repeats, sizes)
            there = _paired_claims(new - old, sizes, margin)
            holds = 100 * null[f"t: {claim}"].mean() <= MOST_ERRORS
            yield Cell(
                gate, claim, n, p, f"{setting} m={margin:g}", 100 * null[claim].mean(), 100 * there[claim].mean(),
                100 * there[f"t: {claim}"].mean() if holds else None,
            )  # fmt: skip


def _check_sample(old: Array, new: Array, sizes: Array | None, margin: float, claims: dict[str, Array]) -> None:
    """Whether the program says the same of some of the draws; it ends the benchmark if it does not."""
    groups = None if sizes is None else np.repeat(np.arange(len(sizes)), sizes).tolist()
    for number in range(CHECKED):
        sides = [{str(i): float(value) for i, value in enumerate(side[number])} for side in (old, new)]
        clusters = None if groups is None else {str(i): group for i, group in enumerate(groups)}
        said = compare_paired(*sides, clusters=clusters, kind="mean", margin=margin, resamples=0).verdict
        order = ("regressed", "improved", "no worse")
        ours = next(
            (claim for claim in order if claims[claim][number] and (margin or claim != "no worse")), "inconclusive"
        )
        if said != ours:
            raise SystemExit(f"the benchmark says {ours}, the program {said}: {sides}")


def means(chance: np.random.Generator) -> Iterator[Cell]:
    """Three repeats of a case, averaged: against the paired t test."""
    for n in SIZES:
        for p in SHARES:
            yield from _paired_cells(chance, "paired, means", n, p, 3, None, "3 repeats")


def _cluster_sizes(n: int, clusters: int, *, equal: bool) -> Array:
    if equal:
        return np.full(clusters, n // clusters)
    weights = np.linspace(1, 3, clusters)
    sizes = np.maximum(1, np.floor(weights / weights.sum() * n)).astype(int)
    sizes[: n - sizes.sum()] += 1
    return sizes


def clustered(chance: np.random.Generator) -> Iterator[Cell]:
    """Cases in clusters, equal ones and unequal ones, on both sides: against the cluster-robust t test."""
    for n, clusters in ((20, 5), (50, 10), (200, 20)):
        for p in SHARES:
            for equal in (True, False):
                sizes = _cluster_sizes(n, clusters, equal=equal)
                setting = f"{clusters} {'equal' if equal else 'unequal'}"
                yield from _paired_cells(chance, "paired, clustered", n, p, 1, sizes, setting)


def clustered_thresholds(chance: np.random.Generator) -> Iterator[Cell]:
    """A mean of three repeats, and a share of clustered cases, against a threshold; the textbook test is t."""
    for n, clusters in ((20, 0), (50, 0), (200, 0), (20, 5), (50, 10), (200, 20)):
        for p in SHARES:
            sizes = _cluster_sizes(n, clusters, equal=True) if clusters else None
            repeats = 1 if clusters else 3
            values, _ = _draw_pairs(chance, n, p, p, repeats, sizes)
            ours, theirs = _threshold_claims(values, sizes, p)
            _check_thresholds(values, sizes, p, ours)
            spread = _spreads(values, sizes).error.mean() * 2.8
            for claim, truth in (("met", min(0.995, p + spread)), ("missed", max(0.01, p - spread))):
                others, _ = _draw_pairs(chance, n, truth, truth, repeats, sizes)
                found, textbook = _threshold_claims(others, sizes, p)
                yield Cell(
                    "threshold, clustered" if clusters else "threshold, means", claim, n, p,
                    f"{clusters} clusters" if clusters else "3 repeats", 100 * ours[claim].mean(),
                    100 * found[claim].mean(),
                    100 * textbook[claim].mean() if 100 * theirs[claim].mean() <= MOST_ERRORS else None,
                )  # fmt: skip


def _threshold_claims(
    values: Array, sizes: Array | None, threshold: float
) -> tuple[dict[str, Array], dict[str, Array]]:
    found = _spreads(values, sizes)
    rate, units = found.mean, found.fewest
    plain = found.is_constant | (found.error == 0)
    wanted = stats.t.ppf(0.975, whole_df(found.df))
    with np.errstate(all="ignore"):
        t = (rate - threshold) / found.error
    is_share = bool(np.isin(values, (0, 1)).all())
    ours = {}
    for claim, sign, room in (("met", 1, 1 - threshold), ("missed", -1, threshold)):
        worth = _effective(found, rate * (1 - rate), is_cautious=room < 0.4)
        excluded = (1 - room) ** units <= 0.025
        shown = np.minimum(_effective(found, rate * (1 - rate)), values.shape[1])
        for count in (worth, shown) if is_share else (worth,):
            middle = (rate + Z * Z / (2 * count)) / (1 + Z * Z / count)
            half = Z * np.sqrt(rate * (1 - rate) / count + Z * Z / (4 * count**2)) / (1 + Z * Z / count)
            excluded = excluded & (sign * (middle - sign * half - threshold) > 0)
        ours[claim] = (plain | (sign * t > wanted)) & excluded
    theirs = {
        "met": np.where(plain, rate > threshold, t > wanted),
        "missed": np.where(plain, rate < threshold, t < -wanted),
    }
    return ours, theirs


def _check_thresholds(values: Array, sizes: Array | None, threshold: float, claims: dict[str, Array]) -> None:
    groups = None if sizes is None else np.repeat(np.arange(len(sizes)), sizes).tolist()
    for number in range(CHECKED):
        said = gate_one(values[number].tolist(), threshold, clusters=groups).certainty
        ours = "met" if claims["met"][number] else "missed" if claims["missed"][number] else "uncertain"
        if said != ours:
            raise SystemExit(f"the benchmark says {ours}, the program {said}: {values[number].tolist()}")


def bootstrap_loss(chance: np.random.Generator) -> float:
    """How much power the wider bound of t and bootstrap costs against t alone; at most, in points."""
    worst = 0.0
    for n in SIZES:
        for p in SHARES:
            sd = 0.3 if p < 0.9 else 0.15
            old, new = _draw_pairs(chance, n, p, min(0.999, p + 2.8 * sd / np.sqrt(n)), 3, None)
            alone = _paired_claims(new - old, None, 0.0)["improved"][:1_000]
            both = [
                bool(claimed)
                and (found := scipy_door.bca_interval(row, 0.95, resamples=1_000)) is not None
                and found[0] > 0
                for row, claimed in zip((new - old)[:1_000], alone, strict=True)
            ]
            lost = 100 * (alone.mean() - np.mean(both))
            worst = max(worst, float(lost))
            print(f"  bootstrap, n={n} p={p}: t alone finds {100 * alone.mean():.1f} %, with it {lost:.1f} points less")
    return worst


# --- tests one may look at after every case


def sequential(chance: np.random.Generator) -> Iterator[Cell]:
    """Stopped as soon as it may be, looking after each of n cases; the truth is on the threshold."""
    wanted = np.log(40)
    for n in SIZES:
        for p in SHARES:
            passed = np.cumsum(chance.random((DRAWS, n)) < p, axis=1)
            for claim, threshold, mirrored in (("met", p, False), ("missed", 1 - p, True)):
                least = [_least(size, threshold, float(wanted)) for size in range(1, n + 1)]
                count = np.arange(1, n + 1) - passed if mirrored else passed
                yield Cell("sequential", claim, n, p, "any time", 100 * (count >= np.array(least)).any(axis=1).mean())


def _least(n: int, threshold: float, wanted: float) -> int:
    """How many of n must be 1 for the capital to reach what is wanted; n + 1 where even all would not do."""
    low, high = 0, n + 1
    while low < high:
        middle = (low + high) // 2
        reached = middle > n or log_capital({1.0: middle, 0.0: n - middle}, threshold) >= wanted
        low, high = (low, middle) if reached else (middle + 1, high)
    return low
