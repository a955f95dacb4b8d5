"""Results of evaluations in one SQLite file: `.promptstudio/evals.db`.

    runs      one row a run                     cases    what a case says, once for each content
    results   one row a case of a run           answers  what a model said, once for each text it said to a question

A result is found again by its key, an answer by its answer key, whatever run it was made in: that is how an evaluation
goes on where it was stopped. A new answer to an old question stands beside the old one, which its run keeps.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from promptstudio.config import Settings
from promptstudio.errors import HistoryError, NotFoundError
from promptstudio.evals.coding import (
    answers_data,
    answers_from,
    digest_of,
    json_text,
    result_detail,
    result_from,
    run_data,
    run_from,
)
from promptstudio.evals.records import CaseResult, RunRecord
from promptstudio.evals.runner import Stored
from promptstudio.evals.schema import Outcome
from promptstudio.evals.storefile import made_file, opened_file, translated
from promptstudio.evals.totals import OUTCOMES
from promptstudio.history import owners

FILE_NAME = "evals.db"
_RESULT = """
SELECT r.seq, r.key, a.key, r.target, r.repeat, r.outcome, r.score, r.cost_nanousd, r.latency_ms, r.flags, r.data,
       c.data, a.data, a.request_id, a.cost_nanousd
FROM results r LEFT JOIN cases c ON c.digest = r.digest LEFT JOIN answers a ON a.number = r.answer
"""
CACHED, REUSED = 1, 2
Targets = list[tuple[str, str, str]]


def store_path(settings: Settings) -> Path:
    """Return the file of a project's results. Raises HistoryError outside a project."""
    if settings.state_dir is None:
        raise HistoryError("evaluations are kept in a project", hint="`ps init` makes one here")
    return settings.state_dir / FILE_NAME


