"""The exact cache as wires around wires: the same request is answered from the store, and asked once at a time.

N identical requests at once make one call, within a process (a shared future) and between processes (a claim). Whoever
waits does so for the call's timeout at most, then asks for itself; where the one who asked failed, the next one tries.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from promptstudio.cache.answer import as_kept, kept_reply, stream_again, why_not_kept
from promptstudio.cache.embeddings import CachedEmbeddingWire
from promptstudio.cache.locks import Right
from promptstudio.cache.request import Content, cache_key, content_of, key_parts
from promptstudio.cache.schema import NewEntry
from promptstudio.cache.store import CacheStore
from promptstudio.providers.call import load_libraries
from promptstudio.providers.schema import Connection, Emit, Reach, Reply, Wire, WireCall, Wires
from promptstudio.types import Saved

FIRST_LOOK_S = 0.01
LONGEST_LOOK_S = 0.2
Flight = tuple[asyncio.AbstractEventLoop, bytes]
Waiting = tuple[NewEntry, asyncio.Future[bool]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request on its way through the cache."""

    key: bytes
    content: Content
    connection: Connection
    arguments: Mapping[str, Any]
    timeout_s: float
    emit: Emit | None
    deadline: float

    @property
    def left_s(self) -> float:
        return self.deadline - time.monotonic()


