"""A history → its `Health`. Looks, changes as little as opening does, and raises nothing."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from promptstudio.errors import PromptStudioError
from promptstudio.history import queries
from promptstudio.history.schema import Health
from promptstudio.history.sqlite import SqliteStore

if TYPE_CHECKING:  # `store` imports this module
    from promptstudio.history.store import Store

LARGE_FILE_BYTES = 200_000_000
"""Above this size checking every page takes longer than a person wants to wait for `doctor`."""


def health_of(store: Store, *, deep: bool) -> Health:
    """Return what could be found out; the first thing that failed is the `problem`."""
    health = Health(store.place.shown, store.exists())
    try:
        return (
            _file_health(store, health, deep=deep) if isinstance(store, SqliteStore) else _server_health(store, health)
        )
    except PromptStudioError as error:
        return replace(_file_facts(store.place.path, health), problem=error.message, hint=error.hint)


def _file_health(store: SqliteStore, health: Health, *, deep: bool) -> Health:
    if not health.exists:
        return health
    health = _file_facts(store.path, health)
    numbers = store.read("SELECT (SELECT user_version FROM pragma_user_version), journal_mode FROM pragma_journal_mode")
    if not numbers:
        return replace(health, writable=store.can_write())
    integrity = "not checked"
    if deep or (health.size_bytes or 0) <= LARGE_FILE_BYTES:
        integrity = str(store.read("PRAGMA quick_check(1)")[0][0])
    return replace(
        _counted(store, health),
        schema=numbers[0][0],
        journal_mode=numbers[0][1],
        full_text=store.has_index(),
        writable=store.can_write(),
        integrity=integrity,
        problem=None if integrity in ("ok", "not checked") else f"{store.path}: the history is damaged: {integrity}",
        hint=None
        if integrity in ("ok", "not checked")
        else f"keep a copy, then try `sqlite3 {store.path} .recover`; moving the file away starts a new history",
    )


def _server_health(store: Store, health: Health) -> Health:
    health = _counted(store, health)
    number = store.read("SELECT version_num FROM alembic_version")
    return replace(health, schema=int(number[0][0]), full_text=False, writable=store.can_write())


def _counted(store: Store, health: Health) -> Health:
    rows, open_rows = (store.read(sql)[0][0] for sql in (queries.COUNT_ALL, queries.COUNT_OPEN))
    return replace(health, rows=rows, open_rows=open_rows)


def _file_facts(path: Path | None, health: Health) -> Health:
    """Size (with the write-ahead log) and permissions, as far as the system tells them."""
    if path is None or not path.exists():
        return health
    size = sum(part.stat().st_size for part in (path, path.with_name(path.name + "-wal")) if part.exists())
    return replace(health, size_bytes=size, file_mode=stat.filemode(path.stat().st_mode))
