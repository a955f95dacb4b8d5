"""Two sides measured on the same cases → difference, interval, p-values, verdict. Needs scipy.

| what is measured | test | interval |
|---|---|---|
| binary, each case once | mid-p McNemar; score test at the margin | the differences those tests do not refute |
| means, or repeats (averaged within the case) | paired t | the wider bound of paired t and BCa bootstrap |
| anything in clusters | cluster-robust paired t | its own |

A t test knows nothing of bounds: a few cases without any change have no spread and would prove anything. So for scores
in [0, 1] a claim at a margin must hold as a score test of as many effective pairs too, at twice the level. A verdict is
read off the interval, which is widened where a test says less than it; so text, interval and verdict never disagree.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from promptstudio.evals.statistics import matched
from promptstudio.evals.statistics import scipy_door as door
from promptstudio.evals.statistics.detectable import detectable_mean, detectable_share
from promptstudio.evals.statistics.figures import CONFIDENCE, case_value, effective_n
from promptstudio.evals.statistics.schema import (
    Better,
    Comparison,
    Detectable,
    Flip,
    Interval,
    Kind,
    Measure,
    Verdict,
)
from promptstudio.evals.statistics.spread import Spread, spread_of

POWER = 0.8


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Scores of the same cases, in the same order; both sides negated where lower is better."""

    baseline: tuple[float, ...]
    candidate: tuple[float, ...]
    clusters: tuple[Hashable, ...] | None
    is_binary: bool
    is_share_like: bool
    repeats: bool

    @property
    def differences(self) -> list[float]:
        return [new - old for old, new in zip(self.baseline, self.candidate, strict=True)]


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What a method found, with up as good."""

    lower: float | None
    upper: float | None
    p_value: float | None
    p_better: float | None
    p_no_worse: float | None
    p_worse: float | None
    method: str
    detectable: Detectable
    note: str | None = None


def compare_paired(
    baseline: Mapping[str, Measure],
    candidate: Mapping[str, Measure],
    *,
    clusters: Mapping[str, Hashable] | None = None,
    kind: Kind = "binary",
    margin: float = 0.0,
    better: Better = "higher",
    is_amount: bool = False,
    confidence: float = CONFIDENCE,
    resamples: int = door.RESAMPLES,
    seed: int = door.SEED,
) -> Comparison:
    """Compare two sides by case id. A measure is a score, or the scores of the repeats of a case.

    `margin` ≥ 0 is how much worse, in the unit of the scores, still counts as no worse. `clusters` names the group of
    each case. `kind` "binary" says that scores are 0 or 1, `is_amount` that they have no bounds, such as dollars below
    1. `resamples` of 0 leaves the bootstrap out. Cases that only
    one side has are listed and left out. Raises ValueError for a score that is not finite, a binary one that is neither
    0 nor 1, a negative margin, and clusters that lack a case.
    """
    _check(baseline, candidate, kind, margin)
    ids = [case for case in baseline if case in candidate]
    pairs = _pairs(baseline, candidate, ids, clusters, kind, better)
    if is_amount:
        pairs = replace(pairs, is_share_like=False)
    if not ids:
        found = _nothing("no pairs", "no case is on both sides")
    elif pairs.is_binary:
        found = _by_counts(pairs, margin, confidence)
    else:
        found = _by_mean(pairs, margin, confidence, resamples, seed)
    return _comparison(baseline, candidate, ids, pairs, found, margin, better, confidence)


def _pairs(
    baseline: Mapping[str, Measure],
    candidate: Mapping[str, Measure],
    ids: Sequence[str],
    clusters: Mapping[str, Hashable] | None,
    kind: Kind,
    better: Better,
) -> _Pairs:
    sign = 1.0 if better == "higher" else -1.0
    old = tuple(case_value(baseline[case]) for case in ids)
    new = tuple(case_value(candidate[case]) for case in ids)
    both = (*old, *new)
    groups = None
    if clusters is not None:
        if missing := [case for case in ids if case not in clusters]:
            raise ValueError(f"no cluster is given for case {missing[0]!r}")
        groups = tuple(clusters[case] for case in ids)
        if len(set(groups)) == len(groups):
            groups = None
    repeats = any(_repeats(side[case]) > 1 for side in (baseline, candidate) for case in ids)
    return _Pairs(
        tuple(sign * value for value in old),
        tuple(sign * value for value in new),
        groups,
        kind == "binary" and groups is None and not repeats,
        bool(both) and min(both) >= 0 and max(both) <= 1,
        repeats,
    )


def _by_counts(pairs: _Pairs, margin: float, confidence: float) -> _Evidence:
    n = len(pairs.baseline)
    gained = sum(difference > 0 for difference in pairs.differences)
    lost = sum(difference < 0 for difference in pairs.differences)
    lower, upper = matched.difference_interval(gained, lost, n, confidence, (0.0, -margin))
    better, _ = matched.tails(gained, lost, n, 0.0)
    no_worse, worse = matched.tails(gained, lost, n, -margin)
    return _Evidence(
        lower,
        upper,
        matched.mid_p_mcnemar(gained, lost),
        better,
        no_worse,
        worse,
        "mid-p McNemar, exact score interval",
        detectable_share(gained, lost, n, margin, 1 - confidence, POWER),
    )


def _by_mean(pairs: _Pairs, margin: float, confidence: float, resamples: int, seed: int) -> _Evidence:
    differences = pairs.differences
    spread = spread_of(differences, pairs.clusters)
    method = "paired t" if spread.clusters is None else "clustered paired t"
    if spread.df is None:
        one = "case" if spread.clusters is None else "cluster"
        return _nothing(method, f"one {one} has no spread: more than one are needed")
    if spread.is_constant and not pairs.is_share_like:
        return _nothing(method, "the difference is the same in all cases, which says nothing of its spread")
    bounds: list[tuple[float, float]] = []
    if not spread.is_constant and spread.standard_error:
        half = door.t_quantile((1 + confidence) / 2, spread.df) * spread.standard_error
        bounds.append((spread.mean - half, spread.mean + half))
        if resamples and spread.clusters is None and (found := _bootstrap(differences, confidence, resamples, seed)):
            bounds.append(found)
            method += ", BCa bootstrap"
    at_zero, at_margin = (_mean_tails(pairs, spread, point) for point in (0.0, -margin))
    level = (1 - confidence) / 2
    marks = ((0.0, *at_zero), (-margin, *at_margin))
    if not bounds:
        bounds.append(_score_bounds(pairs, spread, confidence))
        method += "; all differences equal: score interval"
    lower = min(
        *(low for low, _ in bounds), *(p for p, above, _ in marks if p < spread.mean and above > level), spread.mean
    )
    upper = max(
        *(high for _, high in bounds), *(p for p, _, below in marks if p > spread.mean and below > level), spread.mean
    )
    return _Evidence(
        lower,
        upper,
        _two_sided(pairs, spread, at_zero),
        at_zero[0],
        *at_margin,
        method,
        detectable_mean(spread, margin, 1 - confidence, POWER, is_share_like=pairs.is_share_like),
    )


def _bootstrap(
    differences: Sequence[float], confidence: float, resamples: int, seed: int
) -> tuple[float, float] | None:
    return door.bca_interval(differences, confidence, resamples=resamples, seed=seed)


def _mean_tails(pairs: _Pairs, spread: Spread, point: float) -> tuple[float, float]:
    """One-sided p-values that the mean difference is above `point`, and that it is below."""
    found = None
    if not spread.is_constant and spread.standard_error and spread.df is not None:
        t = (spread.mean - point) / spread.standard_error
        found = (door.t_tail(t, spread.df), door.t_tail(-t, spread.df))
        if point == 0 or not pairs.is_share_like:
            return found
    score = matched.score_tails(*_effective_counts(pairs, spread), point)
    return score if found is None else (max(found[0], score[0] / 2), max(found[1], score[1] / 2))


def _effective_counts(pairs: _Pairs, spread: Spread) -> tuple[float, float, float]:
    """As many gained, lost and all pairs of 0 and 1 as would be as sure as these scores in [0, 1]."""
    gained = fmean(max(difference, 0.0) for difference in pairs.differences)
    lost = fmean(max(-difference, 0.0) for difference in pairs.differences)
    worth = effective_n(spread, gained + lost - spread.mean**2)
    return gained * worth, lost * worth, worth


def _score_bounds(pairs: _Pairs, spread: Spread, confidence: float) -> tuple[float, float]:
    gained, lost, worth = _effective_counts(pairs, spread)
    level = (1 - confidence) / 2
    lower = matched.lowest_kept(
        lambda point: matched.score_tails(gained, lost, worth, point)[0], spread.mean, level, ()
    )
    upper = matched.lowest_kept(
        lambda point: matched.score_tails(lost, gained, worth, point)[0], -spread.mean, level, ()
    )
    return lower, -upper


def _two_sided(pairs: _Pairs, spread: Spread, at_zero: tuple[float, float]) -> float:
    if spread.clusters is None and not spread.is_constant:
        return door.paired_t(pairs.baseline, pairs.candidate)[1]
    return min(1.0, 2 * min(at_zero))


def _verdict(found: _Evidence, margin: float) -> Verdict:
    if found.lower is None or found.upper is None:
        return "inconclusive"
    if found.upper < -margin:
        return "regressed"
    if found.lower > 0:
        return "improved"
    return "no worse" if found.lower > -margin else "inconclusive"


def _comparison(
    baseline: Mapping[str, Measure],
    candidate: Mapping[str, Measure],
    ids: Sequence[str],
    pairs: _Pairs,
    found: _Evidence,
    margin: float,
    better: Better,
    confidence: float,
) -> Comparison:
    old = fmean(case_value(baseline[case]) for case in ids) if ids else None
    new = fmean(case_value(candidate[case]) for case in ids) if ids else None
    bounds = (found.lower, found.upper)
    if better == "lower":
        bounds = tuple(None if bound is None else -bound for bound in reversed(bounds))  # type: ignore[assignment]
    flips = [Flip(case, case_value(baseline[case]), case_value(candidate[case])) for case in ids]
    worse = -1 if better == "higher" else 1
    order = sorted((flip for flip in flips if flip.change), key=lambda flip: -abs(flip.change))
    return Comparison(
        n_pairs=len(ids),
        baseline_mean=old,
        candidate_mean=new,
        difference=None if old is None or new is None else new - old,
        interval=Interval(*bounds, confidence, found.method),
        p_value=found.p_value,
        p_better=found.p_better,
        p_no_worse=found.p_no_worse,
        p_worse=found.p_worse,
        verdict=_verdict(found, margin),
        method=found.method,
        margin=margin,
        better=better,
        broke=tuple(flip for flip in order if flip.change * worse > 0),
        mended=tuple(flip for flip in order if flip.change * worse < 0),
        only_baseline=tuple(case for case in baseline if case not in candidate),
        only_candidate=tuple(case for case in candidate if case not in baseline),
        detectable=found.detectable,
        clusters=None if pairs.clusters is None else len(set(pairs.clusters)),
        note=found.note,
    )


def _nothing(method: str, note: str) -> _Evidence:
    return _Evidence(None, None, None, None, None, None, method, Detectable(None, None, None, POWER), note)


def _repeats(measure: Measure) -> int:
    return len(measure) if isinstance(measure, Sequence) else 1


def _check(baseline: Mapping[str, Measure], candidate: Mapping[str, Measure], kind: Kind, margin: float) -> None:
    if not margin >= 0:
        raise ValueError(f"a margin of {margin:g} is negative")
    for side in (baseline, candidate):
        for case, measure in side.items():
            scores = measure if isinstance(measure, Sequence) else (measure,)
            if not scores:
                raise ValueError(f"case {case!r} has no score")
            if kind == "binary" and not all(score in {0, 1} for score in scores):
                raise ValueError(f"case {case!r} has a score that is neither 0 nor 1")
            if not all(abs(score) < float("inf") for score in scores):
                raise ValueError(f"case {case!r} has a score that is not a finite number")
