"""Assertions + an answer → scores; scores → the outcome of a case. Nothing here raises, prints, or calls a model.

field at `path` → evaluator → `not-` → Score        and        Scores → weighted mean, threshold → CaseOutcome
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from promptstudio.errors import PromptStudioError
from promptstudio.evals.assertions.assertion import Assertion, Setting, Subject, Verdict, broken, failure_details
from promptstudio.evals.assertions.parse import rendered
from promptstudio.evals.assertions.reasons import number, path_text, quoted
from promptstudio.evals.assertions.table import evaluator_of
from promptstudio.evals.assertions.values import field_at, parsed_json
from promptstudio.evals.limits import Closed
from promptstudio.evals.schema import Answer, Case, Outcome, Score

_INVERSE: dict[Outcome, Outcome] = {"pass": "fail", "fail": "pass"}
_ROUNDING = 1e-9


async def score_answer(
    assertions: Sequence[Assertion], answer: Answer, case: Case, setting: Setting
) -> tuple[Score, ...]:
    """Return one score for each assertion, in their order. Those a judge has a part in are judged at once."""
    if sum(each.judging is not None for each in assertions) > 1:
        return tuple(await asyncio.gather(*(score_assertion(each, answer, case, setting) for each in assertions)))
    return tuple([await score_assertion(assertion, answer, case, setting) for assertion in assertions])


async def score_assertion(assertion: Assertion, answer: Answer, case: Case, setting: Setting) -> Score:
    """Judge an answer by one assertion. Whatever breaks on the way is an `error` in the score."""
    try:
        ready = rendered(assertion, case)
        verdict = await _verdict(ready, answer, case, setting)
    except PromptStudioError as error:
        return _score(assertion, broken(error.message, details=failure_details(error)))
    except Closed:
        raise  # nobody was asked: that is no score
    except Exception as error:  # noqa: BLE001 - an answer is anybody's text: what it breaks must not end the run
        return _score(assertion, broken(f"it could not be judged: {type(error).__name__}: {quoted(str(error), 200)}"))
    return _score(ready, verdict)


async def _verdict(assertion: Assertion, answer: Answer, case: Case, setting: Setting) -> Verdict:
    subject = _subject(assertion, answer, case)
    if isinstance(subject, Verdict):
        return subject
    verdict = evaluator_of(assertion.name)(subject, assertion, setting)
    return await verdict if inspect.isawaitable(verdict) else verdict


def _subject(assertion: Assertion, answer: Answer, case: Case) -> Subject | Verdict:
    """Return what the assertion looks at. A field that is not there fails, with `not-` as well: it cannot be right."""
    if not assertion.path:
        return Subject(answer, case)
    whole = _tool_calls(assertion, answer) or answer.output
    if whole is None:
        read = parsed_json(answer.text)
        if read.problem:
            found = f"{quoted(answer.text)}, which is not JSON"
            return Verdict("fail", 0.0, _field_wanted(assertion), found, actual=answer.text, final=True)
        whole = read.value
    field, is_there = field_at(whole, assertion.path)
    if not is_there:
        found = f"{quoted(whole)}, without it"
        return Verdict("fail", 0.0, _field_wanted(assertion), found, actual=whole, final=True)
    return Subject(answer, case, field, has_field=True)


def _tool_calls(assertion: Assertion, answer: Answer) -> dict[str, Any] | None:
    """Return the calls of an answer as data where a path such as `tool_calls[0].arguments.city` asks for them."""
    if assertion.path[0] != "tool_calls" or not answer.tool_calls:
        return None
    if isinstance(answer.output, dict) and "tool_calls" in answer.output:
        return None
    calls = [(call, parsed_json(call.arguments or "{}")) for call in answer.tool_calls]
    return {
        "tool_calls": [
            {"name": call.name, "arguments": call.arguments if read.problem else read.value} for call, read in calls
        ]
    }


def _field_wanted(assertion: Assertion) -> str:
    return f"the field {path_text(assertion.path)}"


async def assert_set(subject: Subject, assertion: Assertion, setting: Setting) -> Verdict:
    """Judge by the members of a set, put together as those of a case are."""
    children = await score_answer(assertion.members, subject.answer, subject.case, setting)
    end = case_outcome(children, assertion.threshold)
    text = subject.answer.text
    return Verdict(
        end.outcome, end.score, reason=end.reason, threshold=assertion.threshold, actual=text, children=children
    )


def _score(assertion: Assertion, verdict: Verdict) -> Score:
    outcome, score = verdict.outcome, verdict.score
    if assertion.inverted and not verdict.final:
        outcome = _INVERSE.get(outcome, outcome)
        score = None if score is None else 1.0 - score
    only_recorded = outcome == "pass" and score is None
    return Score(
        name=assertion.written,
        outcome=outcome,
        score=score if outcome in _INVERSE else None,
        reason=_reason(assertion, verdict),
        metric=assertion.metric,
        weight=0.0 if only_recorded else assertion.weight,
        threshold=assertion.threshold if verdict.threshold is None else verdict.threshold,
        expected=verdict.expected,
        actual=verdict.actual,
        details=verdict.details,
        children=verdict.children,
        **_provenance(verdict),
    )


def _provenance(verdict: Verdict) -> dict[str, Any]:
    by = verdict.made_by
    if by is None:
        return {}
    return {
        "engine": by.engine,
        "engine_version": by.engine_version,
        "settings_hash": by.settings_hash,
        "judge": by.judge,
        "cost_usd": by.bill.known_cost_usd,
        "usage": by.bill.usage,
    }


def _reason(assertion: Assertion, verdict: Verdict) -> str:
    place = "" if verdict.final or not assertion.path else f"{path_text(assertion.path)}: "
    if verdict.reason is not None:
        return place + verdict.reason
    anything_but = "anything but " if assertion.inverted and not verdict.final else ""
    return f"{place}expected {anything_but}{verdict.wanted}, found {verdict.found}"


# -- the case -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """How a case, or an assert-set, ended. `score` is the weighted mean, None where nothing was counted."""

    outcome: Outcome
    score: float | None
    reason: str


def case_outcome(scores: Sequence[Score], threshold: float | None = None) -> CaseOutcome:
    """Put scores together. Without a threshold all that count must pass; with one only the weighted mean must reach it.

    Fails closed: an error anywhere is an error, also where it has no weight; nothing that counts is `unscored`; with a
    threshold, scores that are missing must not matter whatever they would have been.
    """
    if errors := [score for score in scores if score.outcome == "error"]:
        return CaseOutcome("error", None, _named(errors))
    asked = [score for score in scores if score.outcome != "skipped"]
    counted = [score for score in asked if score.weight > 0]
    if not counted:
        return _nothing_counted(scores, asked)
    scored = [_as_good(score) for score in counted if score.score is not None]
    mean = _mean(scored)
    if threshold is not None:
        return _by_threshold(counted, scored, mean, threshold)
    worst: tuple[Outcome, ...] = ("fail", "unscored")
    for outcome in worst:
        if found := [score for score in counted if score.outcome == outcome]:
            return CaseOutcome(outcome, mean, _named(found))
    return CaseOutcome("pass", mean, "all assertions passed" if len(counted) > 1 else counted[0].reason)


def _as_good(score: Score) -> Score:
    """Return a score of which more is better, whatever its engine counts."""
    if "/" not in score.name or score.score is None:
        return score
    from promptstudio.evals.metrics.table import is_less_better  # for scores of metrics only

    return replace(score, score=1.0 - score.score) if is_less_better(score.name) else score


def _nothing_counted(scores: Sequence[Score], asked: Sequence[Score]) -> CaseOutcome:
    if scores and not asked:
        return CaseOutcome("skipped", None, "every assertion was skipped")
    return CaseOutcome("unscored", None, "every assertion has the weight 0" if asked else "nothing is asserted")


def _by_threshold(counted: list[Score], scored: list[Score], mean: float | None, threshold: float) -> CaseOutcome:
    whole = math.fsum(score.weight for score in counted)
    known = math.fsum(score.weight for score in scored)
    worst = (mean or 0.0) * known / whole
    best = worst + (whole - known) / whole
    if mean is not None and worst >= threshold - _ROUNDING:
        return CaseOutcome("pass", mean, f"expected a mean of at least {number(threshold)}, found {number(worst)}")
    if best >= threshold - _ROUNDING:
        return CaseOutcome("unscored", mean, _named([score for score in counted if score.score is None]))
    failed = [score for score in counted if score.outcome == "fail"]
    said = f"expected a mean of at least {number(threshold)}, found {number(mean or 0.0)}"
    return CaseOutcome("fail", mean, f"{said} ({_named(failed)})" if failed else said)


def _mean(scored: Sequence[Score]) -> float | None:
    whole = math.fsum(score.weight for score in scored)
    if not whole:
        return None
    return min(1.0, max(0.0, math.fsum((score.score or 0.0) * score.weight for score in scored) / whole))


def _named(scores: Sequence[Score]) -> str:
    """Say what the first of them found, and how many more there are."""
    first = f"{scores[0].metric or scores[0].name}: {scores[0].reason}"
    return f"{first} (and {len(scores) - 1} more)" if len(scores) > 1 else first


def metric_means(scores: Sequence[Score]) -> dict[str, float]:
    """Return the weighted mean of each named metric, members of assert-sets included.

    Scores that have no weight (recorded, or with a weight of 0) count alike where they are alone under their name.
    """
    named: dict[str, list[Score]] = {}
    for score in _flat(scores):
        if score.metric and score.score is not None:
            named.setdefault(score.metric, []).append(score)
    means = {name: _mean(found) for name, found in named.items()}
    unweighted = {name: _mean([replace(score, weight=1.0) for score in named[name]]) for name in named}
    return {
        name: value
        for name in named
        if (value := means[name] if means[name] is not None else unweighted[name]) is not None
    }


def judge_cost(scores: Sequence[Score]) -> Decimal | None:
    """Return what judges and embedders took for these scores, in US dollars; None where a price is not known."""
    judged = [score for score in _flat(scores) if score.engine is not None]
    if any(score.cost_usd is None for score in judged):
        return None
    return sum((Decimal(score.cost_usd or 0) for score in judged), Decimal(0))


def _flat(scores: Sequence[Score]) -> list[Score]:
    return [each for score in scores for each in (score, *_flat(score.children))]
