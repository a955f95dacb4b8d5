"""The SQLite file of results: its tables, how it is opened, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from promptstudio.errors import HistoryError
from promptstudio.evals.packing import Clean

VERSION = 2
APPLICATION_ID = 0x50534556  # "PSEV"
BUSY_TIMEOUT_S = 30.0

# Numbers of answers and shapes are never given twice: who remembers one is never led to another's row.
SCHEMA = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL, suite TEXT NOT NULL,
    status TEXT NOT NULL, data TEXT NOT NULL
) STRICT;
CREATE TABLE cases (digest BLOB PRIMARY KEY, data ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE shapes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, digest BLOB NOT NULL, data TEXT NOT NULL,
    sample TEXT NOT NULL, origin INTEGER NOT NULL, UNIQUE (run, digest)
) STRICT;
CREATE TABLE answers (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL, base INTEGER, request_id ANY, cost_nanousd INTEGER,
    data ANY NOT NULL
) STRICT;
CREATE INDEX answers_by_key ON answers (key);
CREATE TABLE results (
    run INTEGER NOT NULL, seq INTEGER NOT NULL, key BLOB NOT NULL, answer INTEGER, digest BLOB NOT NULL,
    target INTEGER NOT NULL, repeat INTEGER NOT NULL, outcome INTEGER NOT NULL, score REAL, cost_nanousd INTEGER,
    latency_ms REAL, flags INTEGER NOT NULL, shape INTEGER NOT NULL, data ANY NOT NULL, PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX results_by_answer ON results (answer) WHERE answer IS NOT NULL;
"""


def opened_file(path: Path, clean: Clean) -> sqlite3.Connection | None:
    """Open a file that is there, for reading; one on a read-only disk as it is. None where it has no tables yet.

    A file of an older version becomes one of this version; where that cannot be written, a copy in memory does.
    """
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
    return connection if version == VERSION else _of_now(connection, path, clean)


def _of_now(connection: sqlite3.Connection, path: Path, clean: Clean) -> sqlite3.Connection:
    from promptstudio.evals.storemigrate import migrate  # only for a file from an older version

    try:
        if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
            migrate(connection, clean)
            return connection
        copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        connection.backup(copy)
        connection.close()
        migrate(copy, clean)
    except BaseException:
        connection.close()
        raise
    return copy


def made_file(path: Path, clean: Clean) -> sqlite3.Connection:
    """Open a file for writing; make it where it is not there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        version = _check_version(connection, path)  # before anything is written: it may be another program's file
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")
        if version == 0:
            _make_tables(connection)
        return connection if version in (0, VERSION) else _of_now(connection, path, clean)
    except BaseException:
        connection.close()
        raise


def statements(script: str) -> Iterator[str]:
    return (statement for statement in script.split(";") if statement.strip())


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all of it or nothing; whoever else writes waits."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _make_tables(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:  # nobody was faster
            for statement in statements(SCHEMA):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")


def _check_version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    mark = connection.execute("PRAGMA application_id").fetchone()[0]
    is_ours = mark == APPLICATION_ID
    if not is_ours and (version or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]):
        raise HistoryError(f"{path} is another program's database", hint="move it away; the next run begins a new one")
    if version > VERSION:
        raise HistoryError(f"{path} was made by a newer version", hint="upgrade promptstudio")
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
    """Return what to do. What was stored before is there: the same command goes on from it."""
    code = _code(error)
    if _is_damaged(error):
        return f"put it aside, and the next run begins a new one: mv {quote(str(path))} {quote(f'{path}.damaged')}"
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return "free some space; what ended is stored, and the same command goes on from there"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another program holds the file; the same command goes on once it is free"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM) or isinstance(error, OSError):
        return f"make {quote(str(path.parent))} writable for you: each case is stored as it ends"
    return "`ps doctor` checks the project's files"


def _is_damaged(error: sqlite3.Error | OSError) -> bool:
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _code(error: sqlite3.Error | OSError) -> int:
    """Return the primary result code of SQLite, 0 where there is none."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
