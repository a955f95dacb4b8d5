"""The SQLite file of results: its tables, how it is opened, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from promptstudio.errors import HistoryError

VERSION = 1
APPLICATION_ID = 0x50534556  # "PSEV"
BUSY_TIMEOUT_S = 30.0

_SCHEMA = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL, suite TEXT NOT NULL,
    status TEXT NOT NULL, data TEXT NOT NULL
) STRICT;
CREATE TABLE cases (digest BLOB PRIMARY KEY, data TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE answers (
    number INTEGER PRIMARY KEY, key BLOB NOT NULL, digest BLOB NOT NULL, data TEXT NOT NULL, request_id TEXT,
    cost_nanousd INTEGER, UNIQUE (key, digest)
) STRICT;
CREATE TABLE results (
    run INTEGER NOT NULL, seq INTEGER NOT NULL, key BLOB NOT NULL, answer INTEGER, digest BLOB NOT NULL,
    target INTEGER NOT NULL, repeat INTEGER NOT NULL, outcome INTEGER NOT NULL, score REAL, cost_nanousd INTEGER,
    latency_ms REAL, flags INTEGER NOT NULL, data TEXT NOT NULL, PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX results_by_key ON results (key);
"""


def opened_file(path: Path) -> sqlite3.Connection | None:
    """Open a file that is there, for reading; one on a read-only disk as it is. None where it has no tables yet."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        version = _check_version(connection, path)
    except sqlite3.OperationalError:
        connection.close()
        if os.access(path.parent, os.W_OK):
            raise
        address = f"{path.absolute().as_uri()}?immutable=1"
        connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        version = _check_version(connection, path)
    except BaseException:
        connection.close()
        raise
    if version == 0:
        connection.close()
        return None
    return connection


def made_file(path: Path) -> sqlite3.Connection:
    """Open a file for writing; make it where it is not there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if _check_version(connection, path) == 0:
            _make_tables(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:  # nobody was faster
        for statement in _SCHEMA.split(";"):
            if statement.strip():
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _check_version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    mark = connection.execute("PRAGMA application_id").fetchone()[0]
    if version > VERSION:
        raise HistoryError(f"{path} was made by a newer version", hint="upgrade promptstudio")
    if version and mark != APPLICATION_ID:
        raise HistoryError(f"{path} is another program's database", hint="move it away; the next run begins a new one")
    return version


@contextmanager
def translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise HistoryError(_fact(path, error), hint=_hint(path, error)) from error


def _fact(path: Path, error: sqlite3.Error | OSError) -> str:
    if _is_damaged(error):
        return f"{path}: the file is damaged ({error})"
    return f"{path}: the results cannot be read or written: {error}"


def _hint(path: Path, error: sqlite3.Error | OSError) -> str:
    if _is_damaged(error):
        return f"put it aside, and the next run begins a new one: mv {quote(str(path))} {quote(f'{path}.damaged')}"
    return "free some space" if "full" in str(error) else "`ps doctor` checks the project's files"


def _is_damaged(error: sqlite3.Error | OSError) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) or 0
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
