"""The quick path: a SQLite file through the standard library, made, checked and shared by many processes.

What comes in is SQL from `history.queries`; rows come out as tuples. SQLAlchemy and Alembic are loaded only to write
an answer and to migrate an older file.
"""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from promptstudio.errors import HistoryError
from promptstudio.history.failure import ELSEWHERE, foreign_file, newer_schema, sqlite_failure
from promptstudio.history.ids import stamp
from promptstudio.history.place import Place, prepare_folder
from promptstudio.history.queries import ALL_TABLES, INSERT_REQUEST
from promptstudio.history.schema import APPLICATION_ID, SCHEMA_VERSION

T = TypeVar("T")
Run = Callable[[str, Mapping[str, Any]], int]

BUSY_TIMEOUT_S = 30.0
PATIENCE_S = 90.0
"""How long a lock may be held by others in all before it is an error; SQLite does not wait in every case itself."""

MERGE = "INSERT INTO prompt_search (prompt_search, rank) VALUES ('merge', ?)"
MERGED_PAGES = 2000
FREED_PAGES = 5000

SEARCH_PART = "-- Full-text search"
_orphans: list[sqlite3.Connection] = []
"""Connections a fork left us: SQLite forbids to use or close them here, so they are kept from being collected."""


class SqliteStore:
    """One file. A connection is opened at the first need and again after a fork or when the file was replaced."""

    def __init__(self, place: Place) -> None:
        assert place.path is not None, "a SQLite store has a file"  # noqa: S101
        self.place = place
        self.path: Path = place.path
        self._lock = threading.RLock()  # `writing` is entered again by `add_answer`
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int, int] = (0, 0, 0)
        self._writable = False

    def exists(self) -> bool:
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise _unusable("cannot be opened", error, self.path) from error
        return True

    def can_write(self) -> bool:
        """Whether this user may write the file and the two files SQLite keeps beside it."""
        return os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)

    def read(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return all rows; none where there is no file, which reading does not make."""
        with self._lock, self._translated():
            if not self.exists():
                return []
            connection = self._open(writing=False)
            if connection is None:
                return []
            return _patiently(lambda: connection.execute(sql, _bound(parameters or {})).fetchall())

    @contextmanager
    def writing(self) -> Iterator[Run]:
        """One short transaction that waits for its turn; an exception undoes it."""
        with self._lock, self._translated():
            connection = self._for_writing()
            _patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
            try:
                yield lambda sql, parameters: connection.execute(sql, _bound(parameters)).rowcount
                if connection.in_transaction:
                    _patiently(lambda: connection.execute("COMMIT"))
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def add_request(self, columns: Mapping[str, Any]) -> None:
        with self.writing() as run:
            run(INSERT_REQUEST, columns)

    def add_answer(
        self, prompt_id: str, response: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]], status: str
    ) -> bool:
        """Write how a run ended, through SQLModel on this very connection; False when its row is gone."""
        from promptstudio.history import sql  # the heavy side: loaded while the answer is under way

        with self._lock, self._translated():
            connection = self._for_writing()
            sql.engine_over(connection)  # before the transaction: making the engine rolls back
            with self.writing():
                return sql.write_file_answer(connection, prompt_id, response, attempts, status)

    def has_index(self) -> bool:
        """Whether words can be looked up: the file has the index and this SQLite can read it."""
        found = self.read("SELECT count(*) FROM sqlite_master WHERE name = 'prompt_search'")
        return bool(found and found[0][0]) and has_fts5()

    def compact(self, *, thorough: bool) -> None:
        """After rows were removed: give the space back and, if `thorough`, take their words out of the index."""
        with self._lock, self._translated():
            connection = self._for_writing()
            if thorough and self.has_index():
                _merge_index(connection)
            _give_back(connection)
            _patiently(lambda: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())

    def close(self) -> None:
        with self._lock:
            if self._connection is not None and self._opened[0] == os.getpid():
                self._connection.close()
            self._connection = None

    def _for_writing(self) -> sqlite3.Connection:
        if not self.exists():
            prepare_folder(self.place)
            _make_file(self.path)
        if self._connection is not None and not self._writable and self.can_write():
            self._set_aside()  # it was opened to read only because the disk was full, or by other permissions
        connection = self._open(writing=True)
        if connection is None or not self._writable:
            raise HistoryError("the history is read-only", file=str(self.path), hint=ELSEWHERE)
        return connection

    def _open(self, *, writing: bool) -> sqlite3.Connection | None:
        """Return the open connection, else a new one; None for an empty file that cannot be filled."""
        facts = _regular_file(self.path)
        now = (os.getpid(), facts.st_dev, facts.st_ino)
        if self._connection is not None and self._opened != now:
            self._set_aside()
        if self._connection is None:
            connection = self._connected(writing=writing)
            try:
                ready = self._check_schema(connection)
            except BaseException:
                connection.close()
                raise
            if not ready:
                connection.close()
                return None
            self._connection, self._opened = connection, now
        return self._connection

    def _connected(self, *, writing: bool) -> sqlite3.Connection:
        self._writable = self.can_write()
        if self._writable:
            try:
                return _connect(self.path)
            except sqlite3.OperationalError:
                if writing:
                    raise
                self._writable = False  # a full disk has no room for the files beside it, but can be read
        return _connect_read_only(self.path)

    def _set_aside(self) -> None:
        if self._connection is not None and self._opened[0] != os.getpid():
            _orphans.append(self._connection)
        elif self._connection is not None:
            self._connection.close()
        self._connection = None

    def _check_schema(self, connection: sqlite3.Connection) -> bool:
        """Bring the schema up to ours; False for an empty file in a place we cannot write to."""
        found = _schema_number(connection)
        if found == SCHEMA_VERSION and _application_id(connection) == APPLICATION_ID:
            if self._writable:
                _share(connection)
            return True
        tables = [name for (name,) in _patiently(lambda: connection.execute(ALL_TABLES).fetchall())]
        if not tables and found == 0:
            if self._writable:
                _share(connection)
                _create_schema(connection)
            return self._writable
        if _application_id(connection) != APPLICATION_ID:
            raise foreign_file(self.path, tables)
        if found > SCHEMA_VERSION:
            raise newer_schema(str(self.path), found, SCHEMA_VERSION)
        if not self._writable:
            raise HistoryError(
                f"the history has the older schema {found} and is read-only", file=str(self.path), hint=ELSEWHERE
            )
        from promptstudio.history import migrate  # Alembic: only for a file from an older version

        _share(connection)
        migrate.upgrade_file(connection, self.path)
        return True

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise sqlite_failure(error, self.path) from error


def has_fts5() -> bool:
    memory = sqlite3.connect(":memory:")
    try:
        return bool(memory.execute("SELECT sqlite_compileoption_used('ENABLE_FTS5')").fetchone()[0])
    finally:
        memory.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None,
        check_same_thread=False,
    )  # fmt: skip
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")
        _patiently(lambda: connection.execute(ALL_TABLES).fetchone())  # the first look at the file itself
    except BaseException:
        connection.close()
        raise
    return connection


def _share(connection: sqlite3.Connection) -> None:
    """Let readers and one writer work at a time (WAL), in a file that is known to be ours or still empty."""
    if _patiently(lambda: connection.execute("PRAGMA journal_mode").fetchone()[0]) != "wal":
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # takes effect in an empty file only
        _patiently(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchone())


def _connect_read_only(path: Path) -> sqlite3.Connection:
    """Open without writing; a file whose WAL cannot be shared is read as it stands on the disk."""
    for mode in ("mode=ro", "immutable=1"):
        connection = sqlite3.connect(
            f"file:{quote(os.fsencode(path))}?{mode}", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None,
            check_same_thread=False,
        )  # fmt: skip
        try:
            connection.execute("PRAGMA user_version").fetchone()
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            connection.close()
            if mode == "immutable=1":
                raise
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise AssertionError("the loop returns or raises")


def _regular_file(path: Path) -> os.stat_result:
    try:
        facts = path.stat()
    except OSError as error:
        raise _unusable("cannot be opened", error, path) from error
    if not stat.S_ISREG(facts.st_mode):
        what = "a folder" if stat.S_ISDIR(facts.st_mode) else "not a regular file"
        raise HistoryError(f"the history is {what}", file=str(path), hint="set PROMPTSTUDIO_HISTORY_URL to a file")
    return facts


def _unusable(what: str, error: OSError, path: Path) -> HistoryError:
    return HistoryError(f"the history {what}: {error.strerror}", file=str(path), hint=ELSEWHERE)


def _make_file(path: Path) -> None:
    """Make the empty file before SQLite does, so that it and the two beside it are the owner's alone at any umask."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise _unusable("cannot be made", error, path) from error
    os.close(descriptor)


def schema_statements(*, search: bool) -> Iterator[str]:
    """The statements of `schema.sql`, with or without its full-text part."""
    script = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
    script = script if search else script.partition(SEARCH_PART)[0]
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _create_schema(connection: sqlite3.Connection) -> None:
    """Make all tables in one transaction; of many processes that try at once one does it and the others see it done."""
    _patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
    try:
        if not connection.execute(ALL_TABLES).fetchall():
            for statement in schema_statements(search=has_fts5()):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _merge_index(connection: sqlite3.Connection) -> None:
    """Merge the index into one part, in which removed words are gone; step by step, so that others get their turn."""
    pages = -MERGED_PAGES  # negative: begin a merge of everything; positive: go on with it
    while True:
        before = connection.total_changes
        step = (pages,)
        _patiently(lambda: connection.execute(MERGE, step))  # noqa: B023  called before the next round
        if connection.total_changes - before < 2:
            return
        pages = MERGED_PAGES


def _give_back(connection: sqlite3.Connection) -> None:
    """Hand free pages back to the disk, step by step as well; `execute` would free one page only."""
    left = sys.maxsize
    while left > (left := connection.execute("PRAGMA freelist_count").fetchone()[0]) > 0:
        _patiently(lambda: connection.executescript(f"PRAGMA incremental_vacuum({FREED_PAGES})"))


def _schema_number(connection: sqlite3.Connection) -> int:
    return int(_patiently(lambda: connection.execute("PRAGMA user_version").fetchone()[0]))


def _application_id(connection: sqlite3.Connection) -> int:
    return int(_patiently(lambda: connection.execute("PRAGMA application_id").fetchone()[0]))


def _patiently(act: Callable[[], T]) -> T:
    """Do it again while another process is in the way: SQLite's own timeout does not cover every such moment."""
    give_up = time.monotonic() + PATIENCE_S
    while True:
        try:
            return act()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) and "busy" not in str(error):
                raise
            if time.monotonic() > give_up:
                raise
        time.sleep(random.uniform(0.005, 0.05))  # noqa: S311  spreads processes, guards nothing


def _bound(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: stamp(value) if isinstance(value, datetime) else value for name, value in parameters.items()}
