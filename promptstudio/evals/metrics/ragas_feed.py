"""A case and its answer → the arguments of a RAGAS metric, as plain data. Imports no engine.

Messages are (role, text, calls) here; the engine makes RAGAS's own classes of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptstudio.evals.assertions.values import parsed_json
from promptstudio.evals.metrics.ragas_table import FED_BY, RagasMetric
from promptstudio.evals.metrics.schema import Measured, Sample
from promptstudio.evals.schema import Answer

_LATIN = re.compile(r"[a-zA-Z0-9]")
MAX_TABLE = 25_000_000
"""Words of one text times words of the other, which rouge_score makes a table of: about two seconds and 200 MB."""
MAX_PAIRS = 10_000_000_000
"""Characters of one text times characters of the other, for likeness of spelling: about two seconds."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said by a person (`human`) or a model (`ai`)."""

    role: str
    text: str
    calls: tuple[Call, ...] = ()


def arguments_of(metric: RagasMetric, settings: Mapping[str, Any], sample: Sample) -> dict[str, Any]:
    """Return what the metric's `ascore` takes. Fields the case lacks, and the metric can do without, are left out."""
    found: dict[str, Any] = {name: settings[name] for name in metric.from_settings}
    for name in (*metric.takes, *metric.may_take):
        if name == "messages":
            found["user_input"] = conversation(sample)
        elif name == "reference_tool_calls":
            found[name] = [Call(str(one["name"]), _object(one["arguments"])) for one in sample.expected_tools]
        else:
            value = getattr(sample, FED_BY[name])
            value = list(value) if isinstance(value, tuple) else value
            if value or name in metric.takes:
                found[name] = value
    return found


def nothing_to_measure(metric: RagasMetric, sample: Sample) -> Measured | None:
    """Return why a metric cannot say anything of a case that has all the fields it needs; None where it can."""
    if "reference_tool_calls" in metric.takes:
        bare = [str(one["name"]) for one in sample.expected_tools if one["arguments"] is None]
        if bare:
            said = f"it compares arguments, and expected_tools has {bare[0]!r:.80} without (for none, write {{}})"
            return Measured(None, said)
    if metric.class_name == "RougeScore" and not _LATIN.search(sample.expected_output or ""):
        said = "it sees the letters a to z and digits only, and the expected output has none (rouge-n sees all)"
        return Measured(None, said)
    return None


def too_long(metric: RagasMetric, sample: Sample) -> str | None:
    """Return what is too long to be compared in reasonable time; None where nothing is."""
    one, other = sample.actual_output, sample.expected_output or ""
    if metric.class_name == "RougeScore":
        words = len(one.split()), len(other.split())
        if words[0] * words[1] > MAX_TABLE:
            return f"{words[0]:,} words and {words[1]:,} words are too many to be compared"
    elif metric.class_name == "NonLLMStringSimilarity" and len(one) * len(other) > MAX_PAIRS:
        return f"{len(one):,} characters and {len(other):,} characters are too many to be compared"
    return None


def remark(metric: RagasMetric, sample: Sample) -> str:
    """Return what is odd about a value that RAGAS gives no reason for; empty where nothing is."""
    sentences = len(sample.actual_output.split(". "))
    if metric.class_name == "BleuScore" and sentences > 1:
        return f"RAGAS compares the first of {sentences:,} sentences"
    return ""


def embedded_beforehand(metric: RagasMetric, arguments: Mapping[str, Any]) -> Sequence[str]:
    """Return the texts whose embeddings the metric wants without waiting for them."""
    if metric.class_name != "SemanticSimilarity":
        return ()
    return [arguments[name] or " " for name in ("reference", "response")]


def conversation(sample: Sample) -> list[Turn]:
    """Return who said what, with the calls of tools; an answer without earlier ones is a conversation of two turns."""
    called = _calls_by_answer(sample)
    if not sample.turns:
        return [Turn("human", sample.input), Turn("ai", sample.actual_output, called[-1])]
    earlier = iter(called)
    return [
        Turn("ai", text, next(earlier, ())) if role == "assistant" else Turn("human", text)
        for role, text in sample.turns
    ]


def _calls_by_answer(sample: Sample) -> list[tuple[Call, ...]]:
    this = tuple(Call(str(one["name"]), _object(one["arguments"])) for one in sample.tools_called)
    return [*(tuple(_calls(one)) for one in sample.answer.history), this]


def _calls(answer: Answer) -> Iterator[Call]:
    for call in answer.tool_calls:
        read = parsed_json(call.arguments or "{}")
        yield Call(call.name, _object(call.arguments if read.problem else read.value))


def _object(arguments: Any) -> Mapping[str, Any]:
    """RAGAS takes named arguments only; what has no names, or is no JSON, is like no expected call."""
    if arguments is None:
        return {}
    return arguments if isinstance(arguments, Mapping) else {"arguments": arguments}
