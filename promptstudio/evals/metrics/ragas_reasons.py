"""What a judge said to RAGAS → whether it is an answer at all, and one line on why the score is what it is.

RAGAS has reasons for some of its metrics; for the others the judge gave them on the way, and RAGAS drops them.
Answers are Pydantic objects of RAGAS's, known here by the names of their fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from promptstudio.evals.assertions.reasons import quoted

_YES_OR_NO = ("verdict", "attributed", "noncommittal")
_LISTS = ("statements", "classifications")
_KEPT = 80


def out_of_range(answer: Any) -> str | None:
    """Return what a judge answered where only 0 and 1 are answers; None where all is well.

    RAGAS takes any number but 0 for a yes.
    """
    for one in (answer, *_listed(answer)):
        for name in _YES_OR_NO:
            value = getattr(one, name, None)
            if isinstance(value, int) and value not in (0, 1):
                return f"{name} is {value}, and only 0 and 1 are answers"
    for value in getattr(answer, "answers", None) or ():
        if str(value).strip() not in ("0", "1"):
            return f"an answer is {quoted(str(value), 40)}, and only '0' and '1' are answers"
    return None


def reason_of(answers: Sequence[Any]) -> str:
    """Return one line on what a judge said last; empty where that says nothing."""
    if not answers:
        return ""
    return next((said for reason in _REASONS if (said := reason(answers))), "")


def _of_statements(answers: Sequence[Any]) -> str:
    verdicts = _verdicts(answers[-1])
    return _shares(verdicts) if verdicts else ""


def _of_shared_statements(answers: Sequence[Any]) -> str:
    last = answers[-1]
    if not all(hasattr(last, name) for name in ("TP", "FP", "FN")):
        return ""
    return f"{len(last.TP)} statements shared, {len(last.FP)} only in the answer, {len(last.FN)} only expected"


def _of_replies(answers: Sequence[Any]) -> str:
    replies = getattr(answers[-1], "answers", None) or ()
    known = sum(str(one).strip() == "1" for one in replies)
    return f"{known} of {len(replies)} questions are answered" if replies else ""


def _of_entities(answers: Sequence[Any]) -> str:
    expected, found = (getattr(one, "entities", None) for one in (answers[0], answers[-1]))
    if not expected or found is None or len(answers) < 2:
        return ""
    missing = sorted(set(expected) - set(found))
    if not missing:
        return "all names are there"
    return f"{len(missing)} of {len(set(expected))} names are missing: {quoted(', '.join(missing), _KEPT)}"


def _of_verdict(answers: Sequence[Any]) -> str:
    said = getattr(answers[-1], "reason", None)
    return said if isinstance(said, str) else ""


def _of_questions(answers: Sequence[Any]) -> str:
    questions = [answer.question for answer in answers if getattr(answer, "question", None)]
    if not questions:
        return ""
    is_evasive = all(getattr(answer, "noncommittal", 0) for answer in answers)
    return f"{'it is evasive; ' if is_evasive else ''}it would answer {quoted(questions[0], _KEPT)}"


_REASONS = (_of_statements, _of_shared_statements, _of_replies, _of_entities, _of_verdict, _of_questions)


def _listed(answer: Any) -> Iterator[Any]:
    for name in _LISTS:
        yield from getattr(answer, name, None) or ()


def _verdicts(answer: Any) -> list[tuple[str, str, bool]] | None:
    """Return (statement, reason, holds) of an answer that judges statements one by one."""
    found = []
    for one in _listed(answer):
        holds = getattr(one, "verdict", getattr(one, "attributed", None))
        if holds is None or not isinstance(getattr(one, "statement", None), str):
            return None
        found.append((one.statement, str(getattr(one, "reason", "")), bool(holds)))
    return found or None


def _shares(verdicts: list[tuple[str, str, bool]]) -> str:
    wrong = [(statement, reason) for statement, reason, holds in verdicts if not holds]
    if not wrong:
        return f"all {len(verdicts)} statements are supported" if len(verdicts) > 1 else "the statement is supported"
    statement, reason = wrong[0]
    said = f"{len(wrong)} of {len(verdicts)} statements are not supported: {quoted(statement, _KEPT)}"
    return f"{said} ({reason})" if reason else said
