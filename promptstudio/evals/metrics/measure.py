"""One answer and one metric → `Verdict`: the case as plain texts, each judge of the panel, the scores put together."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from promptstudio.evals.assertions.assertion import (
    Assertion,
    Embedder,
    Setting,
    Subject,
    Verdict,
    as_text,
    broken,
    failure_details,
    unscored,
)
from promptstudio.evals.assertions.embedding import charge
from promptstudio.evals.assertions.reasons import number, quoted
from promptstudio.evals.assertions.values import parsed_json
from promptstudio.evals.judge.schema import Bill, JudgeModel, Panel, Provenance
from promptstudio.evals.metrics.schema import Means, Measured, MetricKind, Sample, missing_fields
from promptstudio.evals.metrics.table import METRICS, engine_of
from promptstudio.evals.schema import Answer, Case, Score
from promptstudio.providers.embed import Embeddings

QUESTION_INPUTS = ("input", "question", "query", "user_input", "prompt", "message")
"""Inputs that hold the question, where a metric's `input` setting names none and the case has several texts."""
_ROUNDING = 1e-9


async def measure(subject: Subject, assertion: Assertion, setting: Setting) -> Verdict:
    """Measure an answer. What the case lacks, and what the engine found nothing to judge by, is `unscored`."""
    kind = METRICS[assertion.name]
    judging = assertion.judging
    if judging is None:
        return broken(f"{assertion.written} was not made ready to be measured here")
    sample = sample_of(subject.answer, subject.case, assertion.options.get("input"))
    if missing := missing_fields(kind, sample, assertion.options):
        return unscored(f"it needs {' and '.join(missing)}, which the case does not have", actual=subject.text)
    bill = Bill()
    by = Provenance(
        judging.engine, judging.version, judging.digest, judging.panel.name if judging.panel else None, bill
    )
    if judging.panel is None:
        return replace(await _measured(kind, assertion, sample, setting, None, bill), made_by=by)
    if setting.judge is None:
        return broken(f"{assertion.written} needs a judge, and none is set up here", actual=subject.text)
    members = judging.panel.members
    found = await asyncio.gather(*(_guarded(kind, assertion, sample, setting, member, bill) for member in members))
    if len(found) == 1:
        return replace(found[0], made_by=by)
    return replace(_together(kind, judging.panel, found, assertion), made_by=by)


async def _guarded(
    kind: MetricKind, assertion: Assertion, sample: Sample, setting: Setting, member: JudgeModel, bill: Bill
) -> Verdict:
    """One judge of a panel that fails leaves the others their votes."""
    from promptstudio.errors import PromptStudioError

    try:
        return await _measured(kind, assertion, sample, setting, member, bill)
    except PromptStudioError as error:
        return broken(f"the judge {member.model}: {error.message}", details=failure_details(error))


async def _measured(
    kind: MetricKind, assertion: Assertion, sample: Sample, setting: Setting, member: JudgeModel | None, bill: Bill
) -> Verdict:
    ask = setting.judge.asking(member, bill, setting.repeat) if setting.judge is not None and member else None
    digest = assertion.judging.digest if assertion.judging else ""
    ask_once = setting.judge.asking(member, bill, 0) if setting.judge is not None and member else None
    kept = setting.kept.setdefault(f"{digest}:{member.model if member else ''}", {})
    embedder = _ChargedEmbedder(setting.embedder, bill) if setting.embedder is not None else None
    means = Means(ask, embedder, kept, ask_once)
    settings = {key: value for key, value in assertion.options.items() if key != "input"}
    engine = await asyncio.to_thread(engine_of, kind.engine)
    return _verdict(kind, await engine.measure(kind, settings, sample, means), assertion.threshold or 0.0, sample)


@dataclass(frozen=True, slots=True)
class _ChargedEmbedder:
    """An embedder that puts what it costs on the score's bill."""

    embedder: Embedder
    bill: Bill

    @property
    def name(self) -> str:
        return self.embedder.name

    async def embed(self, texts: Sequence[str], model: str | None = None, dimensions: int | None = None) -> Embeddings:
        found = await self.embedder.embed(texts, model, dimensions)
        charge(self.bill, found)
        return found


