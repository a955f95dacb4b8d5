"""DeepEval goldens, as `EvaluationDataset.save_as` writes them (CSV, JSON, JSONL) → cases, a suite and a prompt.

Lists in CSV cells are joined with `|` there, everything else is JSON. A conversational golden is a case with turns:
what the user says is asked turn by turn, what the assistant said is kept as an answer.
"""

from __future__ import annotations

import json
import re
from typing import Any

from promptstudio.exchange.cases import Dataset, ForeignCase, Notes
from promptstudio.exchange.datafile import DATA_SUFFIXES, Row, columns_of, rows_of
from promptstudio.exchange.document import stem_of
from promptstudio.exchange.schema import Foreign, Import, Said
from promptstudio.prompts.wording import found
from promptstudio.types import ToolCall, Usage

_SINGLE = (
    *("input", "actual_output", "expected_output", "retrieval_context", "context", "name", "comments", "source_file"),
    *("tools_called", "expected_tools", "token_cost", "input_token_count", "output_token_count"),
    *("additional_metadata", "custom_column_key_values", "expectations"),
)
_CHAT = (
    *("scenario", "turns", "expected_outcome", "user_description", "persona", "context", "name", "comments"),
    *("additional_metadata", "custom_column_key_values", "expectations"),
)
_TYPICAL = frozenset(_SINGLE) - {"input", "expected_output", "context", "name"}
_SOURCED = re.compile(r"deepeval_source=(.*?),deepeval_context=(.*)", re.DOTALL)
# How the camelCase of DeepEval's server and of `model_dump(by_alias=True)` reads.
_CAMEL = re.compile(r"(?<=[a-z])([A-Z])")


class DeepEvalImporter:
    """Goldens and test cases, single-turn and conversational."""

    name = "deepeval"
    title = "DeepEval goldens: CSV, JSON, JSONL"
    reads_data = True

    def confidence(self, foreign: Foreign) -> int:
        if foreign.path.suffix.lower() not in (".json", *DATA_SUFFIXES):
            return 0
        columns = {_snake(name) for name in columns_of(foreign)}
        if "scenario" in columns and columns & {"turns", "expected_outcome", "user_description", "persona"}:
            return 85
        if "input" not in columns:
            return 0
        return 85 if columns & _TYPICAL else 45 if "expected_output" in columns else 0

    def read(self, foreign: Foreign) -> Import:
        notes = Notes(foreign.shown)
        data = Dataset(foreign, self.name, stem_of(foreign, ()), notes)
        for row in rows_of(foreign):
            own = Row({_snake(name): value for name, value in row.value.items()}, row.line, row.file, row.is_text)
            data.cases.append(_conversation(own, notes) if own.has("scenario") else _golden(own, notes))
        if any(case.turns for case in data.cases):
            for case in data.cases:
                case.turns = case.turns or [{"inputs": dict(case.inputs)}]
                case.inputs = {}
        return data.result()


IMPORTER = DeepEvalImporter()


def _snake(name: str) -> str:
    return _CAMEL.sub(lambda match: f"_{match[1].lower()}", name)


def _golden(row: Row, notes: Notes) -> ForeignCase:
    text = row.text("input")
    if text is None:
        row.fail("input: it is missing", "a golden has an input, a conversational one a scenario")
    notes.unknown(row.value, _SINGLE, row.line)
    case = ForeignCase(row.text("name"), row.line, {"input": text}, expected_output=row.text("expected_output"))
    _common(row, case, notes)
    case.retrieval_context = _sourced(row.texts("retrieval_context", "|"), case)
    case.expected_tools = _tools(row, "expected_tools", notes)
    if row.has("source_file"):
        case.metadata["source_file"] = row.text("source_file")
    answer = row.text("actual_output")
    calls = _tools(row, "tools_called", notes)
    if answer is not None or calls:
        usage = Usage(_count(row, "input_token_count"), _count(row, "output_token_count"))
        said = Said(answer or "", _calls(calls), usage=usage, cost_usd=_number(row, "token_cost"))
        case.answers[0] = (said,)
    return case


