"""Runs and results as plain data with every key in its place: what the json, jsonl and html reports hold.

A key is always there; null says that nothing is known. Costs are US dollars as numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from promptstudio.evals.calibrations import agreement_text
from promptstudio.evals.coding import messages_data
from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.schema import RunReport, TargetFigures
from promptstudio.evals.schema import Answer, Case, Score
from promptstudio.output.terminal import json_text
from promptstudio.types import Usage

FORMAT = "promptstudio.eval-report"
VERSION = 1

Data = dict[str, Any]


def line_of(value: Any) -> str:
    """Return JSON on one line, as every parser reads it: hidden characters are escaped, NaN is the text "NaN"."""
    text = json_text(value, indent=None)
    return json_text(_finite(value), indent=None) if "NaN" in text or "Infinity" in text else text


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value


def run_object(report: RunReport) -> Data:
    """Return a run without its results."""
    run, figures = report.run, report.figures
    return {
        "id": run.id,
        "suite": run.suite,
        "suite_file": run.suite_file,
        "status": run.status,
        "gate_met": figures.is_met,
        "exit_code": run.exit_code,
        "sentence": figures.sentence,
        "created_at": run.created_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "duration_s": round(figures.duration_s, 3),
        "user": run.user,
        "commit": run.commit,
        "dirty": run.dirty,
        "models": list(run.models),
        "prompts": dict(run.prompts),
        "cases": figures.count,
        "counts": dict(figures.counts),
        "pass_rate": figures.pass_rate,
        "cost_usd": _number(figures.cost_usd),
        "known_cost_usd": float(figures.totals.get("cost_usd", 0)),
        "unpriced": figures.totals.get("unpriced", 0),
        "saved_usd": _number(figures.saved_usd),
        "input_tokens": figures.totals.get("input_tokens"),
        "output_tokens": figures.totals.get("output_tokens"),
        "latency_ms": _rounded(figures.latency_ms),
        "metrics": dict(figures.metrics),
        "figures": run.totals.get("figures"),
        "against": run.totals.get("against"),
        "checks": [
            {
                "name": one.name,
                "scope": one.scope,
                "wanted": one.wanted,
                "found": one.found,
                "met": one.is_met,
                "inconclusive": one.is_inconclusive,
                "note": one.note,
            }
            for one in figures.checks
        ],
        "targets": [_target_object(target) for target in figures.targets],
        "selection": dict(run.options.get("selection", {})),
        "judge": dict(run.judge),
        "judges": [{**row, "agreement": agreement_text(row)} for row in run.totals.get("judges", ())],
        "makers": [{"metric": metric, **maker._asdict()} for metric, maker in figures.makers],
        "baseline": run.baseline,
    }


def _target_object(target: TargetFigures) -> Data:
    return {
        "prompt": target.prompt,
        "model": target.model,
        "cases": target.count,
        "counts": dict(target.counts),
        "pass_rate": target.pass_rate,
        "cost_usd": _number(target.cost_usd),
        "latency_ms": _rounded(target.latency_ms),
    }


def result_object(result: CaseResult) -> Data:
    """Return one case of one prompt and model. `answer` is the last one, `earlier_answers` those of earlier turns."""
    return {
        "case": case_object(result.case),
        "prompt": result.prompt,
        "model": result.model,
        "repeat": result.repeat,
        "outcome": result.outcome,
        "reason": result.reason,
        "score": result.score,
        "metrics": dict(result.metrics),
        "answer": answer_object(result.answer) if result.answer is not None else None,
        "earlier_answers": [answer_object(answer) for answer in result.answers[:-1]],
        "scores": [score_object(score) for score in result.scores],
        "error": {"kind": result.error.kind, "message": result.error.message, "hint": result.error.hint}
        if result.error is not None
        else None,
        "cost_usd": _number(result.cost_usd),
        "judge_usd": _number(result.judge_usd),
        "latency_ms": result.latency_ms,
        "cached": result.cached,
        "reused": result.reused,
        "behavior": result.behavior,
        "request_id": result.request_id,
        "key": result.key,
    }


def case_object(case: Case) -> Data:
    return {
        "id": case.id,
        "file": case.file,
        "line": case.line,
        "tags": list(case.tags),
        "inputs": dict(case.inputs),
        "expected_output": case.expected_output,
        "expected_tools": list(case.expected_tools),
        "context": list(case.context),
        "retrieval_context": list(case.retrieval_context),
        "metadata": dict(case.metadata),
        "turns": [dict(turn) for turn in case.turns],
        "cluster": case.cluster,
    }


def answer_object(answer: Answer) -> Data:
    return {
        "text": answer.text,
        "output": answer.output,
        "tool_calls": [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in answer.tool_calls],
        "finish_reason": answer.finish_reason,
        "refusal": answer.refusal,
        "model": answer.model,
        "latency_ms": answer.latency_ms,
        "cost_usd": _number(answer.cost_usd),
        "usage": usage_object(answer.usage),
        "messages": messages_data(answer.messages),
    }


def usage_object(usage: Usage) -> Data:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }


def score_object(score: Score) -> Data:
    return {
        "name": score.name,
        "outcome": score.outcome,
        "score": score.score,
        "reason": score.reason,
        "metric": score.metric,
        "weight": score.weight,
        "threshold": score.threshold,
        "expected": score.expected,
        "actual": score.actual,
        "details": dict(score.details),
        "children": [score_object(child) for child in score.children],
        "engine": score.engine,
        "engine_version": score.engine_version,
        "settings_hash": score.settings_hash,
        "judge": score.judge,
        "cost_usd": _number(score.cost_usd),
        "usage": usage_object(score.usage) if score.usage != Usage() else None,
    }


def without_nothing(value: Mapping[str, Any]) -> Data:
    """Leave out keys that say nothing, for a reader that knows what it means when they are not there."""
    return {key: part for key, part in value.items() if part is not None and part not in ("", [], {})}


def suites_of(reports: Sequence[RunReport]) -> str:
    """Return the names of the suites in a line."""
    return ", ".join(dict.fromkeys(report.run.suite for report in reports))


def _number(amount: Decimal | float | None) -> float | None:
    return None if amount is None else float(amount)


def _rounded(latencies: Mapping[str, float | None]) -> Data:
    return {name: None if value is None else round(value, 1) for name, value in latencies.items()}
