"""The shapes of the exact cache: its limits, an entry, and what it has been good for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from promptstudio.config import Settings
from promptstudio.types import Saved

MEGABYTE = 1_000_000
_AGE = re.compile(r"(\d{1,6})([mhdw])")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Limits:
    """How long an answer is good for, and how much may lie there; `ttl_s` None is for ever."""

    ttl_s: int | None = 30 * 86_400
    max_bytes: int = 512 * MEGABYTE


def limits_of(settings: Settings) -> Limits:
    """Read `[cache] ttl` and `max_size_mb`, which the settings have checked."""
    ttl = settings.cache.get("ttl") or "30d"
    size_mb = settings.cache.get("max_size_mb") or 512
    return Limits(None if ttl == "never" else age_s(ttl), int(size_mb) * MEGABYTE)


def age_s(text: str) -> int:
    """Return the seconds of `30m`, `12h`, `7d` or `4w`. Raises ValueError for anything else."""
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no age")
    return int(found[1]) * _SECONDS[found[2]]


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored answer: the completion as it came, and what it had cost."""

    raw: Mapping[str, Any] = field(repr=False)
    saved: Saved


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An answer on its way into the cache. `parts` are those of its key, for `explain`."""

    key: bytes
    prompt: str
    model: str
    parts: Mapping[str, Any]
    reply: str = field(repr=False)
    saved: Saved


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a stored answer without its text. `id` is the key as hex."""

    id: str
    prompt: str
    model: str
    created_at: datetime
    used_at: datetime
    hits: int
    size_bytes: int
    saved: Saved
    is_expired: bool
    parts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def short_id(self) -> str:
        return self.id[:12]


@dataclass(frozen=True, slots=True)
class ModelStats:
    """What the cache has been good for, for one model or in all. `unpriced` hits had no known price."""

    model: str
    hits: int = 0
    misses: int = 0
    not_kept: int = 0
    unpriced: int = 0
    saved_usd: Decimal = Decimal(0)
    saved_ms: int = 0

    @property
    def hit_rate(self) -> float | None:
        asked = self.hits + self.misses
        return self.hits / asked if asked else None


@dataclass(frozen=True, slots=True)
class Stats:
    """The whole cache. `since` is the day from which hits were counted."""

    place: str
    entries: int
    expired: int
    answer_bytes: int
    file_bytes: int
    since: str | None
    total: ModelStats
    models: tuple[ModelStats, ...]


def moment_of(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
