"""Verdicts, with people's labels or without → what to look at: where judges differ from people, and from themselves.

people      the judge says otherwise than people do; the largest difference first
panel       members of a panel differ
repeat      the same answer was judged differently when it was judged again
position    a comparison of two answers ended otherwise when they changed places
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from promptstudio.evals.calibrate import Judged
from promptstudio.evals.records import CaseResult
from promptstudio.evals.schema import Score
from promptstudio.evals.series import flat_scores

Kind = Literal["people", "panel", "repeat", "position"]
KINDS: tuple[Kind, ...] = ("people", "panel", "repeat", "position")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One thing to look at. `size` orders within a kind, 0 to 1. `where` is the line of a label, if there is one.

    `said` is what each side says; `reason` is the judge's own.
    """

    kind: Kind
    size: float
    case: str
    metric: str
    judge: str
    said: str
    reason: str
    answer: str
    prompt: str | None = None
    model: str | None = None
    repeat: int | None = None
    where: str | None = None


def disagreements(judged: Sequence[Judged], results: Iterable[CaseResult]) -> list[Disagreement]:
    """Return all of them: those with people first, then within panels, between repeats, and between places."""
    found = [*_with_people(judged), *_in_labeled(judged), *_in_results(results)]
    unique: dict[tuple[object, ...], Disagreement] = {}
    for one in found:  # what a label is about comes first: it has a place
        unique.setdefault((one.kind, one.case, one.metric, one.prompt, one.model, one.repeat, one.answer), one)
    order = {kind: number for number, kind in enumerate(KINDS)}
    return sorted(unique.values(), key=lambda one: (order[one.kind], -one.size, one.case))


def _with_people(judged: Sequence[Judged]) -> Iterator[Disagreement]:
    for one in judged:
        unit, score = one.unit, one.score
        is_graded = any(label.value not in (0, 1) for label in unit.labels)
        if not one.has_verdict or score.score is None:
            continue
        mine = score.score if is_graded else float(score.outcome == "pass")
        size = abs(mine - unit.human)
        if size < (0.25 if is_graded else 0.5):
            continue
        said = f"people {_people(unit.human, len(unit.labels), is_graded=is_graded)}, the judge {_verdict(score)}"
        yield _of_judged(one, "people", size, said, score.reason)


def _people(human: float, count: int, *, is_graded: bool) -> str:
    who = f" ({count} of them)" if count > 1 else ""
    if is_graded or human not in (0, 1):
        return f"{human:.2g}{who}"
    return f"{'pass' if human else 'fail'}{who}"


def _verdict(score: Score) -> str:
    value = "" if score.score is None else f" {score.score:.2g}"
    return f"{score.outcome}{value}"


def _in_labeled(judged: Sequence[Judged]) -> Iterator[Disagreement]:
    for one in judged:
        for kind, size, said, reason in _within(one.score):
            yield _of_judged(one, kind, size, said, reason)
        if (size := _spread(one.scores)) > 0:
            yield _of_judged(one, "repeat", size, _each(one.scores), one.score.reason)


def _of_judged(one: Judged, kind: Kind, size: float, said: str, reason: str) -> Disagreement:
    unit = one.unit
    label = unit.labels[0]
    prompt, model = unit.target or (None, None)
    return Disagreement(
        kind,
        size,
        unit.case.id,
        one.score.metric or one.score.name,
        one.score.judge or "",
        said,
        reason,
        unit.answer.text,
        prompt,
        model,
        None if unit.target is None else unit.repeat,
        f"{label.file}:{label.line}",
    )


def _within(score: Score) -> Iterator[tuple[Kind, float, str, str]]:
    """Yield what differs within one verdict: members of its panel, and places of what it compared."""
    told = [child for child in score.children if child.outcome in ("pass", "fail")]
    if len({child.outcome for child in told}) > 1:
        fewer = min(sum(child.outcome == kind for child in told) for kind in ("pass", "fail"))
        said = ", ".join(f"{child.name} {_verdict(child)}" for child in told)
        yield "panel", fewer / len(told), said, "; ".join(f"{child.name}: {child.reason}" for child in told)
    for each in (score, *score.children):
        if each.details.get("consistent") is False:
            details = each.details
            said = f"as first: {details['as_first']} wins; as second: {details['as_second']} wins"
            who = details.get("judge", "")
            yield "position", 1.0, said if each is score else f"{who} {said}", str(details.get("reason", each.reason))


def _in_results(results: Iterable[CaseResult]) -> Iterator[Disagreement]:
    """Look at the stored scores of a run; of equal answers of a case that they were judged alike."""
    again: dict[tuple[str, ...], list[tuple[CaseResult, Score]]] = {}
    for result in results:
        for score in flat_scores(result.scores):
            if score.judge is None or score.settings_hash is None:
                continue
            for kind, size, said, reason in _within(score):
                yield _of_result(result, score, kind, size, said, reason)
            text = result.answer.text if result.answer is not None else ""
            key = (result.case.id, result.prompt, result.model, score.settings_hash, score.name, text)
            again.setdefault(key, []).append((result, score))
    for same in again.values():
        scores = [score for _, score in same]
        if (size := _spread(scores)) > 0:
            yield _of_result(*same[0], "repeat", size, _each(scores), scores[0].reason)


def _spread(scores: Sequence[Score]) -> float:
    """Return how far verdicts on one answer lie apart; 0 where all of them pass, or all fail."""
    told = [score for score in scores if score.outcome in ("pass", "fail")]
    if len({score.outcome for score in told}) < 2:
        return 0.0
    passes = sum(score.outcome == "pass" for score in told)
    return min(passes, len(told) - passes) / len(told)


def _each(scores: Sequence[Score]) -> str:
    return ", ".join(_verdict(score) for score in scores)


def _of_result(result: CaseResult, score: Score, kind: Kind, size: float, said: str, reason: str) -> Disagreement:
    return Disagreement(
        kind,
        size,
        result.case.id,
        score.metric or score.name,
        score.judge or "",
        said,
        reason,
        result.answer.text if result.answer is not None else "",
        result.prompt,
        result.model,
        result.repeat,
    )
