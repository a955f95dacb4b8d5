"""Tables, revisions and schema.sql describe one schema; older files are brought up to it or left as they were."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from history_samples import project_settings, request, run_python, stored
from sqlalchemy import create_engine

from promptstudio.errors import HistoryError
from promptstudio.history import History, migrate, open_history, queries, schema, sqlite
from promptstudio.history.encode import request_columns
from promptstudio.history.sql import engine_over, transaction
from promptstudio.history.sqlite import schema_statements
from promptstudio.history.tables import METADATA

SECOND = """
from alembic import op

revision, down_revision, branch_labels, depends_on = "0004", "0003", None, None


def upgrade() -> None:
    op.execute("ALTER TABLE attempts ADD COLUMN mood TEXT")
    op.execute("UPDATE attempts SET mood = 'calm'")
"""
FAILING = SECOND + '    op.execute("INSERT INTO no_such_table VALUES (1)")\n'


def test_schema_sql_is_what_all_revisions_together_make() -> None:
    shipped = (Path(sqlite.__file__).parent / "schema.sql").read_text(encoding="utf-8")

    assert migrate.schema_script() == shipped, "run: python -m promptstudio.history.migrate"


def test_the_schema_number_is_the_number_of_revisions() -> None:
    assert migrate._revisions(migrate.FOLDER) == [f"{number:04}" for number in range(1, schema.SCHEMA_VERSION + 1)]


def test_the_tables_are_what_the_revisions_make(history: History, path: Path) -> None:
    stored(history)
    history.close()
    engine = create_engine(f"sqlite:///{path}")

    with engine.connect() as connection:
        ours = {"prompt_search", "prompt_texts", "alembic_version"}
        options = {"compare_type": True, "include_name": lambda name, *_: str(name).partition("_")[0] != "x"}
        context = MigrationContext.configure(connection, opts=options)
        found = compare_metadata(context, METADATA)
    engine.dispose()

    extra = {change[1].name for change in found if change[0] == "remove_table"}
    assert {name for name in extra if not name.startswith(tuple(ours))} == set()
    assert [change for change in found if change[0] != "remove_table"] == []


def test_the_tables_are_what_the_revisions_make_in_postgresql(postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    migrate.upgrade(engine, "postgres")

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_a_new_file_and_a_migrated_one_are_the_same(tmp_path: Path) -> None:
    new = sqlite3.connect(tmp_path / "new.db", isolation_level=None)
    for statement in schema_statements(search=True):
        new.execute(statement)
    migrated = sqlite3.connect(tmp_path / "migrated.db", isolation_level=None)
    migrate.upgrade(engine_over(migrated), "migrated.db")

    listing = "SELECT type, name, tbl_name, trim(sql, ' ' || char(10)) FROM sqlite_master ORDER BY type, name"
    found = [connection.execute(listing).fetchall() for connection in (new, migrated)]
    folds = [connection.execute("SELECT * FROM prompt_search_folds").fetchall() for connection in (new, migrated)]
    for connection in (new, migrated):
        connection.close()

    assert found[0] == found[1]
    assert folds[0] == folds[1]


@pytest.fixture
def older(root: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with our schema, in a world where one more revision exists; returns the folder of revisions."""
    with open_history(project_settings(root)) as history:
        stored(history, text="مَرْحَبًا")
    folder = tmp_path / "100% migrations"
    shutil.copytree(migrate.FOLDER, folder)
    next_number = schema.SCHEMA_VERSION + 1
    for module in (schema, sqlite):
        monkeypatch.setattr(module, "SCHEMA_VERSION", next_number)
    original = migrate.upgrade_file
    monkeypatch.setattr(migrate, "upgrade_file", lambda connection, file: original(connection, file, folder=folder))
    return folder


def test_an_older_file_is_brought_up_to_date_and_a_copy_kept(root: Path, path: Path, older: Path) -> None:
    (older / "versions" / "0004_mood.py").write_text(SECOND)

    with open_history(project_settings(root)) as history:
        assert history.search("مرحبا").rows
        assert history.store.read("SELECT mood FROM attempts") == [("calm",)]
        assert history.store.read("PRAGMA user_version") == [(4,)]
        assert history.store.read("SELECT version_num FROM alembic_version") == [("0004",)]

    copy = path.with_name("history.db.bak-3")
    assert copy.stat().st_mode & 0o777 == 0o600
    connection = sqlite3.connect(copy)
    assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    assert connection.execute("SELECT count(*) FROM prompt_requests").fetchone() == (1,)
    connection.close()


