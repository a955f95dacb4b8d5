"""Runs that have ended, stored many at once: one transaction for all of them, one entry in the index for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from promptstudio.history.encode import attempt_columns, request_columns, response_columns
from promptstudio.history.queries import INSERT_REQUEST
from promptstudio.history.schema import RequestRow, ResponseRow
from promptstudio.types import Attempt, Status

Run = Callable[[str, Mapping[str, Any]], int]
SET_STATUS: Final = "UPDATE prompt_requests SET status = :status WHERE id = :id"


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run from its request to its end."""

    request: RequestRow
    response: ResponseRow
    attempts: Sequence[Attempt]
    status: Status


def write_ended(runs: Iterable[EndedRun], run: Run, *, redacting: bool) -> None:
    """Write runs inside an open transaction. The status comes last: then the index takes the row, whole and once."""
    for sql, columns in _statements(runs, redacting=redacting):
        run(sql, columns)


def _statements(runs: Iterable[EndedRun], *, redacting: bool) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for each in runs:
        prompt_id = each.request.id
        request = request_columns(each.request, redacting=redacting, owner=None)
        yield INSERT_REQUEST, {**request, "status": "running"}
        yield _insert("prompt_responses", response_columns(prompt_id, each.response, redacting=redacting))
        for attempt in attempt_columns(prompt_id, each.attempts):
            yield _insert("attempts", attempt)
        yield SET_STATUS, {"id": prompt_id, "status": each.status}


def _insert(table: str, columns: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    names = ", ".join('"' + name + '"' for name in columns)
    values = ", ".join(":" + name for name in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({values})", columns  # noqa: S608  names of our own columns