class EvalStore:
    """The results of a project. Reading makes no file; a newer file is refused, never changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._reading = threading.RLock()  # who looks something up does not wait for who writes
        self._reader: sqlite3.Connection | None = None

    def __enter__(self) -> EvalStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._reading:
            if self._reader is not None:
                self._reader.close()
            self._reader = None
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    # Writing

    def begin(self, run: RunRecord) -> int:
        """Store a run that starts, and return its number."""
        with self._writing() as connection:
            found = connection.execute(
                "INSERT INTO runs (id, created_at, suite, status, data) VALUES (?, ?, ?, ?, ?)", _run_columns(run)
            )
            return int(found.lastrowid or 0)

    def finish(self, run: RunRecord) -> None:
        with self._writing() as connection:
            _, created_at, suite, status, data = _run_columns(run)
            connection.execute(
                "UPDATE runs SET created_at = ?, suite = ?, status = ?, data = ? WHERE id = ?",
                (created_at, suite, status, data, run.id),
            )

    def add(self, run: int, first: int, results: Sequence[tuple[int, bytes, str, CaseResult]]) -> None:
        """Store results in one transaction. Each comes with the index of its target, and its case's digest and data."""
        with self._writing() as connection:
            rows, cases = [], {}
            for seq, (target, digest, case, result) in enumerate(results, first):
                rows.append((run, seq, *_result_columns(target, digest, _answer_number(connection, result), result)))
                cases[digest] = case
            connection.executemany("INSERT OR IGNORE INTO cases VALUES (?, ?)", cases.items())
            connection.executemany("INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def remove(self, ids: Sequence[str]) -> int:
        """Remove runs, and the answers and cases no other run has."""
        with self._writing() as connection:
            removed = 0
            for each in ids:
                connection.execute("DELETE FROM results WHERE run = (SELECT number FROM runs WHERE id = ?)", (each,))
                removed += connection.execute("DELETE FROM runs WHERE id = ?", (each,)).rowcount
            kept = "SELECT answer FROM results WHERE answer IS NOT NULL"
            connection.execute(f"DELETE FROM answers WHERE number NOT IN ({kept})")  # noqa: S608  a literal
            connection.execute("DELETE FROM cases WHERE digest NOT IN (SELECT digest FROM results)")
        return removed

    # Reading

    def run(self, name: str) -> RunRecord:
        """Return a run by its id, the beginning of it, or `last`."""
        if name == "last":
            found = self._read("SELECT data FROM runs ORDER BY number DESC LIMIT 1")
        else:
            found = self._read("SELECT data FROM runs WHERE id >= ? AND id < ? LIMIT 2", (name, name + "\U0010ffff"))
        if len(found) != 1 or not name:
            many = f"{name!r} is the beginning of several runs" if len(found) > 1 else f"there is no run {name!r}"
            raise NotFoundError(many, hint="ps runs list shows them")
        return self._as_it_is(run_from(json.loads(found[0][0])))

    def runs(self, *, suite: str | None = None, limit: int = 20) -> list[RunRecord]:
        """Return the newest runs first."""
        where = "WHERE suite = ? " if suite is not None else ""
        found = self._read(
            f"SELECT data FROM runs {where}ORDER BY number DESC LIMIT ?",  # noqa: S608  one of two literals
            (*([suite] if suite is not None else []), limit),
        )
        return [self._as_it_is(run_from(json.loads(data))) for (data,) in found]

    def owner(self) -> str | None:
        """Return the name under which this process is known to be alive; None where no lock can be had."""
        try:
            return owners.own_owner(self._locks_dir())
        except OSError:
            return None

    def results(self, run: RunRecord, *, outcomes: Sequence[Outcome] = (), page: int = 500) -> Iterator[CaseResult]:
        """Yield the results of a run in the order they ended, some at a time."""
        targets = targets_of(run)
        last = -1
        marks = ", ".join(str(OUTCOMES.index(outcome)) for outcome in outcomes)
        chosen = f"AND r.outcome IN ({marks}) " if marks else ""
        while True:
            rows = self._read(
                f"{_RESULT}WHERE r.run = (SELECT number FROM runs WHERE id = ?) AND r.seq > ? {chosen}"  # noqa: S608
                "ORDER BY r.seq LIMIT ?",  # numbers of outcomes only
                (run.id, last, page),
            )
            for row in rows:
                yield _result(row, targets)
            if len(rows) < page:
                return
            last = rows[-1][0]

    def find(self, key: str, answer_key: str, target: tuple[str, str, int]) -> Stored | None:
        """Return what is known of a question: its answer, and its result where it was judged in just this way.

        `target` is prompt, model and repeat, as the result is to have them.
        """
        rows = self._read(
            f"{_RESULT}WHERE r.key = ? AND r.outcome IN (0, 1) AND r.answer IS NOT NULL ORDER BY r.run DESC LIMIT 1",
            (bytes.fromhex(key),),
        )
        if not rows:
            return self.find_answer(answer_key)
        prompt, model, repeat = target
        found = replace(_result(rows[0], [(prompt, model, "")]), prompt=prompt, model=model, repeat=repeat)
        return Stored(found.answers, found.request_id, found, _dollars(rows[0][14]))

    def find_answer(self, answer_key: str, run: RunRecord | None = None) -> Stored | None:
        """Return the newest answer to a question, or the one a run has."""
        if run is None:
            where, parameters = "WHERE key = ? ORDER BY number DESC LIMIT 1", (bytes.fromhex(answer_key),)
            rows = self._read(f"SELECT data, request_id, cost_nanousd FROM answers {where}", parameters)  # noqa: S608
        else:
            rows = self._read(
                "SELECT a.data, a.request_id, a.cost_nanousd FROM answers a WHERE a.key = ? AND a.number IN "
                "(SELECT answer FROM results WHERE run = (SELECT number FROM runs WHERE id = ?)) LIMIT 1",
                (bytes.fromhex(answer_key), run.id),
            )
        if not rows:
            return None
        data, request_id, cost = rows[0]
        return Stored(answers_from(json.loads(data)), request_id, saved_usd=_dollars(cost))

    def counts(self, run: RunRecord) -> dict[Outcome, int]:
        """Count the results of a run by outcome; for one that left no totals."""
        rows = self._read(
            "SELECT outcome, COUNT(*) FROM results WHERE run = (SELECT number FROM runs WHERE id = ?) GROUP BY outcome",
            (run.id,),
        )
        found = dict(rows)
        return {outcome: found.get(index, 0) for index, outcome in enumerate(OUTCOMES)}

    # The file

    def _read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._reading, translated(self.path):
            if self._reader is None:
                if not self.path.is_file():
                    return []
                self._reader = opened_file(self.path)
            if self._reader is None:
                return []  # somebody is just making it
            return self._reader.execute(sql, parameters).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self.path):
            if self._connection is None:
                self._connection = made_file(self.path)
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _locks_dir(self) -> Path:
        return self.path.with_name("evals.locks")

    def _as_it_is(self, run: RunRecord) -> RunRecord:
        """A run whose process is gone says so, whatever it wrote last."""
        if run.status != "running" or owners.is_alive(run.options.get("owner"), self._locks_dir()):
            return run
        counted = {str(outcome): count for outcome, count in self.counts(run).items()}
        return replace(run, status="interrupted", totals=run.totals or counted)


