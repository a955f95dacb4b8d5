"""Values of a run → columns: JSON that every database reads, text that every database takes, secrets blanked out.

Times come out as naive UTC datetimes; the SQLite store turns them into text.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from promptstudio.history.ids import naive
from promptstudio.history.schema import RequestRow, ResponseRow
from promptstudio.prompts.secrets import redact
from promptstudio.types import Attempt, Media, Message, Part, ToolCall, Usage

Columns = dict[str, Any]
Clean = Callable[[str], str]

MAX_COUNT = 2**31 - 1
"""The largest number an INTEGER column takes everywhere; a provider may report anything."""

MAX_DEPTH = 100
"""Deeper data is stored as text: databases refuse JSON that is nested a thousand times."""


def storable(text: str) -> str:
    """Return text every database takes: lone surrogates become U+FFFD, all else stays byte for byte."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def redacted(text: str) -> str:
    return redact(storable(text))


def cleaner(redacting: bool) -> Clean:
    """Return what every text passes on its way to the disk."""
    return redacted if redacting else storable


def request_columns(row: RequestRow, *, redacting: bool, owner: str | None) -> Columns:
    clean = cleaner(redacting)
    return {
        "id": row.id,
        "created_at": naive(row.created_at),
        "status": row.status,
        "prompt": storable(row.prompt),
        "variant": optional(row.variant, storable),
        "version": optional(row.version, storable),
        "prompt_type": row.prompt_type,
        "behavior": row.behavior,
        "interface": row.interface,
        "commit": row.commit,
        "dirty": row.dirty,
        "model": storable(row.model),
        "user": storable(row.user),
        "reason": optional(row.reason, clean),
        "session_id": row.session_id,
        "eval_run_id": row.eval_run_id,
        "label": optional(row.label, storable),
        "profile": optional(row.profile, storable),
        "tags": json_text(row.tags, clean),
        "owner": owner,
        "parameters": json_text(row.parameters, clean),
        "overrides": json_text(row.overrides, clean),
        "inputs": json_text(row.inputs, clean),
        "messages": json_text(row.messages, clean),
    }


def response_columns(prompt_id: str, row: ResponseRow, *, redacting: bool) -> Columns:
    clean = cleaner(redacting)
    return {
        "prompt_id": prompt_id,
        "created_at": naive(row.created_at),
        "finish_reason": optional(row.finish_reason, storable),
        "resolved_model": optional(row.resolved_model, storable),
        "provider_response_id": optional(row.provider_response_id, storable),
        "system_fingerprint": optional(row.system_fingerprint, storable),
        **usage_columns(row.usage, row.cost_usd),
        "duration_ms": count(row.duration_ms),
        "first_token_ms": count(row.first_token_ms),
        "cached": row.cached,
        "error_kind": row.error_kind,
        # A provider may quote the key it refused: error text is blanked out whatever the settings say.
        "error_message": optional(row.error_message, redacted),
        "response_text": clean(row.response_text),
        "output": None if row.output is None else json_text(row.output, clean),
        "tool_calls": json_text(row.tool_calls, clean) if row.tool_calls else None,
        "reasoning": optional(row.reasoning, clean),
    }


def attempt_columns(prompt_id: str, attempts: Iterable[Attempt]) -> list[Columns]:
    return [
        {
            "prompt_id": prompt_id,
            "number": attempt.number,
            "model": storable(attempt.model),
            "reason": attempt.reason,
            "started_at": naive(attempt.started_at),
            "duration_ms": count(attempt.duration_ms),
            "waited_ms": count(attempt.waited_ms),
            **usage_columns(attempt.usage, attempt.cost_usd),
            "status_code": count(attempt.status_code),
            "error_kind": attempt.error_kind,
            "error_message": optional(attempt.error_message, redacted),
        }
        for attempt in attempts
    ]


def usage_columns(usage: Usage, cost_usd: Decimal | None) -> Columns:
    return {
        "input_tokens": count(usage.input_tokens),
        "output_tokens": count(usage.output_tokens),
        "cached_tokens": count(usage.cached_tokens),
        "reasoning_tokens": count(usage.reasoning_tokens),
        "cost_microusd": None if cost_usd is None else round(cost_usd * 1_000_000),
    }


def count(value: int | None) -> int | None:
    return None if value is None else max(-MAX_COUNT, min(int(value), MAX_COUNT))


def optional(text: str | None, clean: Clean) -> str | None:
    return None if text is None else clean(text)


def json_text(value: Any, clean: Clean) -> str:
    """Return valid JSON for any value: what JSON has no form for is described or written as text."""
    return json.dumps(json_data(value, clean), ensure_ascii=False, separators=(",", ":"))


def json_data(value: Any, clean: Clean, depth: int = 0) -> Any:  # noqa: PLR0911  one line per kind of value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean(str(value))
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else hex(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth >= MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {clean(str(key)): json_data(item, clean, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_data(item, clean, depth + 1) for item in value]
    return _described(value, clean, depth)


def _described(value: Any, clean: Clean, depth: int) -> Any:  # noqa: PLR0911  as above
    if isinstance(value, Message):
        return _message_data(value, clean)
    if isinstance(value, Media):
        return _media_data(value, clean)
    if isinstance(value, ToolCall):
        return {"id": value.id, "name": value.name, "arguments": clean(value.arguments)}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (Decimal, Path)):
        return clean(str(value))
    if hasattr(value, "model_dump"):  # a Pydantic object; Pydantic itself stays unloaded
        return json_data(value.model_dump(mode="json"), clean, depth + 1)
    return clean(repr(value))


def _message_data(message: Message, clean: Clean) -> Columns:
    """`content` is the text of a plain message, else a list of parts with `type`, as chat formats have it."""
    if len(message.parts) == 1 and message.parts[0].kind == "text":
        return {"role": message.role, "content": clean(message.parts[0].text)}
    return {"role": message.role, "content": [_part_data(part, clean) for part in message.parts]}


def _part_data(part: Part, clean: Clean) -> Columns:
    if part.kind == "text" or part.media is None:
        return {"type": part.kind, "text": clean(part.text)}
    return {"type": part.kind, **_media_data(part.media, clean)}


def _media_data(media: Media, clean: Clean) -> Columns:
    facts: Columns = {"mime_type": media.mime_type}
    if media.name:
        facts["name"] = clean(media.name)
    if media.url:
        facts["url"] = clean(media.url)
    if media.data is not None:
        facts |= {"bytes": len(media.data), "sha256": hashlib.sha256(media.data).hexdigest()}
    return facts
