"""Results of evaluations in one SQLite file: `.promptstudio/evals.db`.

    runs      one row a run                     cases    what a case says, once for each content
    results   one row a case of a run           answers  what a model said, once for each text it said to a question
    shapes    what many results of a run have in common: the names and settings of their scores

A result is found again by its key, an answer by its answer key, whatever run it was made in: that is how an evaluation
goes on where it was stopped. A new answer to an old question stands beside the old one, which its run keeps.

Keys are hashes of what the files of the project say. The texts are stored as the history stores its own: what has the
shape of a key is blanked out before, unless `history.redact` is off. A stored answer that is judged anew is judged so.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from promptstudio.config import Settings
from promptstudio.errors import HistoryError, NotFoundError
from promptstudio.evals.coding import json_text, run_data, run_from
from promptstudio.evals.packing import DAMAGED, cleaner, dictionary_of, packed, plain, unpacked
from promptstudio.evals.records import CaseResult, RunRecord
from promptstudio.evals.rows import (
    RESULT,
    Place,
    Targets,
    Writer,
    answers_text,
    dollars,
    id_of,
    pack_without,
    result_of,
    stored_answers,
)
from promptstudio.evals.runner import Stored
from promptstudio.evals.schema import Outcome
from promptstudio.evals.storefile import made_file, opened_file, transaction, translated
from promptstudio.evals.totals import OUTCOMES
from promptstudio.history import owners
from promptstudio.prompts.secrets import redact

FILE_NAME = "evals.db"
_OF_RUN = "FROM results r LEFT JOIN cases c ON c.digest = r.digest LEFT JOIN answers a ON a.number = r.answer"
# The newest answer that was judged so comes first, and of what it was judged as the newest run; else the newest answer.
_BY_KEY = """
FROM answers a LEFT JOIN results r ON r.answer = a.number AND r.key = ? AND r.outcome IN (0, 1)
LEFT JOIN cases c ON c.digest = r.digest
WHERE a.key = ? ORDER BY r.key IS NULL, a.number DESC, r.run DESC LIMIT 1
"""
_REMEMBERED = 256
_FOUND = 4096


def store_path(settings: Settings) -> Path:
    """Return the file of a project's results. Raises HistoryError outside a project."""
    if settings.state_dir is None:
        raise HistoryError("evaluations are kept in a project", hint="`ps init` makes one here")
    return settings.state_dir / FILE_NAME