def test_many_processes_that_meet_an_older_file_bring_it_up_to_date_once(root: Path, path: Path, older: Path) -> None:
    (older / "versions" / "0004_mood.py").write_text(SECOND)
    script = f"""
from functools import partial
from promptstudio.history import migrate, sqlite
sqlite.SCHEMA_VERSION = 4
migrate.upgrade_file = partial(migrate.upgrade_file, folder=Path({str(older)!r}))
start, go = os.pipe()
children = []
for _ in range(6):
    if child := os.fork():
        children.append(child)
        continue
    os.close(go)
    os.read(start, 1)
    os.write(1, (history.rows()[0].status + "\\n").encode())
    os._exit(0)
os.close(go)
for child in children:
    os.waitpid(child, 0)
"""

    assert run_python(root, script).split() == ["completed"] * 6

    for file, number in ((path, 4), (path.with_name("history.db.bak-3"), 3)):
        connection = sqlite3.connect(file)
        assert connection.execute("PRAGMA user_version").fetchone() == (number,)
        connection.close()


def test_a_failing_revision_leaves_the_file_as_it_was(root: Path, path: Path, older: Path) -> None:
    (older / "versions" / "0004_mood.py").write_text(FAILING)

    with (
        open_history(project_settings(root)) as history,
        pytest.raises(HistoryError, match=r"could not be brought from schema 3 to 4: .*no_such_table") as caught,
    ):
        history.rows()

    assert "nothing was changed" in (caught.value.hint or "")
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    assert "mood" not in [row[1] for row in connection.execute("PRAGMA table_info(attempts)")]
    assert connection.execute("SELECT count(*) FROM prompt_requests").fetchone() == (1,)
    connection.close()


def test_an_older_file_that_cannot_be_written_is_a_clear_error(
    root: Path, older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite.SqliteStore, "can_write", lambda _: False)  # root may write everything

    with open_history(project_settings(root)) as history, pytest.raises(HistoryError, match="older schema 3"):
        history.rows()


def test_a_server_with_a_newer_schema_is_refused(any_history: History) -> None:
    if any_history.store.place.path:
        pytest.skip("files are tested elsewhere")
    stored(any_history)
    with any_history.store.writing() as run:
        run("UPDATE alembic_version SET version_num = :number", {"number": "0099"})
    any_history.close()

    with pytest.raises(HistoryError, match="written by a newer PromptStudio"):
        any_history.rows()


def test_our_tables_do_not_clash_with_those_of_the_program_that_uses_us() -> None:
    from sqlmodel import Field, SQLModel

    class Attempts(SQLModel, table=True):
        __tablename__ = "attempts"
        id: int | None = Field(default=None, primary_key=True)

    assert "attempts" in METADATA.tables
    assert SQLModel.metadata.tables["attempts"] is not METADATA.tables["attempts"]


def test_attempts_of_an_older_file_stay_and_their_key_keeps_them_apart(root: Path, path: Path) -> None:
    path.parent.mkdir()
    old = sqlite3.connect(path, isolation_level=None)
    with transaction(engine_over(old)) as connection:
        config = migrate._config(migrate.FOLDER)
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        connection.exec_driver_sql(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        connection.exec_driver_sql("PRAGMA user_version = 2")
    row = request()
    columns = request_columns(row, redacting=True, owner=None)
    old.execute(queries.INSERT_REQUEST, {**columns, "created_at": "2026-11-01 09:00:00", "status": "completed"})
    for number in (2, 1):
        old.execute(
            "INSERT INTO attempts (prompt_id, number, model, reason, started_at, duration_ms, waited_ms, error_message)"
            " VALUES (?, ?, 'm', 'retry', '2026-11-01 09:00:00', 7, 0, 'no')",
            (row.id, number),
        )
    old.close()

    with open_history(project_settings(root)) as history:
        detail = history.row(row.id).detail
        assert detail is not None
        assert [(one.number, one.duration_ms, one.error_message) for one in detail.attempts] == [
            (1, 7, "no"), (2, 7, "no"),
        ]  # fmt: skip
        assert history.remove([row.id]) == 1
        assert history.store.read("SELECT count(*) FROM attempts") == [(0,)]
        assert history.store.read("PRAGMA foreign_key_check") == []


def test_rows_by_their_status_are_found_through_the_index_that_holds_only_what_is_not_completed(
    history: History,
) -> None:
    stored(history)
    for status in ("failed", "running"):
        sql, parameters = queries.newest_rows(schema.Filters(status=status), 10)
        plan = " ".join(str(row[3]) for row in history.store.read(f"EXPLAIN QUERY PLAN {sql}", parameters))
        assert "ix_prompt_requests_status" in plan
    assert [row.status for row in history.rows(schema.Filters(status="completed"))] == ["completed"]
    assert history.rows(schema.Filters(status="failed")) == []
