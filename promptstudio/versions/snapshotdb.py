"""What is known of contents that were read before: a SQLite file in the git folder, shared by all worktrees.

It is a cache and nothing else: no commit can bring one, its owner is checked, each entry bears a checksum, and whatever
is wrong with it (damage, a lock, a full disk, another version) only costs the time to read a prompt again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

FOLDER, NAME = "promptstudio", "snapshots.db"
MAX_BYTES = 128 << 20
MAX_WAIT_S = 0.25
_SECONDS_A_DAY = 86_400
_SCHEMA = """
create table entries (
    id integer primary key, path text not null, context text not null, blob text not null,
    facts text not null, digest blob not null, body blob, body_digest blob, used integer not null
);
create unique index entries_of_a_content on entries (path, context, blob, digest);
create table documents (blob text primary key, body blob, digest blob);
create table findings (kind text, path text, state text, body blob, digest blob, primary key (kind, path));
"""


class Key(NamedTuple):
    """A prompt's file by path and content, and what of the settings counts for it."""

    path: str
    context: str
    blob: str


class Stored(NamedTuple):
    """An entry: `facts` is what lists need of a prompt, the rest is fetched with `body`."""

    id: int
    facts: dict[str, Any]


class SnapshotDb:
    """The file, opened when it is first asked. `version` numbers the meaning of the entries: others are dropped."""

    def __init__(self, common_dir: Path, version: int, max_bytes: int = MAX_BYTES) -> None:
        self.path = common_dir / FOLDER / NAME
        self.version = version
        self.max_bytes = max_bytes
        self.today = int(time.time()) // _SECONDS_A_DAY
        self._connection: sqlite3.Connection | None = None
        self._is_usable = True
        self._waiting: list[tuple[Any, ...]] = []
        self._findings: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._documents: dict[str, tuple[Any, ...]] = {}
        self._seen: set[int] = set()

    def find(self, key: Key) -> Iterator[Stored]:
        """Yield what is stored of a content, the newest first; which entry holds depends on the files around it."""
        rows = self._rows(
            "select id, facts, digest, used from entries where path = ? and context = ? and blob = ? order by id desc",
            (key.path, key.context, key.blob),
        )
        for number, facts, digest, used in rows:
            if isinstance(facts, str) and digest == _digest(key, facts):
                if used != self.today:
                    self._seen.add(number)
                yield Stored(number, json.loads(facts))

    def body(self, stored: Stored) -> Any:
        """Return the rest of an entry, None where there is none."""
        for body, digest in self._rows("select body, body_digest from entries where id = ?", (stored.id,)):
            if isinstance(body, bytes) and digest == _sum(body):
                return json.loads(body)
        return None

    def add(self, key: Key, facts: dict[str, Any], body: Any) -> None:
        """Remember an entry; it is written when the file is closed."""
        written = json.dumps(facts, separators=(",", ":"))
        packed = json.dumps(body, separators=(",", ":")).encode("ascii") if body is not None else None
        digests = (_digest(key, written), _sum(packed) if packed is not None else None)
        row = (key.path, key.context, key.blob, written, digests[0], packed, digests[1], self.today)
        self._waiting.append(row)

    def document(self, blob: str) -> tuple[Any] | None:
        """Return the plain data a content was parsed to, in a tuple of one: the data may be None."""
        for body, digest in self._rows("select body, digest from documents where blob = ?", (blob,)):
            if isinstance(body, bytes) and digest == _sum(body):
                return (json.loads(body),)
        return None

    def keep_document(self, blob: str, value: Any) -> None:
        packed = json.dumps(value, separators=(",", ":")).encode("ascii")
        self._documents[blob] = (blob, packed, _sum(packed))

    def finding(self, kind: str, path: str) -> tuple[str, Any] | None:
        """Return what was last found out about a path, and the state of everything it was found out from."""
        query = "select state, body, digest from findings where kind = ? and path = ?"
        for state, body, digest in self._rows(query, (kind, path)):
            if isinstance(body, bytes) and isinstance(state, str) and digest == _sum(body):
                return state, json.loads(body)
        return None

    def keep_finding(self, kind: str, path: str, state: str, body: Any) -> None:
        """Remember a finding instead of the last one, until the file is closed."""
        packed = json.dumps(body, separators=(",", ":")).encode("ascii")
        self._findings[(kind, path)] = (kind, path, state, packed, _sum(packed))

    def close(self) -> None:
        """Write what is waiting, and make room where the file has grown too large."""
        if self._waiting or self._documents or self._findings or self._seen:
            with self._safely():
                self._write()
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection, self._is_usable = None, False
        self._waiting, self._documents, self._findings, self._seen = [], {}, {}, set()

    def _write(self) -> None:
        connection = self._opened()
        if connection is None:
            return
        connection.execute("begin immediate")
        connection.executemany(
            "insert or replace into entries (path, context, blob, facts, digest, body, body_digest, used) "
            "values (?, ?, ?, ?, ?, ?, ?, ?)",
            self._waiting,
        )
        connection.executemany("insert or replace into documents values (?, ?, ?)", self._documents.values())
        connection.executemany("insert or replace into findings values (?, ?, ?, ?, ?)", self._findings.values())
        seen = [(self.today, number) for number in self._seen]
        connection.executemany("update entries set used = ? where id = ?", seen)
        self._prune(connection)
        connection.execute("commit")

    def _prune(self, connection: sqlite3.Connection) -> None:
        """Drop the half that was not used for longest; the freed pages serve the next entries."""
        pages, free, size = (
            connection.execute(f"pragma {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * size > self.max_bytes:
            half = connection.execute("select count(*) from entries").fetchone()[0] // 2
            connection.execute(
                "delete from entries where id in (select id from entries order by used, id limit ?)", (half,)
            )
            connection.execute("delete from findings")
            connection.execute("delete from documents")

    def _rows(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        with self._safely():
            connection = self._opened()
            return connection.execute(statement, values).fetchall() if connection is not None else []
        return []

    @contextlib.contextmanager
    def _safely(self) -> Iterator[None]:
        """Whatever SQLite has to say, the prompts can be read without it."""
        try:
            yield
        except (sqlite3.Error, OSError, ValueError, OverflowError) as error:
            self._give_up(damaged=isinstance(error, sqlite3.DatabaseError) and _is_damage(error))

    def _give_up(self, *, damaged: bool) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection, self._is_usable = None, False
        if damaged:  # the next command begins a new one
            with contextlib.suppress(OSError):
                self.path.unlink()

    def _opened(self) -> sqlite3.Connection | None:
        if self._connection is None and self._is_usable:
            self._is_usable = _may_use(self.path)
            if self._is_usable:
                self._connection = self._connected()
        return self._connection

    def _connected(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        connection = sqlite3.connect(self.path, timeout=MAX_WAIT_S, isolation_level=None)
        # Nothing here is worth a wait for the disk.
        connection.execute("pragma synchronous = off")
        if connection.execute("pragma user_version").fetchone()[0] != self.version:
            self._begin(connection)
        return connection

    def _begin(self, connection: sqlite3.Connection) -> None:
        connection.execute("begin immediate")
        if connection.execute("pragma user_version").fetchone()[0] != self.version:
            for (name,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
                connection.execute('drop table "' + name.replace('"', '""') + '"')
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"pragma user_version = {self.version}")
        connection.execute("commit")


def _may_use(path: Path) -> bool:
    """Whether the file is ours, or can be made: a regular file of this user in a real folder of this user."""
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        folder = path.parent.lstat()
        facts = path.lstat() if os.path.lexists(path) else None
    except OSError:
        return False
    user = os.geteuid()
    is_ours = stat.S_ISDIR(folder.st_mode) and folder.st_uid == user
    return is_ours and (facts is None or (stat.S_ISREG(facts.st_mode) and facts.st_uid == user))


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return not isinstance(error, sqlite3.OperationalError) or "no such" in str(error) or "malformed" in str(error)


def _digest(key: Key, facts: str) -> bytes:
    return _sum(f"{key.path}\0{key.context}\0{key.blob}\0{facts}".encode("utf-8", "surrogatepass"))


def _sum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=8).digest()
