"""Cassettes as wires: `RecordingWires` write down what providers answer, `ReplayWires` answer in their place.

Requests are matched by content, in any order. The k-th identical request of a run gets the k-th recorded answer; where
the caller says which repeat it is, that number counts instead. Nothing of a provider is loaded for a replay.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from promptstudio.cache.answer import kept_reply, stream_again
from promptstudio.cache.cassette import Answer, Cassette, raw_of
from promptstudio.cache.embeddings import RecordingEmbeddingWire, ReplayedEmbeddingWire
from promptstudio.cache.folder import CassetteFolder
from promptstudio.cache.request import Clean, Content, cleaned, content_id, content_of
from promptstudio.errors import NotFoundError
from promptstudio.prompts.secrets import redact
from promptstudio.providers.schema import (
    Connection,
    Emit,
    Event,
    Reach,
    ReasoningDelta,
    Reply,
    TextDelta,
    Wire,
    WireCall,
    Wires,
)
from promptstudio.types import Saved, Usage

SHORTEST_SECRET = 8


class RecordingWires:
    """`Wires` that write down what goes over those of `inner`. `redacted` counts answers a secret was taken out of."""

    def __init__(self, folder: CassetteFolder, inner: Wires) -> None:
        folder.make()
        self.folder = folder
        self.inner = inner
        self.files: set[Path] = set()
        self.redacted = 0
        self.asked: Counter[str] = Counter()
        self.recorded: set[tuple[str, int]] = set()
        self.turns: WeakValueDictionary[tuple[int, str, int], asyncio.Lock] = WeakValueDictionary()

    @property
    def reach(self) -> Reach:
        return self.inner.reach

    def wire_for(self, connection: Connection, call: WireCall) -> Wire:
        if call.embeds:
            return RecordingEmbeddingWire(self, call, _clean_for(connection))
        return RecordWire(self, self.inner.wire_for(connection, call), call)


class RecordWire:
    """The wire of one call, with a pen."""

    def __init__(self, wires: RecordingWires, inner: Wire, call: WireCall) -> None:
        self._wires = wires
        self._inner = inner
        self._call = call

    async def send(
        self, connection: Connection, arguments: Mapping[str, Any], *, timeout_s: float, emit: Emit | None
    ) -> Reply:
        """Ask, and write the answer down. An error is raised and not recorded."""
        clean = _clean_for(connection)
        content = content_of(arguments, connection.model, clean)
        found_id = content_id(content)
        if self._call.repeat is None:
            return await self._asked(connection, arguments, timeout_s, emit, content, clean, number=None)
        number = self._call.repeat + 1
        turn = self._turn(found_id, number)
        async with turn:  # the same repeat of the same request is one recording, and one call
            if (found_id, number) not in self._wires.recorded:
                return await self._asked(connection, arguments, timeout_s, emit, content, clean, number)
        cassette = await asyncio.to_thread(self._wires.folder.find, found_id)
        assert cassette is not None, "it was recorded in this run"  # noqa: S101
        return await _replayed(cassette, number, arguments, emit)

    def _turn(self, found_id: str, number: int) -> asyncio.Lock:
        key = (id(asyncio.get_running_loop()), found_id, number)
        turn = self._wires.turns.get(key)
        if turn is None:
            turn = self._wires.turns[key] = asyncio.Lock()
        return turn

    async def _asked(
        self,
        connection: Connection,
        arguments: Mapping[str, Any],
        timeout_s: float,
        emit: Emit | None,
        content: Content,
        clean: Clean,
        number: int | None,
    ) -> Reply:
        tap = _Tap(emit)
        started = time.monotonic()
        reply = await self._inner.send(connection, arguments, timeout_s=timeout_s, emit=tap.emit if emit else None)
        duration_ms = round((time.monotonic() - started) * 1000)
        wires, found_id = self._wires, content_id(content)
        if number is None:
            wires.asked[found_id] += 1
            number = wires.asked[found_id]
        answer = _answer_of(reply, number, duration_ms, tap, clean)
        wires.redacted += answer.message != _message_of(reply)
        path = await asyncio.to_thread(wires.folder.record, found_id, self._call.prompt, content, answer)
        wires.files.add(path)
        wires.recorded.add((found_id, number))
        return reply


class ReplayWires:
    """`Wires` that lead to a folder of cassettes and nowhere else."""

    reach: Reach = "never"

    def __init__(self, folder: CassetteFolder) -> None:
        folder.must_exist()
        self.folder = folder
        self.files: set[Path] = set()
        self.asked: Counter[str] = Counter()

    def wire_for(self, connection: Connection, call: WireCall) -> Wire:  # noqa: ARG002  the shape of `Wires`
        return ReplayedEmbeddingWire(self, call, _without_secrets) if call.embeds else ReplayWire(self, call)


class ReplayWire:
    """The wire of one call into the folder."""

    def __init__(self, wires: ReplayWires, call: WireCall) -> None:
        self._wires = wires
        self._call = call

    async def send(
        self,
        connection: Connection,
        arguments: Mapping[str, Any],
        *,
        timeout_s: float,  # noqa: ARG002  the shape of a wire
        emit: Emit | None,
    ) -> Reply:
        """Answer from the cassette of this request. Raises NotFoundError where there is none, or no such repeat."""
        content = content_of(arguments, connection.model, _without_secrets)
        found_id = content_id(content)
        number = self._number(found_id)
        cassette = await asyncio.to_thread(self._wires.folder.find, found_id)
        if cassette is None:
            raise await asyncio.to_thread(self._wires.folder.missing, content, self._call.prompt)
        self._wires.files.add(self._wires.folder.path / Path(cassette.file).name)
        return await _replayed(cassette, number, arguments, emit)

    def _number(self, found_id: str) -> int:
        if self._call.repeat is not None:
            return self._call.repeat + 1
        self._wires.asked[found_id] += 1
        return self._wires.asked[found_id]


async def _replayed(cassette: Cassette, number: int, arguments: Mapping[str, Any], emit: Emit | None) -> Reply:
    answer = cassette.answer(number)
    if answer is None:
        listed = ", ".join(str(one.number) for one in cassette.answers[:8])
        raise NotFoundError(
            f"this request is made for time {number}, and its recorded answers are those of time {listed}",
            file=cassette.file,
            hint="record again: the same command with --record instead of --replay",
        )
    raw = raw_of(answer, cassette.id)
    if emit is not None:
        await stream_again(
            raw, emit, typed=bool(arguments.get("_typed")),
            pieces=answer.pieces, reasoning_pieces=answer.reasoning_pieces,
        )  # fmt: skip
    return kept_reply(raw, Saved(answer.cost_usd, answer.duration_ms))


@lru_cache(maxsize=512)
def _without_secrets(text: str) -> str:
    """Many requests share long texts: instructions, schemas, few-shot examples."""
    return redact(text)


class _Tap:
    """Passes events on and remembers the lengths of the pieces that text came in."""

    def __init__(self, emit: Emit | None) -> None:
        self._emit = emit
        self.pieces: list[int] = []
        self.reasoning_pieces: list[int] = []

    def emit(self, event: Event) -> None:
        if isinstance(event, TextDelta):
            self.pieces.append(len(event.text))
        elif isinstance(event, ReasoningDelta):
            self.reasoning_pieces.append(len(event.text))
        if self._emit is not None:
            self._emit(event)


def _clean_for(connection: Connection) -> Clean:
    """Texts without secrets: those of this very connection, and whatever has the shape of one."""
    own = [value for value in (connection.api_key, *connection.headers.values()) if len(value or "") >= SHORTEST_SECRET]

    def clean(text: str) -> str:
        for secret in own:
            text = text.replace(secret or "", "[redacted: key]")
        return _without_secrets(text)

    return clean


def _answer_of(reply: Reply, number: int, duration_ms: int, tap: _Tap, clean: Clean) -> Answer:
    return Answer(
        number=number,
        message=cleaned(_message_of(reply), clean),
        finish_reason=reply.finish_reason,
        model=reply.resolved_model,
        usage=_counts(reply.usage),
        cost_usd=reply.cost_usd,
        duration_ms=duration_ms,
        pieces=tuple(tap.pieces),
        reasoning_pieces=tuple(tap.reasoning_pieces),
    )


def _message_of(reply: Reply) -> dict[str, Any]:
    """The assistant message in the chat format, without what is empty and without what a provider repeats in it."""
    message = ((reply.raw.get("choices") or [{}])[0]).get("message") or {}
    kept = {name: value for name, value in message.items() if value not in (None, [], {}) or name == "content"}
    kept.pop("provider_specific_fields", None)
    kept.pop("tool_calls", None)
    if kept.pop("reasoning", None) or "reasoning_content" in kept:
        kept["reasoning_content"] = reply.reasoning
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in reply.tool_calls
    ]
    return {"role": "assistant", "content": None, **kept, **({"tool_calls": calls} if calls else {})}


def _counts(usage: Usage) -> dict[str, int]:
    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }
    return {name: value for name, value in counts.items() if value is not None}
