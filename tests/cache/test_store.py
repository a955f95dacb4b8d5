"""The file of the cache: limits, damage, other versions, read-only and full disks. Real SQLite files."""

from __future__ import annotations

import os
import sqlite3
import stat
from decimal import Decimal
from pathlib import Path

import pytest
from cache_samples import CountingWires, completion, send

from promptstudio.cache.database import VERSION
from promptstudio.cache.schema import Limits, NewEntry
from promptstudio.cache.store import CacheStore
from promptstudio.cache.wire import CachedWires
from promptstudio.errors import NotFoundError, UsageError
from promptstudio.types import Saved


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def entry(number: int, reply: str = '{"choices": []}', model: str = "m") -> NewEntry:
    return NewEntry(number.to_bytes(1, "big") * 32, "greet", model, {"repeat": 0}, reply, Saved(Decimal("0.5"), 20))


def keys(store: CacheStore) -> set[int]:
    return {bytes.fromhex(one.id)[0] for one in store.entries(limit=100)}


def test_the_file_is_its_owners_alone_at_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = CacheStore(tmp_path / ".promptstudio" / "cache.db")
        store.keep(entry(1))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / ".promptstudio").glob("cache*")}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("cache.db", "cache.db-wal", "cache.db-shm"), 0o600)
    assert (tmp_path / ".promptstudio" / ".gitignore").read_text() == "*\n"
    store.close()


def test_looking_makes_no_file(store: CacheStore) -> None:
    assert store.find(b"1" * 32) is None
    assert store.stats().entries == 0
    assert store.entries() == []
    assert not store.path.parent.exists()


def test_an_answer_is_found_until_it_is_too_old(tmp_path: Path) -> None:
    clock = Clock()
    store = CacheStore(tmp_path / "cache.db", Limits(ttl_s=60), clock=clock)
    store.keep(entry(1))
    clock.now += 60
    assert store.find(entry(1).key) is not None
    clock.now += 1
    assert store.find(entry(1).key) is None
    assert store.stats().expired == 1
    store.keep(entry(1))
    assert store.find(entry(1).key) is not None
    clock.now += 61
    assert store.would_prune() == store.prune() == 1
    assert store.stats().entries == 0
    store.close()


def test_a_full_cache_gives_up_what_was_not_used_for_longest(tmp_path: Path) -> None:
    clock = Clock()
    store = CacheStore(tmp_path / "cache.db", Limits(max_bytes=12_000), clock=clock)
    for number in range(10):
        clock.now += 10
        store.keep(entry(number, '"' + "x" * 1500 + '"'))
    clock.now += 10
    store.count_hit(entry(0).key, "m", Saved(None, 1))
    store.close()
    assert keys(store) == {0, 5, 6, 7, 8, 9}
    assert store.stats().answer_bytes <= 12_000
    assert not store.keep(entry(1, "x" * 13_000))
    store.close()


def test_a_use_is_written_with_the_next_batch_and_not_at_once(tmp_path: Path) -> None:
    store, other = CacheStore(tmp_path / "cache.db"), CacheStore(tmp_path / "cache.db")
    store.keep(entry(1))
    store.count_hit(entry(1).key, "m", Saved(Decimal("0.25"), 7))
    assert (other.entries()[0].hits, other.stats().total.hits) == (0, 0)
    store.flush()
    total = other.stats().total
    assert (other.entries()[0].hits, total.hits, total.saved_usd, total.saved_ms) == (1, 1, Decimal("0.25"), 7)
    store.close()
    other.close()


def test_clearing_keeps_what_was_counted(store: CacheStore) -> None:
    store.keep(entry(1))
    store.count_hit(entry(1).key, "m", Saved(None, 7))
    store.flush()
    assert store.clear() == 1
    found = store.stats()
    assert (found.entries, found.total.hits, found.total.unpriced) == (0, 1, 1)


def test_an_entry_is_named_by_the_beginning_of_its_id(store: CacheStore) -> None:
    store.keep(entry(0x11))
    store.keep(entry(0x12))
    assert store.entry("111").id == "11" * 32
    with pytest.raises(UsageError, match="several"):
        store.entry("1")
    for name in ("", "99", "xyz", "f" * 65):
        with pytest.raises(NotFoundError):
            store.entry(name)


def aside(store: CacheStore, word: str) -> list[Path]:
    return sorted(store.path.parent.glob(f"cache.db.{word}-*"))


