"""A database with an older schema → ours, revision by revision, each in one transaction. The only door to Alembic.

`python -m promptstudio.history.migrate` prints `schema.sql`: what all revisions together make of an empty SQLite file.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from promptstudio.errors import HistoryError
from promptstudio.history import sql
from promptstudio.history.failure import newer_schema
from promptstudio.history.schema import APPLICATION_ID, SCHEMA_VERSION
from promptstudio.history.sqlite import SEARCH_PART

FOLDER = Path(__file__).parent / "migrations"
POSTGRES_LOCK = 0x50535448
"""Key of the advisory lock that lets one process at a time migrate a PostgreSQL database."""

HEAD = "-- The newest schema for a new SQLite file. Generated: python -m promptstudio.history.migrate\n"
MADE = """
SELECT name, sql FROM sqlite_master
 WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite!_%' ESCAPE '!' AND name NOT IN (
   'prompt_search_data', 'prompt_search_idx', 'prompt_search_content', 'prompt_search_docsize', 'prompt_search_config')
 ORDER BY rowid"""


def upgrade_file(connection: sqlite3.Connection, path: Path, *, folder: Path = FOLDER) -> None:
    """Bring an older SQLite file up to date. A copy is kept beside it as `NAME.bak-N`, N being its old number."""

    def keep_copy(number: int) -> None:
        _back_up(path, path.with_name(f"{path.name}.bak-{number}"))

    upgrade(sql.engine_over(connection), str(path), folder=folder, keep_copy=keep_copy)


def upgrade(
    engine: Engine, place: str, *, folder: Path = FOLDER, keep_copy: Callable[[int], None] | None = None
) -> None:
    """Run every revision the database lacks; one that fails leaves the schema before it.

    `keep_copy` is called before the first of them, when no other process can write any more.
    """
    revisions = _revisions(folder)
    while True:
        with sql.transaction(engine) as connection:
            _only_one(connection)
            number = schema_number(connection)
            if number > len(revisions):
                raise newer_schema(place, number, len(revisions))
            if number == len(revisions):
                return
            try:
                if keep_copy is not None:
                    keep_copy(number)
                _run(connection, revisions[number], folder)
            except Exception as error:  # whatever a revision raises, the file must be named and left as it was
                raise HistoryError(
                    f"the history could not be brought from schema {number} to {number + 1}: {error}",
                    file=place,
                    hint="nothing was changed; please report this, and use --no-history until it is fixed",
                ) from error
        keep_copy = None


def schema_number(connection: Connection) -> int:
    """Return the number of the newest revision the database has; 0 for an empty one."""
    if connection.dialect.name == "sqlite":
        return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    return int(MigrationContext.configure(connection).get_current_revision() or 0)


def schema_script() -> str:
    """Return `schema.sql`: the statements an empty file has gone through once all revisions have run."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        upgrade(sql.engine_over(connection), ":memory:")
        made = connection.execute(MADE).fetchall()
        data = [(name, _rows_of(connection, name)) for name in ("alembic_version", "prompt_search_folds")]
    finally:
        connection.close()
    plain = [text for name, text in made if not _is_search(name)] + [
        text for name, text in data if not _is_search(name)
    ]
    tables: list[str] = []
    rest: list[str] = []
    for name, text in made:
        if _is_search(name):
            (tables if text.startswith("CREATE TABLE") else rest).append(text)
    search = [*tables, *(text for name, text in data if _is_search(name)), *rest]
    return f"{HEAD}{_script(plain)}\n{SEARCH_PART}\n{_script(search)}"


def _is_search(name: str) -> bool:
    return name.startswith(("prompt_search", "prompt_texts"))


def _script(statements: list[str]) -> str:
    return "".join(f"\n{statement.strip()};\n" for statement in statements)


def _rows_of(connection: sqlite3.Connection, table: str) -> str:
    rows = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608  our own table names
    values = ", ".join("(" + ", ".join(_literal(value) for value in row) + ")" for row in rows)
    return f"INSERT INTO {table} VALUES {values}"  # noqa: S608


def _literal(value: int | str) -> str:
    """Marks that combine with the quote before them cannot be read in a file: they are written as numbers."""
    if isinstance(value, int):
        return str(value)
    return f"'{value}'" if value.isascii() else f"char({', '.join(str(ord(letter)) for letter in value)})"


def _revisions(folder: Path) -> list[str]:
    script = ScriptDirectory.from_config(_config(folder))
    return [revision.revision for revision in reversed(list(script.walk_revisions()))]


def _config(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def _run(connection: Connection, revision: str, folder: Path) -> None:
    config = _config(folder)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.exec_driver_sql(f"PRAGMA user_version = {int(revision)}")


def _only_one(connection: Connection) -> None:
    """Keep other processes from migrating the same database; a SQLite write transaction does so by itself."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTGRES_LOCK})")


def _back_up(path: Path, copy: Path) -> None:
    """Copy what is committed, through a connection of its own: one that is writing cannot be copied from."""
    descriptor = os.open(copy, os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.close(descriptor)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


if __name__ == "__main__":
    sys.stdout.write(schema_script())
    assert len(_revisions(FOLDER)) == SCHEMA_VERSION, "SCHEMA_VERSION is not the number of revisions"  # noqa: S101
