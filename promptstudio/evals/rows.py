"""Results → rows, inside a transaction that is open; rows → results.

A row of `results` is packed with its case, its answer and the first result of its shape as the dictionary, a row of
`answers` with the first answer that the same run had from the same prompt and model: what is always said is then stored
once. Shapes belong to one run, and go with it. A result that is taken over from another run is copied as it stands.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from promptstudio.evals.coding import case_data, case_from, digest_of, json_text
from promptstudio.evals.compact import (
    answers_of,
    answers_values,
    error_of,
    filled,
    judge_cost_of,
    result_values,
    scores_of,
    shape_values,
)
from promptstudio.evals.packing import Clean, dictionary_of, packed, plain, unpacked
from promptstudio.evals.records import CaseResult
from promptstudio.evals.schema import Answer
from promptstudio.evals.totals import OUTCOMES

CACHED, REUSED = 1, 2
_ALIKE_AT_MOST = 20
"""How many of the newest answers to a question are looked at for the same one."""

RESULT = """
SELECT r.seq, r.key, a.key, r.target, r.repeat, r.outcome, r.score, r.cost_nanousd, r.latency_ms, r.flags, r.shape,
       r.data, c.data, a.base, a.data, a.request_id, a.cost_nanousd, r.run
"""
_MAX_SAMPLES = 32
"""So many shapes of a run have a sample of what came out; where there are more, they are not common to many results."""
_MAX_SAMPLE = 8_000
_INSERT = "INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_NEW_SHAPE = "INSERT OR IGNORE INTO shapes (run, digest, data, sample, origin) VALUES (?, ?, ?, ?, ?)"
_COPY = """
INSERT INTO results SELECT ?, ?, key, answer, digest, ?, repeat, outcome, score, ?, latency_ms, ?, ?, data
  FROM results WHERE run = ? AND seq = ? AND key = ?
"""

Targets = list[tuple[str, str, str]]
TextOf = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a result stands that was found: its run, its number there, its shape, and what it is."""

    run: int
    seq: int
    shape: int
    result: CaseResult


@dataclass(slots=True)
class Writer:
    """Writes results in one transaction. `bases` outlives it: the answer others are packed with, by run and target."""

    connection: sqlite3.Connection
    clean: Clean
    bases: dict[tuple[int, int], int]
    _shapes: dict[str, tuple[int, str]] = field(default_factory=dict)
    _texts: dict[int, str] = field(default_factory=dict)
    _copies: dict[int, int | None] = field(default_factory=dict)

    def copy(self, run: int, seq: int, target: int, result: CaseResult, place: Place) -> bool:
        """Take a result over as it stands elsewhere; False where it is another one by now, or no longer there."""
        old = replace(place.result, reused=True, cost_usd=result.cost_usd, saved_usd=result.saved_usd)
        if result != old or (shape := self._copied_shape(run, place.shape)) is None:
            return False
        flags = CACHED * result.cached + REUSED
        new = (run, seq, target, nano(result.cost_usd), flags, shape)
        found = self.connection.execute(_COPY, (*new, place.run, place.seq, bytes.fromhex(result.key)))
        return found.rowcount == 1

    def _copied_shape(self, run: int, number: int) -> int | None:
        """Return the same shape, with the same sample, in this run; None where it has another sample."""
        if number not in self._copies:
            here = self.connection.execute
            row = here("SELECT digest, data, sample, origin FROM shapes WHERE number = ?", (number,)).fetchone()
            mine = None
            if row is not None:
                here(_NEW_SHAPE, (run, *row))
                same = "SELECT number FROM shapes WHERE run = ? AND digest = ? AND sample = ?"
                mine = here(same, (run, row[0], row[2])).fetchone()
            self._copies[number] = None if mine is None else int(mine[0])
        return self._copies[number]

    def add(self, run: int, seq: int, target: int, result: CaseResult, answer_cost: int | None = None) -> None:
        """Store a result, with its case, its answer and its shape where they are not there yet.

        `answer_cost` is that of a new answer, in billionths of a dollar; by default what the result cost.
        """
        case = json_text(plain(case_data(result.case), self.clean))
        digest = digest_of(case)
        self.connection.execute("INSERT OR IGNORE INTO cases VALUES (?, ?)", (digest, packed(case)))
        answers = json_text(answers_values(result.answers, self.clean)) if result.answers else ""
        cost = nano(result.cost_usd) if answer_cost is None else answer_cost
        number = self._answer((run, target), answers, result, cost) if result.answers else None
        shape = json_text(shape_values(result, self.clean))
        values = json_text(result_values(result, self.clean))
        shape_number, sample = self._shape(run, shape, values)
        self.connection.execute(
            _INSERT,
            (
                run,
                seq,
                bytes.fromhex(result.key),
                number,
                digest,
                target,
                result.repeat,
                OUTCOMES.index(result.outcome),
                result.score,
                nano(result.cost_usd),
                result.latency_ms,
                CACHED * result.cached + REUSED * result.reused,
                shape_number,
                packed(values, dictionary_of((sample, shape, case, answers))),
            ),
        )

    def _shape(self, run: int, text: str, values: str) -> tuple[int, str]:
        """Return number and sample of a shape; of a new one these values become the sample."""
        if text not in self._shapes:
            digest, here = digest_of(text), self.connection.execute
            count = here("SELECT count(*) FROM shapes WHERE run = ?", (run,)).fetchone()[0]
            sample = values if count < _MAX_SAMPLES and len(values) <= _MAX_SAMPLE else ""
            here(_NEW_SHAPE, (run, digest, text, sample, run))
            old = "SELECT number, sample FROM shapes WHERE run = ? AND digest = ?"
            number, sample = here(old, (run, digest)).fetchone()
            self._shapes[text] = (int(number), sample)
        return self._shapes[text]

    def _answer(self, place: tuple[int, int], text: str, result: CaseResult, cost: int | None) -> int:
        """Store an answer that is not there yet, and return its number."""
        key = bytes.fromhex(result.answer_key)
        newest = "SELECT number, base, data FROM answers WHERE key = ? ORDER BY number DESC LIMIT ?"
        for number, base, data in self.connection.execute(newest, (key, _ALIKE_AT_MOST)).fetchall():
            if unpacked(data, self._dictionary(base)) == text:
                return int(number)
        base = self._base(place)
        found = self.connection.execute(
            "INSERT INTO answers (key, base, request_id, cost_nanousd, data) VALUES (?, ?, ?, ?, ?)",
            (key, base, id_column(result.request_id), cost, packed(text, self._dictionary(base))),
        )
        number = int(found.lastrowid or 0)
        if base is None:
            self.bases[place] = number
        return number

    def _base(self, place: tuple[int, int]) -> int | None:
        """Return the answer to pack others with, where it is still there and stands for itself."""
        number = self.bases.get(place)
        if number is None or number in self._texts:
            return number
        found = self.connection.execute("SELECT base, data FROM answers WHERE number = ?", (number,)).fetchone()
        if found is None or found[0] is not None:
            return None
        self._texts[number] = unpacked(found[1])
        return number

    def _dictionary(self, base: int | None) -> bytes:
        if base is None:
            return b""
        if base not in self._texts:
            row = self.connection.execute("SELECT data FROM answers WHERE number = ?", (base,)).fetchone()
            self._texts[base] = unpacked(row[0]) if row else ""
        return dictionary_of((self._texts[base],))


