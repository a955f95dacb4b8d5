"""The values the statistics take and return. Frozen, and free of scipy and numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# One case's score, or those of its repeats: they are averaged within the case.
Measure = float | Sequence[float]

Kind = Literal["binary", "mean"]
Better = Literal["higher", "lower"]
Verdict = Literal["improved", "no worse", "regressed", "inconclusive"]
Certainty = Literal["met", "missed", "uncertain"]
Decision = Literal["met", "missed"]


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the true value lies. A bound is None where nothing can be said: one value, or none.

    `confidence` is two-sided; `method` is a name to show.
    """

    lower: float | None
    upper: float | None
    confidence: float
    method: str

    @property
    def is_known(self) -> bool:
        return self.lower is not None and self.upper is not None

    @property
    def half_width(self) -> float | None:
        if self.lower is None or self.upper is None:
            return None
        return (self.upper - self.lower) / 2


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean or a share over cases. `n` counts cases, `clusters` groups of them where there are any.

    `estimate` and `standard_error` are None where they are not defined (no case; one case).
    """

    estimate: float | None
    interval: Interval
    n: int
    standard_error: float | None = None
    clusters: int | None = None


@dataclass(frozen=True, slots=True)
class GateFigure:
    """A figure held against a threshold.

    `is_met` is the plain comparison. `certainty` says whether a lucky or unlucky draw of cases could explain it;
    `p_value` is one-sided: how often a true value on the threshold gives a figure at least this far on its side of it.
    """

    figure: Figure
    threshold: float
    is_met: bool
    certainty: Certainty
    p_value: float | None


@dataclass(frozen=True, slots=True)
class Flip:
    """A case whose outcome or score differs between the two sides."""

    case: str
    baseline: float
    candidate: float

    @property
    def change(self) -> float:
        return self.candidate - self.baseline


@dataclass(frozen=True, slots=True)
class Detectable:
    """What this comparison could have seen, and what it would take to see more, with the power named.

    `difference` is the smallest true difference found so often with these pairs; `cases` is how many pairs it takes
    for `target`: the margin, or without one the difference that was seen. None where it cannot be told.
    """

    difference: float | None
    cases: int | None
    target: float | None
    power: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides on the same cases. Differences are candidate − baseline, in the unit of the scores.

    `p_value` is two-sided for "no difference". `p_better`, `p_no_worse` and `p_worse` are one-sided, each for its
    claim: better at all, worse by less than the margin, worse by more than the margin; they are held against half of
    1 − confidence. `broke` and `mended` are the flips of a binary comparison, or the changed scores of another,
    largest change first.
    """

    n_pairs: int
    baseline_mean: float | None
    candidate_mean: float | None
    difference: float | None
    interval: Interval
    p_value: float | None
    p_better: float | None
    p_no_worse: float | None
    p_worse: float | None
    verdict: Verdict
    method: str
    margin: float
    better: Better
    broke: tuple[Flip, ...]
    mended: tuple[Flip, ...]
    only_baseline: tuple[str, ...]
    only_candidate: tuple[str, ...]
    detectable: Detectable
    clusters: int | None = None
    note: str | None = None

    @property
    def is_surely_worse(self) -> bool:
        """Whether it is worse, and not by luck, though perhaps by less than the margin: the verdict stays open."""
        bound = self.interval.upper if self.better == "higher" else self.interval.lower
        if bound is None or self.verdict != "inconclusive" or not self.margin:
            return False
        return bound < 0 if self.better == "higher" else bound > 0


@dataclass(frozen=True, slots=True)
class Holm:
    """One claim of a family after Holm's step-down."""

    p_value: float
    adjusted: float
    is_claimed: bool


@dataclass(frozen=True, slots=True)
class Option:
    """So many repeats of so many cases reach the wanted power; `calls` is for one side."""

    repeats: int
    cases: int
    calls: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How many cases and repeats it takes to see `mde`. `options` trade cases for repeats, fewest calls first.

    `chosen` is the option with the fewest calls that the cases at hand allow; None where no number of repeats
    makes up for the cases that are missing.
    """

    mde: float
    power: float
    alpha: float
    method: str
    options: tuple[Option, ...]
    chosen: Option | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two or more raters agree. `estimate` is None where it is not defined (all said the same)."""

    name: str
    estimate: float | None
    interval: Interval
    n: int


@dataclass(frozen=True, slots=True)
class Bias:
    """Judge − human in one group against all others. `difference` is in the unit of the scores."""

    group: str
    n: int
    n_others: int
    difference: float | None
    interval: Interval
    p_value: float | None
    adjusted: float | None


@dataclass(frozen=True, slots=True)
class Trend:
    """Judge − human against a number such as the length of an answer: Spearman's rank correlation, −1 to 1."""

    name: str
    n: int
    correlation: float | None
    interval: Interval
    p_value: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """One candidate of a Pareto picture: quality up, cost and latency down; None where it is not known."""

    name: str
    quality: float
    cost_usd: float | None = None
    latency_ms: float | None = None