class EvalStore:
    """The results of a project. Reading makes no file; a newer file is refused, never changed.

    `redacting` blanks out what has the shape of a secret before it is stored.
    """

    def __init__(self, path: Path, *, redacting: bool = True) -> None:
        self.path = path
        self._clean = cleaner(redacting=redacting)
        self._bases: dict[tuple[int, int], int] = {}
        self._shapes: dict[int, tuple[str, str]] = {}
        self._texts: dict[int, str] = {}
        self._found: dict[str, Place] = {}  # what was found last, by its key: it may be taken over
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
                "INSERT INTO runs (id, created_at, suite, status, data) VALUES (?, ?, ?, ?, ?)", self._run_columns(run)
            )
            return int(found.lastrowid or 0)

    def finish(self, run: RunRecord) -> None:
        with self._writing() as connection:
            _, created_at, suite, status, data = self._run_columns(run)
            connection.execute(
                "UPDATE runs SET created_at = ?, suite = ?, status = ?, data = ? WHERE id = ?",
                (created_at, suite, status, data, run.id),
            )

    def _run_columns(self, run: RunRecord) -> tuple[str, int, str, str, str]:
        created_at = round(run.created_at.timestamp() * 1000)
        note = None if run.note is None else redact(run.note)  # it may repeat what a provider said of a key
        data = json_text(plain(run_data(replace(run, note=note)), self._clean))
        return run.id, created_at, run.suite, run.status, data

    def add(self, run: int, first: int, results: Sequence[tuple[int, CaseResult]]) -> None:
        """Store results in one transaction. Each comes with the index of its target."""
        with self._writing() as connection:
            writer = Writer(connection, self._clean, self._bases)
            for seq, (target, result) in enumerate(results, first):
                place = self._found.pop(result.key, None) if result.reused else None
                if place is None or not writer.copy(run, seq, target, result, place):
                    writer.add(run, seq, target, result)

    def remove(self, ids: Sequence[str]) -> int:
        """Remove runs, and the answers and cases no other run has."""
        with self._writing() as connection:
            removed = 0
            for each in ids:
                of_run = "run = (SELECT number FROM runs WHERE id = ?)"
                self._unsample(connection, each)
                for table in ("results", "shapes"):
                    connection.execute(f"DELETE FROM {table} WHERE {of_run}", (each,))  # noqa: S608  literals
                removed += connection.execute("DELETE FROM runs WHERE id = ?", (each,)).rowcount
            kept = "(SELECT answer FROM results WHERE answer IS NOT NULL)"
            _unbind(connection, kept)
            connection.execute(f"DELETE FROM answers WHERE number NOT IN {kept}")  # noqa: S608  a literal
            connection.execute("DELETE FROM cases WHERE digest NOT IN (SELECT digest FROM results)")
        return removed

    def _unsample(self, connection: sqlite3.Connection, run: str) -> None:
        """Let no other run be packed with a result of this one."""
        query = (
            "SELECT s.number, s.data, s.sample FROM shapes s JOIN runs u ON u.number = s.origin "
            "WHERE u.id = ? AND s.run <> s.origin AND s.sample <> ''"
        )
        for number, data, sample in connection.execute(query, (run,)).fetchall():
            pack_without(connection, number, data, sample, self._answer_text)
            self._shapes.pop(number, None)

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
                f"{RESULT}{_OF_RUN} WHERE r.run = (SELECT number FROM runs WHERE id = ?) AND r.seq > ? {chosen}"  # noqa: S608
                "ORDER BY r.seq LIMIT ?",  # numbers of outcomes only
                (run.id, last, page),
            )
            for row in rows:
                yield self._result(row, targets)
            if len(rows) < page:
                return
            last = rows[-1][0]

    def find(self, key: str, answer_key: str, target: tuple[str, str, int]) -> Stored | None:
        """Return what is known of a question: its answer, and its result where it was judged in just this way.

        `target` is prompt, model and repeat, as the result is to have them.
        """
        rows = self._read(f"{RESULT}{_BY_KEY}", (bytes.fromhex(key), bytes.fromhex(answer_key)))
        if not rows:
            return None
        if rows[0][0] is None:
            return self._stored(*rows[0][13:17])
        prompt, model, repeat = target
        found = replace(self._result(rows[0], [(prompt, model, "")]), prompt=prompt, model=model, repeat=repeat)
        if len(self._found) >= _FOUND:
            self._found.clear()
        self._found[key] = Place(rows[0][-1], rows[0][0], rows[0][10], found)
        return Stored(found.answers, found.request_id, found, dollars(rows[0][-2]))

    def find_answer(self, answer_key: str, run: RunRecord | None = None) -> Stored | None:
        """Return the newest answer to a question, or the one a run has."""
        columns, key = "SELECT a.base, a.data, a.request_id, a.cost_nanousd FROM answers a", bytes.fromhex(answer_key)
        if run is None:
            rows = self._read(f"{columns} WHERE a.key = ? ORDER BY a.number DESC LIMIT 1", (key,))
        else:
            rows = self._read(
                f"{columns} WHERE a.key = ? AND EXISTS (SELECT 1 FROM results r WHERE r.answer = a.number "  # noqa: S608
                "AND r.run = (SELECT number FROM runs WHERE id = ?)) LIMIT 1",
                (key, run.id),
            )
        if not rows:
            return None
        return self._stored(*rows[0])

    def _stored(self, base: int | None, data: str | bytes, request_id: bytes | str | None, cost: int | None) -> Stored:
        answers = stored_answers(base, data, self._answer_text)
        return Stored(answers, id_of(request_id), saved_usd=dollars(cost))

    def counts(self, run: RunRecord) -> dict[Outcome, int]:
        """Count the results of a run by outcome; for one that left no totals."""
        rows = self._read(
            "SELECT outcome, COUNT(*) FROM results WHERE run = (SELECT number FROM runs WHERE id = ?) GROUP BY outcome",
            (run.id,),
        )
        found = dict(rows)
        return {outcome: found.get(index, 0) for index, outcome in enumerate(OUTCOMES)}

    def _result(self, row: Sequence[Any], targets: Targets) -> CaseResult:
        try:
            return result_of(row, targets, self._shape(row[10]), self._answer_text)
        except (ValueError, TypeError, IndexError, RecursionError) as error:  # a row is not what was written
            raise HistoryError(f"{self.path}: the file is damaged: {error}", hint=DAMAGED) from error

    def _shape(self, number: int) -> tuple[str, str]:
        with self._reading:
            if number not in self._shapes:
                found = self._the_row("SELECT data, sample FROM shapes WHERE number = ?", number)
                _make_room(self._shapes)
                self._shapes[number] = (found[0], found[1])
            return self._shapes[number]

    def _answer_text(self, number: int) -> str:
        """Return the text of an answer that others are packed with."""
        with self._reading:
            if number not in self._texts:
                base, data = self._the_row("SELECT base, data FROM answers WHERE number = ?", number)
                _make_room(self._texts)
                self._texts[number] = answers_text(base, data, self._answer_text)
            return self._texts[number]

    def _the_row(self, sql: str, number: int) -> tuple[Any, ...]:
        rows = self._read(sql, (number,))
        if not rows:
            raise HistoryError(f"{self.path}: the file is damaged: row {number} is missing", hint=DAMAGED)
        return rows[0]

    # The file

    def _read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._reading, translated(self.path):
            if self._reader is None:
                if not self.path.is_file():
                    return []
                self._reader = opened_file(self.path, self._clean)
            if self._reader is None:
                return []  # somebody is just making it
            return self._reader.execute(sql, parameters).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self.path):
            if self._connection is None:
                self._connection = made_file(self.path, self._clean)
            connection = self._connection
            with transaction(connection):
                yield connection

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


def _make_room(remembered: dict[int, Any]) -> None:
    if len(remembered) >= _REMEMBERED:
        remembered.clear()


def _unbind(connection: sqlite3.Connection, kept: str) -> None:
    """Pack answers that stay without the help of those that go: nothing of what is removed may be left in them."""
    rows = connection.execute(
        "SELECT a.number, a.data, b.data FROM answers a JOIN answers b ON b.number = a.base "  # noqa: S608  a literal
        f"WHERE a.number IN {kept} AND b.number NOT IN {kept}"
    ).fetchall()
    for number, data, base_data in rows:
        text = unpacked(data, dictionary_of((unpacked(base_data),)))
        connection.execute("UPDATE answers SET base = NULL, data = ? WHERE number = ?", (packed(text), number))
