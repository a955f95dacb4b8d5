"""Assertions that a model judges: question → each judge of the panel → their verdicts put together.

A judge that fails, says nothing usable, or cannot be reached is an `error`; it never passes and never counts as 0.
What is judged stands in the question between tags with a mark made of all the text there: no text can contain its own.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from promptstudio.errors import BadAnswerError, PromptStudioError, UsageError
from promptstudio.evals.assertions.assertion import (
    Assertion,
    Peers,
    Setting,
    Subject,
    Verdict,
    as_text,
    broken,
    failure_details,
    unscored,
)
from promptstudio.evals.assertions.reasons import number, quoted
from promptstudio.evals.judge.caller import JudgeCaller
from promptstudio.evals.judge.schema import Bill, JudgeModel, Panel, Provenance
from promptstudio.evals.metrics.measure import sample_of
from promptstudio.evals.schema import Score
from promptstudio.prompts.prompt import Prompt

DEFAULT_THRESHOLD = 0.5
FACTUALITY: Mapping[str, float] = {"subset": 1.0, "superset": 1.0, "agree": 1.0, "disagree": 0.0, "differ": 1.0}
"""What each relation of facts is worth, as promptfoo has it; `options` may say otherwise."""
_SURE = 1e-9


@dataclass(frozen=True, slots=True)
class _Judge:
    """One member of the panel, ready to be asked the question of one assertion."""

    caller: JudgeCaller
    member: JudgeModel
    prompt: Prompt
    bill: Bill
    repeat: int

    async def ask(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        known = {name: value for name, value in values.items() if name in self.prompt.inputs and value is not None}
        if "fence" in self.prompt.inputs:
            known["fence"] = fence_of(known)
        result = await self.caller.ask(self.member, self.prompt, known, bill=self.bill, repeat=self.repeat)
        output: Mapping[str, Any] = result.output.model_dump(mode="json", by_alias=True)
        return output


Asked = Callable[[_Judge, Subject, Assertion, Setting], Awaitable[Verdict]]


def fence_of(values: Mapping[str, Any]) -> str:
    """Return a mark that no text among the values contains: it is a hash of all of them."""
    whole = as_text(dict(sorted(values.items())))
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:16]


async def verdict_of(subject: Subject, assertion: Assertion, setting: Setting, caller: JudgeCaller) -> Verdict:
    """Ask the panel of an assertion, and return what its members say together."""
    judging = assertion.judging
    if judging is None or judging.panel is None or judging.prompt is None:
        return broken(f"{assertion.written} was not made ready to be judged here", actual=subject.text)
    if (nothing := _nothing_to_judge(subject, assertion, setting)) is not None:
        return nothing
    bill = Bill()
    by = Provenance(judging.engine, judging.version, judging.digest, judging.panel.name, bill)
    judges = [_Judge(caller, each, judging.prompt, bill, setting.repeat) for each in judging.panel.members]
    found = await asyncio.gather(*(_guarded(judge, subject, assertion, setting) for judge in judges))
    together = found[0] if len(found) == 1 else _voted(judging.panel, found, assertion)
    return replace(together, made_by=by)


async def _guarded(judge: _Judge, subject: Subject, assertion: Assertion, setting: Setting) -> Verdict:
    try:
        return await _ASKED[assertion.name](judge, subject, assertion, setting)
    except PromptStudioError as error:
        said = f"the judge {judge.member.model}: {error.message}"
        return broken(said, actual=subject.text, details=failure_details(error))


def _nothing_to_judge(subject: Subject, assertion: Assertion, setting: Setting) -> Verdict | None:
    if assertion.name == "select-best" and len(setting.peers.answers) < 2:
        return unscored("there are no other answers to choose from: ask several prompts or models", actual=subject.text)
    if assertion.name == "factuality" and _reference(subject, assertion) is None:
        return unscored("there is no reference: give a value, or expected_output to the case", actual=subject.text)
    if assertion.name == "pairwise":
        return _nothing_to_compare(subject, assertion, setting)
    return None


# -- one judge ------------------------------------------------------------------------------------------------------


async def _llm_rubric(judge: _Judge, subject: Subject, assertion: Assertion, _: Setting) -> Verdict:
    said = await judge.ask(
        {
            "rubric": as_text(assertion.value),
            "answer": subject.text,
            "question": _question(subject),
            "expected": _expected(subject),
        }
    )
    score = float(said["score"])
    if not 0 <= score <= 1:  # also where it is NaN
        raise BadAnswerError(f"it gave the score {number(score)}, which is outside of 0 to 1")
    threshold = assertion.threshold
    holds = bool(said["pass"]) and (threshold is None or score >= threshold - _SURE)
    return _verdict(judge, subject, holds, score, said["reason"], threshold, pass_=bool(said["pass"]))


async def _closed_qa(judge: _Judge, subject: Subject, assertion: Assertion, _: Setting) -> Verdict:
    said = await judge.ask(
        {"criterion": as_text(assertion.value), "answer": subject.text, "question": _question(subject)}
    )
    holds = bool(said["meets"])
    return _verdict(judge, subject, holds, 1.0 if holds else 0.0, said["reason"], None)


async def _factuality(judge: _Judge, subject: Subject, assertion: Assertion, _: Setting) -> Verdict:
    reference = _reference(subject, assertion)
    said = await judge.ask({"reference": reference, "answer": subject.text, "question": _question(subject)})
    worth = {**FACTUALITY, **{key: float(value) for key, value in assertion.options.items() if key in FACTUALITY}}
    score = worth[said["relation"]]
    threshold = DEFAULT_THRESHOLD if assertion.threshold is None else assertion.threshold
    return _verdict(
        judge, subject, score >= threshold - _SURE, score, said["reason"], threshold, relation=said["relation"]
    )


async def _select_best(judge: _Judge, subject: Subject, assertion: Assertion, setting: Setting) -> Verdict:
    """All answers to a case are looked at once, in an order that changes from case to case."""
    peers = setting.peers
    key = f"{assertion.judging.digest if assertion.judging else ''}:{judge.member.model}:{assertion.line}"
    if key not in peers.kept:
        peers.kept[key] = asyncio.ensure_future(_chosen(judge, subject, assertion, peers))
    chosen, reason = await asyncio.shield(peers.kept[key])
    holds = chosen == setting.target
    said = reason if holds else f"{' on '.join(chosen)} is better: {reason}"
    return _verdict(judge, subject, holds, 1.0 if holds else 0.0, said, None, best=list(chosen))


async def _chosen(judge: _Judge, subject: Subject, assertion: Assertion, peers: Peers) -> tuple[tuple[str, str], str]:
    mark = fence_of({"case": subject.case.id, "repeat": judge.repeat})
    order = sorted(peers.answers, key=lambda target: hashlib.sha256(f"{mark}{target}".encode()).digest())
    answers = [_text(peers.answers[target]) for target in order]
    said = await judge.ask({"criterion": as_text(assertion.value), "question": _question(subject), "answers": answers})
    if not 1 <= said["best"] <= len(order):
        raise BadAnswerError(f"it chose answer {said['best']} of {len(order)}")
    return order[said["best"] - 1], said["reason"]


async def _pairwise(judge: _Judge, subject: Subject, assertion: Assertion, setting: Setting) -> Verdict:
    """Ask in both orders: whoever wins only in one place has not won."""
    other, name = _opponent(subject, assertion, setting)
    base = {"criterion": as_text(assertion.value), "question": _question(subject)}
    one, two = await asyncio.gather(
        judge.ask({**base, "first": subject.text, "second": other}),
        judge.ask({**base, "first": other, "second": subject.text}),
    )
    points = {"first": 1.0, "second": 0.0, "tie": 0.5}
    first, second = points[one["winner"]], 1.0 - points[two["winner"]]
    is_consistent = first == second
    score = first if is_consistent else 0.5
    threshold = DEFAULT_THRESHOLD if assertion.threshold is None else assertion.threshold
    said = one["reason"] if is_consistent else "the judge changed its mind when the answers changed places"
    details = {"against": name, "consistent": is_consistent, "as_first": one["winner"], "as_second": two["winner"]}
    return _verdict(judge, subject, score >= threshold - _SURE, score, said, threshold, **details)


_ASKED: Mapping[str, Asked] = {
    "llm-rubric": _llm_rubric,
    "closed-qa": _closed_qa,
    "factuality": _factuality,
    "select-best": _select_best,
    "pairwise": _pairwise,
}


def _verdict(
    judge: _Judge,
    subject: Subject,
    holds: bool,
    score: float,
    reason: str,
    threshold: float | None,
    **details: Any,
) -> Verdict:
    return Verdict(
        "pass" if holds else "fail",
        score,
        actual=subject.text,
        threshold=threshold,
        details={
            "judge": judge.member.model,
            "reason": reason,
            **{key.rstrip("_"): value for key, value in details.items()},
        },
        reason=quoted(reason, 300)[1:-1],
    )


# -- what is judged -------------------------------------------------------------------------------------------------


def _question(subject: Subject) -> str:
    return sample_of(subject.answer, subject.case).input


def _expected(subject: Subject) -> str | None:
    expected = subject.case.expected_output
    return None if expected is None else as_text(expected)


def _reference(subject: Subject, assertion: Assertion) -> str | None:
    if assertion.value is None:
        return _expected(subject)
    value = assertion.value
    return "\n".join(as_text(one) for one in value) if isinstance(value, list) else as_text(value)


def _text(answer: Any) -> str:
    return answer.text if answer.text or answer.output is None else as_text(answer.output)


def _nothing_to_compare(subject: Subject, assertion: Assertion, setting: Setting) -> Verdict | None:
    against = assertion.options.get("against")
    if against in (None, "expected_output") and not _others(setting):
        if subject.case.expected_output is None:
            return unscored("there is nothing to compare with: give expected_output, or ask several prompts or models")
        return None
    if against == "expected_output":
        missing = subject.case.expected_output is None
        return unscored("the case has no expected_output to compare with", actual=subject.text) if missing else None
    if setting.target is not None and _names(setting.target, _first(assertion, setting)):
        return Verdict("skipped", None, reason="the others are compared with this one", actual=subject.text)
    if _named_peer(assertion, setting) is None:
        named = against or "the first prompt and model"
        return broken(f"there is no answer of {named} to compare with", actual=subject.text)
    return None


def _others(setting: Setting) -> bool:
    return len(setting.peers.targets) > 1


def _first(assertion: Assertion, setting: Setting) -> str | tuple[str, str]:
    against: str | None = assertion.options.get("against")
    return against if against is not None else setting.peers.targets[0]


def _names(target: tuple[str, str], named: str | tuple[str, str]) -> bool:
    return target == named or (isinstance(named, str) and named in target)


def _named_peer(assertion: Assertion, setting: Setting) -> tuple[str, str] | None:
    named = _first(assertion, setting)
    return next((target for target in setting.peers.answers if _names(target, named)), None)


def _opponent(subject: Subject, assertion: Assertion, setting: Setting) -> tuple[str, str]:
    """Return the text to compare with, and what it is."""
    if assertion.options.get("against") == "expected_output" or not _others(setting):
        return _expected(subject) or "", "expected_output"
    target = _named_peer(assertion, setting)
    if target is None:
        raise UsageError("there is no answer to compare with")
    return _text(setting.peers.answers[target]), " on ".join(target)


# -- the panel ------------------------------------------------------------------------------------------------------


def _voted(panel: Panel, found: Sequence[Verdict], assertion: Assertion) -> Verdict:
    """Put the verdicts of a panel together. A vote that is missing counts where it could have decided."""
    children = tuple(
        Score(member.model, each.outcome, each.score, each.reason or "", threshold=each.threshold, details=each.details)
        for member, each in zip(panel.members, found, strict=True)
    )
    outcomes = [each.outcome for each in found]
    passes, fails = outcomes.count("pass"), outcomes.count("fail")
    scores = [each.score for each in found if each.score is not None]
    agreement = max(passes, fails) / len(found)
    details = {"agreement": agreement, "passes": passes, "fails": fails}
    if panel.vote == "mean":
        if len(scores) < len(found):
            return _undecided(found, children, details)
        threshold = DEFAULT_THRESHOLD if assertion.threshold is None else assertion.threshold
        mean = fmean(scores)
        said = f"the judges' mean is {number(mean)}, wanted at least {number(threshold)} ({_agree(agreement)})"
        return _panel_verdict(mean >= threshold - _SURE, mean, said, threshold, found, children, details)
    if 2 * passes > len(found) or 2 * fails > len(found):
        holds = passes > fails
        said = f"{passes} of {len(found)} judges pass it ({_agree(agreement)})"
        return _panel_verdict(
            holds, fmean(scores) if scores else 0.0, said, assertion.threshold, found, children, details
        )
    if "error" in outcomes or "unscored" in outcomes:
        return _undecided(found, children, details)
    said = f"the judges are divided: {passes} pass it, {fails} do not"
    return _panel_verdict(False, fmean(scores), said, assertion.threshold, found, children, details)  # noqa: FBT003


def _agree(agreement: float) -> str:
    return f"{agreement:.0%} agree"


def _undecided(found: Sequence[Verdict], children: tuple[Score, ...], details: Mapping[str, Any]) -> Verdict:
    worst = next((each for each in found if each.outcome == "error"), None) or next(
        each for each in found if each.outcome != "pass"
    )
    return replace(worst, children=children, details=details)


def _panel_verdict(
    holds: bool,
    score: float,
    said: str,
    threshold: float | None,
    found: Sequence[Verdict],
    children: tuple[Score, ...],
    details: Mapping[str, Any],
) -> Verdict:
    reasons = {child.name: child.reason for child in children}
    return Verdict(
        "pass" if holds else "fail",
        score,
        actual=found[0].actual,
        threshold=threshold,
        details={**details, "reasons": reasons},
        children=children,
        reason=said,
    )
