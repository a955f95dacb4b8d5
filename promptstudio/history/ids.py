"""Row ids and times. An id is a UUIDv7 (RFC 9562): it sorts by the moment it was made, in one process strictly so.

A time is stored as UTC text with microseconds, which is what SQLAlchemy writes for a SQLite DateTime.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from datetime import UTC, datetime

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """Return a UUIDv7: 48 bits of milliseconds, 12 bits of the fraction of that millisecond, 62 random bits."""
    global _last  # noqa: PLW0603  the one counter that keeps the ids of this process in order
    milliseconds, rest_ns = divmod(time.time_ns(), 1_000_000)
    with _lock:
        # The clock may stand still or be set back; the order of ids may not.
        _last = max(_last + 1, milliseconds << 12 | rest_ns * 4096 // 1_000_000)
        ticks = _last
    high = (ticks >> 12) << 16 | 0x7000 | ticks & 0xFFF
    low = 0x8000_0000_0000_0000 | int.from_bytes(os.urandom(8), "big") >> 2
    digits = f"{high:016x}{low:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def short_id(full: str) -> str:
    """Return the time part of an id with the fraction of its millisecond: rows run at once share the millisecond."""
    return full[:18]


def utc_now() -> datetime:
    return datetime.now(UTC)


def naive(moment: datetime) -> datetime:
    """Return the UTC time without its zone, as databases keep it; a time without a zone is taken as local."""
    with contextlib.suppress(OverflowError):  # the first or last day of the calendar: no zone moves it
        moment = moment.astimezone(UTC)
    return moment.replace(tzinfo=None)


def stamp(moment: datetime) -> str:
    """Return the stored text of a naive UTC time."""
    return moment.isoformat(sep=" ", timespec="microseconds")


def moment_of(stored: str | datetime) -> datetime:
    """Return the aware UTC time behind a stored value: text from SQLite, a naive datetime from other databases."""
    value = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