def _verdict(kind: MetricKind, measured: Measured, threshold: float, sample: Sample) -> Verdict:
    score, reason = measured.score, quoted(measured.reason, 300) if measured.reason else ""
    if score is None or math.isnan(score):
        said = f"there was nothing to judge by{f': {reason}' if reason else ''}"
        return unscored(said, actual=sample.actual_output, details=measured.details)
    if not -_ROUNDING <= score <= 1 + _ROUNDING:
        return broken(f"the score {number(score)} is outside of 0 to 1", actual=sample.actual_output)
    score = min(1.0, max(0.0, score))
    said = f"expected {_bound(kind)} {number(threshold)}, found {number(score)}{f': {reason}' if reason else ''}"
    return Verdict(
        "pass" if _holds(kind, score, threshold) else "fail",
        score,
        actual=sample.actual_output,
        threshold=threshold,
        details=measured.details,
        reason=said,
    )


def _holds(kind: MetricKind, score: float, threshold: float) -> bool:
    return score <= threshold + _ROUNDING if kind.lower_is_better else score >= threshold - _ROUNDING


def _bound(kind: MetricKind) -> str:
    return "at most" if kind.lower_is_better else "at least"


def _together(kind: MetricKind, panel: Panel, found: Sequence[Verdict], assertion: Assertion) -> Verdict:
    """The mean of the members' scores; where one of them has none, there is no mean of all."""
    children = tuple(
        Score(
            member.model,
            verdict.outcome,
            verdict.score,
            verdict.reason or "",
            threshold=verdict.threshold,
            details=verdict.details,
        )
        for member, verdict in zip(panel.members, found, strict=True)
    )
    scores = [verdict.score for verdict in found if verdict.score is not None]
    if len(scores) < len(found):
        worst = next(verdict for verdict in found if verdict.score is None)
        return replace(worst, children=children)
    mean, threshold = fmean(scores), assertion.threshold or 0.0
    agreed = max(sum(one.outcome == kind for one in found) for kind in ("pass", "fail")) / len(found)
    wanted = f"expected a mean of {_bound(kind)} {number(threshold)}"
    said = f"{wanted}, found {number(mean)} ({agreed:.0%} of the judges agree)"
    return Verdict(
        "pass" if _holds(kind, mean, threshold) else "fail",
        mean,
        actual=found[0].actual,
        threshold=threshold,
        details={"agreement": agreed},
        children=children,
        reason=said,
    )


def sample_of(answer: Answer, case: Case, input_name: str | None = None) -> Sample:
    """Return a case and its answer as the plain texts that engines take."""
    expected = None if case.expected_output is None else as_text(case.expected_output)
    return Sample(
        input=_question(answer, case, input_name),
        actual_output=answer.text or ("" if answer.output is None else as_text(answer.output)),
        expected_output=expected,
        context=case.context,
        retrieval_context=case.retrieval_context,
        tools_called=tuple({"name": call.name, "arguments": _arguments(call.arguments)} for call in answer.tool_calls),
        expected_tools=tuple(_tool(one) for one in case.expected_tools),
        turns=_turns(answer),
        case=case,
        answer=answer,
    )


def _question(answer: Answer, case: Case, input_name: str | None) -> str:
    """Return what was asked: the named input, the only text, the one whose name says so, else the last message."""
    if input_name is not None:
        return as_text(case.inputs[input_name]) if input_name in case.inputs else ""
    texts = {name: value for name, value in case.inputs.items() if isinstance(value, str)}
    for name in QUESTION_INPUTS:
        if name in texts:
            return texts[name]
    if len(texts) == 1:
        return next(iter(texts.values()))
    asked = [message.text for message in answer.messages if message.role == "user"]
    return asked[-1] if asked else as_text(dict(case.inputs)) if case.inputs else ""


def _arguments(text: str) -> Any:
    read = parsed_json(text or "{}")
    return text if read.problem else read.value


def _tool(written: Any) -> Mapping[str, Any]:
    if isinstance(written, Mapping):
        return {"name": written.get("name", ""), "arguments": written.get("arguments", written.get("args"))}
    return {"name": str(written), "arguments": None}


def _turns(answer: Answer) -> tuple[tuple[str, str], ...]:
    """Return a conversation as it was: what was asked and answered, turn by turn; empty where there was one."""
    if not answer.history:
        return ()
    turns: list[tuple[str, str]] = []
    for one in (*answer.history, answer):
        asked = [message.text for message in one.messages if message.role == "user"]
        turns += [("user", asked[-1])] if asked else []
        turns.append(("assistant", one.text))
    return tuple(turns)
