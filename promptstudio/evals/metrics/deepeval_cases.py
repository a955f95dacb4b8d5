"""An answer and its case as plain texts → DeepEval's test case, of one answer or of a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from promptstudio.evals.assertions.values import parsed_json
from promptstudio.evals.metrics.deepeval_door import ConversationalTestCase, LLMTestCase, ToolCall, Turn
from promptstudio.evals.metrics.schema import Sample, Settings
from promptstudio.evals.schema import Answer


def single_case(sample: Sample) -> LLMTestCase:
    """Return a case with one answer. What an answer says is text, also where it looks like their mark for an image."""
    case = LLMTestCase(
        input=sample.input,
        actual_output=sample.actual_output,
        expected_output=sample.expected_output,
        context=list(sample.context) or None,
        retrieval_context=list(sample.retrieval_context) or None,
        tools_called=tool_calls(sample.tools_called),
        expected_tools=tool_calls(sample.expected_tools),
        metadata=dict(sample.case.metadata) or None,
        tags=list(sample.case.tags) or None,
    )
    case.multimodal = False
    return case


def conversation(sample: Sample, settings: Settings) -> ConversationalTestCase:
    """Return a conversation: each answer with the tools it called and the context of its turn, or of the case."""
    answers = iter((*sample.answer.history, sample.answer))
    written = iter(sample.case.turns)
    turns = []
    for role, text in sample.turns:
        if role != "assistant":
            turns.append(Turn(role="user", content=text))
            continue
        context = next(written, {}).get("retrieval_context") or sample.retrieval_context
        called = _called(next(answers, None))
        turns.append(
            Turn(role="assistant", content=text, retrieval_context=list(context) or None, tools_called=called or None)
        )
    scenario = sample.case.metadata.get("scenario")
    case = ConversationalTestCase(
        turns=turns,
        scenario=scenario if isinstance(scenario, str) else None,
        context=list(sample.context) or None,
        expected_outcome=sample.expected_output,
        chatbot_role=settings.get("chatbot_role"),
        metadata=dict(sample.case.metadata) or None,
        tags=list(sample.case.tags) or None,
    )
    case.multimodal = False
    return case


def tool_calls(written: Iterable[Mapping[str, Any]]) -> list[ToolCall]:
    """Return calls as DeepEval compares them: arguments that are no map stand under one name."""
    return [ToolCall(name=str(one.get("name", "")), input_parameters=_map(one.get("arguments"))) for one in written]


def tools_offered(written: Iterable[Any]) -> list[ToolCall]:
    """Return the tools a model could have called: names, or maps with name, description and parameters."""
    return [
        ToolCall(name=one)
        if isinstance(one, str)
        else ToolCall(name=one["name"], description=one.get("description"), input_parameters=one.get("parameters"))
        for one in written
    ]


def _called(answer: Answer | None) -> list[ToolCall]:
    calls = answer.tool_calls if answer else ()
    return tool_calls({"name": call.name, "arguments": _read(call.arguments)} for call in calls)


def _read(arguments: str) -> Any:
    read = parsed_json(arguments or "{}")
    return arguments if read.problem else read.value


def _map(arguments: Any) -> dict[str, Any] | None:
    if arguments is None:
        return None
    return dict(arguments) if isinstance(arguments, Mapping) else {"arguments": arguments}