def targets_of(run: RunRecord) -> Targets:
    """Return prompt, model and behavior of each target, in the order results name them by."""
    return [(one["prompt"], one["model"], one["behavior"]) for one in run.options.get("targets", [])]


def _run_columns(run: RunRecord) -> tuple[str, int, str, str, str]:
    created_at = round(run.created_at.timestamp() * 1000)
    return run.id, created_at, run.suite, run.status, json_text(run_data(run))


def _result_columns(target: int, digest: bytes, answer: int | None, result: CaseResult) -> tuple[Any, ...]:
    return (
        bytes.fromhex(result.key),
        answer,
        digest,
        target,
        result.repeat,
        OUTCOMES.index(result.outcome),
        result.score,
        _nano(result.cost_usd),
        result.latency_ms,
        CACHED * result.cached + REUSED * result.reused,
        json_text(result_detail(result)),
    )


def _answer_number(connection: sqlite3.Connection, result: CaseResult) -> int | None:
    """Store an answer that is not there yet, and return its number."""
    if not result.answers:
        return None
    data = json_text(answers_data(result.answers))
    key, digest = bytes.fromhex(result.answer_key), digest_of(data)
    connection.execute(
        "INSERT OR IGNORE INTO answers (key, digest, data, request_id, cost_nanousd) VALUES (?, ?, ?, ?, ?)",
        (key, digest, data, result.request_id, _nano(result.cost_usd)),
    )
    found = connection.execute("SELECT number FROM answers WHERE key = ? AND digest = ?", (key, digest)).fetchone()
    return int(found[0])


def _result(row: Sequence[Any], targets: Targets) -> CaseResult:
    _, key, answer, target, repeat, outcome, score, cost, latency_ms, flags, data, case, answers, request_id, _ = row
    prompt, model, behavior = targets[target] if target < len(targets) else ("?", "?", "")
    return result_from(
        json.loads(data),
        case=json.loads(case) if case else {},
        answers=json.loads(answers) if answers else [],
        key=key.hex(),
        answer_key=answer.hex() if answer else "",
        prompt=prompt,
        model=model,
        behavior=behavior,
        repeat=repeat,
        outcome=OUTCOMES[outcome],
        score=score,
        cost_usd=None if cost is None else _dollars(cost),
        latency_ms=latency_ms,
        cached=bool(flags & CACHED),
        reused=bool(flags & REUSED),
        request_id=request_id,
    )


def _dollars(nano_usd: int | None) -> Decimal:
    return Decimal(nano_usd or 0) / 1_000_000_000


def _nano(cost_usd: Decimal | None) -> int | None:
    return None if cost_usd is None else int(cost_usd * 1_000_000_000)
