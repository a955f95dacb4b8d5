"""Histories to test with: a file, one through the SQLAlchemy store, and PostgreSQL where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from history_samples import Settings, project_settings
from sqlalchemy import event

from promptstudio.history import History, open_history, owners
from promptstudio.history.place import Place
from promptstudio.history.sql import SqlStore


@pytest.fixture(autouse=True)
def locks_released() -> Iterator[None]:
    yield
    owners.release_all()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "a project"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(root: Path) -> Settings:
    return project_settings(root)


@pytest.fixture
def history(settings: Settings) -> Iterator[History]:
    with open_history(settings) as opened:
        yield opened


@pytest.fixture
def path(root: Path) -> Path:
    return root / ".promptstudio" / "history.db"


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of our own that listens on a socket file only."""
    if find_spec("psycopg") is None or shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("PostgreSQL or psycopg is not installed")
    folder = Path("/tmp") / f"ps-pg-{os.getpid()}"  # a socket's path may have 107 bytes at most
    folder.mkdir(mode=0o700)
    as_user: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL}
    if os.getuid() == 0:  # the server refuses to run as root
        os.chown(folder, 65534, 65534)
        as_user |= {"user": 65534, "group": 65534, "extra_groups": []}
    data, log = folder / "data", folder / "log"
    flags = f"-k {folder} -c listen_addresses='' -F"
    try:
        initdb = ["initdb", "-D", str(data), "-U", "ps", "--auth=trust", "-N", "-E", "UTF8"]
        subprocess.run(initdb, check=True, **as_user)
        subprocess.run(["pg_ctl", "-D", str(data), "-o", flags, "-w", "-l", str(log), "start"], check=True, **as_user)
        yield f"postgresql+psycopg://ps@/postgres?host={folder}"
    finally:
        subprocess.run(["pg_ctl", "-D", str(data), "-m", "immediate", "stop"], check=False, **as_user)
        shutil.rmtree(folder)


@pytest.fixture(params=["file", "sqlalchemy", "postgres"])
def any_history(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Iterator[History]:
    """The same history behind each kind of store."""
    if request.param == "file":
        opened = open_history(settings)
    elif request.param == "sqlalchemy":
        opened = History(_sqlite_through_sqlalchemy(tmp_path))
    else:
        opened = _postgres_history(request.getfixturevalue("postgres_url"))
    with opened:
        yield opened


def _sqlite_through_sqlalchemy(tmp_path: Path) -> SqlStore:
    store = SqlStore(Place(None, f"sqlite:///{tmp_path}/other.db", tmp_path / "locks"))
    event.listen(store._connected(), "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
    return store


def _postgres_history(url: str) -> History:
    opened = open_history(Settings(history_url=url))
    assert isinstance(opened.store, SqlStore)
    with opened.store._connected().begin() as connection:
        for table in ("evaluations", "attempts", "prompt_responses", "prompt_requests", "alembic_version"):
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")
    opened.close()
    return opened
