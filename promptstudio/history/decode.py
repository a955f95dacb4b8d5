"""Columns as `history.queries` selects them → `HistoryRow` and its parts. Broken JSON is no error."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from promptstudio.history.ids import moment_of
from promptstudio.history.schema import HistoryRow, RowDetail
from promptstudio.types import Attempt, ToolCall, Usage

Row = Sequence[Any]


def history_row(row: Row) -> HistoryRow:
    """Read one row of `LIST_COLUMNS`."""
    return HistoryRow(
        id=row[1],
        created_at=moment_of(row[2]),
        prompt=row[3],
        model=row[4],
        status=row[5],
        user=row[6],
        behavior=row[7],
        interface=row[8],
        prompt_type=row[9],
        variant=row[10],
        version=row[11],
        reason=row[12],
        commit=row[13],
        dirty=truth(row[14]),
        profile=row[15],
        label=row[16],
        tags=tuple(str(tag) for tag in data(row[17], [])),
        session_id=row[18],
        eval_run_id=row[19],
        finish_reason=row[20],
        resolved_model=row[21],
        usage=Usage(*row[22:26]),
        cost_usd=dollars(row[26]),
        duration_ms=row[27],
        first_token_ms=row[28],
        cached=truth(row[29]),
        error_kind=row[30],
        error_message=row[31],
        finished_at=None if row[32] is None else moment_of(row[32]),
        excerpt=row[33],
    )


def with_detail(row: HistoryRow, heavy: Row, attempts: Sequence[Row]) -> HistoryRow:
    """Add a row of `DETAIL` and the rows of `ATTEMPTS`."""
    detail = RowDetail(
        parameters=data(heavy[0], {}),
        overrides=data(heavy[1], {}),
        inputs=data(heavy[2], {}),
        messages=tuple(data(heavy[3], [])),
        response_text=heavy[4],
        output=data(heavy[5], None),
        reasoning=heavy[6],
        tool_calls=tuple(tool_call(item) for item in data(heavy[7], [])),
        provider_response_id=heavy[8],
        system_fingerprint=heavy[9],
        attempts=tuple(attempt(item) for item in attempts),
        owner=heavy[10],
    )
    return replace(row, detail=detail)


def attempt(row: Row) -> Attempt:
    return Attempt(
        number=row[0],
        model=row[1],
        reason=row[2],
        started_at=moment_of(row[3]),
        duration_ms=row[4],
        usage=Usage(*row[5:9]),
        cost_usd=dollars(row[9]),
        status_code=row[10],
        error_kind=row[11],
        error_message=row[12],
        waited_ms=row[13],
    )


def tool_call(item: Any) -> ToolCall:
    fields = item if isinstance(item, dict) else {}
    return ToolCall(*(str(fields.get(name, "")) for name in ("id", "name", "arguments")))


def dollars(microusd: int | None) -> Decimal | None:
    return None if microusd is None else Decimal(microusd).scaleb(-6)


def truth(value: Any) -> bool | None:
    return None if value is None else bool(value)


def data(text: str | None, empty: Any) -> Any:
    """Return stored JSON; what another program broke is shown as the text it is."""
    if not text:
        return empty
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text if empty is None else empty
    return value if empty is None or isinstance(value, type(empty)) else empty


def texts_of(row: HistoryRow) -> list[str]:
    """The texts of a row in which a search can have found something, the answer first."""
    detail = row.detail
    if detail is None:
        return []
    asked = [text for message in detail.messages for text in _contents(message)]
    answer = detail.response_text or ""
    if detail.output is not None:
        answer = " ".join(_leaves(detail.output)) or answer
    labels = [row.reason or "", " ".join((row.prompt, row.variant or "", row.label or "", *row.tags))]
    return [answer, *reversed(asked), " ".join(_leaves(detail.inputs)), *labels, row.error_message or ""]


def _contents(message: Any) -> list[str]:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(message, dict) or message.get("role") in ("system", "developer"):
        return []
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part]


def _leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [] if value is None or isinstance(value, bool) else [str(value)]
