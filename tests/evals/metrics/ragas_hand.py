"""RAGAS used by hand, and a judge and an embedder that answer it and us alike, by nothing but what they are asked."""

# ruff: noqa: E402 - our door comes before RAGAS itself, and keeps it quiet
from __future__ import annotations

import hashlib
import inspect
import json
import typing
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Literal

from promptstudio.evals.metrics.schema import Sample
from promptstudio.evals.metrics.table import engine_of
from promptstudio.evals.schema import Answer, Case
from promptstudio.providers.embed import Embeddings
from promptstudio.providers.vectors import Vector
from promptstudio.types import ToolCall

engine_of("ragas")

from pydantic import BaseModel
from ragas.embeddings.base import BaseRagasEmbedding
from ragas.llms.base import InstructorBaseRagasLLM
from ragas.messages import AIMessage, HumanMessage
from ragas.messages import ToolCall as RagasToolCall
from ragas.metrics import collections

WORDS = ("Paris", "capital", "1789", "river", "Seine", "tower", "council", "museum", "old", "new", "bridge", "market")
RATINGS = {"AnswerAccuracyOutput": (0, 2, 4, 4, 2, 7), "default": (0, 1, 2, 2, 1, 9)}


class ScriptedJudge:
    """Answers by the hash of what it is asked, in any shape: also with empty lists and ratings that are none."""

    model = "scripted/judge"

    def __init__(self, most: int = 4, least: int = 0) -> None:
        self.most, self.least = most, least
        self.asked: list[str] = []

    async def __call__(self, text: str, schema: type[BaseModel] | None = None) -> Any:
        self.asked.append(text)
        assert schema is not None
        return self.answer(text, schema)

    def answer(self, text: str, schema: type[BaseModel]) -> Any:
        chance = Random(hashlib.sha256(f"{schema.__name__}\n{text}".encode()).digest())
        return self._made(schema, chance, _inputs(text))

    def _made(self, schema: type[BaseModel], chance: Random, inputs: Mapping[str, Any]) -> BaseModel:
        fields = schema.model_fields.items()
        return schema(**{name: self._value(schema, name, one.annotation, chance, inputs) for name, one in fields})

    def _value(self, schema: type, name: str, kind: Any, chance: Random, inputs: Mapping[str, Any]) -> Any:
        if typing.get_origin(kind) is list:
            count = len(inputs["statements"]) if "statements" in inputs else chance.randint(self.least, self.most)
            count = len(inputs["topics"]) if name == "classifications" and "topics" in inputs else count
            return [self._value(schema, name, typing.get_args(kind)[0], chance, inputs) for _ in range(count)]
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return self._made(kind, chance, inputs)
        return _plain(schema.__name__, name, kind, chance)


def _plain(schema: str, name: str, kind: Any, chance: Random) -> Any:
    if typing.get_origin(kind) is Literal:
        return chance.choice(typing.get_args(kind))
    if kind is bool:
        return chance.random() < 0.5
    if kind is int:
        scale = {"score": (1, 2, 3, 4, 5), "rating": RATINGS.get(schema, RATINGS["default"])}
        return chance.choice(scale.get(name, (0, 1)))
    scale = {"answers": "01", "entities": WORDS}
    return chance.choice(scale[name]) if name in scale else f"{chance.choice(WORDS)} {chance.choice(WORDS)}"


def _inputs(text: str) -> Mapping[str, Any]:
    """Return what RAGAS put at the end of a prompt, as data."""
    _, found, written = text.rpartition("\ninput: ")
    return json.loads(written.rpartition("\nOutput:")[0]) if found else {}


def vector_of(text: str) -> Vector[float]:
    chance = Random(text)
    return Vector("f", [chance.uniform(-1, 1) for _ in range(8)])


class ScriptedEmbedder:
    """`assertions.Embedder`: vectors by the hash of the text, some of which point away from each other."""

    name = "scripted/embedder"

    async def embed(self, texts: Sequence[str], model: str | None = None, dimensions: int | None = None) -> Embeddings:
        return Embeddings(tuple(vector_of(text) for text in texts), model or self.name)