def answers_text(base: int | None, data: str | bytes, text_of: TextOf) -> str:
    """Return the text of answers; `text_of` gives that of a base."""
    return unpacked(data, b"" if base is None else dictionary_of((text_of(base),)))


def result_of(row: Sequence[Any], targets: Targets, shape: tuple[str, str], text_of: TextOf) -> CaseResult:
    """Return the result in a row of `RESULT`; `shape` is its shape, and what results of it are packed with."""
    _, key, answer_key, target, repeat, outcome, score, cost, latency_ms, flags, _, data, case_text, *answer = row
    base, answer_data, request_id, *_ = answer
    case_text = unpacked(case_text) if case_text is not None else "{}"
    said = "" if answer_data is None else answers_text(base, answer_data, text_of)
    values = json.loads(unpacked(data, dictionary_of((shape[1], shape[0], case_text, said))))
    line, scores, reason, metrics, error, own_request, judge_usd = filled(values, 7)
    file, shapes = json.loads(shape[0])
    case = case_from(json.loads(case_text), file, line)
    answers = answers_of(json.loads(said)) if said else ()
    prompt, model, behavior = targets[target] if target < len(targets) else ("?", "?", "")
    return CaseResult(
        key=key.hex(),
        answer_key=answer_key.hex() if answer_key else "",
        case=case,
        prompt=prompt,
        model=model,
        repeat=repeat,
        outcome=OUTCOMES[outcome],
        reason=reason or "",
        score=score,
        scores=scores_of(shapes, scores or (), case, answers),
        metrics=metrics or {},
        answer=answers[-1] if answers else None,
        answers=answers,
        error=error_of(error),
        cost_usd=None if cost is None else dollars(cost),
        latency_ms=latency_ms,
        cached=bool(flags & CACHED),
        reused=bool(flags & REUSED),
        request_id=id_of(request_id) or own_request,
        judge_usd=judge_cost_of(judge_usd),
        behavior=behavior,
    )


def stored_answers(base: int | None, data: str | bytes, text_of: TextOf) -> tuple[Answer, ...]:
    return answers_of(json.loads(answers_text(base, data, text_of)))


def id_column(name: str | None) -> bytes | str | None:
    """Return an id in 16 bytes, where it is written as such ids are."""
    try:
        found = UUID(name) if name else None
    except ValueError:
        return name
    return found.bytes if found is not None and str(found) == name else name


def id_of(column: bytes | str | None) -> str | None:
    return str(UUID(bytes=column)) if isinstance(column, bytes) else column


def dollars(nano_usd: int | None) -> Decimal:
    return Decimal(nano_usd or 0) / 1_000_000_000


def nano(cost_usd: Decimal | None) -> int | None:
    return None if cost_usd is None else int(cost_usd * 1_000_000_000)


def pack_without(connection: sqlite3.Connection, shape: int, data: str, sample: str, text_of: TextOf) -> None:
    """Pack the results of a shape without its sample: what it is a sample of has been removed."""
    query = (
        f"{RESULT}FROM results r LEFT JOIN cases c ON c.digest = r.digest LEFT JOIN answers a ON a.number = r.answer"
    )
    for row in connection.execute(f"{query} WHERE r.shape = ?", (shape,)).fetchall():
        case = unpacked(row[12]) if row[12] is not None else "{}"
        said = "" if row[14] is None else answers_text(row[13], row[14], text_of)
        values = unpacked(row[11], dictionary_of((sample, data, case, said)))
        new = packed(values, dictionary_of(("", data, case, said)))
        connection.execute("UPDATE results SET data = ? WHERE run = ? AND seq = ?", (new, row[-1], row[0]))
    connection.execute("UPDATE shapes SET sample = '', origin = run WHERE number = ?", (shape,))
