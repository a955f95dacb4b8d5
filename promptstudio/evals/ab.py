"""Stored results of several sides over the same cases → each against the first, which one to take, and how sure.

Verdicts of quality (pass rate, metrics) hold for all of the comparisons together by Holm's method, those of cost and
latency likewise. A side is better than another where a figure of quality is, and none is worse; it is cheaper where it
is no worse by the margin and costs less. Decides; prints nothing.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from promptstudio.evals.figures import figures_of
from promptstudio.evals.paired import CONFIDENCE, Paired, compare_series
from promptstudio.evals.series import COST, LATENCY, PASSED, By, Series
from promptstudio.evals.sides import Entrant
from promptstudio.evals.statistics.pareto import pareto_front
from promptstudio.evals.statistics.schema import Comparison, Point
from promptstudio.evals.statistics.sentence import amount, rounded_up

Relation = Literal["better", "worse", "mixed", "cheaper", "dearer", "alike", "unclear"]
SPENT = (COST, LATENCY)


@dataclass(frozen=True, slots=True)
class Standing:
    """One side by itself. `figures` are those of `figures_of`; cost and latency are means of a case, None if unknown.

    `missing` counts cases that have no outcome; `is_beaten_by` is a side that is nowhere worse and somewhere better.
    """

    letter: str
    entrant: Entrant
    model: str
    figures: Mapping[str, object]
    quality: float | None
    cost_usd: float | None
    latency_ms: float | None
    cases: int
    missing: int
    on_front: bool = True
    is_beaten_by: str | None = None

    @property
    def title(self) -> str:
        return f"{self.letter} ({self.entrant.side.name})"


@dataclass(frozen=True, slots=True)
class Duel:
    """One side against the first. `relation` is what it is to the first."""

    side: Standing
    paired: Paired
    relation: Relation


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Which side to take, None where the cases cannot tell, and why in one sentence.

    `is_better` says that quality was the reason, not cost.
    """

    winner: Standing | None
    is_better: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Contest:
    """All of a comparison: the first of `standings` is what the others are held against."""

    standings: tuple[Standing, ...]
    duels: tuple[Duel, ...]
    recommendation: Recommendation


def check_statistics() -> None:
    """Raise MissingExtraError where scipy is not installed: before anything is paid for."""
    importlib.import_module("promptstudio.evals.statistics.scipy_door")


def contest_of(
    entrants: Sequence[Entrant],
    series: Sequence[Series],
    *,
    margin: float = 0.0,
    across_engines: bool = False,
    confidence: float = CONFIDENCE,
) -> Contest:
    """Compare the sides, whose numbers are in the same order. Imports scipy."""
    standings = _placed(
        [_standing(index, *pair, confidence) for index, pair in enumerate(zip(entrants, series, strict=True))]
    )

    def pairs(*, turned: bool) -> list[Paired]:
        found = [
            compare_series(
                *((other, series[0]) if turned else (series[0], other)),
                margin=margin,
                spent=not turned,
                across_engines=across_engines,
                confidence=confidence,
                settled=False,
            )
            for other in series[1:]
        ]
        return _settled(found)

    forward, back = pairs(turned=False), pairs(turned=True)
    duels = tuple(
        Duel(side, one, relation_of(one, other)) for side, one, other in zip(standings[1:], forward, back, strict=True)
    )
    return Contest(standings, duels, recommended(standings[0], duels))


def _settled(found: Sequence[Paired]) -> list[Paired]:
    """Settle the quality of all sides as one family, and what they spent as another."""
    from promptstudio.evals.statistics.families import settle_family  # beside scipy, for comparisons only

    settled: dict[tuple[int, str], Comparison] = {}
    for is_spent in (False, True):
        keys = [(n, name) for n, one in enumerate(found) for name in one.comparisons if (name in SPENT) == is_spent]
        family = {f"{n} {name}": found[n].comparisons[name] for n, name in keys}
        done = settle_family(family) if len(family) > 1 else family
        settled |= {(n, name): done[f"{n} {name}"] for n, name in keys}
    return [
        replace(one, comparisons={name: settled[n, name] for name in one.comparisons}) for n, one in enumerate(found)
    ]


def relation_of(forward: Paired, back: Paired) -> Relation:
    """Return what a side is to the first; `back` has the two exchanged."""
    quality = [one for name, one in forward.comparisons.items() if name not in SPENT]
    turned = [one for name, one in back.comparisons.items() if name not in SPENT]
    is_better = any(one.verdict == "improved" for one in quality)
    is_worse = any(one.verdict == "regressed" for one in quality) or any(one.verdict == "improved" for one in turned)
    if is_better or is_worse:
        return "mixed" if is_better and is_worse else "better" if is_better else "worse"
    cost = forward.comparisons.get(COST)
    holds, held = (bool(each) and all(one.verdict == "no worse" for one in each) for each in (quality, turned))
    if holds and cost is not None and cost.verdict == "improved":
        return "cheaper"
    if held and cost is not None and cost.verdict == "regressed":
        return "dearer"
    return "alike" if holds and held else "unclear"


