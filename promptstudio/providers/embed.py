"""Texts → vectors, over the same seam as answers: retries, accounts, cache and cassettes are those of every wire.

    connection = embedding_connection("openai/text-embedding-3-small", settings, env)
    found = await embed(texts, connection, wires=wires)        # found.vectors, found.cost_usd, …

An empty text is not sent, because providers refuse it: its vector is empty, and like nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from promptstudio.config import Settings
from promptstudio.errors import NotFoundError
from promptstudio.prompts.prompt import Retry
from promptstudio.providers.call import ProviderWires, total_cost, total_saved, total_usage
from promptstudio.providers.connect import connection_for, route_for
from promptstudio.providers.ngrams import OFFLINE_EMBEDDING
from promptstudio.providers.prices import price_row
from promptstudio.providers.retry import Attempts
from promptstudio.providers.schema import Connection, WireCall, Wires
from promptstudio.providers.vectors import Vector, vectors_in
from promptstudio.types import Attempt, Saved, Usage

MAX_TEXTS = 96
"""Texts of one request: as many as the narrowest of the large providers takes."""
MAX_CHARACTERS = 240_000
# LiteLLM's words for a provider's chat → those for its embeddings.
_ROUTES = {"ollama_chat": "ollama", "cohere_chat": "cohere"}
EMBEDS = WireCall("embedding", embeds=True)


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors in the order of the texts. `cost_usd` is None where the price is unknown; `duration_ms` is of all.

    `attempts` are the requests on the wire; `saved` is set where nothing was sent for any of them.
    """

    vectors: tuple[Vector[float], ...] = field(repr=False)
    model: str
    usage: Usage = Usage()  # noqa: RUF009 - it is frozen
    cost_usd: Decimal | None = Decimal(0)
    duration_ms: int = 0
    attempts: tuple[Attempt, ...] = ()
    saved: Saved | None = None


def embedding_connection(
    model: str, settings: Settings, env: Mapping[str, str], *, without_secrets: bool = False
) -> Connection:
    """Find the way to an embedding model, as `connection_for` does to one that answers.

    `without_secrets` leaves the key out and does not miss it: for checks and replays. Raises NotFoundError for a model
    that is known to do something else, and what `connection_for` raises.
    """
    if model == OFFLINE_EMBEDDING:
        return Connection(model, "offline", model, None)
    provider, _, name = model.partition("/")
    if provider == "offline":
        raise NotFoundError(f"unknown offline embedding model {model!r}", hint=f"there is {OFFLINE_EMBEDDING}")
    mode = (price_row(model) or {}).get("mode", "embedding")
    if mode != "embedding" and provider not in settings.providers:
        hint = "such as openai/text-embedding-3-small; `ps models` searches the list"
        raise NotFoundError(f"model {model!r} does not embed: the price list has it under {mode!r}", hint=hint)
    if without_secrets:
        found = route_for(model, settings, env, without_secrets=True)
    else:
        found = connection_for(model, settings, env)
    prefix, _, name = found.route.partition("/")
    return replace(found, route=f"{_ROUTES.get(prefix, prefix)}/{name}")


async def embed(
    texts: Sequence[str],
    connection: Connection,
    *,
    dimensions: int | None = None,
    retry: Retry | None = None,
    wires: Wires | None = None,
    call: WireCall = EMBEDS,
) -> Embeddings:
    """Embed texts, many in one request, equal ones once. Raises `ProviderError` when retries did not help.

    `dimensions` asks for shorter vectors, which not every model can make.
    """
    started = time.monotonic()
    wanted = [text for text in dict.fromkeys(map(_sendable, texts)) if text.strip()]
    wire = (wires or ProviderWires()).wire_for(connection, replace(call, embeds=True))
    attempts = Attempts(wire, connection, retry or Retry(), None)
    found: dict[str, Vector[float]] = {}
    for batch in _batches(wanted):
        arguments: dict[str, Any] = {"input": batch}
        if dimensions is not None:
            arguments["dimensions"] = dimensions
        reply = await attempts.send(arguments)
        found |= zip(batch, vectors_in(reply.raw, len(batch), connection.model), strict=True)
    done = tuple(attempts.attempts)
    return Embeddings(
        vectors=tuple(found.get(_sendable(text)) or Vector("f") for text in texts),
        model=connection.model,
        usage=total_usage(done),
        cost_usd=total_cost(done) if wanted else Decimal(0),
        duration_ms=round((time.monotonic() - started) * 1000),
        attempts=done,
        saved=total_saved(done),
    )


def _sendable(text: str) -> str:
    """Return the text without halves of characters, which JSON cannot carry in UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and (len(batch) >= MAX_TEXTS or size + len(text) > MAX_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch
