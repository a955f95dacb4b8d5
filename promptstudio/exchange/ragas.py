"""RAGAS datasets (`EvaluationDataset.to_csv`, `.to_jsonl`, `.to_pandas`, and the names of 0.1) → cases, suite, prompt.

In CSV a list is written as Python prints it, or numpy: both are read, neither is evaluated.
"""

from __future__ import annotations

import json
from typing import Any

from promptstudio.exchange.cases import Dataset, ForeignCase, Notes
from promptstudio.exchange.datafile import DATA_SUFFIXES, Row, columns_of, rows_of
from promptstudio.exchange.document import stem_of
from promptstudio.exchange.schema import Foreign, Import, Said
from promptstudio.prompts.wording import found
from promptstudio.types import ToolCall

# The names of RAGAS 0.1 → those of now.
_OLD = {
    "question": "user_input",
    "answer": "response",
    "contexts": "retrieved_contexts",
    "ground_truth": "reference",
    "ground_truths": "reference",
}
_NOTED = (
    *("rubrics", "retrieved_context_ids", "reference_context_ids", "reference_topics"),
    *("persona_name", "query_style", "query_length", "synthesizer_name", "evolution_type", "metadata", "episode_done"),
)
_KNOWN = (
    *("user_input", "response", "multi_responses", "retrieved_contexts", "reference", "reference_contexts"),
    *("reference_tool_calls", *_NOTED),
)


class RagasImporter:
    """Single-turn and multi-turn samples, and generated test sets."""

    name = "ragas"
    title = "RAGAS dataset: CSV, JSONL, JSON"
    reads_data = True

    def confidence(self, foreign: Foreign) -> int:
        if foreign.path.suffix.lower() not in (".json", *DATA_SUFFIXES):
            return 0
        columns = columns_of(foreign)
        if "user_input" in columns:
            return 85
        old = columns & {"contexts", "ground_truth", "ground_truths"}
        return 80 if "question" in columns and old else 40 if {"question", "answer"} <= columns else 0

    def read(self, foreign: Foreign) -> Import:
        notes = Notes(foreign.shown)
        data = Dataset(foreign, self.name, stem_of(foreign, ()), notes, input_name="user_input")
        for row in rows_of(foreign):
            data.cases.append(_case(_renamed(row), notes))
        if any(case.turns for case in data.cases):
            for case in data.cases:
                case.turns = case.turns or [{"inputs": dict(case.inputs)}]
                case.inputs = {}
        return data.result()


IMPORTER = RagasImporter()


def _renamed(row: Row) -> Row:
    if "user_input" in row.value:
        return row
    value = {_OLD.get(name, name): item for name, item in row.value.items()}
    return Row(value, row.line, row.file, row.is_text)


def _case(row: Row, notes: Notes) -> ForeignCase:
    notes.unknown(row.value, _KNOWN, row.line)
    case = ForeignCase(None, row.line, expected_output=_reference(row, notes))
    case.context = row.texts("reference_contexts")
    case.retrieval_context = row.texts("retrieved_contexts")
    case.expected_tools = [_tool(item, row) for item in row.list("reference_tool_calls")]
    for key in _NOTED:
        if row.has(key):
            case.metadata[key] = row.data(key)
    if row.has("rubrics"):
        notes.changed("rubrics", "kept in metadata: a rubric needs a judge", row.line)
    asked = row.data("user_input")
    if isinstance(asked, list):
        _talk(asked, row, case, notes)
        if case.expected_output is not None:
            case.asserts = ["not-is-refusal"]
            said = "kept as expected_output, and not asserted: the reference of a conversation needs a judge"
            notes.changed("reference", said, row.line)
    else:
        text = row.text("user_input")
        if text is None:
            row.fail("user_input: it is missing", "a sample of RAGAS has user_input, one of 0.1 question")
        case.inputs = {"user_input": text}
    response = row.text("response")
    if response is not None and not case.answers:
        case.answers[0] = (Said(response),)
    if row.has("multi_responses"):
        case.metadata["multi_responses"] = row.texts("multi_responses")
        notes.changed("multi_responses", "kept in metadata: a case has one answer for each repeat", row.line)
    return case


def _reference(row: Row, notes: Notes) -> str | None:
    value = row.data("reference")
    if isinstance(value, list):
        if len(value) > 1:
            notes.dropped("reference", "a case has one reference: the first is taken", row.line)
        return str(value[0]) if value else None
    return row.text("reference")


def _tool(item: Any, row: Row) -> dict[str, Any]:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        row.fail(f"reference_tool_calls: expected maps with a name, found {found(item)}")
    given = item.get("args")
    return {"name": item["name"], **({"arguments": given} if isinstance(given, dict) else {})}


def _talk(messages: list[Any], row: Row, case: ForeignCase, notes: Notes) -> None:
    """Read the messages of a conversation: what people say is asked, what the model said is an answer to it."""
    said: list[Said | None] = []
    for index, message in enumerate(messages):
        kind = message.get("type", message.get("role")) if isinstance(message, dict) else None
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, str):
            row.fail(f"user_input[{index}]: expected a message with type and content, found {found(message)}")
        if kind in ("human", "user"):
            case.turns.append({"inputs": {"user_input": content}})
            said.append(None)
        elif kind in ("ai", "assistant") and said:
            before = said[-1]
            text = content if before is None else "\n".join(part for part in (before.text, content) if part)
            said[-1] = Said(text, (*(before.tool_calls if before else ()), *_calls(message.get("tool_calls"))))
        elif kind in ("ai", "assistant"):
            notes.dropped("user_input", "what the model says before the user does", row.line)
        elif kind == "tool":
            notes.dropped(
                "user_input", "results of tools: a case has what people say, not what programs return", row.line
            )
        else:
            row.fail(f"user_input[{index}].type: expected human, ai or tool, found {found(kind)}")
    if not case.turns:
        row.fail("user_input: nobody asks anything in it")
    answers = [one for one in said if one is not None]
    if answers and len(answers) == len(said):
        case.answers[0] = tuple(answers)
    elif answers:
        case.metadata["conversation"] = messages
        notes.changed(
            "user_input", "kept in metadata: not every turn has an answer, so there is none to score", row.line
        )


def _calls(calls: Any) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(f"call_{number}", str(call.get("name", "")), json.dumps(call.get("args") or {}, ensure_ascii=False))
        for number, call in enumerate(calls if isinstance(calls, list) else (), 1)
        if isinstance(call, dict)
    )
