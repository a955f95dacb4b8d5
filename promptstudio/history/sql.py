"""The SQLAlchemy side: any database by its URL, and the write that ends a run, which SQLite files use too."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, exc, insert, inspect, make_url, select, text, update
from sqlalchemy.pool import StaticPool

from promptstudio.errors import HistoryError, MissingExtraError
from promptstudio.history.failure import newer_schema, without_password
from promptstudio.history.place import Place
from promptstudio.history.schema import SCHEMA_VERSION
from promptstudio.history.tables import METADATA

Run = Callable[[str, Mapping[str, Any]], int]

REQUESTS = METADATA.tables["prompt_requests"]
RESPONSES = METADATA.tables["prompt_responses"]
ATTEMPTS = METADATA.tables["attempts"]

# Driver module that is missing → what to install.
DRIVERS = {
    "psycopg": '"psycopg[binary]"',
    "psycopg2": "psycopg2-binary",
    "asyncpg": '"psycopg[binary]"',
    "pymysql": "pymysql",
    "MySQLdb": "mysqlclient",
}

_engines: dict[int, tuple[sqlite3.Connection, Engine]] = {}


def engine_over(connection: sqlite3.Connection) -> Engine:
    """Return an engine whose one connection is this one, so that both paths share its locks and settings."""
    known = _engines.get(id(connection))
    if known is not None and known[0] is connection:
        return known[1]
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool, pool_reset_on_return=None)
    engine.connect().close()  # the first connection asks and rolls back: not in the middle of a transaction
    _engines.clear()
    _engines[id(connection)] = (connection, engine)
    return engine


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction, DDL included: Python's sqlite3 opens none for it by itself."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.commit()
        except BaseException:
            connection.rollback()
            raise


def write_answer(
    connection: Connection,
    prompt_id: str,
    response: Mapping[str, Any],
    attempts: Sequence[Mapping[str, Any]],
    status: str,
) -> bool:
    """Write response, attempts and status and commit; False when the request's row is gone.

    The status comes last: the full-text index takes a row when its status says that it has ended.
    """
    if connection.execute(select(REQUESTS.c.seq).where(REQUESTS.c.id == prompt_id)).first() is None:
        return False
    connection.execute(insert(RESPONSES), response)
    if attempts:
        connection.execute(insert(ATTEMPTS), attempts)
    connection.execute(update(REQUESTS).where(REQUESTS.c.id == prompt_id).values(status=status))
    connection.commit()
    return True


def write_file_answer(
    raw: sqlite3.Connection,
    prompt_id: str,
    response: Mapping[str, Any],
    attempts: Sequence[Mapping[str, Any]],
    status: str,
) -> bool:
    """`write_answer` inside the transaction that is open on a SQLite connection; raises what sqlite3 raised."""
    with engine_over(raw).connect() as connection:
        try:
            return write_answer(connection, prompt_id, response, attempts, status)
        except exc.DBAPIError as error:
            raise (error.orig if isinstance(error.orig, sqlite3.Error) else error) from None


class SqlStore:
    """A history in a database server. The schema is made or brought up to date at the first use."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._engine: Engine | None = None
        self._pid = 0
        self._checked = False

    def exists(self) -> bool:
        return True

    def can_write(self) -> bool:
        return True

    def read(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with self._translated(), self._ready().connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), parameters or {})]

    @contextmanager
    def writing(self) -> Iterator[Run]:
        with self._translated(), transaction(self._ready()) as connection:
            yield lambda sql, parameters: connection.execute(text(sql), parameters).rowcount

    def add_request(self, columns: Mapping[str, Any]) -> None:
        with self._translated(), transaction(self._ready()) as connection:
            connection.execute(insert(REQUESTS), without_nul(columns))

    def add_answer(
        self, prompt_id: str, response: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]], status: str
    ) -> bool:
        with self._translated(), self._ready().connect() as connection:
            records = [without_nul(attempt) for attempt in attempts]
            return write_answer(connection, prompt_id, without_nul(response), records, status)

    def has_index(self) -> bool:
        return False

    def compact(self, *, thorough: bool) -> None:
        """Nothing to do: servers look after their space."""

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose(close=self._pid == os.getpid())
        self._engine, self._checked = None, False

    def _connected(self) -> Engine:
        if self._engine is not None and self._pid != os.getpid():
            self.close()  # after a fork the parent's connections are not ours
        if self._engine is None:
            self._engine, self._pid = _engine_for(self.place), os.getpid()
        return self._engine

    def _ready(self) -> Engine:
        """Return the engine of a database whose schema is ours."""
        engine = self._connected()
        if not self._checked:
            found = _stored_number(engine)
            if found > SCHEMA_VERSION:
                raise newer_schema(self.place.shown, found, SCHEMA_VERSION)
            if found < SCHEMA_VERSION:
                from promptstudio.history import migrate  # Alembic: only for a database without our schema

                migrate.upgrade(engine, self.place.shown)
            self._checked = True
        return engine

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except exc.SQLAlchemyError as error:
            raise HistoryError(
                f"the history's database said no: {_first_line(error, self.place)}",
                file=self.place.shown,
                hint="check history.url and that the server is up, or use --no-history",
            ) from None  # the cause may carry the password


def without_nul(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return columns a server takes: PostgreSQL refuses the character NUL in text."""
    return {name: value.replace("\0", "\ufffd") if isinstance(value, str) else value for name, value in columns.items()}


def _engine_for(place: Place) -> Engine:
    try:
        return create_engine(place.url or "", pool_pre_ping=True)
    except ModuleNotFoundError as error:
        package = DRIVERS.get(error.name or "", error.name)
        raise MissingExtraError(
            f"history.url needs the driver {error.name}, which is not installed", hint=f"pip install {package}"
        ) from error
    except exc.NoSuchModuleError as error:
        raise HistoryError(
            f"history.url: {place.shown.partition('://')[0]!r} is no database SQLAlchemy knows",
            hint="for example postgresql+psycopg://user@host/database, or the path of a SQLite file",
        ) from error
    except (exc.ArgumentError, ValueError) as error:
        raise HistoryError(
            f"history.url: {place.shown!r} is not a database URL",
            hint="for example postgresql+psycopg://user@host/database, or the path of a SQLite file",
        ) from error


def _stored_number(engine: Engine) -> int:
    if not inspect(engine).has_table("alembic_version"):
        return 0
    with engine.connect() as connection:
        number = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return int(str(number)) if str(number or "").isdigit() else 0


def _first_line(error: exc.SQLAlchemyError, place: Place) -> str:
    """Return what the driver said, without statement, parameters and password."""
    said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    password = make_url(place.url or "").password
    return without_password(said.replace(str(password), "***") if password else said)