# -- each side by itself


def _standing(index: int, entrant: Entrant, series: Series, confidence: float) -> Standing:
    figures = figures_of(series, confidence)
    counted = {**{case: [0.0] for case in series.missing}, **series.passed}
    return Standing(
        chr(ord("A") + index),
        entrant,
        series.model,
        figures,
        _mean(counted),
        _mean(series.cost_usd),
        _mean(series.latency_ms),
        len(counted),
        len(series.missing),
    )


def _mean(by: By) -> float | None:
    return fmean(fmean(values) for values in by.values()) if by else None


def _placed(standings: Sequence[Standing]) -> tuple[Standing, ...]:
    """Say of each side whether another one beats it in quality, cost and latency at once."""
    points = {
        each.letter: Point(each.letter, each.quality, each.cost_usd, each.latency_ms)
        for each in standings
        if each.quality is not None
    }
    front = {point.name for point in pareto_front(list(points.values()))}

    def beaten_by(each: Standing) -> str | None:
        mine = points.get(each.letter)
        return next((name for name, one in points.items() if mine and pareto_front([one, mine]) == (one,)), None)

    return tuple(replace(each, on_front=each.letter in front, is_beaten_by=beaten_by(each)) for each in standings)


# -- the recommendation


def recommended(first: Standing, duels: Sequence[Duel]) -> Recommendation:
    """Choose the best of those that are better than the first, else the cheapest of its equals, else the first."""
    better = sorted((one for one in duels if one.relation == "better"), key=_gain, reverse=True)
    if better:
        best = better[0]
        others = [one.side.title for one in better[1:]]
        also = (
            f"; {_listed(others)} {'is' if len(others) == 1 else 'are'} better than {first.letter} too"
            if others
            else ""
        )
        return Recommendation(
            best.side,
            is_better=True,
            sentence=f"{_better(best, first)}{also}; take {best.side.letter}{_lost(best.side)}",
        )
    cheaper = sorted((one for one in duels if one.relation == "cheaper"), key=_spent)
    if cheaper:
        best = cheaper[0]
        return Recommendation(
            best.side, is_better=False, sentence=f"{_cheaper(best, first)}; take {best.side.letter}{_lost(best.side)}"
        )
    if all(one.relation in ("worse", "dearer") for one in duels):
        said = "; ".join(_worse(one, first) if one.relation == "worse" else _dearer(one, first) for one in duels)
        is_better = all(one.relation == "worse" for one in duels)
        return Recommendation(first, is_better=is_better, sentence=f"{said}; take {first.letter}{_lost(first)}")
    return Recommendation(None, is_better=False, sentence="; ".join(_untold(one, first) for one in duels))


def _gain(duel: Duel) -> tuple[float, float]:
    """How much better, and among equals how much cheaper."""
    passed, cost = (duel.paired.comparisons.get(name) for name in (PASSED, COST))
    return (passed.difference or 0.0) if passed else 0.0, -((cost.difference or 0.0) if cost else 0.0)


def _spent(duel: Duel) -> float:
    cost = duel.paired.comparisons.get(COST)
    return (cost.difference or 0.0) if cost else 0.0


def _better(duel: Duel, first: Standing) -> str:
    name, found = _first_with(duel.paired, "improved")
    return f"{duel.side.title} is better than {first.title} {_by(name, found)}{_and_costs(duel)}"


def _worse(duel: Duel, first: Standing) -> str:
    quality = {name: one for name, one in duel.paired.comparisons.items() if name not in SPENT}
    name, found = min(quality.items(), key=lambda pair: pair[1].difference or 0.0)
    return f"{duel.side.title} is worse than {first.title} {_by(name, found)}{_and_costs(duel)}"


def _cheaper(duel: Duel, first: Standing) -> str:
    name, found = next(iter(duel.paired.comparisons.items()))
    margin = amount_of(found.margin, unit_of(name, found))
    less = f"{_interval(name, found)}{_and_costs(duel)}"
    return f"{duel.side.title} is not worse than {first.title} by {margin} or more {less}"


def _dearer(duel: Duel, first: Standing) -> str:
    return f"{duel.side.title} is no better than {first.title} by the margin{_and_costs(duel)}"


