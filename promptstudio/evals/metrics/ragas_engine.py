"""Metrics of RAGAS, one answer at a time. The one door to `ragas`.

    kind + settings + sample + means → a fresh metric, fed → its value → Measured

The judge and the embedder are ours, so that calls are counted, paid for, cached and limited as all others are. The
value is RAGAS's own, with two exceptions, whose own value is in the details: a level of rubrics becomes a share of the
way from the lowest to the highest, and a cosine below 0 becomes 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any, NoReturn

from promptstudio.errors import BadAnswerError, MissingExtraError, OutputValidationError, UserError
from promptstudio.evals.metrics.ragas_feed import (
    Turn,
    arguments_of,
    embedded_beforehand,
    nothing_to_measure,
    remark,
    too_long,
)
from promptstudio.evals.metrics.ragas_quiet import Quietly, quiet_import, stop_tracking
from promptstudio.evals.metrics.ragas_reasons import out_of_range, reason_of
from promptstudio.evals.metrics.ragas_settings import levels
from promptstudio.evals.metrics.ragas_table import RAGAS, RagasMetric
from promptstudio.evals.metrics.schema import Ask, Means, Measured, MetricKind, Sample

with quiet_import():
    from ragas import _analytics
    from ragas.embeddings.base import BaseRagasEmbedding
    from ragas.llms.base import InstructorBaseRagasLLM
    from ragas.messages import AIMessage, HumanMessage, ToolCall
    from ragas.metrics import collections
    from ragas.metrics.result import MetricResult
stop_tracking(_analytics)

if TYPE_CHECKING:
    from pydantic import BaseModel

    from promptstudio.evals.assertions.assertion import Embedder

INSTALL = "pip install 'promptstudio[ragas]'"
_ROUNDING = 1e-9


class RagasEngine:
    """`schema.Engine` for RAGAS."""

    @property
    def version(self) -> str:
        return metadata.version("ragas")

    async def measure(self, kind: MetricKind, settings: Mapping[str, Any], sample: Sample, means: Means) -> Measured:
        """Measure one answer.

        Raises what the judge and the embedder raise, BadAnswerError where RAGAS can do nothing with what they said,
        UserError for settings it does not take and for texts that are too long.
        """
        metric = RAGAS[kind.name]
        if (said := too_long(metric, sample)) is not None:
            raise UserError(f"{kind.name}: {said}", hint="compare shorter texts, or use our own assertions")
        if (nothing := nothing_to_measure(metric, sample)) is not None:
            return nothing
        judge, vectors = _Judge(means.ask), _Vectors(means.embedder, settings.get("model"))
        made = _made(metric, settings, judge, vectors)
        arguments = arguments_of(metric, settings, sample)
        try:
            await vectors.prepare(embedded_beforehand(metric, arguments))
            result = await Quietly(made.ascore(**_in_their_classes(arguments)))
        except _NoVectorError as error:
            return Measured(None, str(error))
        except Exception as error:
            cause = _cause(kind, judge, vectors, error)
            if cause is error:
                raise
            raise cause from error
        if judge.failure is not None:  # some metrics take whatever goes wrong for a judge that is undecided
            raise judge.failure
        return _measured(metric, settings, result, reason_of(judge.answers) or remark(metric, sample))


def _made(metric: RagasMetric, settings: Mapping[str, Any], judge: _Judge, vectors: _Vectors) -> Any:
    """Make a metric of RAGAS for one measurement: it would keep what it is given."""
    made_by = getattr(collections, metric.class_name, None)
    if made_by is None:
        raise UserError(f"this version of ragas has no {metric.class_name}", hint=INSTALL)
    given = {name: value for name, value in settings.items() if name not in (*metric.from_settings, "model")}
    if "beta" in given:
        given["beta"] = float(given["beta"])  # it takes no 1 for 1.0
    if "distance_measure" in given:
        given["distance_measure"] = collections.DistanceMeasure(given["distance_measure"])
    if metric.kind.judge_calls:
        given["llm"] = judge
    if metric.kind.embeds:
        given["embeddings"] = vectors
    try:
        return made_by(**given)
    except ImportError as error:
        raise MissingExtraError(f"{metric.kind.name}: {error}", hint=INSTALL) from error
    except (ValueError, TypeError) as error:
        raise UserError(f"{metric.kind.name}: {error}") from error


def _in_their_classes(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with conversations and tool calls as RAGAS has them."""
    found = dict(arguments)
    if isinstance(found.get("user_input"), list):
        found["user_input"] = [_message(turn) for turn in found["user_input"]]
    if "reference_tool_calls" in found:
        found["reference_tool_calls"] = [_tool_call(call) for call in found["reference_tool_calls"]]
    return found


