"""What a result was asked and answered, as evaluation libraries want it: one text, or the turns of a conversation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.data import line_of
from promptstudio.evals.report.schema import RunReport
from promptstudio.evals.schema import Answer
from promptstudio.types import ToolCall

# Names of the input that is the question, where a case has several.
_QUESTIONS = ("input", "user_input", "question", "query", "message", "prompt")


def asked_text(inputs: Mapping[str, Any]) -> str:
    """Return the one input there is, or the one that is the question by its name, else all of them as JSON."""
    if len(inputs) == 1:
        only = next(iter(inputs.values()))
        return _last_asked(only) or plain_text(only)
    name = next((name for name in _QUESTIONS if isinstance(inputs.get(name), str)), None)
    return str(inputs[name]) if name is not None else line_of(dict(inputs))


def _last_asked(value: Any) -> str | None:
    """Return what the user said last, where a value is a list of messages."""
    said = (
        [one for one in value if isinstance(one, dict) and one.get("role") == "user"] if isinstance(value, list) else []
    )
    content = said[-1].get("content") if said else None
    return content if isinstance(content, str) else None


def plain_text(value: Any) -> str:
    return value if isinstance(value, str) else line_of(value)


def has_conversations(reports: Sequence[RunReport]) -> bool:
    """Whether there is an answer with turns before it: these libraries take files of one kind only."""
    return any(len(result.answers) > 1 for report in reports for result in report.results)


def turns_of(result: CaseResult) -> list[tuple[str, Answer]]:
    """Return what was asked and answered in each turn."""
    answers = result.answers or ((result.answer,) if result.answer is not None else ())
    given = [dict(turn.get("inputs", {})) for turn in result.case.turns]
    given += [{}] * (len(answers) - len(given))
    return [(asked_text(own or result.case.inputs), answer) for own, answer in zip(given, answers, strict=False)]


def said_text(answer: Answer) -> str:
    """Return what a model said: its text, else its typed output as JSON. Tools it called stand elsewhere."""
    return answer.text if answer.text or answer.output is None else plain_text(answer.output)


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """Return the arguments of a call; those that are no map as one argument."""
    try:
        found = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return {"arguments": call.arguments}
    return found if isinstance(found, dict) else {"arguments": found}


def wanted_tool(tool: Any) -> tuple[str, dict[str, Any] | None]:
    """Return the name of an expected tool and its arguments; None where any will do."""
    if not isinstance(tool, dict):
        return str(tool), None
    given = (tool.get(key) for key in ("arguments", "args", "input_parameters"))
    return str(tool.get("name", "")), next((one for one in given if isinstance(one, dict)), None)


def about(report: RunReport, result: CaseResult) -> dict[str, Any]:
    """Return what a library has no field for."""
    return {
        "case": result.case.id,
        "run": report.run.id,
        "prompt": result.prompt,
        "model": result.model,
        "repeat": result.repeat,
        "outcome": result.outcome,
        "score": result.score,
        **({"metrics": dict(result.metrics)} if result.metrics else {}),
        **({"inputs": dict(result.case.inputs)} if len(result.case.inputs) > 1 else {}),
        **({"tags": list(result.case.tags)} if result.case.tags else {}),
        **({"metadata": dict(result.case.metadata)} if result.case.metadata else {}),
    }
