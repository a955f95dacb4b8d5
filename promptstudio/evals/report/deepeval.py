"""Runs → JSON as DeepEval's `EvaluationDataset.save_as` writes it: goldens with their answers, so test cases as well.

`add_goldens_from_json_file(file)` reads it, and `add_test_cases_from_json_file` with the names of the same keys. Where
one case is a conversation all are, since a dataset of DeepEval is of one kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.asked import (
    about,
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
from promptstudio.types import ToolCall


def write(reports: Sequence[RunReport], out: TextIO) -> None:
    item = _conversation if has_conversations(reports) else _golden
    before = "[\n"
    for report in reports:
        for result in report.results:
            out.write(before + line_of(item(report, result)))
            before = ",\n"
    out.write("[]\n" if before == "[\n" else "\n]\n")


def _golden(report: RunReport, result: CaseResult) -> dict[str, Any]:
    case, answer = result.case, result.answer
    expected = case.expected_output
    return {
        "input": asked_text(case.inputs),
        "actual_output": said_text(answer) if answer else None,
        "expected_output": None if expected is None else plain_text(expected),
        "retrieval_context": list(case.retrieval_context) or None,
        "context": list(case.context) or None,
        "name": case.id,
        "comments": None if result.outcome == "pass" else result.reason,
        "source_file": case.file,
        "tools_called": _called(answer.tool_calls if answer else ()),
        "expected_tools": [_tool(tool) for tool in case.expected_tools],
        "token_cost": None if result.cost_usd is None else float(result.cost_usd),
        "input_token_count": answer.usage.input_tokens if answer else None,
        "output_token_count": answer.usage.output_tokens if answer else None,
        "additional_metadata": about(report, result),
        "custom_column_key_values": None,
        "expectations": None,
    }


def _conversation(report: RunReport, result: CaseResult) -> dict[str, Any]:
    case = result.case
    turns: list[dict[str, Any]] = []
    for asked, answer in turns_of(result):
        turns.append({"role": "user", "content": asked})
        called = _called(answer.tool_calls)
        turns.append(
            {"role": "assistant", "content": said_text(answer), **({"tools_called": called} if called else {})}
        )
    outcome = case.expected_output
    return {
        "scenario": plain_text(case.metadata.get("scenario") or case.id),
        "turns": turns,
        "expected_outcome": None if outcome is None else plain_text(outcome),
        "user_description": None,
        "context": list(case.context) or None,
        "name": case.id,
        "comments": None if result.outcome == "pass" else result.reason,
        "additional_metadata": about(report, result),
        "custom_column_key_values": None,
        "expectations": None,
    }


def _called(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    return [{"name": call.name, "inputParameters": arguments_of(call)} for call in calls]


def _tool(tool: Any) -> dict[str, Any]:
    name, arguments = wanted_tool(tool)
    return {"name": name, **({"inputParameters": arguments} if arguments is not None else {})}
