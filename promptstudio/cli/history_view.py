"""Rows of the history → a table, a page or JSON. Loads no argument parser: `ps history` is typed often."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from promptstudio.cli.context import Context
from promptstudio.history.schema import HistoryRow, RowDetail, Snippet
from promptstudio.history.store import open_history
from promptstudio.output.terminal import columns, indented
from promptstudio.types import Attempt

HEADER = ("ID", "WHEN", "PROMPT", "MODEL", "STATUS", "COST", "ANSWER")
RECENT = 20


def print_recent(context: Context) -> int:
    """Print the newest runs."""
    with open_history(context.settings()) as history:
        return print_rows(context, history.rows(limit=RECENT))


def print_rows(
    context: Context, rows: Sequence[HistoryRow], *, as_json: bool = False, is_filtered: bool = False
) -> int:
    now = datetime.now().astimezone()
    if as_json:
        context.output.json([row_object(row) for row in rows])
    elif rows:
        context.output.table([_cells(row, now) for row in rows], header=HEADER)
    elif is_filtered:
        context.output.note("no run fits")
    else:
        context.output.note(f"nothing here; `{context.program} run PROMPT` adds a row")
    return 0


def print_found(context: Context, rows: Sequence[HistoryRow], words: str, *, as_json: bool = False) -> int:
    """Print what a search found, with the words marked."""
    if as_json:
        context.output.json([row_object(row) for row in rows])
        return 0
    for row in rows:
        context.output.line(f"{row.short_id}  {local_time(row.created_at)}  {name_of(row)}  {row.status}")
        if row.snippet is not None:
            context.output.line(f"    {_marked(row.snippet)}")
    if not rows:
        context.output.note(f"no run holds {words!r}")
    return 0


def page_lines(row: HistoryRow) -> Iterator[str]:
    """Yield everything known of one run."""
    yield from columns([(name, value) for name, value in _facts(row) if value])
    detail = row.detail
    if detail is None:
        return
    for title, values in (
        ("inputs", detail.inputs),
        ("parameters", detail.parameters),
        ("overrides", detail.overrides),
    ):
        if values:
            yield from ("", title)
            yield from (f"  {line}" for line in columns([(name, _text(value)) for name, value in values.items()]))
    for message in detail.messages:
        yield from ("", f"{message.get('role')}:", *indented(_content(message)))
    if detail.reasoning:
        yield from ("", "reasoning:", *indented(detail.reasoning))
    if detail.response_text:
        yield from ("", "answer:", *indented(detail.response_text))
    if detail.output is not None:
        yield from ("", "output:", *indented(json.dumps(detail.output, ensure_ascii=False, indent=2)))
    if row.error_message:
        yield from ("", f"error ({row.error_kind}):", *indented(row.error_message))
    if len(detail.attempts) > 1:
        yield from ("", "attempts")
        yield from (f"  {line}" for line in columns([_attempt_cells(attempt) for attempt in detail.attempts]))


def row_object(row: HistoryRow) -> dict[str, Any]:
    """Return a row for --json; the heavy part is there when one row was asked for."""
    found: dict[str, Any] = {
        "id": row.id,
        "created_at": row.created_at.isoformat(),
        "finished_at": row.finished_at.isoformat() if row.finished_at else None,
        "status": row.status,
        "prompt": row.prompt,
        "variant": row.variant,
        "version": row.version,
        "prompt_type": row.prompt_type,
        "behavior": row.behavior,
        "interface": row.interface,
        "commit": row.commit,
        "dirty": row.dirty,
        "model": row.model,
        "resolved_model": row.resolved_model,
        "profile": row.profile,
        "user": row.user,
        "reason": row.reason,
        "label": row.label,
        "tags": list(row.tags),
        "session_id": row.session_id,
        "eval_run_id": row.eval_run_id,
        "usage": {"input_tokens": row.usage.input_tokens, "output_tokens": row.usage.output_tokens},
        "cost_usd": _number(row.cost_usd),
        "duration_ms": row.duration_ms,
        "first_token_ms": row.first_token_ms,
        "cached": row.cached,
        "finish_reason": row.finish_reason,
        "error": {"kind": row.error_kind, "message": row.error_message} if row.error_kind else None,
        "excerpt": row.excerpt,
    }
    if row.snippet is not None:
        found["snippet"] = {"text": row.snippet.text, "marks": [list(mark) for mark in row.snippet.marks]}
    return {**found, **_detail_object(row.detail)} if row.detail else found


def name_of(row: HistoryRow) -> str:
    return f"{row.prompt}:{row.variant}" if row.variant else row.prompt


def local_time(moment: datetime) -> str:
    """A time as the person at this machine reads it."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def short_time(moment: datetime, now: datetime) -> str:
    """A time for a list: the year only where it is another one."""
    local = moment.astimezone()
    return local.strftime("%m-%d %H:%M" if local.year == now.year else "%Y-%m-%d")


