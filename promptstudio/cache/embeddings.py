"""Embeddings in the cache and in cassettes: one entry, and one file, for each model, text and number of dimensions.

A request embeds many texts at once; which of them travel together is chance. So each text is kept by itself, and only
those that are not there are asked for.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptstudio.cache.cassette import Answer
from promptstudio.cache.folder import CassetteFolder
from promptstudio.cache.locks import Right
from promptstudio.cache.request import (
    Clean,
    Content,
    cache_key,
    content_id,
    embedding_content,
    embedding_parts,
)
from promptstudio.cache.schema import NewEntry
from promptstudio.cache.store import CacheStore
from promptstudio.errors import BadAnswerError, UserError
from promptstudio.providers.schema import Connection, Emit, Reply, WireCall
from promptstudio.providers.vectors import Vector, embedding_reply, is_worth_keeping, packed, unpacked, vectors_in
from promptstudio.types import Saved

if TYPE_CHECKING:
    from promptstudio.cache.recorder import RecordingWires, ReplayWires
    from promptstudio.cache.wire import CachedWires

FIRST_LOOK_S = 0.01
LONGEST_LOOK_S = 0.2
Found = tuple["Vector[float]", Saved]


class CachedEmbeddingWire:
    """Answers from the store what is there, and asks for the rest in one request."""

    def __init__(self, wires: CachedWires, call: WireCall) -> None:
        self._wires = wires
        self._store: CacheStore = wires.store
        self._call = call

    async def send(
        self, connection: Connection, arguments: Mapping[str, Any], *, timeout_s: float, emit: Emit | None
    ) -> Reply:
        """Return all vectors; the reply costs what was asked for now."""
        if connection.is_offline:  # computed faster than it is found
            wire = self._wires.inner.wire_for(connection, self._call)
            return await wire.send(connection, arguments, timeout_s=timeout_s, emit=emit)
        contents = _contents(connection, arguments)
        keys = {text: cache_key(content, connection, None) for text, content in contents.items()}
        found = self._found(connection, keys, keys)
        if len(found) == len(keys):
            return _kept_reply(arguments, found, connection)
        async with self._claimed([keys[text] for text in keys if text not in found], timeout_s):
            found |= self._found(connection, keys, [text for text in keys if text not in found])
            missing = [text for text in keys if text not in found]
            if not missing:
                return _kept_reply(arguments, found, connection)
            return await self._asked(connection, arguments, keys, found, missing, timeout_s)

    def _found(self, connection: Connection, keys: Mapping[str, bytes], texts: Sequence[str] | Any) -> dict[str, Found]:
        found: dict[str, Found] = {}
        for text in texts:
            kept = self._store.find(keys[text])
            vector = _vector_of(kept.raw.get("vector")) if kept is not None else None
            if kept is not None and vector is not None:
                found[text] = vector, kept.saved
                self._store.count_hit(keys[text], connection.model, kept.saved)
        return found

    async def _asked(
        self,
        connection: Connection,
        arguments: Mapping[str, Any],
        keys: Mapping[str, bytes],
        found: Mapping[str, Found],
        missing: list[str],
        timeout_s: float,
    ) -> Reply:
        started = time.monotonic()
        wire = self._wires.inner.wire_for(connection, self._call)
        reply = await wire.send(connection, {**arguments, "input": missing}, timeout_s=timeout_s, emit=None)
        saved = Saved(reply.cost_usd, round((time.monotonic() - started) * 1000))
        vectors = dict(zip(missing, vectors_in(reply.raw, len(missing), connection.model), strict=True))
        contents = _contents(connection, arguments)
        entries = [
            NewEntry(
                keys[text],
                self._call.prompt,
                connection.model,
                embedding_parts(contents[text], connection),
                json.dumps({"vector": packed(vectors[text]), "model": reply.resolved_model}),
                _share(saved, text, missing),
            )
            for text in missing
            if is_worth_keeping(vectors[text])
        ]
        kept = await asyncio.to_thread(self._store.keep_all, entries) if entries else []
        for place in range(len(missing)):
            self._store.count_miss(connection.model, kept=place < sum(kept))
        whole = {**{text: vector for text, (vector, _) in found.items()}, **vectors}
        _check_lengths(whole, connection)
        ordered = [whole[text] for text in arguments["input"]]
        return embedding_reply(ordered, reply.resolved_model, reply.raw.get("usage"), reply.cost_usd, reply.saved)

    @asynccontextmanager
    async def _claimed(self, keys: Sequence[bytes], timeout_s: float) -> AsyncIterator[None]:
        """Wait for those who ask for the same, here and in other processes. In one order: nobody waits in a circle."""
        deadline = time.monotonic() + timeout_s
        with ExitStack() as held:
            for key in sorted(keys):
                if not await _taken(held.enter_context(self._store.claim(key)), deadline):
                    break  # waited long enough, or there can be no lock here: ask, at worst twice
            yield


async def _taken(claim: Right, deadline: float) -> bool:
    look_s = FIRST_LOOK_S
    while True:
        try:
            if claim.take():
                return True
        except OSError:
            return False  # a read-only folder, a full disk
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(min(look_s, max(0.0, deadline - time.monotonic())))
        look_s = min(LONGEST_LOOK_S, look_s * 1.5)


class RecordingEmbeddingWire:
    """Writes down each text with its vector, as a file of the folder."""

    def __init__(self, wires: RecordingWires, call: WireCall, clean: Clean) -> None:
        self._wires = wires
        self._call = call
        self._clean = clean

    async def send(
        self, connection: Connection, arguments: Mapping[str, Any], *, timeout_s: float, emit: Emit | None
    ) -> Reply:
        """Ask for all, and write all down. An error is raised and not recorded."""
        started = time.monotonic()
        wire = self._wires.inner.wire_for(connection, self._call)
        reply = await wire.send(connection, arguments, timeout_s=timeout_s, emit=emit)
        if connection.is_offline:  # the same everywhere: there is nothing to record
            return reply
        texts = arguments["input"]
        saved = Saved(reply.cost_usd, round((time.monotonic() - started) * 1000))
        contents = _contents(connection, arguments, self._clean)
        answers = {
            text: Answer(
                number=1,
                message={"role": "assistant", "content": None},
                finish_reason=None,
                model=reply.resolved_model,
                cost_usd=_share(saved, text, texts).cost_usd,
                duration_ms=saved.duration_ms,
                vector=packed(vector),
            )
            for text, vector in zip(texts, vectors_in(reply.raw, len(texts), connection.model), strict=True)
        }
        await asyncio.to_thread(self._record, contents, answers)
        return reply

    def _record(self, contents: Mapping[str, Content], answers: Mapping[str, Answer]) -> None:
        for text, content in contents.items():
            path = self._wires.folder.record(content_id(content), self._call.prompt, content, answers[text])
            self._wires.files.add(path)


class ReplayedEmbeddingWire:
    """Answers from the folder, and from nowhere else."""

    def __init__(self, wires: ReplayWires, call: WireCall, clean: Clean) -> None:
        self._wires = wires
        self._folder: CassetteFolder = wires.folder
        self._call = call
        self._clean = clean

    async def send(
        self, connection: Connection, arguments: Mapping[str, Any], *, timeout_s: float, emit: Emit | None
    ) -> Reply:
        """Raise NotFoundError, with the nearest recording, for a text that was never embedded."""
        if connection.is_offline:
            from promptstudio.providers.embedding_wire import EmbeddingWire  # only for the offline model

            return await EmbeddingWire().send(connection, arguments, timeout_s=timeout_s, emit=emit)
        found = await asyncio.to_thread(self._found, _contents(connection, arguments, self._clean))
        return _kept_reply(arguments, found, connection)

    def _found(self, contents: Mapping[str, Content]) -> dict[str, Found]:
        found: dict[str, Found] = {}
        for text, content in contents.items():
            cassette = self._folder.find(content_id(content))
            if cassette is None:
                raise self._folder.missing(content, self._call.prompt)
            self._wires.files.add(self._folder.path / Path(cassette.file).name)
            answer = cassette.answers[0]
            vector = _vector_of(answer.vector)
            if vector is None:
                raise UserError("the recording of an embedding has no vector", file=cassette.file)
            found[text] = vector, Saved(answer.cost_usd, answer.duration_ms)
        return found


def _contents(connection: Connection, arguments: Mapping[str, Any], clean: Clean | None = None) -> dict[str, Content]:
    dimensions = arguments.get("dimensions")
    return {text: embedding_content(text, connection.model, dimensions, clean) for text in arguments["input"]}


def _vector_of(written: Any) -> Vector[float] | None:
    try:
        return unpacked(written) if isinstance(written, str) else None
    except ValueError:
        return None


def _kept_reply(arguments: Mapping[str, Any], found: Mapping[str, Found], connection: Connection) -> Reply:
    """Return a reply for which nothing was sent."""
    _check_lengths({text: vector for text, (vector, _) in found.items()}, connection)
    saved = Saved(Decimal(0), 0)
    for text in dict.fromkeys(arguments["input"]):
        saved = saved.plus(found[text][1])
    return embedding_reply([found[text][0] for text in arguments["input"]], connection.model, None, Decimal(0), saved)


def _check_lengths(vectors: Mapping[str, Vector[float]], connection: Connection) -> None:
    """Refuse vectors of two models under one name: what is kept is of another time than what came now."""
    lengths = sorted({len(vector) for vector in vectors.values()})
    if len(lengths) > 1:
        hint = "the model has changed behind its name: clear the cache, or record again"
        fact = f"{connection.model}: kept vectors have {lengths[0]} dimensions, others {lengths[-1]}"
        raise BadAnswerError(fact, hint=hint)


def _share(saved: Saved, text: str, texts: Sequence[str]) -> Saved:
    """Return a text's part of what a request took, by its length."""
    part = Decimal(len(text)) / sum(map(len, texts))
    cost = None if saved.cost_usd is None else round(saved.cost_usd * part, 12)
    return replace(saved, cost_usd=cost, duration_ms=round(saved.duration_ms * float(part)))