def _message(turn: Turn) -> HumanMessage | AIMessage:
    if turn.role == "human":
        return HumanMessage(content=turn.text)
    return AIMessage(content=turn.text, tool_calls=[_tool_call(call) for call in turn.calls] or None)


def _tool_call(call: Any) -> ToolCall:
    return ToolCall(name=call.name, args=dict(call.arguments))


def _measured(metric: RagasMetric, settings: Mapping[str, Any], result: MetricResult, otherwise: str) -> Measured:
    value, reason = float(result.value), str(result.reason or otherwise)
    if math.isnan(value):
        return Measured(None, reason)
    if metric.has_levels:
        low, high = levels(settings.get("rubrics"))
        if not low <= value <= high:
            raise OutputValidationError(f"the judge's score is {value:g}, and the rubrics go from {low} to {high}")
        return Measured((value - low) / (high - low), reason, {"value": value, "from": low, "to": high})
    if metric.kind.embeds and -1 - _ROUNDING <= value < 0:
        return Measured(0.0, reason, {"value": value})
    return Measured(value, reason)


def _cause(kind: MetricKind, judge: _Judge, vectors: _Vectors, error: Exception) -> Exception:
    """Return what went wrong first: RAGAS may have made something else of it."""
    if failure := judge.failure or vectors.failure:
        return failure
    if isinstance(error, ImportError):
        return MissingExtraError(f"{kind.name}: {error}", hint=INSTALL)
    if judge.answers:
        said = f"ragas can make nothing of the judge's answers ({type(error).__name__}: {error})"
        return BadAnswerError(f"{kind.name}: {said}")
    return error


class _Judge(InstructorBaseRagasLLM):
    """Our judge as RAGAS asks it. The first failure is the last question: RAGAS would ask five times."""

    def __init__(self, ask: Ask | None) -> None:
        self._ask = ask
        self.answers: list[BaseModel] = []
        self.failure: Exception | None = None

    def generate(self, prompt: str, response_model: type[Any]) -> NoReturn:
        raise NotImplementedError("the judge is asked asynchronously")

    async def agenerate(self, prompt: str, response_model: type[Any]) -> Any:
        if self.failure is not None:
            raise self.failure
        try:
            self.answers.append(await self._answer(prompt, response_model))
        except Exception as error:
            self.failure = error
            raise
        return self.answers[-1]

    async def _answer(self, prompt: str, response_model: type[Any]) -> Any:
        if self._ask is None:
            raise UserError("this metric needs a judge, and none is set up here")
        answer = await self._ask(prompt, response_model)
        if not isinstance(answer, response_model):
            found = f"{type(answer).__name__} instead of {response_model.__name__}"
            raise OutputValidationError(f"{self._ask.model}: the judge's answer is a {found}")
        if (said := out_of_range(answer)) is not None:
            raise OutputValidationError(f"{self._ask.model}: the judge's answer does not count: {said}")
        return answer


class _NoVectorError(Exception):
    """A text that says nothing has no embedding."""


class _Vectors(BaseRagasEmbedding):
    """Our embedder as RAGAS asks it. One metric asks without waiting: what it wants is embedded beforehand."""

    def __init__(self, embedder: Embedder | None, model: str | None) -> None:
        super().__init__()
        self._embedder, self._model = embedder, model
        self._known: dict[str, list[float]] = {}
        self.failure: Exception | None = None

    async def prepare(self, texts: Sequence[str]) -> None:
        for text in (missing := [text for text in dict.fromkeys(texts) if text not in self._known]):
            if not text.strip():
                raise _NoVectorError("an empty text has no embedding")
        if not missing:
            return
        try:
            vectors = await self._embedded(missing)
        except Exception as error:
            self.failure = error
            raise
        for text, vector in zip(missing, vectors, strict=True):
            if not any(vector):
                raise _NoVectorError("the embedder has nothing to compare a text by")
            self._known[text] = vector

    async def _embedded(self, texts: list[str]) -> list[list[float]]:
        if self._embedder is None:
            raise UserError("this metric needs an embedder, and none is set up here", hint="set [eval] embedder")
        found = await self._embedder.embed(texts, self._model)
        return [[float(number) for number in vector] for vector in found.vectors]

    def embed_text(self, text: str, **_: Any) -> list[float]:
        return self._known[text]

    async def aembed_text(self, text: str, **_: Any) -> list[float]:
        return (await self.aembed_texts([text]))[0]

    async def aembed_texts(self, texts: list[str], **_: Any) -> list[list[float]]:
        await self.prepare(texts)
        return [self._known[text] for text in texts]
