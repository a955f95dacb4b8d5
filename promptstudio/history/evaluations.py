"""Evaluations in the history: SQL, values → columns, rows → values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from promptstudio.history.ids import moment_of, naive
from promptstudio.history.schema import EvaluationRow

COLUMNS: Final = (
    *("id", "created_at", "run_id", "suite", "suite_hash", "prompt", "variant", "behavior", "model"),
    *("cases", "passed", "failed", "errors", "unscored", "gate", "commit", "user"),
)
_NAMES: Final = ", ".join(f'"{name}"' for name in COLUMNS)
INSERT: Final = f"INSERT INTO evaluations ({_NAMES}) VALUES ({', '.join(':' + name for name in COLUMNS)})"  # noqa: S608


def selected(filters: dict[str, Any], limit: int) -> tuple[str, dict[str, Any]]:
    """Return the query for the newest evaluations whose columns have these values."""
    clauses = " AND ".join(f'"{name}" = :{name}' for name in filters)
    where = f" WHERE {clauses}" if clauses else ""
    sql = f"SELECT {_NAMES} FROM evaluations{where} ORDER BY created_at DESC, id DESC LIMIT :limit"  # noqa: S608
    return sql, {**filters, "limit": limit}


def evaluation_columns(row: EvaluationRow) -> dict[str, Any]:
    from promptstudio.history.encode import optional, storable  # redaction and JSON: reading does without

    columns = {name: getattr(row, name) for name in COLUMNS}
    texts = ("run_id", "suite", "suite_hash", "prompt", "variant", "model", "user")
    return columns | {name: optional(columns[name], storable) for name in texts} | {"created_at": naive(row.created_at)}


def evaluation_row(row: Sequence[Any]) -> EvaluationRow:
    columns = dict(zip(COLUMNS, row, strict=True))
    return EvaluationRow(**columns | {"created_at": moment_of(columns["created_at"])})
