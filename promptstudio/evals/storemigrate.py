"""A file of results made by an older version → one of this version, in one transaction: all of it, or nothing.

Version 1 held results as JSON with names, answers without their messages, and all texts as they came. What it did not
hold stays unknown: the messages of its answers, what a score that passed had expected and found.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from promptstudio.errors import HistoryError
from promptstudio.evals.coding import case_from, json_text, run_from
from promptstudio.evals.packing import DAMAGED, Clean, plain
from promptstudio.evals.records import CaseResult
from promptstudio.evals.rows import CACHED, REUSED, Targets, Writer, dollars
from promptstudio.evals.schema import Answer, Score
from promptstudio.evals.storefile import SCHEMA, VERSION, statements, transaction
from promptstudio.evals.totals import OUTCOMES
from promptstudio.types import ErrorInfo, ToolCall, Usage

_AT_ONCE = 500
_RESULTS = """
SELECT r.run, r.seq, r.key, a.key, r.target, r.repeat, r.outcome, r.score, r.cost_nanousd, r.latency_ms, r.flags,
       r.data, c.data, a.data, a.request_id, a.number, a.cost_nanousd
  FROM old_results r LEFT JOIN old_cases c ON c.digest = r.digest LEFT JOIN old_answers a ON a.number = r.answer
 WHERE r.run = ? AND r.seq > ? ORDER BY r.seq LIMIT ?
"""


def migrate(connection: sqlite3.Connection, clean: Clean) -> None:
    """Bring a file up to date. What is blanked out now leaves nothing in the file."""
    connection.execute("PRAGMA secure_delete = ON")
    with transaction(connection):
        if connection.execute("PRAGMA user_version").fetchone()[0] == 1:  # nobody was faster
            _from_1_or_damaged(connection, clean)
            connection.execute(f"PRAGMA user_version = {VERSION}")


def _from_1_or_damaged(connection: sqlite3.Connection, clean: Clean) -> None:
    try:
        _from_1(connection, clean)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:  # a row is not what was written
        raise HistoryError(f"a stored result of an older version is damaged: {error}", hint=DAMAGED) from error


def _from_1(connection: sqlite3.Connection, clean: Clean) -> None:
    connection.execute("DROP INDEX results_by_key")
    for table in ("runs", "cases", "answers", "results"):
        connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    for statement in statements(SCHEMA):
        connection.execute(statement)
    for row in connection.execute("SELECT number, id, created_at, suite, status, data FROM old_runs ORDER BY number"):
        data = json_text(plain(json.loads(row[-1]), clean))
        connection.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)", (*row[:-1], data))
        _move_results(connection, row[0], _targets(data), clean)
    for table in ("runs", "cases", "answers", "results"):
        connection.execute(f"DROP TABLE old_{table}")


def _targets(data: str) -> Targets:
    options = run_from(json.loads(data)).options
    return [(one["prompt"], one["model"], one["behavior"]) for one in options.get("targets", [])]


def _move_results(connection: sqlite3.Connection, run: int, targets: Targets, clean: Clean) -> None:
    bases: dict[tuple[int, int], int] = {}
    last = -1
    while rows := connection.execute(_RESULTS, (run, last, _AT_ONCE)).fetchall():
        writer = Writer(connection, clean, bases)
        for row in rows:
            writer.add(run, row[1], row[4], _result(row, targets), _answer_cost(row))
        last = rows[-1][1]


def _answer_cost(row: Sequence[Any]) -> int | None:
    """What the answer had cost when it was asked for: a result that took it from the store cost nothing."""
    return None if row[-1] is None else int(row[-1])


def _result(row: Sequence[Any], targets: Targets) -> CaseResult:
    _, _, key, answer_key, target, repeat, outcome, score, cost, latency_ms, flags, data, case, said, request, *_ = row
    detail = json.loads(data)
    answers = tuple(_answers(json.loads(said))) if said else ()
    prompt, model, behavior = targets[target] if target < len(targets) else ("?", "?", "")
    error = detail.get("error")
    return CaseResult(
        key=key.hex(),
        answer_key=answer_key.hex() if answer_key else "",
        case=case_from(json.loads(case) if case else {}, detail.get("file"), detail.get("line")),
        prompt=prompt,
        model=model,
        behavior=behavior,
        repeat=repeat,
        outcome=OUTCOMES[outcome],
        reason=detail.get("reason", "passed" if OUTCOMES[outcome] == "pass" else ""),
        score=score,
        scores=tuple(_score(one) for one in detail.get("scores", ())),
        metrics=detail.get("metrics", {}),
        answer=answers[-1] if answers else None,
        answers=answers,
        error=ErrorInfo(*error) if error else None,
        cost_usd=None if cost is None else dollars(cost),
        latency_ms=latency_ms,
        cached=bool(flags & CACHED),
        reused=bool(flags & REUSED),
        request_id=request,
    )


def _answers(data: Sequence[Mapping[str, Any]]) -> Iterator[Answer]:
    history: tuple[Answer, ...] = ()
    for one in data:
        cost = one.get("cost_usd")
        answer = Answer(
            text=one.get("text", ""),
            output=one.get("output"),
            tool_calls=tuple(ToolCall(*call) for call in one.get("tool_calls", ())),
            finish_reason=one.get("finish_reason"),
            refusal=one.get("refusal"),
            latency_ms=one.get("latency_ms"),
            cost_usd=None if cost is None else Decimal(cost),
            usage=Usage(*one.get("usage", ())),
            model=one.get("model"),
            history=history,
        )
        history = (*history, answer)
        yield answer


def _score(data: Mapping[str, Any]) -> Score:
    return Score(
        name=data["name"],
        outcome=data["outcome"],
        score=data.get("score"),
        reason=data.get("reason", ""),
        metric=data.get("metric"),
        weight=data.get("weight", 1.0),
        threshold=data.get("threshold"),
        expected=data.get("expected"),
        details=data.get("details", {}),
        children=tuple(_score(child) for child in data.get("children", ())),
    )
