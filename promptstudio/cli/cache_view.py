"""An explanation of the cache → the lines of its page, or one JSON object. Reads nothing, prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from promptstudio.cache.explain import Explanation
from promptstudio.cache.schema import Entry
from promptstudio.history.schema import HistoryRow
from promptstudio.output.terminal import columns


def explanation_lines(found: Explanation, row: HistoryRow | None) -> Iterator[str]:
    """Yield the answer first, then what it rests on."""
    yield from columns(list(_facts(found, row)))
    if found.nearest is not None:
        yield from ("", f"nearest other entry: {found.nearest.short_id} of {found.nearest.prompt}")
        yield from (f"  {one}" for one in found.differences or ("no part differs",))
    yield from ("", "parts of the key")
    yield from (f"  {line}" for line in columns([(name, str(value)) for name, value in found.asked.parts.items()]))


def _facts(found: Explanation, row: HistoryRow | None) -> Iterator[tuple[str, str]]:
    if row is not None:
        how = "was answered without a call" if row.cached else "asked the provider"
        yield "run", f"{row.short_id}  {row.prompt}  {how}"
    yield "now", "would hit" if found.hits else f"would miss: {'; '.join(found.reasons)}"
    yield "key", found.asked.id
    if found.entry is not None:
        stored = found.entry.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
        yield "stored", f"{stored}, {found.entry.hits:,} hit{'' if found.entry.hits == 1 else 's'} since"


def explanation_object(
    found: Explanation, row: HistoryRow | None, entry_object: Callable[[Entry], dict[str, Any]]
) -> dict[str, Any]:
    """Return the explanation as plain data."""
    return {
        "run": None if row is None else {"id": row.id, "prompt": row.prompt, "cached": row.cached},
        "hits": found.hits,
        "reasons": list(found.reasons),
        "key": found.asked.id,
        "parts": dict(found.asked.parts),
        "entry": entry_object(found.entry) if found.entry else None,
        "nearest": entry_object(found.nearest) if found.nearest else None,
        "differences": list(found.differences),
    }