def cost_text(cost_usd: Decimal | None) -> str:
    """Dollars; `?` where the price is unknown, which is not the same as free."""
    if cost_usd is None:
        return "?"
    return f"${cost_usd:.4f}" if cost_usd else "$0"


def _cells(row: HistoryRow, now: datetime) -> tuple[str, ...]:
    answer = row.error_message if row.error_message else row.excerpt or ""
    open_row = row.status in ("pending", "running")
    return (
        row.short_id,
        short_time(row.created_at, now),
        name_of(row),
        row.model,
        row.status,
        "" if open_row else cost_text(row.cost_usd),
        " ".join(answer.split())[:200],
    )


def _facts(row: HistoryRow) -> Iterator[tuple[str, str]]:
    yield "id", row.id
    yield "when", local_time(row.created_at)
    yield "status", row.status
    yield "prompt", name_of(row)
    yield "version", row.version or ""
    yield "commit", f"{row.commit[:12]}{' with changes' if row.dirty else ''}" if row.commit else ""
    yield "behavior", row.behavior[:15]
    yield "model", row.model
    yield "answered by", row.resolved_model if row.resolved_model and row.resolved_model != row.model else ""
    yield "profile", row.profile or ""
    yield "user", row.user
    yield "why", row.reason or ""
    yield "tags", ", ".join(row.tags)
    yield "tokens", f"{_counted(row.usage.input_tokens)} in, {_counted(row.usage.output_tokens)} out"
    yield "cost", cost_text(row.cost_usd)
    yield "time", f"{row.duration_ms:,} ms" if row.duration_ms is not None else ""
    yield "finish", row.finish_reason or ""


def _attempt_cells(attempt: Attempt) -> tuple[str, ...]:
    ending = attempt.error_kind or "ok"
    return str(attempt.number), attempt.reason, attempt.model, f"{attempt.duration_ms:,} ms", ending


def _detail_object(detail: RowDetail) -> dict[str, Any]:
    return {
        "parameters": dict(detail.parameters),
        "overrides": dict(detail.overrides),
        "inputs": dict(detail.inputs),
        "messages": [dict(message) for message in detail.messages],
        "text": detail.response_text,
        "output": detail.output,
        "reasoning": detail.reasoning,
        "tool_calls": [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in detail.tool_calls],
        "provider_response_id": detail.provider_response_id,
        "system_fingerprint": detail.system_fingerprint,
        "attempts": [_attempt_object(attempt) for attempt in detail.attempts],
    }


def _attempt_object(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "model": attempt.model,
        "reason": attempt.reason,
        "started_at": attempt.started_at.isoformat(),
        "duration_ms": attempt.duration_ms,
        "waited_ms": attempt.waited_ms,
        "usage": {"input_tokens": attempt.usage.input_tokens, "output_tokens": attempt.usage.output_tokens},
        "cost_usd": _number(attempt.cost_usd),
        "status_code": attempt.status_code,
        "error": {"kind": attempt.error_kind, "message": attempt.error_message} if attempt.error_kind else None,
    }


def _marked(snippet: Snippet) -> str:
    """The found words between » and «: color would be lost in a pipe, and is not read by everyone."""
    text, last = "", 0
    for start, end in snippet.marks:
        text += f"{snippet.text[last:start]}»{snippet.text[start:end]}«"
        last = end
    return " ".join((text + snippet.text[last:]).split())


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content", message.get("parts", ""))
    if isinstance(content, str):
        return content
    parts = [part.get("text") or f"[{_text(part)}]" for part in content if isinstance(part, Mapping)]
    return "\n\n".join(parts)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _counted(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
