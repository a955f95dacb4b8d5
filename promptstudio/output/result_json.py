"""A `Result` → the object `run --json` prints. Its keys are a contract; see docs/cli.md."""

from __future__ import annotations

from typing import Any

from promptstudio.types import Attempt, Result, Usage


def result_object(result: Result) -> dict[str, Any]:
    """Return plain data. Unknown counts and costs are null, never 0."""
    return {
        "id": result.id,
        "prompt": result.prompt,
        "variant": result.variant,
        "version": result.version,
        "behavior": result.behavior,
        "commit": result.commit,
        "dirty": result.dirty,
        "model": result.model,
        "status": result.status,
        "text": result.text,
        "output": None if result.output is None else result.output.model_dump(mode="json", by_alias=True),
        "reasoning": result.reasoning,
        "tool_calls": [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in result.tool_calls],
        "usage": usage_object(result.usage),
        "cost_usd": None if result.cost_usd is None else float(result.cost_usd),
        "duration_ms": result.duration_ms,
        "first_token_ms": result.first_token_ms,
        "finish_reason": result.finish_reason,
        "cached": result.cached,
        "saved": None
        if result.saved is None
        else {
            "cost_usd": None if result.saved.cost_usd is None else float(result.saved.cost_usd),
            "duration_ms": result.saved.duration_ms,
        },
        "resolved_model": result.resolved_model,
        "attempts": [attempt_object(attempt) for attempt in result.attempts],
        "error": None
        if result.error is None
        else {
            "kind": result.error.kind,
            "message": result.error.message,
            "hint": result.error.hint,
            "file": None,
            "line": None,
        },
    }


def usage_object(usage: Usage) -> dict[str, int | None]:
    """Return token counts by their JSON names."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }


def attempt_object(attempt: Attempt) -> dict[str, Any]:
    """Return one request on the wire as plain data."""
    return {
        "number": attempt.number,
        "model": attempt.model,
        "reason": attempt.reason,
        "started_at": attempt.started_at.isoformat(),
        "duration_ms": attempt.duration_ms,
        "waited_ms": attempt.waited_ms,
        "status_code": attempt.status_code,
        "error_kind": attempt.error_kind,
        "error_message": attempt.error_message,
        "usage": usage_object(attempt.usage),
        "cost_usd": None if attempt.cost_usd is None else float(attempt.cost_usd),
    }