class HandJudge(InstructorBaseRagasLLM):
    """The same judge, as somebody who uses RAGAS alone would plug it in."""

    def __init__(self, judge: ScriptedJudge) -> None:
        self.judge = judge

    def generate(self, prompt: str, response_model: Any) -> Any:
        return self.judge.answer(prompt, response_model)

    async def agenerate(self, prompt: str, response_model: Any) -> Any:
        return self.judge.answer(prompt, response_model)


class HandEmbedder(BaseRagasEmbedding):
    def embed_text(self, text: str, **_: Any) -> list[float]:
        return list(vector_of(text))

    async def aembed_text(self, text: str, **_: Any) -> list[float]:
        return list(vector_of(text))


def sample(number: int, contexts: int | None = None) -> Sample:
    """Return a case: question, answer, expectation, contexts, calls of tools and, for every third, a conversation."""
    chance = Random(number)
    say = lambda words: " ".join(chance.choice(WORDS) for _ in range(words))  # noqa: E731
    shared = say(5)
    answer, expected = f'{shared} {say(4)}, as "{say(3)}" says.', f"{shared} {say(3)}."
    if number % 8 > 5:
        expected = answer if number % 2 else shared
    documents = tuple(f"{say(8)} {answer[-30:] if number % 2 else ''}" for _ in range(contexts or chance.randint(1, 3)))
    calls = [{"name": chance.choice(("search", "book")), "arguments": {"city": say(1)}} for _ in range(number % 4)]
    wanted = [*calls[:1], {"name": "search", "arguments": {"city": say(1), "days": 2}}]
    question, history, turns = f"Where is the {say(3)}?", (), ()
    if number % 3 == 0:
        history = (Answer(say(4), tool_calls=(ToolCall("1", "search", '{"city": "Paris"}'),)),)
        turns = (("user", say(4)), ("assistant", history[0].text), ("user", question), ("assistant", answer))
    return Sample(
        question, answer, expected, documents, documents, tuple(calls), tuple(wanted), turns,
        Case(str(number)), Answer(answer, history=history),
    )  # fmt: skip


def by_hand(class_name: str, given: Mapping[str, Any], judge: ScriptedJudge) -> Any:
    """Make a metric as RAGAS's own documentation does."""
    made_by: Any = getattr(collections, class_name)
    wants = inspect.signature(made_by).parameters
    own = dict(given)
    if "llm" in wants:
        own["llm"] = HandJudge(judge)
    if "embeddings" in wants:
        own["embeddings"] = HandEmbedder()
    return made_by(**own)


def messages(case: Sample) -> list[Any]:
    """Return the conversation as RAGAS has it, written out by hand."""
    calls = [RagasToolCall(name=one["name"], args=dict(one["arguments"])) for one in case.tools_called] or None
    if not case.turns:
        return [HumanMessage(content=case.input), AIMessage(content=case.actual_output, tool_calls=calls)]
    (_, asked), (_, answered), (_, asked_again), (_, last) = case.turns
    earlier = [RagasToolCall(name="search", args={"city": "Paris"})]
    return [
        HumanMessage(content=asked),
        AIMessage(content=answered, tool_calls=earlier),
        HumanMessage(content=asked_again),
        AIMessage(content=last, tool_calls=calls),
    ]


def fields(case: Sample) -> dict[str, Any]:
    """Return everything RAGAS may want to know of a case."""
    return {
        "user_input": case.input,
        "messages": messages(case),
        "response": case.actual_output,
        "reference": case.expected_output,
        "retrieved_contexts": list(case.retrieval_context),
        "reference_contexts": list(case.context),
        "reference_tool_calls": [
            RagasToolCall(name=one["name"], args=dict(one["arguments"])) for one in case.expected_tools
        ],
    }
