"""The exact cache on disk: find, keep and forget answers; what was used and saved is written in batches.

An answer is written at once, because other processes wait for it. Uses and counts are gathered in memory and written
now and then, so that a hit costs no write.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from promptstudio.cache.database import Database, Note, Statement
from promptstudio.cache.locks import Right, Rights
from promptstudio.cache.schema import Entry, Kept, Limits, ModelStats, NewEntry, Stats, moment_of
from promptstudio.errors import NotFoundError, UsageError
from promptstudio.types import Saved

FLUSH_EVERY_S = 5.0
FLUSH_AT = 500
TRIM_EVERY = 200
ROW_BYTES = 200
"""What a row costs beside its texts, about."""
FULL_SHARE = 0.9
"""A full cache is emptied to this share, so that it is not trimmed at every answer."""

FIND = "SELECT reply, cost_usd, duration_ms, created_at FROM answers WHERE key = ?"
KEEP = """INSERT INTO answers (key, created_at, used_at, size, prompt, model, parts, reply, cost_usd, duration_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET created_at = excluded.created_at,
used_at = excluded.used_at, size = excluded.size, prompt = excluded.prompt, model = excluded.model,
parts = excluded.parts, reply = excluded.reply, cost_usd = excluded.cost_usd, duration_ms = excluded.duration_ms"""
USED = "UPDATE answers SET used_at = max(used_at, ?), hits = hits + ? WHERE key = ?"
COUNTED = """INSERT INTO counts (day, model, hits, misses, not_kept, unpriced, saved_nanousd, saved_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (day, model) DO UPDATE SET hits = hits + excluded.hits,
misses = misses + excluded.misses, not_kept = not_kept + excluded.not_kept, unpriced = unpriced + excluded.unpriced,
saved_nanousd = saved_nanousd + excluded.saved_nanousd, saved_ms = saved_ms + excluded.saved_ms"""
ENTRY = "SELECT key, prompt, model, created_at, used_at, hits, size, cost_usd, duration_ms, parts FROM answers"
BY_MODEL = """SELECT model, sum(hits), sum(misses), sum(not_kept), sum(unpriced), sum(saved_nanousd), sum(saved_ms)
FROM counts GROUP BY model ORDER BY model"""


class CacheStore:
    """The answers of one project, or of one user outside a project. May be used from several threads."""

    def __init__(
        self,
        path: Path,
        limits: Limits | None = None,
        note: Note = lambda _text: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.database = Database(path, note)
        self.limits = limits or Limits()
        self._clock = clock
        self._uses: Counter[bytes] = Counter()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._puts = 0
        self._flushed_at = time.monotonic()
        self._rights = Rights(self.database.path)

    @property
    def path(self) -> Path:
        return self.database.path

    def find(self, key: bytes) -> Kept | None:
        """Return the answer under a key if there is one that is not too old."""
        for reply, cost_usd, duration_ms, created_at in self.database.read(FIND, (key,)):
            if created_at < self._oldest():
                return None
            try:
                return Kept(json.loads(reply), _saved(cost_usd, duration_ms))
            except ValueError:  # half a row, as a failing disk leaves it
                self.forget(key)
        return None

    def keep(self, entry: NewEntry) -> bool:
        """Store an answer for everyone, at once; False where it could not be."""
        return self.keep_all([entry])[0]

    def keep_all(self, entries: Sequence[NewEntry]) -> list[bool]:
        """Store answers in one transaction; say of each whether it is stored."""
        now = int(self._clock())
        rows = [self._row(entry, now) for entry in entries]
        statements = [(KEEP, row) for row in rows if row is not None]
        is_written = bool(statements) and self.database.write(statements) is not None
        before, self._puts = self._puts, self._puts + len(statements)
        if before // TRIM_EVERY != self._puts // TRIM_EVERY:
            self.trim()
        return [is_written and row is not None for row in rows]

    def _row(self, entry: NewEntry, now: int) -> tuple[Any, ...] | None:
        """Return an answer's columns; None for one that is larger than the whole store may be."""
        parts = json.dumps(entry.parts, ensure_ascii=True)
        size = len(entry.reply) + len(parts) + ROW_BYTES
        if size > self.limits.max_bytes:
            return None
        cost = None if entry.saved.cost_usd is None else str(entry.saved.cost_usd)
        return (entry.key, now, now, size, entry.prompt, entry.model, parts, entry.reply, cost, entry.saved.duration_ms)

    def forget(self, key: bytes) -> None:
        self.database.write([("DELETE FROM answers WHERE key = ?", (key,))])

    def count_hit(self, key: bytes, model: str, saved: Saved) -> None:
        """Remember a use; written with the next batch."""
        self._uses[key] += 1
        self._counts[model, "hits"] += 1
        self._counts[model, "saved_ms"] += saved.duration_ms
        if saved.cost_usd is None:
            self._counts[model, "unpriced"] += 1
        else:
            self._counts[model, "saved_nanousd"] += round(saved.cost_usd * 1_000_000_000)
        self._flush_now_and_then()

    def count_miss(self, model: str, *, kept: bool) -> None:
        self._counts[model, "misses"] += 1
        if not kept:
            self._counts[model, "not_kept"] += 1
        self._flush_now_and_then()

    def claim(self, key: bytes) -> Right:
        """Return the right, not yet taken, to be the one who asks for an answer."""
        return self._rights.right(key)

    def flush(self) -> None:
        """Write what was used and counted since the last time."""
        uses, self._uses = self._uses, Counter()
        counts, self._counts = self._counts, Counter()
        self._flushed_at = time.monotonic()
        if uses or counts:
            now = int(self._clock())
            day = moment_of(now).date().isoformat()
            statements: list[Statement] = [(USED, (now, number, key)) for key, number in uses.items()]
            models = sorted({model for model, _ in counts})
            names = ("hits", "misses", "not_kept", "unpriced", "saved_nanousd", "saved_ms")
            statements += [(COUNTED, (day, model, *(counts[model, name] for name in names))) for model in models]
            self.database.write(statements)

    def close(self) -> None:
        self.flush()
        if self._puts:
            self.trim()
        self.database.close()
        self._rights.close()

    def trim(self) -> int:
        """Remove what is too old, then what was not used for longest until the rest fits; return how many."""
        removed = self.database.write([("DELETE FROM answers WHERE created_at < ?", (self._oldest(),))]) or 0
        total = int((self.database.read("SELECT total(size) FROM answers") or [(0,)])[0][0])
        if total > self.limits.max_bytes:
            removed += self._remove(self._least_used(total - int(self.limits.max_bytes * FULL_SHARE)))
        if removed:
            self.database.shrink()
        return removed

    def prune(self, *, older_than: int | None = None) -> int:
        """Remove answers stored before a moment (seconds since 1970), expired ones and what does not fit."""
        removed = 0
        if older_than is not None:
            removed = self.database.write([("DELETE FROM answers WHERE created_at < ?", (older_than,))]) or 0
        removed += self.trim()
        self.database.shrink()
        self._rights.sweep()
        return removed

    def would_prune(self, *, older_than: int | None = None) -> int:
        """Return how many answers `prune` would remove for their age."""
        limit = max(self._oldest(), older_than or 0)
        found = self.database.read("SELECT count(*) FROM answers WHERE created_at < ?", (limit,))
        return int(found[0][0]) if found else 0

    def clear(self) -> int:
        """Remove all answers; what was counted stays."""
        removed = self.database.write([("DELETE FROM answers", ())]) or 0
        self.database.shrink()
        self._rights.sweep()
        return removed

    def entries(self, *, limit: int = 20, prompt: str | None = None, model: str | None = None) -> list[Entry]:
        """Return the latest used first."""
        where = [f"{name} = ?" for name, value in (("prompt", prompt), ("model", model)) if value is not None]
        sql = ENTRY + (f" WHERE {' AND '.join(where)}" if where else "") + " ORDER BY used_at DESC, id DESC LIMIT ?"
        values = [value for value in (prompt, model) if value is not None]
        return [self._entry(row) for row in self.database.read(sql, (*values, limit))]

    def entry(self, name: str) -> Entry:
        """Return the entry whose id begins so. Raises NotFoundError or UsageError."""
        word = name.strip().lower()
        if not word or len(word) > 64 or set(word) - set("0123456789abcdef"):
            raise NotFoundError(f"no entry of the cache is called {name[:70]!r}", hint="`ps cache ls` lists them")
        low, high = bytes.fromhex(word.ljust(64, "0")), bytes.fromhex(word.ljust(64, "f"))
        found = self.database.read(ENTRY + " WHERE key BETWEEN ? AND ? LIMIT 2", (low, high))
        if not found:
            raise NotFoundError(f"no entry of the cache begins with {name!r}", hint="`ps cache ls` lists them")
        if len(found) > 1:
            raise UsageError(f"several entries of the cache begin with {name!r}", hint="give more of the id")
        return self._entry(found[0])

    def find_entry(self, key: bytes) -> Entry | None:
        found = self.database.read(ENTRY + " WHERE key = ?", (key,))
        return self._entry(found[0]) if found else None

    def stats(self) -> Stats:
        """Count everything; an absent file is an empty cache."""
        number, expired, size = (
            self.database.read(
                "SELECT count(*), coalesce(sum(created_at < ?), 0), coalesce(sum(size), 0) FROM answers",
                (self._oldest(),),
            )
            or [(0, 0, 0)]
        )[0]
        models = self.database.read(BY_MODEL)
        since = self.database.read("SELECT min(day) FROM counts")
        listed = tuple(_model_stats(row) for row in models)
        return Stats(
            place=str(self.path),
            entries=number,
            expired=expired,
            answer_bytes=size,
            file_bytes=sum(_size(self.path.with_name(self.path.name + end)) for end in ("", "-wal")),
            since=since[0][0] if since else None,
            total=_total(listed),
            models=listed,
        )

    def _oldest(self) -> int:
        return 0 if self.limits.ttl_s is None else int(self._clock()) - self.limits.ttl_s

    def _flush_now_and_then(self) -> None:
        if len(self._uses) >= FLUSH_AT or time.monotonic() - self._flushed_at > FLUSH_EVERY_S:
            self.flush()

    def _least_used(self, surplus: int) -> list[int]:
        doomed = []
        for row_id, size in self.database.read("SELECT id, size FROM answers ORDER BY used_at, id"):
            if surplus <= 0:
                break
            doomed.append(row_id)
            surplus -= size
        return doomed

    def _remove(self, ids: Iterable[int]) -> int:
        return self.database.write([("DELETE FROM answers WHERE id = ?", (row_id,)) for row_id in ids]) or 0

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        key, prompt, model, created_at, used_at, hits, size, cost_usd, duration_ms, parts = row
        return Entry(
            id=key.hex(),
            prompt=prompt,
            model=model,
            created_at=moment_of(created_at),
            used_at=moment_of(used_at),
            hits=hits + self._uses[key],
            size_bytes=size,
            saved=_saved(cost_usd, duration_ms),
            is_expired=created_at < self._oldest(),
            parts=_mapping(parts),
        )


def _saved(cost_usd: str | None, duration_ms: int) -> Saved:
    return Saved(None if cost_usd is None else Decimal(cost_usd), duration_ms)


def _mapping(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _model_stats(row: tuple[Any, ...]) -> ModelStats:
    model, hits, misses, not_kept, unpriced, saved_nanousd, saved_ms = row
    return ModelStats(model, hits, misses, not_kept, unpriced, Decimal(saved_nanousd) / 1_000_000_000, saved_ms)


def _total(models: Iterable[ModelStats]) -> ModelStats:
    total = ModelStats("")
    for one in models:
        total = ModelStats(
            model="",
            hits=total.hits + one.hits,
            misses=total.misses + one.misses,
            not_kept=total.not_kept + one.not_kept,
            unpriced=total.unpriced + one.unpriced,
            saved_usd=total.saved_usd + one.saved_usd,
            saved_ms=total.saved_ms + one.saved_ms,
        )
    return total


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
