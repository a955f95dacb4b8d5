"""Why a request hits or misses the cache: its key in parts, beside the entry that is most like it.

A key is a hash, so an entry remembers the parts it was made of: short values as they are, texts and schemas as hashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from promptstudio.cache.request import cache_key, content_of, key_parts
from promptstudio.cache.schema import Entry
from promptstudio.cache.store import CacheStore
from promptstudio.errors import PromptStudioError
from promptstudio.providers.schema import Connection, Emit, Reach, Reply, Wire, WireCall

MAX_COMPARED = 1_000
_ABSENT = object()
# How a run ended → why its answer is not in the cache.
_NEVER_KEPT = {
    "length": "its answer was cut off at the token limit, and those are never kept",
    "content_filter": "its answer was cut by a content filter, and those are never kept",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the cache sees it."""

    id: str
    prompt: str
    parts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explanation:
    """`hits` is what the same request would meet now, `reasons` say why not; `nearest` is the entry most like it."""

    asked: Asked
    entry: Entry | None
    hits: bool
    reasons: tuple[str, ...] = ()
    nearest: Entry | None = None
    differences: tuple[str, ...] = ()


def explain(store: CacheStore, asked: Asked, reasons: tuple[str, ...] = ()) -> Explanation:
    """Look the request up. `reasons` are what else is known of why it is not there."""
    entry = store.find_entry(bytes.fromhex(asked.id))
    near = _nearest(store, asked)
    differing = tuple(part_differences(asked.parts, near.parts)) if near else ()
    if entry is not None and not entry.is_expired:
        return Explanation(asked, entry, hits=True, nearest=near, differences=differing)
    if entry is not None:
        reasons = ("it is older than cache.ttl", *reasons)
    elif not reasons:
        reasons = ("nothing is stored under its key",)
    return Explanation(asked, entry, hits=False, reasons=reasons, nearest=near, differences=differing)


def never_kept(finish_reason: str | None, status: str) -> tuple[str, ...]:
    """Return why the answer of a past run was not stored, as far as its end tells."""
    if status != "completed":
        return (f"it ended as {status}, and errors are never kept",)
    return (_NEVER_KEPT[finish_reason],) if finish_reason in _NEVER_KEPT else ()


def part_differences(asked: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each part of a key that differs."""
    found = []
    for name in dict.fromkeys([*asked, *stored]):
        ours, theirs = asked.get(name, _ABSENT), stored.get(name, _ABSENT)
        if ours == theirs:
            continue
        if theirs is _ABSENT:
            found.append(_lone(name, ours, "here", "there"))
        elif ours is _ABSENT:
            found.append(_lone(name, theirs, "there", "here"))
        elif _is_hashed(name):
            found.append(f"{name} differs")
        else:
            found.append(f"{name} is {theirs} there, {ours} here")
    return found


def _is_hashed(name: str) -> bool:
    return name.startswith(("messages", "tools", "tool_choice", "response_format", "schema"))


def _lone(name: str, value: Any, where: str, elsewhere: str) -> str:
    shown = "" if _is_hashed(name) else f"{value} "
    return f"{name} is {shown}{where} and absent {elsewhere}"


def _nearest(store: CacheStore, asked: Asked) -> Entry | None:
    others = store.entries(limit=MAX_COMPARED, prompt=asked.prompt) or store.entries(limit=MAX_COMPARED)
    others = [one for one in others if one.id != asked.id]
    return max(others, key=lambda one: _equal_parts(asked.parts, one.parts), default=None)


def _equal_parts(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    names = {*one, *other}
    equal = [name for name in names if one.get(name, _ABSENT) == other.get(name, _ABSENT)]
    return len(equal) / max(1, len(names))


class StoppedError(PromptStudioError):
    """Ends a run at the wire, when what would be asked is known."""


@dataclass
class LookingWires:
    """`Wires` that ask nobody: the first request of a run is noted in `asked`, and the run stopped."""

    reach: Reach = "never"
    asked: list[Asked] = field(default_factory=list)

    def wire_for(self, connection: Connection, call: WireCall) -> Wire:  # noqa: ARG002  the shape of `Wires`
        return _LookingWire(self.asked, call)


@dataclass
class _LookingWire:
    asked: list[Asked]
    call: WireCall

    async def send(
        self,
        connection: Connection,
        arguments: Mapping[str, Any],
        *,
        timeout_s: float,  # noqa: ARG002  the shape of a wire
        emit: Emit | None,  # noqa: ARG002
    ) -> Reply:
        content = content_of(arguments, connection.model)
        key = cache_key(content, connection, self.call.repeat)
        self.asked.append(Asked(key.hex(), self.call.prompt, key_parts(content, connection, self.call.repeat)))
        raise StoppedError("looked up, not asked")
