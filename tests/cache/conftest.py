"""A provider that counts, a store in tmp, and the cache between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cache_samples import CountingWires

from promptstudio.cache.schema import Limits
from promptstudio.cache.store import CacheStore
from promptstudio.cache.wire import CachedWires


@pytest.fixture
def provider() -> CountingWires:
    return CountingWires()


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, notes: list[str]) -> Iterator[CacheStore]:
    opened = CacheStore(tmp_path / "state" / "cache.db", Limits(), notes.append)
    yield opened
    opened.close()


@pytest.fixture
def wires(store: CacheStore, provider: CountingWires) -> CachedWires:
    return CachedWires(store, provider)