@pytest.mark.parametrize("garbage", [b"not a database, really not" * 99, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_put_aside_and_a_new_one_begun(store: CacheStore, notes: list[str], garbage: bytes) -> None:
    store.path.parent.mkdir()
    store.path.write_bytes(garbage)
    assert store.find(entry(1).key) is None
    assert store.keep(entry(1))
    assert store.find(entry(1).key) is not None
    assert aside(store, "damaged")[0].read_bytes() == garbage
    assert len(notes) == 1
    assert "is damaged" in notes[0]
    assert "a new one is begun" in notes[0]


def test_a_file_that_breaks_in_mid_run_costs_only_the_cache(store: CacheStore, notes: list[str]) -> None:
    for number in range(30):
        store.keep(entry(number, '"' + "x" * 4000 + '"'))
    store.database.shrink()
    size = store.path.stat().st_size
    with store.path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    store.database.close()
    store.path.with_name("cache.db-wal").unlink(missing_ok=True)
    for number in range(30):
        store.find(entry(number).key)
    assert store.keep(entry(99))
    assert store.find(entry(99).key) is not None
    assert len(aside(store, "damaged")) == 1
    assert len(notes) == 1


def test_a_truncated_file_costs_only_the_cache(store: CacheStore, notes: list[str]) -> None:
    for number in range(30):
        store.keep(entry(number, '"' + "x" * 4000 + '"'))
    store.database.close()
    os.truncate(store.path, 20_000)
    for number in range(30):
        store.find(entry(number).key)
    assert store.keep(entry(99))
    assert store.find(entry(99).key) is not None


def test_a_file_of_a_newer_version_is_put_aside_whole(store: CacheStore, notes: list[str]) -> None:
    store.keep(entry(1))
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    newer = CacheStore(store.path, note=notes.append)
    assert newer.find(entry(1).key) is None
    assert newer.keep(entry(2))
    newer.close()
    assert keys(newer) == {2}
    (kept,) = aside(store, "newer")
    with sqlite3.connect(kept) as connection:
        assert connection.execute("SELECT count(*) FROM answers").fetchone() == (1,)
    connection.close()
    assert "newer version" in notes[0]
    newer.close()


def test_the_database_of_another_program_is_not_written_to(store: CacheStore) -> None:
    store.path.parent.mkdir()
    with sqlite3.connect(store.path) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    assert store.keep(entry(1))
    with sqlite3.connect(aside(store, "damaged")[0]) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
    connection.close()


def test_what_an_older_version_left_is_dropped(store: CacheStore, notes: list[str]) -> None:
    store.keep(entry(1))
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute("PRAGMA user_version = 0")
    connection.close()
    again = CacheStore(store.path, note=notes.append)
    assert again.keep(entry(2))
    assert keys(again) == {2}
    assert notes == []
    again.close()


@pytest.mark.parametrize("where", ["a folder", "a pipe", "a folder that is a file"])
async def test_a_place_that_cannot_hold_a_cache_costs_only_the_cache(
    tmp_path: Path, notes: list[str], where: str
) -> None:
    path = tmp_path / "state" / "cache.db"
    if where == "a folder that is a file":
        path.parent.write_text("x")
    else:
        path.parent.mkdir()
        path.mkdir() if where == "a folder" else os.mkfifo(path)
    provider = CountingWires()
    wires = CachedWires(CacheStore(path, note=notes.append), provider)
    assert [(await send(wires)).text for _ in range(2)] == ["hello", "hello"]
    assert provider.calls == 2
    wires.close()
    assert len(notes) == 1
    assert "goes on without" in notes[0]


async def test_a_full_disk_costs_only_the_cache(store: CacheStore, notes: list[str]) -> None:
    wires = CachedWires(store, CountingWires())
    await send(wires, "first")
    pages = store.database.read("PRAGMA page_count")[0][0]
    store.database.read(f"PRAGMA max_page_count = {pages}")
    provider = CountingWires([completion("x" * 60_000)])
    full = CachedWires(store, provider)
    assert len((await send(full, "second")).text) > 50_000
    assert (await send(full, "first")).saved is not None
    assert len(notes) == 1
    assert "the disk is full" in notes[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_read_only_cache_is_read(store: CacheStore, notes: list[str]) -> None:
    await send(CachedWires(store, CountingWires()))
    store.close()
    store.path.chmod(0o400)
    store.path.parent.chmod(0o500)
    provider = CountingWires()
    wires = CachedWires(CacheStore(store.path, note=notes.append), provider)
    try:
        assert (await send(wires)).saved is not None
        await send(wires, "other")
        assert provider.calls == 1
        wires.close()
    finally:
        store.path.parent.chmod(0o700)
    assert len(notes) == 1
    assert "read-only" in notes[0]


def test_an_answer_that_is_too_large_does_not_keep_out_those_written_with_it(tmp_path: Path) -> None:
    store = CacheStore(tmp_path / "cache.db", Limits(max_bytes=12_000))
    entries = [entry(1), entry(2, "x" * 13_000), entry(3)]
    assert store.keep_all(entries) == [True, False, True]
    assert keys(store) == {1, 3}
    store.close()
