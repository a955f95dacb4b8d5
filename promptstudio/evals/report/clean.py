"""A result → the same without what looks like a key or a password: reports are sent around and kept by CI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from promptstudio.evals.records import CaseResult
from promptstudio.evals.schema import Answer, Case, Score
from promptstudio.prompts.secrets import redact


def clean_result(result: CaseResult) -> CaseResult:
    """Return the result with `[redacted: KIND]` for each secret in what was asked, said and found. Names stay."""
    answers = tuple(_clean_answer(answer) for answer in result.answers)
    error = result.error
    return replace(
        result,
        case=_clean_case(result.case),
        reason=redact(result.reason),
        scores=tuple(_clean_score(score) for score in result.scores),
        answers=answers,
        answer=answers[-1] if answers else None,
        error=None if error is None else replace(error, message=redact(error.message)),
    )


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: _clean(part) for key, part in value.items()}
    return [_clean(part) for part in value] if isinstance(value, list | tuple) else value


def _clean_case(case: Case) -> Case:
    return replace(
        case,
        inputs=_clean(case.inputs),
        expected_output=_clean(case.expected_output),
        context=tuple(_clean(case.context)),
        retrieval_context=tuple(_clean(case.retrieval_context)),
        expected_tools=tuple(_clean(case.expected_tools)),
        metadata=_clean(case.metadata),
        turns=tuple(_clean(case.turns)),
    )


def _clean_answer(answer: Answer) -> Answer:
    return replace(
        answer,
        text=redact(answer.text),
        output=_clean(answer.output),
        refusal=_clean(answer.refusal),
        tool_calls=tuple(replace(call, arguments=redact(call.arguments)) for call in answer.tool_calls),
        messages=tuple(
            replace(message, parts=tuple(replace(part, text=redact(part.text)) for part in message.parts))
            for message in answer.messages
        ),
    )


def _clean_score(score: Score) -> Score:
    return replace(
        score,
        reason=redact(score.reason),
        expected=_clean(score.expected),
        actual=_clean(score.actual),
        details=_clean(score.details),
        children=tuple(_clean_score(child) for child in score.children),
    )
