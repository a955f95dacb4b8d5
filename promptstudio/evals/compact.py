"""Results as the database keeps them, and back: lists in place of names, and nothing said twice.

A result is a *shape*, which many results have in common (the names and settings of its scores, the file of its case),
and *values* (what came out). What a score expected or found is often the answer, or what the case expects, whole: then
only which of them is stored. Messages of a later turn are stored from where they differ from those before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from promptstudio.evals.packing import Clean, plain
from promptstudio.evals.records import CaseResult
from promptstudio.evals.schema import Answer, Case, Score
from promptstudio.evals.totals import OUTCOMES
from promptstudio.prompts.secrets import redact
from promptstudio.types import ErrorInfo, Media, Message, Part, ToolCall, Usage

Values = list[Any]


def trimmed(values: Values) -> Values:
    """Leave out what says nothing at the end."""
    end = len(values)
    while end and not values[end - 1] and not isinstance(values[end - 1], int | float):
        end -= 1
    return values[:end]


def filled(values: Sequence[Any], length: int) -> Values:
    """Give back what `trimmed` left out."""
    return [*values[:length], *[None] * (length - len(values))]


# Answers


def answers_values(answers: Sequence[Answer], clean: Clean) -> list[Values]:
    rows: list[Values] = []
    before: list[Values] = []
    for answer in answers:
        said = [_message_values(message, clean) for message in answer.messages]
        same = next((at for at, (old, new) in enumerate(zip(before, said, strict=False)) if old != new), None)
        same = min(len(before), len(said)) if same is None else same
        rows.append(_answer_values(answer, same, said[same:], clean))
        before = said
    return rows


def _answer_values(answer: Answer, same: int, said: list[Values], clean: Clean) -> Values:
    calls = [[call.id, call.name, clean(call.arguments)] for call in answer.tool_calls]
    return trimmed(
        [
            clean(answer.text),
            answer.finish_reason,
            answer.model,
            answer.latency_ms,
            _usage_values(answer.usage),
            said,
            same or None,
            None if answer.cost_usd is None else str(answer.cost_usd),
            plain(answer.output, clean),
            calls,
            plain(answer.refusal, clean),
        ]
    )


def answers_of(rows: Sequence[Sequence[Any]]) -> tuple[Answer, ...]:
    answers: list[Answer] = []
    before: list[Any] = []
    for row in rows:
        text, finish, model, latency_ms, usage, said, same, cost, output, calls, refusal = filled(row, 11)
        before = [*before[: same or 0], *(said or ())]
        answers.append(
            Answer(
                text=text or "",
                output=output,
                tool_calls=tuple(ToolCall(*call) for call in calls or ()),
                finish_reason=finish,
                refusal=refusal,
                latency_ms=latency_ms,
                cost_usd=None if cost is None else Decimal(cost),
                usage=Usage(*usage or ()),
                messages=tuple(_message_of(one) for one in before),
                model=model,
                history=tuple(answers),
            )
        )
    return tuple(answers)


def _usage_values(usage: Usage) -> Values:
    return trimmed([usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens])


def _message_values(message: Message, clean: Clean) -> Values:
    """Return role and text, or role and parts; a picture is named, not kept."""
    if len(message.parts) == 1 and message.parts[0].kind == "text":
        return [message.role, clean(message.parts[0].text)]
    return [message.role, [_part_values(part, clean) for part in message.parts]]


def _part_values(part: Part, clean: Clean) -> Values:
    media = part.media
    if media is None:
        return [part.kind, clean(part.text)]
    named = [None if text is None else clean(text) for text in (media.name, media.url)]
    return trimmed([part.kind, clean(part.text), media.mime_type, *named])


def _message_of(values: Sequence[Any]) -> Message:
    role, said = values
    if isinstance(said, str):
        return Message(role, (Part("text", said),))
    return Message(role, tuple(_part_of(one) for one in said))


def _part_of(values: Sequence[Any]) -> Part:
    kind, text, mime_type, name, url = filled(values, 5)
    return Part(kind, text or "", None if mime_type is None else Media(mime_type, None, url, name))


# Scores and results


def shape_values(result: CaseResult, clean: Clean) -> Values:
    return [result.case.file, [_score_shape(score, clean) for score in result.scores]]


def _score_shape(score: Score, clean: Clean) -> Values:
    return trimmed(
        [
            clean(score.name),
            None if score.metric is None else clean(score.metric),
            None if score.weight == 1.0 else score.weight,
            score.threshold,
            [_score_shape(child, clean) for child in score.children],
            score.engine,
            score.engine_version,
            score.settings_hash,
            score.judge,
        ]
    )


def result_values(result: CaseResult, clean: Clean) -> Values:
    """Return what came out. A provider may quote the key it refused: error texts are blanked out whatever is set."""
    known = _Known.of(result.case, result.answers)
    error = result.error
    said = redact if error is not None or result.outcome == "error" else clean
    return trimmed(
        [
            result.case.line,
            [_score_values(score, known, clean) for score in result.scores],
            said(result.reason),
            plain(result.metrics, clean),
            trimmed([error.kind, redact(error.message), redact(error.hint or "")]) if error else None,
            None if result.answers else result.request_id,
            _judge_cost(result.judge_usd),
        ]
    )


def _judge_cost(cost_usd: Decimal | None) -> str | None:
    """Return nothing for no cost, which most results have; "?" where a price is unknown."""
    if cost_usd is None:
        return "?"
    return str(cost_usd) if cost_usd else None


def judge_cost_of(stored: str | None) -> Decimal | None:
    return None if stored == "?" else Decimal(stored or 0)


def _score_values(score: Score, known: _Known, clean: Clean) -> Values:
    return trimmed(
        [
            OUTCOMES.index(score.outcome),
            score.score,
            clean(score.reason),
            known.named(score.expected, clean),
            known.named(score.actual, clean),
            plain(score.details, clean),
            [_score_values(child, known, clean) for child in score.children],
            None if score.cost_usd is None else str(score.cost_usd),
            _usage_values(score.usage),
        ]
    )


def scores_of(
    shapes: Sequence[Sequence[Any]], rows: Sequence[Sequence[Any]], case: Case, answers: Sequence[Answer]
) -> tuple[Score, ...]:
    known = _Known.of(case, answers)
    return tuple(_score_of(shape, row, known) for shape, row in zip(shapes, rows, strict=True))


def _score_of(shape: Sequence[Any], row: Sequence[Any], known: _Known) -> Score:
    name, metric, weight, threshold, inner, engine, version, settings_hash, judge = filled(shape, 9)
    outcome, score, reason, expected, actual, details, children, cost, usage = filled(row, 9)
    return Score(
        name=name,
        outcome=OUTCOMES[outcome],
        score=score,
        reason=reason or "",
        metric=metric,
        weight=1.0 if weight is None else weight,
        threshold=threshold,
        expected=known.value(expected),
        actual=known.value(actual),
        details=details or {},
        children=tuple(_score_of(one, other, known) for one, other in zip(inner or (), children or (), strict=True)),
        engine=engine,
        engine_version=version,
        settings_hash=settings_hash,
        judge=judge,
        cost_usd=None if cost is None else Decimal(cost),
        usage=Usage(*usage or ()),
    )


def error_of(values: Sequence[Any] | None) -> ErrorInfo | None:
    return ErrorInfo(*filled(values, 3)) if values else None


@dataclass(frozen=True, slots=True)
class _Known:
    """Values a result has anyway, by number: what the case expects, then text and output of each answer."""

    values: tuple[Any, ...]

    @classmethod
    def of(cls, case: Case, answers: Sequence[Answer]) -> _Known:
        return cls((case.expected_output, *(part for one in answers for part in (one.text, one.output))))

    def named(self, value: Any, clean: Clean) -> Any:
        """Return the number of a value, else the value in a list; None for nothing."""
        if value is None:
            return None
        for number, other in enumerate(self.values):
            if value is other or (isinstance(value, str) and isinstance(other, str) and value == other):
                return number
        return [plain(value, clean)]

    def value(self, stored: Any) -> Any:
        if stored is None:
            return None
        return stored[0] if isinstance(stored, list) else self.values[stored]
