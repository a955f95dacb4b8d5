"""The history as the rest of the program sees it: begin and finish a run, list, find, show, remove.

`open_history` touches nothing; the first call does. Reading makes no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from promptstudio.errors import HistoryError, NotFoundError, UsageError
from promptstudio.history import evaluations, owners, queries
from promptstudio.history.ids import moment_of, naive, utc_now
from promptstudio.history.place import HistorySettings, Place, place_of
from promptstudio.history.schema import (
    EvaluationRow,
    Filters,
    Found,
    Health,
    HistoryRow,
    Pruned,
    RequestRow,
    ResponseRow,
)
from promptstudio.history.sqlite import SqliteStore
from promptstudio.types import Attempt, Status

if TYPE_CHECKING:
    from promptstudio.history.many import EndedRun
    from promptstudio.history.usage import Usage

ABROAD_S = timedelta(hours=24)
"""An open row of another machine counts as interrupted after this time: its process cannot be asked."""

SMALL_HISTORY = 50_000
"""Up to this many rows removing one also rewrites the full-text index; beyond, only a prune does."""

RETIRED_AT_ONCE = 200
"""How many rows past their retention one finished run takes along."""

Run = Callable[[str, Mapping[str, Any]], int]


class Store(Protocol):
    """One kind of database: SQL in, tuples out. `writing` is one transaction."""

    @property
    def place(self) -> Place: ...
    def exists(self) -> bool: ...
    def can_write(self) -> bool: ...
    def read(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]: ...
    def writing(self) -> AbstractContextManager[Run]: ...
    def add_request(self, columns: Mapping[str, Any]) -> None: ...
    def add_answer(
        self, prompt_id: str, response: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]], status: str
    ) -> bool: ...
    def has_index(self) -> bool: ...
    def compact(self, *, thorough: bool) -> None: ...
    def close(self) -> None: ...


def open_history(settings: HistorySettings) -> History:
    """Return the history the settings name, without touching it."""
    place = place_of(settings)
    return History(_store_for(place), redacting=settings.redact, retention_days=settings.retention_days)


def preload() -> None:
    """Load what writing an answer needs: call it while the network is waited for."""
    import promptstudio.history.encode
    import promptstudio.history.sql  # noqa: F401


def _store_for(place: Place) -> Store:
    if place.path is not None:
        return SqliteStore(place)
    from promptstudio.history.sql import SqlStore  # SQLAlchemy: only where the history is in a server

    return SqlStore(place)


class History:
    """The runs of one project, or of one user outside a project. One object may be used by several threads."""

    def __init__(self, store: Store, *, redacting: bool = True, retention_days: int | None = None) -> None:
        self.store = store
        self.redacting = redacting
        self.retention_days = retention_days
        self._swept = False

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.store.close()

    def begin(self, row: RequestRow) -> str:
        """Store a request that is about to be sent and return its id."""
        from promptstudio.history.encode import request_columns  # redaction and JSON: reading does without

        self.sweep()
        owner = self._owner()
        self.store.add_request(request_columns(row, redacting=self.redacting, owner=owner))
        return row.id

    def start(self, row_id: str) -> None:
        """A request stored as `pending` is being sent now."""
        with self.store.writing() as run:
            run(queries.START, {"id": row_id})

    def finish(
        self, row_id: str, response: ResponseRow, attempts: Iterable[Attempt] = (), status: Status = "completed"
    ) -> bool:
        """Store how a run ended, in one transaction; False when its row was removed in the meantime."""
        from promptstudio.history.encode import attempt_columns, response_columns  # as in `begin`

        answer = response_columns(row_id, response, redacting=self.redacting)
        stored = self.store.add_answer(row_id, answer, attempt_columns(row_id, attempts), status)
        self._retire()
        return stored

    def add_ended(self, runs: Sequence[EndedRun]) -> None:
        """Store runs that have ended, in one transaction."""
        from promptstudio.history.many import write_ended  # as in `begin`

        with self.store.writing() as run:
            write_ended(runs, run, redacting=self.redacting)
        self._retire()

    def fail(self, row_id: str, response: ResponseRow, attempts: Iterable[Attempt] = ()) -> bool:
        return self.finish(row_id, response, attempts, "failed")

    def cancel(self, row_id: str, response: ResponseRow | None = None, attempts: Iterable[Attempt] = ()) -> bool:
        """The person stopped it; `response` holds what had arrived by then."""
        return self.finish(row_id, response or ResponseRow(), attempts, "cancelled")

    def record_evaluation(self, row: EvaluationRow) -> str:
        """Store what an evaluation found out and return its id."""
        with self.store.writing() as run:
            run(evaluations.INSERT, evaluations.evaluation_columns(row))
        return row.id

    def evaluations(
        self, *, behavior: str | None = None, prompt: str | None = None, limit: int = 1000
    ) -> list[EvaluationRow]:
        """Return the newest evaluations first: of one behavior, of one prompt, or all."""
        given = {"behavior": behavior, "prompt": prompt}
        filters = {name: value for name, value in given.items() if value is not None}
        sql, parameters = evaluations.selected(filters, _positive(limit))
        return [evaluations.evaluation_row(row) for row in self.store.read(sql, parameters)]

    def usage_by_behavior(self, prompts: Sequence[str], behaviors: Sequence[str]) -> dict[str, Usage]:
        """Return what the runs of behaviors came to, by behavior hash; `prompts` are the names they were run under."""
        from promptstudio.history import usage  # only the log of a prompt asks for it

        found: dict[str, Usage] = {}
        for start in range(0, len(behaviors) if prompts else 0, usage.MAX_HASHES):
            sql, parameters = usage.usage_query(prompts, behaviors[start : start + usage.MAX_HASHES])
            found |= usage.usage_of(self.store.read(sql, parameters))
        return found

    def rows(self, filters: Filters | None = None, *, limit: int = 20, before: str | None = None) -> list[HistoryRow]:
        """Return the newest rows first; `before` is the id of the last row of the page before."""
        from promptstudio.history.decode import history_row

        self.sweep()
        place = None
        if before is not None:
            found = self.store.read(queries.PLACE_OF_ROW, {"id": self.id_of(before)})
            place = (found[0][0], found[0][1])
        sql, parameters = queries.newest_rows(_plain_times(filters), _positive(limit), place)
        return [history_row(row) for row in self.store.read(sql, parameters)]

    def row(self, name: str) -> HistoryRow:
        """Return one row with its detail; `name` is an id, the beginning of one, or `last`."""
        from promptstudio.history.decode import history_row

        self.sweep()
        row_id = self.id_of(name)
        return self._detailed(history_row(self.store.read(queries.one_row(), {"id": row_id})[0]))

    def id_of(self, name: str) -> str:
        """Return the full id behind an id, the only beginning of one, or `last`."""
        if name == "last":
            newest = self.store.read(queries.NEWEST_ID)
            if not newest:
                raise NotFoundError("the history is empty", hint="run a prompt: ps run NAME")
            return str(newest[0][0])
        return self._only_id(name.strip().lower())

    def search(self, words: str, filters: Filters | None = None, *, limit: int = 20) -> Found:
        """Return ended rows that hold all the words, the latest stored first, each with a snippet."""
        from promptstudio.history.decode import history_row, texts_of
        from promptstudio.history.words import parse_query, snippet

        self.sweep()
        filters, limit = _plain_times(filters), _positive(limit)
        indexed = self.store.has_index()
        query = parse_query(words, indexed=indexed)
        if query.match:
            sql, parameters = queries.indexed_search(query.match, list(query.scanned), filters, limit)
        elif query.scanned:
            sql, parameters = queries.scanning_search(list(query.scanned), filters, limit)
        else:
            return Found(())
        rows = [self._detailed(history_row(row)) for row in self.store.read(sql, parameters)]
        shown = (replace(row, detail=None, snippet=snippet(texts_of(row), query.needles)) for row in rows)
        return Found(tuple(shown), None if query.match else self._scan_notice(indexed))

    def count(self, filters: Filters | None = None) -> int:
        sql, parameters = queries.counted(_plain_times(filters))
        found = self.store.read(sql, parameters)
        return int(found[0][0]) if found else 0

    def remove(self, ids: Iterable[str]) -> int:
        """Delete rows by full id, with responses and attempts, and clear their text from the file; return how many."""
        removed = self._delete(list(ids))
        if removed:
            self.store.compact(thorough=self.count() <= SMALL_HISTORY)
        return removed

    def prune(self, *, before: datetime | None = None, keep: int | None = None, dry_run: bool = False) -> Pruned:
        """Delete ended rows older than `before`, but never the newest `keep`; with `keep` alone, all others.

        Open rows stay. What is left of removed text in the full-text index is cleared too.
        """
        if before is None and keep is None:
            raise UsageError(
                "nothing says what to prune",
                hint="give an age (--older-than 90d), a number of runs to keep (--keep 1000), or both",
            )
        limit = naive(before) if before else None
        cut = self.store.read(queries.NEWEST_BUT, {"keep": _positive(keep)}) if keep is not None else None
        total = self.count()
        if cut == [] or not total:
            return Pruned(0, total, None, None, dry_run)
        sql, parameters = queries.doomed(limit, cut[0] if cut else None)
        number, oldest, newest = self.store.read(queries.extent_of(sql), parameters)[0]
        if not dry_run:
            number = self._delete_all(sql, parameters)
            self.store.compact(thorough=True)
        first, last = (moment_of(end) if end else None for end in (oldest, newest))
        return Pruned(number, total - number, first, last, dry_run)

    def health(self, *, deep: bool = False) -> Health:
        """Return the state of the history and raise nothing. A large file is read through only when `deep`."""
        from promptstudio.history.health import health_of

        return health_of(self.store, deep=deep)

    def sweep(self) -> int:
        """Turn open rows whose process is gone into `interrupted`, once per object; return how many."""
        if self._swept or not self.store.exists():
            return 0
        self._swept = True
        dead = [row_id for row_id, owner, since in self.store.read(queries.OPEN_ROWS) if self._is_dead(owner, since)]
        if not dead or not self.store.can_write():
            return 0
        try:
            with self.store.writing() as run:
                changed = sum(run(queries.INTERRUPT, {"id": row_id}) for row_id in dead)
        except HistoryError:
            return 0  # a full disk must not keep anyone from reading; whoever writes next meets the error
        owners.sweep_files(self.store.place.locks_dir)
        return changed

    def _is_dead(self, owner: str | None, since: Any) -> bool:
        host = (owner or "").partition(":")[0]
        if self.store.place.path is None and host != owners.host_name():
            return utc_now() - moment_of(since) > ABROAD_S
        return not owners.is_alive(owner, self.store.place.locks_dir)

    def _owner(self) -> str:
        try:
            if self.store.place.path is not None:
                from promptstudio.history.place import prepare_folder

                prepare_folder(self.store.place)
            return owners.own_owner(self.store.place.locks_dir)
        except OSError as error:
            raise HistoryError(
                f"the history's lock folder cannot be used: {error.strerror}",
                file=str(self.store.place.locks_dir),
                hint="set PROMPTSTUDIO_HISTORY_URL to a place you can write to, or use --no-history",
            ) from error

    def _only_id(self, name: str) -> str:
        known = name and all(character in "0123456789abcdef-" for character in name)
        bounds = {"low": name, "high": name + "g", "limit": 4}
        found = [str(row[0]) for row in self.store.read(queries.IDS_BETWEEN, bounds)] if known else []
        if not found:
            raise NotFoundError(f"no run in the history has the id {name!r}", hint="`ps history` lists them")
        if len(found) > 1:
            some = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
            raise NotFoundError(f"several runs begin with {name!r}: {some}", hint="give more of the id")
        return found[0]

    def _detailed(self, row: HistoryRow) -> HistoryRow:
        from promptstudio.history.decode import with_detail

        key = {"id": row.id}
        heavy = self.store.read(queries.DETAIL, key)
        return with_detail(row, heavy[0], self.store.read(queries.ATTEMPTS, key)) if heavy else row

    def _delete(self, ids: list[str], at_once: int = 500) -> int:
        """Delete in short transactions, so that other processes get their turn."""
        removed = 0
        for start in range(0, len(ids), at_once):
            with self.store.writing() as run:
                removed += sum(run(queries.REMOVE, {"id": row_id}) for row_id in ids[start : start + at_once])
        return removed

    def _delete_all(self, sql: str, parameters: Mapping[str, Any], at_once: int = 500) -> int:
        removed = 0
        while ids := [str(row[0]) for row in self.store.read(queries.first_ids(sql), {**parameters, "limit": at_once})]:
            removed += self._delete(ids)
        return removed

    def _retire(self) -> None:
        """Take along some rows that are past their retention; a busy history never waits for a big clean-up."""
        if self.retention_days is None:
            return
        sql, parameters = queries.doomed(naive(utc_now() - timedelta(days=self.retention_days)), None)
        found = self.store.read(queries.first_ids(sql), {**parameters, "limit": RETIRED_AT_ONCE})
        self._delete([str(row[0]) for row in found])

    def _scan_notice(self, indexed: bool) -> str:
        reason = "these words are not in the full-text index" if indexed else "this history has no full-text index"
        return f"{reason}: only the newest {queries.SCANNED_ROWS:,} runs were read"


def _plain_times(filters: Filters | None) -> Filters:
    filters = filters or Filters()
    return replace(
        filters,
        since=naive(filters.since) if filters.since else None,
        until=naive(filters.until) if filters.until else None,
    )


def _positive(limit: int) -> int:
    return max(0, min(limit, 2**31 - 1))
