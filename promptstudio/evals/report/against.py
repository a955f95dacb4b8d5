"""A run's record → what it found against its baseline, as texts for people: flips first, then figures. Not yet safe.

A run without a baseline, or one that was recorded before there were any, has nothing to say: then there is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.texts import percent
from promptstudio.evals.series import PASSED
from promptstudio.evals.statistics.sentence import amount, rounded_up

Side = Literal["broke", "mended"]
MAX_NAMED = 12
_SIDES: tuple[Side, ...] = ("broke", "mended")


@dataclass(frozen=True, slots=True)
class Flip:
    """A case that came out differently. `target` is prompt and model; `change` is `pass → fail`, or two pass rates."""

    side: Side
    case: str
    target: str
    change: str


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure beside that of the baseline. What is not known is a dash.

    `kind` is the verdict as one word to color it by; empty where there was nothing to judge.
    """

    name: str
    baseline: str
    now: str
    difference: str
    interval: str
    verdict: str
    kind: str


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Cases that one of the two runs does not have: how that is said, the first of them, and how many more."""

    said: str
    cases: tuple[str, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Pairing:
    """One prompt and model beside those of the baseline. `refused` says by figure why it was not compared."""

    target: str
    baseline: str
    is_same: bool
    figures: tuple[Compared, ...]
    flips: tuple[Flip, ...]
    broke: int
    mended: int
    refused: Mapping[str, str]
    unmatched: tuple[Unmatched, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """What a run was held against, by the name it was given, and what came out."""

    named: str
    run: str
    commit: str | None
    pairings: tuple[Pairing, ...]
    new_prompts: tuple[str, ...]
    confidence: str
    _sides: Mapping[tuple[str, str], Flip] = field(default_factory=dict)

    def flips(self, side: Side) -> Iterator[Flip]:
        """Yield those that are listed; `count` has all."""
        return (flip for pairing in self.pairings for flip in pairing.flips if flip.side == side)

    def count(self, side: Side) -> int:
        return sum(pairing.broke if side == "broke" else pairing.mended for pairing in self.pairings)

    def flip_of(self, result: CaseResult) -> Flip | None:
        """Return what became of the case of a result since the baseline, where that is another outcome."""
        return self._sides.get((target_of(result), result.case.id))

    @property
    def is_several(self) -> bool:
        return len(self.pairings) > 1


def since_text(held: Held | None, result: CaseResult) -> str:
    """Return `broke since main (pass → fail)`; nothing where a case came out as it did."""
    flip = held.flip_of(result) if held is not None else None
    return f"{flip.side} since {held.named} ({flip.change})" if held is not None and flip is not None else ""


def target_of(result: CaseResult) -> str:
    """Return prompt and model as comparisons name them."""
    return f"{result.prompt} · {result.model}"


def held_of(totals: Mapping[str, Any]) -> Held | None:
    """Read what the totals of a run say of its baseline."""
    found = totals.get("against")
    if not isinstance(found, Mapping):
        return None
    named = str(found.get("named") or "the baseline")
    pairings = tuple(_pairing(one, named) for one in found.get("targets") or ())
    flips = {(flip.target, flip.case): flip for pairing in pairings for flip in pairing.flips}
    return Held(
        named,
        str(found.get("run") or ""),
        found.get("commit"),
        pairings,
        tuple(map(str, found.get("new_prompts") or ())),
        _confidence(found.get("targets") or ()),
        flips,
    )


def _confidence(targets: Iterable[Mapping[str, Any]]) -> str:
    known = (one.get("confidence") for target in targets for one in (target.get("figures") or {}).values())
    return f"{next((each for each in known if each), 0.95):.0%}"


def _pairing(target: Mapping[str, Any], named: str) -> Pairing:
    name = str(target.get("candidate") or "")
    figures: Mapping[str, Mapping[str, Any]] = target.get("figures") or {}
    passed = figures.get(PASSED) or {}
    is_same = bool(target.get("same"))
    return Pairing(
        name,
        str(target.get("baseline") or ""),
        is_same,
        tuple(_compared(each, found, is_same=is_same) for each, found in figures.items()),
        tuple(_flip(flip, side, name) for side in _SIDES for flip in passed.get(side) or ()),
        _count(passed, "broke"),
        _count(passed, "mended"),
        dict(target.get("refused") or {}),
        tuple(_unmatched(passed, named)),
    )


def _count(figure: Mapping[str, Any], side: Side) -> int:
    return int(figure.get(f"{side}_count") or len(figure.get(side) or ()))


def _flip(flip: Mapping[str, Any], side: Side, target: str) -> Flip:
    before, after = (float(flip.get(name) or 0.0) for name in ("baseline", "candidate"))
    words = {0.0: "fail", 1.0: "pass"}
    is_plain = before in words and after in words
    change = f"{words[before]} → {words[after]}" if is_plain else f"{percent(before)} → {percent(after)}"
    return Flip(side, str(flip.get("case") or ""), target, change)


def _compared(name: str, found: Mapping[str, Any], *, is_same: bool) -> Compared:
    before, now = found.get("baseline"), found.get("candidate")
    unit = "points" if all(0 <= mean <= 1 for mean in (before, now) if mean is not None) else ""
    difference, lower, upper = (found.get(key) for key in ("difference", "lower", "upper"))
    interval = "–" if lower is None or upper is None else f"{signed(lower, unit)} to {signed(upper, unit)}"
    kind = "regressed" if found.get("surely_worse") else str(found.get("verdict") or "")
    return Compared(
        name,
        value_text(name, before),
        value_text(name, now),
        "–" if difference is None else signed(difference, unit),
        interval,
        _verdict(found, unit, is_same=is_same),
        "" if is_same or difference is None else kind,
    )


def _verdict(found: Mapping[str, Any], unit: str, *, is_same: bool) -> str:
    if is_same:
        return "the same prompt and model"
    if found.get("difference") is None:
        return "nothing to compare"
    if found.get("surely_worse"):
        return f"worse (perhaps by less than the margin of {amount(found.get('margin') or 0.0, unit)})"
    verdict = str(found.get("verdict") or "–")
    return verdict + (_could(found, unit) if verdict == "inconclusive" else "")


def _could(found: Mapping[str, Any], unit: str) -> str:
    """Return what the cases could have shown, and how many it would take."""
    seen, cases = found.get("could_detect"), found.get("needs_cases")
    parts = []
    if seen is not None:
        rough = round(seen, 2) if unit and seen >= 0.02 else seen  # a plan is no better than its guesses
        parts.append(f"could detect {amount(rough, unit)}")
    if cases is not None:
        parts.append(f"needs about {rounded_up(int(cases)):,} cases")
    return f" ({'; '.join(parts)})" if parts else ""


def _unmatched(passed: Mapping[str, Any], named: str) -> Iterator[Unmatched]:
    lists = {f"only at {named}": passed.get("only_baseline"), f"not at {named}": passed.get("only_candidate")}
    hidden = int(passed.get("unmatched") or 0) - sum(len(cases or ()) for cases in lists.values())
    for said, cases in lists.items():
        if cases:
            yield Unmatched(said, tuple(map(str, cases[:MAX_NAMED])), max(0, len(cases) - MAX_NAMED))
    if hidden > 0:
        yield Unmatched("in one of the two runs only, and not listed", (), hidden)


def value_text(name: str, value: float | None) -> str:
    """Return a figure as its name asks for: a share in percent, a metric as a number."""
    if value is None:
        return "–"
    return percent(value) if name in (PASSED, "pass_rate") else f"{value:.3g}"


def signed(value: float, unit: str) -> str:
    """Return a difference with its sign, and with none where it shows as nothing."""
    text = amount(value, unit)
    return text if not any(digit in text for digit in "123456789") else f"{'−' if value < 0 else '+'}{text}"
