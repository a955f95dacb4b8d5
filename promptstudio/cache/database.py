"""One SQLite file that may be lost: whatever is wrong with it costs the cache and never a run.

A damaged file, or one of a newer version, is put aside and a new one begun; a read-only one is read; a full disk ends
the writing. Each of these is said once, through `note`.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from promptstudio.cache.locks import folder_lock
from promptstudio.cache.place import make_file, make_folder

VERSION = 1
APPLICATION_ID = 0x50534341  # "PSCA"
BUSY_TIMEOUT_S = 20.0
Note = Callable[[str], None]
Statement = tuple[str, Sequence[Any]]
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
_SIDE_FILES = ("-wal", "-shm")

SCHEMA = """
CREATE TABLE answers (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, created_at INTEGER NOT NULL, used_at INTEGER NOT NULL,
    hits INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL, prompt TEXT NOT NULL, model TEXT NOT NULL,
    parts TEXT NOT NULL, reply TEXT NOT NULL, cost_usd TEXT, duration_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX answers_by_use ON answers (used_at, size);
CREATE INDEX answers_by_age ON answers (created_at);
CREATE TABLE counts (
    day TEXT NOT NULL, model TEXT NOT NULL, hits INTEGER NOT NULL, misses INTEGER NOT NULL, not_kept INTEGER NOT NULL,
    unpriced INTEGER NOT NULL, saved_nanousd INTEGER NOT NULL, saved_ms INTEGER NOT NULL, PRIMARY KEY (day, model)
) STRICT;
"""
EMPTY = "SELECT count(*) = 0 FROM sqlite_master"


class _NewerError(Exception):
    """The file was made by a version after ours."""


class Database:
    """Reads give nothing and writes do nothing where the file cannot be used. Reading makes no file."""

    def __init__(self, path: Path, note: Note) -> None:
        self.path = path.absolute()
        self._note = note
        self._noted: set[str] = set()
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int, int] = (0, 0, 0)
        self._put_aside_before = False
        self.is_writable = True

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows, or none."""

        def act(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
            return connection.execute(sql, parameters).fetchall()

        return self._guarded(act, making=False) or []

    def write(self, statements: Iterable[Statement]) -> int | None:
        """Run all of them in one transaction; return how many rows they changed, None where nothing was written."""
        listed = list(statements)

        def act(connection: sqlite3.Connection) -> int:
            connection.execute("BEGIN IMMEDIATE")
            try:
                changed = sum(max(0, connection.execute(sql, values).rowcount) for sql, values in listed)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return changed

        return self._guarded(act, making=True) if self.is_writable else None

    def shrink(self) -> None:
        """Give free pages back to the disk."""

        def act(connection: sqlite3.Connection) -> None:
            connection.execute("PRAGMA incremental_vacuum").fetchall()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

        if self.is_writable:
            self._guarded(act, making=False)

    def close(self) -> None:
        with self._lock:
            if self._connection is not None and self._opened[0] == os.getpid():
                with suppress(sqlite3.Error):  # closing writes the log back: a full disk again costs only the cache
                    self._connection.close()
            self._connection = None

    def _guarded(self, act: Callable[[sqlite3.Connection], Any], *, making: bool) -> Any:
        give_up = time.monotonic() + BUSY_TIMEOUT_S
        with self._lock:
            while True:
                try:
                    connection = self._open(making=making)
                    return act(connection) if connection is not None else None
                except _NewerError:
                    is_cured = self._put_aside("newer", "was made by a newer version")
                except sqlite3.Error as error:
                    is_cured = self._cured(error, give_up)
                except OSError as error:
                    self._give_up(f"cannot be used: {error.strerror or error}")
                    is_cured = False
                if not is_cured:
                    return None

    def _open(self, *, making: bool) -> sqlite3.Connection | None:
        facts = self._facts()
        now = (os.getpid(), facts.st_dev, facts.st_ino) if facts else (0, 0, 0)
        if self._connection is not None and self._opened == now:
            return self._connection
        if self._opened[0] not in (0, os.getpid()):
            self._connection = None  # a fork's: SQLite forbids to use or close it here
        self.close()
        if facts is None:
            if not making:
                return None
            make_folder(self.path.parent)
            make_file(self.path)
            facts = self.path.stat()
        self._connection = self._connected()
        self._opened = (os.getpid(), facts.st_dev, facts.st_ino)
        return self._connection

    def _facts(self) -> os.stat_result | None:
        try:
            facts = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(facts.st_mode):
            raise OSError("it is not a regular file")
        return facts

    def _connected(self) -> sqlite3.Connection:
        is_writable = os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)
        if not is_writable:
            self.is_writable = False
            self._say("is read-only: it is read, and nothing is added")
        for mode in ("mode=rw",) if is_writable else ("mode=ro", "immutable=1"):
            connection = sqlite3.connect(
                f"file:{quote(os.fsencode(self.path))}?{mode}", uri=True, timeout=BUSY_TIMEOUT_S,
                isolation_level=None, check_same_thread=False,
            )  # fmt: skip
            try:
                _prepare(connection, is_writable=is_writable)
            except sqlite3.OperationalError:
                connection.close()
                if mode != "mode=ro":
                    raise
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise AssertionError("the loop returns or raises")

    def _cured(self, error: sqlite3.Error, give_up: float) -> bool:
        """Do what helps against an error; whether the action is to be tried again."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_BUSY and time.monotonic() < give_up:
            time.sleep(0.01)  # SQLite does not wait in every case itself
            return True
        if code in _DAMAGED:
            return self._put_aside("damaged", f"is damaged ({error})")
        reasons = {
            sqlite3.SQLITE_FULL: "cannot grow: the disk is full",
            sqlite3.SQLITE_READONLY: "is read-only",
            sqlite3.SQLITE_CANTOPEN: "cannot be opened",
            sqlite3.SQLITE_BUSY: "is busy for too long",
        }
        self._give_up(reasons.get(code, f"does not work: {error}"))
        return False

    def _give_up(self, reason: str) -> None:
        self.is_writable = False
        self._say(f"{reason}; this run goes on without adding to it")

    def _say(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self._note(f"the cache {self.path} {text}")

    def _put_aside(self, word: str, fact: str) -> bool:
        """Rename the file, unless another process just did; once, so that two versions cannot do it in turns."""
        seen = self._facts()
        self.close()
        if self._put_aside_before or not os.access(self.path.parent, os.W_OK):
            self._give_up(fact)
            return False
        self._put_aside_before = True
        with folder_lock(self.path.parent):
            now = self._facts()
            if now is None or (seen is not None and now.st_ino != seen.st_ino) or not _is_unusable(self.path):
                return True
            aside = self._free_name(word)
            self.path.rename(aside)
            for suffix in _SIDE_FILES:
                with suppress(FileNotFoundError):
                    self.path.with_name(self.path.name + suffix).rename(aside.with_name(aside.name + suffix))
        self._say(f"{fact}: it is now {aside.name}, and a new one is begun")
        return True

    def _free_name(self, word: str) -> Path:
        stem = f"{self.path.name}.{word}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
        number = 1
        while (found := self.path.with_name(stem if number == 1 else f"{stem}-{number}")).exists():
            number += 1
        return found


def _is_unusable(path: Path) -> bool:
    """Look at the whole file once more, alone: another process may have put the bad one aside by now."""
    try:
        with closing(sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode=rw", uri=True)) as connection:
            _check_version(connection)
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                return True
            connection.execute("SELECT count(*) FROM answers, counts WHERE answers.id < 0").fetchone()
    except (sqlite3.Error, _NewerError):
        return True
    return False


def _prepare(connection: sqlite3.Connection, *, is_writable: bool) -> None:
    """Bring a file up to our schema: what an older version left is only a cache, and goes."""
    found = _check_version(connection)
    if found == VERSION or not is_writable:
        return
    if connection.execute(EMPTY).fetchone()[0]:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # takes effect in an empty file only
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:  # another process may have been faster
            for table in ("answers", "counts"):
                connection.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in filter(str.strip, SCHEMA.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _check_version(connection: sqlite3.Connection) -> int:
    connection.execute("PRAGMA synchronous = NORMAL")
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    is_empty = connection.execute(EMPTY).fetchone()[0]
    ours = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    if found > VERSION and ours:
        raise _NewerError
    if not ours and not is_empty:
        error = sqlite3.DatabaseError("it is the file of another program")
        error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
        raise error
    return found
