"""Runs → a table for spreadsheets: one row a case. Nothing in it is taken for a formula.

It begins with a byte order mark: without one Excel shows Arabic, Hebrew and Chinese as nonsense. A cell that a
spreadsheet would compute gets an apostrophe in front.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.against import Held, held_of
from promptstudio.evals.report.data import line_of
from promptstudio.evals.report.schema import RunReport
from promptstudio.evals.report.texts import answer_text
from promptstudio.evals.schema import Score

BOM = "\ufeff"
# A cell that begins so is a formula, or becomes one when the file is read; the wide forms are those of East Asia.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_BEFORE = ("run", "suite", "case", "prompt", "model", "repeat", "outcome", "score", "reason")
_AFTER = (
    *("expected_output", "answer", "error_kind", "cost_usd", "latency_ms", "input_tokens", "output_tokens"),
    *("cached", "reused", "tags", "file", "line", "request_id", "cluster", "judge_usd", "judged_by"),
    "since_baseline",
)


def write(reports: Sequence[RunReport], out: TextIO) -> None:
    inputs = tuple(dict.fromkeys(name for report in reports for name in report.figures.input_names))
    metrics = tuple(dict.fromkeys(name for report in reports for name in report.figures.metrics))
    out.write(BOM)
    table = csv.writer(out, lineterminator="\r\n")
    header = [*_BEFORE, *(f"inputs.{name}" for name in inputs), *_AFTER, *(f"metrics.{name}" for name in metrics)]
    table.writerow(cell(name) for name in header)
    for report in reports:
        held = held_of(report.run.totals)
        for result in report.results:
            table.writerow(cell(value) for value in _row(report, result, inputs, metrics, held))


def cell(value: Any) -> str:
    """Return what stands in a cell: numbers as they are, texts so that they stay texts, the rest as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = value if isinstance(value, str) else line_of(value)
    text = text.replace("\0", "\\x00")
    return f"'{text}" if text.lstrip(" \u00a0\u200b\u200e\u200f\ufeff").startswith(_FORMULA) else text


def _row(
    report: RunReport, result: CaseResult, inputs: Sequence[str], metrics: Sequence[str], held: Held | None
) -> Iterator[Any]:
    case, answer = result.case, result.answer
    flip = held.flip_of(result) if held is not None else None
    yield from (report.run.id, report.run.suite, case.id, result.prompt, result.model, result.repeat)
    yield from (result.outcome, result.score, result.reason)
    yield from (case.inputs.get(name) for name in inputs)
    yield from (case.expected_output, answer_text(answer) if answer else None)
    yield result.error.kind if result.error else None
    yield None if result.cost_usd is None else float(result.cost_usd)
    yield result.latency_ms
    yield answer.usage.input_tokens if answer else None
    yield answer.usage.output_tokens if answer else None
    yield from (result.cached, result.reused, ", ".join(case.tags), case.file, case.line, result.request_id)
    yield from (case.cluster, None if result.judge_usd is None else float(result.judge_usd), _judged_by(result.scores))
    yield flip.side if flip is not None else None
    yield from (result.metrics.get(name) for name in metrics)


def _judged_by(scores: Sequence[Score]) -> str:
    """Return engine, version, settings and judge of scores that have any: figures that differ there do not compare."""
    found = {"": None}
    for score in scores:
        found[" ".join(filter(None, (score.engine, score.engine_version, score.settings_hash, score.judge)))] = None
        found |= dict.fromkeys(_judged_by(score.children).split("; "))
    return "; ".join(name for name in found if name)