class _Writing:
    """Answers on their way into the store: those that come while others are written share the next transaction."""

    def __init__(self, store: CacheStore) -> None:
        self._store = store
        self._waiting: dict[asyncio.AbstractEventLoop, list[Waiting]] = {}
        self._writers: set[asyncio.Task[None]] = set()  # the loop itself holds its tasks weakly

    async def keep(self, entry: NewEntry) -> bool:
        """Return whether the answer is in the store, when that is known."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()
        if loop in self._waiting:
            self._waiting[loop].append((entry, done))
        else:
            self._waiting[loop] = [(entry, done)]
            writer = loop.create_task(self._write(loop))
            self._writers.add(writer)
            writer.add_done_callback(self._writers.discard)
        return await done

    async def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        taken: list[Waiting] = []
        try:
            while taken := self._waiting[loop]:
                self._waiting[loop] = []
                await self._write_some(taken)
        finally:  # where the loop is ending, nobody is left waiting
            for _, done in (*taken, *self._waiting.pop(loop)):
                done.cancel()

    async def _write_some(self, taken: list[Waiting]) -> None:
        try:
            kept = await asyncio.to_thread(self._store.keep_all, [entry for entry, _ in taken])
        except Exception as error:  # noqa: BLE001 - raised in each of those who wait
            for _, done in taken:
                if not done.done():
                    done.set_exception(error)
            return
        for (_, done), is_kept in zip(taken, kept, strict=True):
            if not done.done():
                done.set_result(is_kept)


class CachedWires:
    """`Wires` with the cache around those of `inner`. Verdicts go past it."""

    def __init__(self, store: CacheStore, inner: Wires, *, keeps_secrets: bool = False) -> None:
        self.store = store
        self.inner = inner
        self.keeps_secrets = keeps_secrets
        self.flights: dict[Flight, asyncio.Future[Reply | None]] = {}
        self.writing = _Writing(store)
        self.loaded: set[str] = set()

    @property
    def reach(self) -> Reach:
        return "perhaps" if self.inner.reach == "always" else self.inner.reach

    def wire_for(self, connection: Connection, call: WireCall) -> Wire:
        if call.embeds:
            return CachedEmbeddingWire(self, call)
        return self.inner.wire_for(connection, call) if call.is_verdict else CacheWire(self, call)

    def close(self) -> None:
        self.store.close()


class CacheWire:
    """The wire of one call. It makes the wire below only when it is needed."""

    def __init__(self, wires: CachedWires, call: WireCall) -> None:
        self._wires = wires
        self._store = wires.store
        self._call = call
        self._inner: Wire | None = None
        self._last: bytes | None = None

    async def send(
        self, connection: Connection, arguments: Mapping[str, Any], *, timeout_s: float, emit: Emit | None
    ) -> Reply:
        """Answer from the store, or ask and store."""
        try:
            content = content_of(arguments, connection.model)
            key = cache_key(content, connection, self._call.repeat)
        except (TypeError, ValueError):  # a parameter that is no JSON: there is nothing to compare
            return await self._ask(connection, arguments, timeout_s, emit)
        self._last = key
        asked = _Asked(key, content, connection, arguments, timeout_s, emit, time.monotonic() + timeout_s)
        return await self._found(asked) or await self._shared(asked)

    def forget_last(self) -> None:
        """The last answer did not fit the output schema: the next run is to ask again."""
        if self._last is not None:
            self._store.forget(self._last)

    async def _found(self, asked: _Asked) -> Reply | None:
        kept = self._store.find(asked.key)
        return await self._told(asked, kept_reply(kept.raw, kept.saved)) if kept else None

    async def _told(self, asked: _Asked, reply: Reply) -> Reply:
        """Hand over an answer that was not asked for now."""
        self._store.count_hit(asked.key, asked.connection.model, reply.saved or Saved(None, 0))
        if asked.emit is not None:
            await stream_again(reply.raw, asked.emit, typed=bool(asked.arguments.get("_typed")))
        return reply

    async def _shared(self, asked: _Asked) -> Reply:
        """Wait for whoever asks the same in this process, else be the one who does."""
        flights = self._wires.flights
        flight = (asyncio.get_running_loop(), asked.key)
        while flight in flights:
            done, _ = await asyncio.wait([flights[flight]], timeout=max(0.0, asked.left_s))
            if not done:
                return await self._asked_and_kept(asked)
            if (reply := done.pop().result()) is not None:
                return await self._told(asked, reply)
        future = flights[flight] = flight[0].create_future()
        reply = None
        try:
            started = time.monotonic()
            reply = await self._claimed(asked)
            return reply
        finally:
            del flights[flight]
            future.set_result(reply and as_kept(reply, _since_ms(started)))

    async def _claimed(self, asked: _Asked) -> Reply:
        """Wait for whoever asks the same in another process, else ask."""
        with self._store.claim(asked.key) as claim:
            if await _taken(claim, asked) and (reply := await self._found(asked)):
                return reply
            return await self._asked_and_kept(asked)

    async def _asked_and_kept(self, asked: _Asked) -> Reply:
        started = time.monotonic()
        reply = await self._ask(asked.connection, asked.arguments, asked.timeout_s, asked.emit)
        is_kept = False
        offered = asked.arguments.get("tools") or ()
        if why_not_kept(reply, offered, keeps_secrets=self._wires.keeps_secrets) is None:
            is_kept = await self._keep(asked, reply, max(0, _since_ms(started) - reply.loading_ms))
        self._store.count_miss(asked.connection.model, kept=is_kept)
        return reply

    async def _keep(self, asked: _Asked, reply: Reply, duration_ms: int) -> bool:
        try:
            text = json.dumps(reply.raw, separators=(",", ":"))
        except (TypeError, ValueError):  # an answer that is no JSON cannot come back the same
            return False
        parts = key_parts(asked.content, asked.connection, self._call.repeat)
        saved = Saved(reply.cost_usd, duration_ms)
        entry = NewEntry(asked.key, self._call.prompt, asked.connection.model, parts, text, saved)
        return await self._wires.writing.keep(entry)

    async def _ask(
        self, connection: Connection, arguments: Mapping[str, Any], timeout_s: float, emit: Emit | None
    ) -> Reply:
        loading_ms = 0
        if self._inner is None:
            started = time.monotonic()
            loaded, provider = self._wires.loaded, connection.provider
            if self._wires.inner.reach == "always" and provider not in loaded:  # left out, as this might be a hit
                await asyncio.to_thread(load_libraries, connection.model, typed=False)
                loaded.add(provider)
                loading_ms = _since_ms(started)
            self._inner = self._wires.inner.wire_for(connection, self._call)
        reply = await self._inner.send(connection, arguments, timeout_s=timeout_s, emit=emit)
        return replace(reply, loading_ms=loading_ms) if loading_ms else reply


async def _taken(claim: Right, asked: _Asked) -> bool:
    """Wait for the claim as long as the call may take; False where it was not to be had."""
    look_s = FIRST_LOOK_S
    while asked.left_s > 0:
        try:
            if claim.take():
                return True
        except OSError:
            return False  # no lock file can be made here: a read-only folder, a full disk
        await asyncio.sleep(min(look_s, max(0.0, asked.left_s)))
        look_s = min(LONGEST_LOOK_S, look_s * 1.5)
    return False


def _since_ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
