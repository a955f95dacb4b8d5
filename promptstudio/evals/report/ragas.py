"""Runs → JSON Lines that RAGAS reads with `EvaluationDataset.from_jsonl(file)`: one sample a case that was answered.

Where one case is a conversation all samples are of the multi-turn kind, since a dataset of RAGAS is of one kind. Cases
without an answer are left out: RAGAS has no sample without one that a metric takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.asked import (
    arguments_of,
    asked_text,
    has_conversations,
    plain_text,
    said_text,
    turns_of,
    wanted_tool,
)
from promptstudio.evals.report.data import line_of
from promptstudio.evals.report.schema import RunReport


def write(reports: Sequence[RunReport], out: TextIO) -> None:
    sample = _conversation if has_conversations(reports) else _single
    for report in reports:
        for result in report.results:
            if result.answer is not None:
                found = sample(result)
                out.write(line_of({key: value for key, value in found.items() if value not in (None, [], {})}) + "\n")


def _single(result: CaseResult) -> dict[str, Any]:
    case = result.case
    return {
        "user_input": asked_text(case.inputs),
        "response": said_text(result.answer) if result.answer else None,
        "reference": _reference(result),
        "retrieved_contexts": list(case.retrieval_context),
        "reference_contexts": list(case.context),
        "rubrics": _rubrics(result),
    }


def _conversation(result: CaseResult) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    for asked, answer in turns_of(result):
        messages.append({"content": asked, "type": "human"})
        calls = [{"name": call.name, "args": arguments_of(call)} for call in answer.tool_calls]
        messages.append({"content": said_text(answer), "type": "ai", **({"tool_calls": calls} if calls else {})})
    return {
        "user_input": messages,
        "reference": _reference(result),
        "reference_tool_calls": [_tool(tool) for tool in result.case.expected_tools],
        "rubrics": _rubrics(result),
    }


def _reference(result: CaseResult) -> str | None:
    expected = result.case.expected_output
    return None if expected is None else plain_text(expected)


def _rubrics(result: CaseResult) -> dict[str, str] | None:
    rubrics = result.case.metadata.get("rubrics")
    if not isinstance(rubrics, dict):
        return None
    return {str(name): plain_text(text) for name, text in rubrics.items()}


def _tool(tool: Any) -> dict[str, Any]:
    name, arguments = wanted_tool(tool)
    return {"name": name, "args": arguments or {}}