def _conversation(row: Row, notes: Notes) -> ForeignCase:
    notes.unknown(row.value, _CHAT, row.line)
    case = ForeignCase(row.text("name"), row.line)
    _common(row, case, notes)
    for key in ("scenario", "user_description"):
        if row.has(key):
            case.metadata[key] = row.text(key)
    if row.has("persona"):
        case.metadata["persona"] = row.data("persona")
        case.metadata.pop("user_description", None)
    said: list[Said] = []
    for index, turn in enumerate(row.list("turns")):
        _turn(turn, index, row, case, said, notes)
    if row.has("expected_outcome"):
        case.expected_output = row.text("expected_outcome")
        case.asserts = ["not-is-refusal"]
        why = "kept as expected_output, and not asserted: an outcome in words needs a judge"
        notes.changed("expected_outcome", why, row.line)
    if not case.turns:
        case.turns = [{"inputs": {"input": row.text("scenario")}}]
        notes.changed("scenario", "nobody plays the user here: the scenario is asked as one turn", row.line)
    elif len(said) == len(case.turns):
        case.answers[0] = tuple(said)
    elif said:
        case.metadata["turns"] = row.list("turns")
        notes.changed("turns", "kept in metadata: not every turn has an answer, so there is none to score", row.line)
    return case


def _turn(turn: Any, index: int, row: Row, case: ForeignCase, said: list[Said], notes: Notes) -> None:
    if not isinstance(turn, dict) or not isinstance(turn.get("content"), str):
        row.fail(f"turns[{index}]: expected a map with role and content, found {found(turn)}")
    own = {_snake(str(name)): value for name, value in turn.items()}
    notes.unknown(own, ("role", "content", "tools_called", "retrieval_context"), row.line)
    if own.get("role") == "user":
        case.turns.append({"inputs": {"input": own["content"]}})
    elif own.get("role") == "assistant":
        calls = own.get("tools_called")
        said.append(Said(own["content"], _calls(calls if isinstance(calls, list) else [])))
        if len(said) > len(case.turns):
            notes.dropped("turns", "what the assistant says with no turn of the user before it", row.line)
            said.pop()
    else:
        row.fail(f"turns[{index}].role: expected user or assistant, found {found(own.get('role'))}")
    if isinstance(passages := own.get("retrieval_context"), list):
        case.retrieval_context += _sourced([str(passage) for passage in passages], case)


def _common(row: Row, case: ForeignCase, notes: Notes) -> None:
    case.context = row.texts("context", "|")
    case.metadata |= row.map("additional_metadata")
    case.metadata |= row.map("custom_column_key_values")
    if row.has("comments"):
        case.metadata["comments"] = row.text("comments")
    if row.has("expectations"):
        case.metadata["expectations"] = row.data("expectations")
        notes.changed("expectations", "kept in metadata: they need a judge", row.line)


def _sourced(passages: list[str], case: ForeignCase) -> list[str]:
    """Return the passages without the mark that DeepEval puts before one with a source; sources are metadata."""
    plain: list[str] = []
    for passage in passages:
        match = _SOURCED.fullmatch(passage)
        plain.append(match[2] if match else passage)
        if match:
            case.metadata.setdefault("sources", []).append(match[1])
    return plain


def _tools(row: Row, key: str, notes: Notes) -> list[Any]:
    tools: list[Any] = []
    for index, item in enumerate(row.list(key)):
        if isinstance(item, str):
            tools.append(item)
            continue
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            row.fail(f"{key}[{index}]: expected a map with a name, found {found(item)}")
        given = item.get("inputParameters", item.get("input_parameters"))
        tools.append({"name": item["name"], **({"arguments": given} if isinstance(given, dict) else {})})
        for other in ("description", "reasoning", "output"):
            if item.get(other) not in (None, ""):
                notes.dropped(f"{key}.{other}", "a tool is a name and its arguments", row.line)
    return tools


def _calls(tools: list[Any]) -> tuple[ToolCall, ...]:
    calls: list[ToolCall] = []
    for number, tool in enumerate(tools, 1):
        name = tool if isinstance(tool, str) else str(tool.get("name", "")) if isinstance(tool, dict) else ""
        given = tool.get("arguments", tool.get("inputParameters", {})) if isinstance(tool, dict) else {}
        calls.append(ToolCall(f"call_{number}", name, json.dumps(given, ensure_ascii=False)))
    return tuple(calls)


def _count(row: Row, key: str) -> int | None:
    number = _number(row, key)
    return None if number is None else int(number)


def _number(row: Row, key: str) -> float | None:
    text = row.text(key)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        row.fail(f"{key}: expected a number, found {found(text)}")
    return number if 0 <= number < 1e12 else row.fail(f"{key}: expected a number of 0 or more, found {found(text)}")
