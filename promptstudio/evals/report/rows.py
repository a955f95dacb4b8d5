"""Results → flat rows with the same columns in each, for programs that read tables: one row a result.

Texts stay what they are, which is why the `csv` report, made for spreadsheets, is another. A column of inputs has one
type: numbers where all are numbers, text with JSON for lists and maps where they differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.data import line_of
from promptstudio.evals.report.schema import RunReport
from promptstudio.evals.report.texts import answer_text

Kind = Literal["text", "int", "float", "bool"]
_FIXED: Mapping[str, Kind] = {
    **dict.fromkeys(("run", "suite", "case", "prompt", "model"), "text"),
    "repeat": "int", "outcome": "text", "score": "float", "reason": "text",
}  # fmt: skip
_AFTER: Mapping[str, Kind] = {
    **dict.fromkeys(("expected_output", "answer", "context", "retrieval_context", "tools_called", "tags"), "text"),
    **dict.fromkeys(("metadata", "error_kind", "request_id"), "text"),
    **dict.fromkeys(("cost_usd", "latency_ms"), "float"),
    **dict.fromkeys(("input_tokens", "output_tokens"), "int"),
    **dict.fromkeys(("cached", "reused"), "bool"),
}  # fmt: skip
_LARGEST = 1 << 63


@dataclass(frozen=True, slots=True)
class Table:
    """The columns with their types, in order; `rows` go through the results again."""

    reports: Sequence[RunReport]
    columns: Mapping[str, Kind]

    def rows(self) -> Iterator[dict[str, Any]]:
        for report in self.reports:
            for result in report.results:
                given = _values(report, result)
                yield {name: _cell(given.get(name), kind) for name, kind in self.columns.items()}


def table_of(reports: Sequence[RunReport]) -> Table:
    """Go through the results once, to see which columns there are and of what type."""
    kinds: dict[str, Kind] = {}
    for report in reports:
        for name in report.figures.input_names:
            kinds.setdefault(f"inputs.{name}", "text")
    seen: dict[str, Kind] = {}
    for report in reports:
        for result in report.results:
            for name, value in result.case.inputs.items():
                _see(seen, f"inputs.{name}", value)
    metrics = dict.fromkeys(f"metrics.{name}" for report in reports for name in report.figures.metrics)
    numbers: dict[str, Kind] = dict.fromkeys(metrics, "float")
    return Table(reports, {**_FIXED, **kinds, **seen, **_AFTER, **numbers})


def _see(seen: dict[str, Kind], name: str, value: Any) -> None:
    kind = _kind_of(value)
    if kind is None:
        return
    before = seen.get(name, kind)
    numbers = {before, kind} == {"int", "float"}
    seen[name] = kind if before == kind else "float" if numbers else "text"


def _kind_of(value: Any) -> Kind | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -_LARGEST <= value < _LARGEST else "text"
    return "float" if isinstance(value, float) else "text"


def _cell(value: Any, kind: Kind) -> Any:
    if value is None or kind in ("int", "bool"):
        return value
    if kind == "float":
        return float(value)
    text = value if isinstance(value, str) else line_of(value)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _values(report: RunReport, result: CaseResult) -> dict[str, Any]:
    case, answer = result.case, result.answer
    return {
        "run": report.run.id,
        "suite": report.run.suite,
        "case": case.id,
        "prompt": result.prompt,
        "model": result.model,
        "repeat": result.repeat,
        "outcome": result.outcome,
        "score": result.score,
        "reason": result.reason,
        **{f"inputs.{name}": value for name, value in case.inputs.items()},
        "expected_output": case.expected_output,
        "answer": answer_text(answer) if answer else None,
        "context": list(case.context) or None,
        "retrieval_context": list(case.retrieval_context) or None,
        "tools_called": [call.name for call in answer.tool_calls] or None if answer else None,
        "tags": ", ".join(case.tags) or None,
        "metadata": dict(case.metadata) or None,
        "error_kind": result.error.kind if result.error else None,
        "request_id": result.request_id,
        "cost_usd": result.cost_usd,
        "latency_ms": result.latency_ms,
        "input_tokens": answer.usage.input_tokens if answer else None,
        "output_tokens": answer.usage.output_tokens if answer else None,
        "cached": result.cached,
        "reused": result.reused,
        **{f"metrics.{name}": value for name, value in result.metrics.items()},
    }
