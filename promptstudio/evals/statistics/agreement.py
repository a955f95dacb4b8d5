"""Labels of two or more raters → how far they agree beyond chance, with a bootstrap interval. Needs scipy for that.

Sources: Cohen 1960, Educational and Psychological Measurement 20:37; Cohen 1968, Psychological Bulletin 70:213, for
weights; Krippendorff 2011, "Computing Krippendorff's alpha-reliability".
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Literal, TypeVar

from promptstudio.evals.statistics import scipy_door as door
from promptstudio.evals.statistics.figures import CONFIDENCE, wilson
from promptstudio.evals.statistics.schema import Agreement, Interval

T = TypeVar("T")
Weights = Literal["none", "linear", "quadratic"]
Level = Literal["nominal", "interval"]


def accuracy(judge: Sequence[Hashable], human: Sequence[Hashable], *, confidence: float = CONFIDENCE) -> Agreement:
    """Return the share of labels on which judge and human agree, with its Wilson interval."""
    n = _same_length(judge, human)
    if not n:
        return Agreement("accuracy", None, Interval(None, None, confidence, "no labels"), 0)
    rate = sum(one == other for one, other in zip(judge, human, strict=True)) / n
    return Agreement("accuracy", rate, wilson(rate, n, confidence), n)


def cohen_kappa(
    judge: Sequence[Hashable],
    human: Sequence[Hashable],
    *,
    weights: Weights = "none",
    order: Sequence[Hashable] | None = None,
    confidence: float = CONFIDENCE,
) -> Agreement:
    """Return Cohen's kappa, −1 to 1; None where both give one and the same label throughout.

    Weights count a near miss less; `order` lists the labels from low to high, else they are sorted. Raises ValueError
    for a label that `order` lacks.
    """
    n = _same_length(judge, human)
    if order is not None and (strange := {*judge, *human} - set(order)):
        raise ValueError(f"{next(iter(strange))!r} is not among the labels")
    labels = list(order) if order is not None else sorted({*judge, *human}, key=_label_key)
    places = {label: place for place, label in enumerate(labels)}
    pairs = [(places[one], places[other]) for one, other in zip(judge, human, strict=True)]
    return _agreement("kappa", pairs, lambda drawn: _kappa(drawn, weights), n, confidence)


def krippendorff_alpha(
    ratings: Sequence[Sequence[float | None]], *, level: Level = "nominal", confidence: float = CONFIDENCE
) -> Agreement:
    """Return Krippendorff's alpha, at most 1; None where it is not defined.

    `ratings` has one row a rater and one column an item, all rows of one length; None is a missing rating. Nominal
    labels are given as numbers. Items with fewer than two ratings do not count.
    """
    if len({len(row) for row in ratings}) > 1:
        raise ValueError("every rater needs as many ratings, None where one is missing")
    units = [[value for value in column if value is not None] for column in zip(*ratings, strict=True)]
    units = [unit for unit in units if len(unit) > 1]
    return _agreement("alpha", units, lambda drawn: _alpha(drawn, level), len(units), confidence)


def _kappa(pairs: Sequence[tuple[int, int]], weights: Weights) -> float:
    n = len(pairs)
    rows, columns = Counter(row for row, _ in pairs), Counter(column for _, column in pairs)
    seen = sum(_distance(row, column, weights) * count for (row, column), count in Counter(pairs).items()) / n
    chance = sum(
        _distance(row, column, weights) * one * other for row, one in rows.items() for column, other in columns.items()
    )
    return 1 - seen / (chance / n / n) if chance else math.nan


def _distance(one: int, other: int, weights: Weights) -> float:
    if weights == "none":
        return float(one != other)
    return float(abs(one - other)) if weights == "linear" else float((one - other) ** 2)


def _alpha(units: Sequence[Sequence[float]], level: Level) -> float:
    """1 − seen/expected disagreement. Every item weighs by its ratings; sums of squares make it linear in them."""
    values = [value for unit in units for value in unit]
    n = len(values)
    if n < 2:
        return math.nan
    seen = sum(_disagreement(unit, level) / (len(unit) - 1) for unit in units)
    expected = _disagreement(values, level) / (n - 1)
    return 1 - seen / expected if expected > 0 else math.nan


def _disagreement(values: Sequence[float], level: Level) -> float:
    """The sum of differences over all ordered pairs."""
    n = len(values)
    if level == "nominal":
        return float(n * n - sum(count * count for count in Counter(values).values()))
    middle = math.fsum(values) / n
    return 2 * n * math.fsum((value - middle) ** 2 for value in values)


def _agreement(
    name: str, items: Sequence[T], statistic: Callable[[Sequence[T]], float], n: int, confidence: float
) -> Agreement:
    estimate = statistic(items) if n else math.nan
    if not math.isfinite(estimate):
        return Agreement(name, None, Interval(None, None, confidence, "bootstrap: not defined"), n)
    found = None
    if n > 1:
        found = door.index_bootstrap(lambda drawn: statistic([items[index] for index in drawn]), n, confidence)
    bounds = found or (None, None)
    return Agreement(name, estimate, Interval(bounds[0], bounds[1], confidence, "bootstrap"), n)


def _same_length(one: Sequence[object], other: Sequence[object]) -> int:
    if len(one) != len(other):
        raise ValueError(f"{len(one)} labels of the judge and {len(other)} of people")
    return len(one)


def _label_key(label: Hashable) -> tuple[int, float, str]:
    return (0, float(label), "") if isinstance(label, int | float) else (1, 0.0, str(label))
