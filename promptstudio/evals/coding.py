"""Results as plain data and back: what stands in the database, and in JSON reports. Absent fields are left out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Any

from promptstudio.evals.gate import Check
from promptstudio.evals.records import CaseResult, RunRecord
from promptstudio.evals.schema import Answer, Case, Score
from promptstudio.types import Message, Part, Usage

Data = dict[str, Any]


def case_data(case: Case) -> Data:
    """Return what a case says, without where it stands."""
    return _without_nothing(
        {
            "id": case.id,
            "inputs": dict(case.inputs),
            "expected_output": case.expected_output,
            "context": list(case.context),
            "retrieval_context": list(case.retrieval_context),
            "expected_tools": list(case.expected_tools),
            "tags": list(case.tags),
            "metadata": dict(case.metadata),
            "turns": [dict(turn) for turn in case.turns],
            "cluster": case.cluster,
        }
    )


def case_from(data: Mapping[str, Any], file: str | None = None, line: int | None = None) -> Case:
    return Case(
        id=data.get("id", "?"),
        inputs=data.get("inputs", {}),
        expected_output=data.get("expected_output"),
        context=tuple(data.get("context", ())),
        retrieval_context=tuple(data.get("retrieval_context", ())),
        expected_tools=tuple(data.get("expected_tools", ())),
        tags=tuple(data.get("tags", ())),
        metadata=data.get("metadata", {}),
        file=file,
        line=line,
        turns=tuple(data.get("turns", ())),
        cluster=data.get("cluster"),
    )


def json_text(value: Any) -> str:
    """Return data as compact JSON, keys sorted; letters as they are, but for halves of characters no file can hold."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text if text.isascii() or _is_whole(text) else json.dumps(value, sort_keys=True, separators=(",", ":"))


def _is_whole(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def digest_of(data: str) -> bytes:
    """Return 16 bytes that name a content."""
    return hashlib.sha256(data.encode("utf-8", "surrogatepass")).digest()[:16]


def answers_data(answers: Sequence[Answer]) -> list[Data]:
    return [
        _without_nothing(
            {
                "text": answer.text,
                "output": answer.output,
                "tool_calls": [[call.id, call.name, call.arguments] for call in answer.tool_calls],
                "finish_reason": answer.finish_reason,
                "refusal": answer.refusal,
                "latency_ms": answer.latency_ms,
                "cost_usd": None if answer.cost_usd is None else str(answer.cost_usd),
                "usage": [
                    answer.usage.input_tokens,
                    answer.usage.output_tokens,
                    answer.usage.cached_tokens,
                    answer.usage.reasoning_tokens,
                ],
                "model": answer.model,
                "messages": messages_data(answer.messages),
            }
        )
        for answer in answers
    ]


def score_data(score: Score) -> Data:
    return _without_nothing(
        {
            "name": score.name,
            "outcome": score.outcome,
            "score": score.score,
            "reason": score.reason,
            "metric": score.metric,
            "weight": None if score.weight == 1.0 else score.weight,
            "threshold": score.threshold,
            "expected": _json_or_text(score.expected),
            "actual": _json_or_text(score.actual),
            "details": dict(score.details),
            "children": [score_data(child) for child in score.children],
            "engine": score.engine,
            "engine_version": score.engine_version,
            "settings_hash": score.settings_hash,
            "judge": score.judge,
            "cost_usd": None if score.cost_usd is None else str(score.cost_usd),
            "usage": usage_data(score.usage),
        }
    )


def messages_data(messages: Sequence[Message]) -> list[Data]:
    """Return messages as role and text; pictures and sounds are named."""
    return [
        {"role": message.role, "content": "\n\n".join(_part_text(part) for part in message.parts)}
        for message in messages
    ]


def _part_text(part: Part) -> str:
    if part.kind == "text" or part.media is None:
        return part.text
    return f"[{part.kind}: {part.media.name or part.media.mime_type}]"


def usage_data(usage: Usage) -> Data:
    """Return the counts of tokens that are known."""
    return _without_nothing(
        {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cached_tokens": usage.cached_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
        }
    )


def result_detail(result: CaseResult) -> Data:
    """Return what of a result has no column of its own."""
    error = result.error
    return _without_nothing(
        {
            "reason": result.reason,
            "scores": [score_data(score) for score in result.scores],
            "metrics": dict(result.metrics),
            "error": [error.kind, error.message, error.hint] if error else None,
            "file": result.case.file,
            "line": result.case.line,
        }
    )


def run_data(run: RunRecord) -> Data:
    return {
        "id": run.id,
        "suite": run.suite,
        "suite_file": run.suite_file,
        "suite_digest": run.suite_digest,
        "created_at": run.created_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "user": run.user,
        "status": run.status,
        "prompts": dict(run.prompts),
        "models": list(run.models),
        "commit": run.commit,
        "dirty": run.dirty,
        "totals": dict(run.totals),
        "checks": [list(astuple(check)) for check in run.checks],
        "exit_code": run.exit_code,
        "note": run.note,
        "options": dict(run.options),
        "judge": dict(run.judge),
        "baseline": run.baseline,
    }


def run_from(data: Mapping[str, Any]) -> RunRecord:
    finished = data.get("finished_at")
    return RunRecord(
        id=data["id"],
        suite=data["suite"],
        suite_file=data["suite_file"],
        suite_digest=data["suite_digest"],
        created_at=datetime.fromisoformat(data["created_at"]),
        finished_at=datetime.fromisoformat(finished) if finished else None,
        user=data["user"],
        status=data["status"],
        prompts=data["prompts"],
        models=tuple(data["models"]),
        commit=data["commit"],
        dirty=data["dirty"],
        totals=data["totals"],
        checks=tuple(Check(*check) for check in data["checks"]),
        exit_code=data["exit_code"],
        note=data["note"],
        options=data["options"],
        judge=data.get("judge", {}),
        baseline=data.get("baseline"),
    )


def _without_nothing(data: Data) -> Data:
    return {key: value for key, value in data.items() if value not in (None, "", [], {})}


def _json_or_text(value: Any) -> Any:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return str(value)
    return value