def _untold(duel: Duel, first: Standing) -> str:
    if duel.relation == "worse":
        return _worse(duel, first)
    if duel.relation == "mixed":
        up, down = (_first_with(duel.paired, verdict)[0] for verdict in ("improved", "regressed"))
        which = f"is better than {first.title} at {up} and worse at {down}"
        return f"{duel.side.title} {which}: which counts more is yours to say"
    name, found = next(iter(duel.paired.comparisons.items()))
    cases = f"{found.n_pairs:,} {'case' if found.n_pairs == 1 else 'cases'}"
    if duel.relation in ("alike", "dearer"):
        spent = " and ".join(f"{duel.side.letter} {text}" for text in _spent_texts(duel))
        within = amount_of(found.margin, unit_of(name, found))
        alike = f"{duel.side.title} and {first.title} are alike within {within} on {cases}"
        return f"{alike}, and {spent}" if spent else alike
    wanted = found.detectable.cases
    needs = f"; about {rounded_up(wanted):,} cases would" if wanted is not None and wanted > found.n_pairs else ""
    apart = f"{cases} cannot tell {first.title} and {duel.side.title} apart {_interval(name, found)}"
    spent = " and ".join(_spent_texts(duel))
    return f"{apart}{f'; {duel.side.letter} {spent}' if spent else ''}{needs}"


def _first_with(paired: Paired, verdict: str) -> tuple[str, Comparison]:
    quality = [(name, one) for name, one in paired.comparisons.items() if name not in SPENT]
    return next((pair for pair in quality if pair[1].verdict == verdict), quality[0])


def _by(name: str, found: Comparison) -> str:
    unit = unit_of(name, found)
    at = "" if name == PASSED else f"at {name} "
    cases = f"{found.n_pairs:,} {'case' if found.n_pairs == 1 else 'cases'}"
    return f"{at}by {amount_of(found.difference or 0.0, unit)} {_interval(name, found)} on {cases}"


def _interval(name: str, found: Comparison) -> str:
    """`(95% interval +2 points to +10 points)`."""
    if found.interval.lower is None or found.interval.upper is None:
        return "(interval not known)"
    unit = unit_of(name, found)
    lower, upper = (signed(bound, unit) for bound in (found.interval.lower, found.interval.upper))
    return f"({found.interval.confidence:.0%} interval {lower} to {upper})"


def _and_costs(duel: Duel) -> str:
    """What is known of cost and latency: ` and costs 12% more`. What may be luck is left out."""
    return "".join(f" and {text}" for text in _spent_texts(duel))


def _spent_texts(duel: Duel) -> list[str]:
    words = ((COST, "costs {} less", "costs {} more"), (LATENCY, "is {} faster", "is {} slower"))
    found = [_spent_text(duel.paired.comparisons.get(name), less, more) for name, less, more in words]
    return [text for text in found if text is not None]


def _spent_text(found: Comparison | None, less: str, more: str) -> str | None:
    if (
        found is None
        or not found.difference
        or not found.baseline_mean
        or found.verdict not in ("improved", "regressed")
    ):
        return None
    return (less if found.difference < 0 else more).format(share_of(found))


def share_of(found: Comparison) -> str:
    """Return a difference as a share of what it is held against: `12%`."""
    assert found.difference is not None  # noqa: S101  whoever asks has looked
    assert found.baseline_mean  # noqa: S101
    share = abs(found.difference / found.baseline_mean)
    return f"{share:.0%}" if share >= 0.0095 else f"{share:.1%}"


def _lost(side: Standing) -> str:
    if not side.missing:
        return ""
    count = "1 of its cases has" if side.missing == 1 else f"{side.missing:,} of its cases have"
    return f" (but {count} no outcome, and are left out)"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


# -- words for numbers


def unit_of(name: str, found: Comparison) -> str:
    """Return what a figure is counted in: points for shares and scores up to 1."""
    if name == COST:
        return "$"
    if name == LATENCY:
        return "ms"
    means = [one for one in (found.baseline_mean, found.candidate_mean) if one is not None]
    return "points" if all(0 <= one <= 1 for one in means) else ""


def signed(value: float, unit: str) -> str:
    """Return a difference with its sign: `+9 points`, `−$0.0021`; none where it shows as nothing."""
    text = amount_of(value, unit)
    return text if not any(digit in text for digit in "123456789") else f"{'−' if value < 0 else '+'}{text}"


def amount_of(value: float, unit: str) -> str:
    """As `amount`, with milliseconds that are whole, and as many digits as small costs need to differ."""
    if unit == "ms":
        return f"{abs(value):,.0f} ms"
    if unit == "$" and 0 < abs(value) < 0.01:
        return f"${abs(value):.{min(12, 1 - math.floor(math.log10(abs(value))))}f}"
    return amount(value, unit)


def losers(contest: Contest) -> Iterator[Duel]:
    """Yield the sides that are worse than the first one."""
    return (duel for duel in contest.duels if duel.relation == "worse")
