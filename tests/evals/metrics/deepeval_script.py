"""A judge whose answers follow from what it is asked, and 64 cases no two of which are alike.

`scripted(prompt, schema)` makes an answer that fits the schema, another one for another question.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from promptstudio.evals.metrics.schema import Sample
from promptstudio.evals.schema import Answer, Case
from promptstudio.types import ToolCall

# -- the judge --------------------------------------------------------------------------------------------------------


def scripted(prompt: str, schema: type[BaseModel] | None) -> Any:
    """Return what the judge says. The order of letters does not count: DeepEval shuffles the options of a graph."""
    seed = hashlib.sha256("".join(sorted(prompt)).encode()).hexdigest()
    return f"a reason {seed[:6]}" if schema is None else _made(schema, seed, "")


def _made(schema: type[BaseModel], seed: str, path: str) -> BaseModel:
    values = {
        name: _value(field.annotation, seed, f"{path}.{name}", schema.__name__)
        for name, field in schema.model_fields.items()
    }
    return schema(**values)


def _value(kind: Any, seed: str, path: str, schema: str) -> Any:
    number = int(hashlib.sha256(f"{seed}{path}".encode()).hexdigest()[:12], 16)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return sorted(inner, key=str)[number % len(inner)]
    if origin is Union:
        return _value(next(each for each in inner if each is not type(None)), seed, path, schema)
    if origin is list:
        length = 3 if schema in ("Questions", "Answers") else 1 + number % 3
        return [_value(inner[0], seed, f"{path}.{index}", schema) for index in range(length)]
    if origin is dict:
        return {f"fact {index}": _value(inner[1], seed, f"{path}.{index}", schema) for index in range(2)}
    return _plain(kind, number, schema) if kind in _PLAIN else _made(kind, seed, path)


_PLAIN = (str, int, float, bool)


def _plain(kind: type, number: int, schema: str) -> Any:
    if kind is str:
        return ("yes", "no")[number % 2] if schema == "Answers" else f"text {number % 1000}"
    if kind is float:
        return number % 11 / (1 if schema == "ReasonScore" else 10)
    return number % 2 == 0 if kind is bool else number % 4  # a turn


class ScriptedAsk:
    """The judge behind our seam, or one that answers by a function. Others go first, so that many ask at once."""

    model = "test/scripted"

    def __init__(self, answer: Callable[[str, type[BaseModel] | None], Any] | None = None) -> None:
        self.calls: list[str] = []
        self.at_once = self.most_at_once = 0
        self._answer = answer or scripted

    async def __call__(self, text: str, schema: type[BaseModel] | None = None) -> Any:
        self.calls.append(schema.__name__ if schema else "")
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for _ in range(len(text) % 5 + 1):
            await asyncio.sleep(0)
        self.at_once -= 1
        return self._answer(text, schema)


# -- cases ------------------------------------------------------------------------------------------------------------

_WORDS = ("invoice", "فاتورة", "חשבונית", "Rechnung", "請求書", "[DEEPEVAL:IMAGE:1]", "{{ x }}", "{% raw %}")


def texts(number: int) -> dict[str, Any]:
    """Return the texts of a case; no two are alike."""
    word = _WORDS[number % len(_WORDS)]
    return {
        "input": f"What is {word} {number}?",
        "actual_output": '{"n": 1}' if number % 3 == 0 else f"It is {word} of day {number}.",
        "expected_output": '{"n": 1}' if number % 6 == 0 else f"{word} {number}",
        "context": [f"About {word} {number}.", "Of old."],
        "retrieval_context": [f"Page {number} says {word}."],
        "called": [("look", {"day": number})] + ([("send", {"to": word})] if number % 2 else []),
        "wanted": [("look", {"day": number}), ("send", {"to": word})],
        "said": (f"Hello {number}", f"Good day, {word}!", f"And {word}?", f"That is {number}."),
    }


def sample(number: int) -> Sample:
    """Return such a case as our engine gets it."""
    of = texts(number)
    calls = tuple(
        ToolCall(name=name, arguments=json.dumps(given, ensure_ascii=False), id=name) for name, given in of["called"]
    )
    user, first, again, last = of["said"]
    case = Case(id=str(number), expected_output=of["expected_output"], metadata={"scenario": "A desk"}, tags=("x",))
    answer = Answer(of["actual_output"], tool_calls=calls, history=(Answer(first, tool_calls=calls),))
    return Sample(
        input=of["input"],
        actual_output=of["actual_output"],
        expected_output=of["expected_output"],
        context=tuple(of["context"]),
        retrieval_context=tuple(of["retrieval_context"]),
        tools_called=tuple({"name": name, "arguments": given} for name, given in of["called"]),
        expected_tools=tuple({"name": name, "arguments": given} for name, given in of["wanted"]),
        turns=(("user", user), ("assistant", first), ("user", again), ("assistant", last)),
        case=case,
        answer=answer,
    )
