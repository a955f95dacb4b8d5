"""The embedder of a run: each text once, over the wires of the run, and a bill for whoever asked.

    texts → seen before in this run? → account → cache or cassette → provider → vectors

Texts that many cases share, such as a reference, are embedded once. A model whose provider refuses is not asked again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from decimal import Decimal

from promptstudio.config import Settings
from promptstudio.errors import (
    AuthenticationError,
    ModelNotFoundError,
    ProviderError,
    QuotaError,
    RateLimitError,
    UserError,
)
from promptstudio.evals.assertions.embedding import check_offline_size
from promptstudio.evals.limits import Account, Accounts, Closed
from promptstudio.providers.embed import EMBEDS, Embeddings, embed, embedding_connection
from promptstudio.providers.ngrams import OFFLINE_EMBEDDING
from promptstudio.providers.schema import Connection, Wires
from promptstudio.providers.vectors import Vector

MAX_TRIES = 8
"""How often texts are embedded anew after a provider said that there are too many requests."""
MAX_KEPT = 2_000_000
"""Numbers of vectors that are kept in memory, 4 bytes each."""
_Key = tuple[str, int | None, str]


@dataclass(slots=True)
class RunEmbedder:
    """`assertions.Embedder` for a run. `name` is the model that embeds where none is asked for."""

    settings: Settings
    env: Mapping[str, str]
    wires: Wires
    accounts: Accounts
    name: str = OFFLINE_EMBEDDING
    _kept: OrderedDict[_Key, asyncio.Future[Vector[float]]] = field(default_factory=OrderedDict)
    _size: int = 0
    _refused: dict[str, ProviderError | UserError] = field(default_factory=dict)

    async def embed(self, texts: Sequence[str], model: str | None = None, dimensions: int | None = None) -> Embeddings:
        """Return a vector for each text, and what those that were not known cost.

        Raises ProviderError, and UserError for a model that is none or a recording that is not there.
        """
        model = model or self.name
        if model == OFFLINE_EMBEDDING:
            check_offline_size(dimensions)
        found = Embeddings((), model)
        vectors: dict[str, Vector[float]] = {}
        while missing := [text for text in dict.fromkeys(texts) if text not in vectors]:
            mine = [text for text in missing if (model, dimensions, text) not in self._kept]
            if mine:
                made = await self._made(mine, model, dimensions)
                vectors |= zip(mine, made.vectors, strict=True)
                found = _together(found, made)
            else:  # others have them, or are asking; where they fail, it is tried here
                vectors |= await self._known(missing, model, dimensions)
        return replace(found, vectors=tuple(vectors[text] for text in texts))

    async def _known(self, texts: list[str], model: str, dimensions: int | None) -> dict[str, Vector[float]]:
        waited = {text: self._kept[model, dimensions, text] for text in texts}
        await asyncio.wait(waited.values())
        for text in texts:
            if (model, dimensions, text) in self._kept:
                self._kept.move_to_end((model, dimensions, text))
        return {text: future.result() for text, future in waited.items() if not future.cancelled()}

    async def _made(self, texts: list[str], model: str, dimensions: int | None) -> Embeddings:
        """Embed texts, for all who wait for the same; those are told to try themselves where it fails."""
        loop = asyncio.get_running_loop()
        futures = {text: loop.create_future() for text in texts}
        self._kept |= {(model, dimensions, text): future for text, future in futures.items()}
        try:
            made = await self._asked(texts, model, dimensions)
        except BaseException:
            for text, future in futures.items():
                self._kept.pop((model, dimensions, text), None)
                future.cancel()
            raise
        for future, vector in zip(futures.values(), made.vectors, strict=True):
            future.set_result(vector)
            self._size += len(vector)
        self._forget_oldest()
        return made

    def _forget_oldest(self) -> None:
        for key in [*self._kept]:
            if self._size <= MAX_KEPT:
                return
            if self._kept[key].done():
                self._size -= len(self._kept.pop(key).result())

    async def _asked(self, texts: list[str], model: str, dimensions: int | None) -> Embeddings:
        if model in self._refused:
            raise self._refused[model]
        try:
            connection = embedding_connection(
                model, self.settings, self.env, without_secrets=self.wires.reach == "never"
            )
            return await self._tried(texts, connection, dimensions)
        except (AuthenticationError, QuotaError, ModelNotFoundError) as error:
            self._refused[model] = error
            raise

    async def _tried(self, texts: list[str], connection: Connection, dimensions: int | None) -> Embeddings:
        account = None if connection.is_offline else self.accounts.account(connection)
        failure: RateLimitError | None = None
        for _ in range(MAX_TRIES):
            async with AsyncExitStack() as held:
                if account is not None:
                    await _take_place(account, held)
                try:
                    return await embed(texts, connection, dimensions=dimensions, wires=self.wires, call=EMBEDS)
                except QuotaError:
                    raise
                except RateLimitError as error:
                    failure = error
        assert failure is not None, "the loop returns, raises, or was told to wait"  # noqa: S101
        raise failure


async def _take_place(account: Account, held: AsyncExitStack) -> None:
    """Wait for a place. When the run is stopping there are none: an answer that is there is still judged."""
    try:
        await held.enter_async_context(account.slot())
    except Closed:
        return


def _together(one: Embeddings, other: Embeddings) -> Embeddings:
    known = one.cost_usd is not None and other.cost_usd is not None
    return replace(
        other,
        usage=one.usage.plus(other.usage),
        cost_usd=(one.cost_usd or Decimal(0)) + (other.cost_usd or Decimal(0)) if known else None,
        duration_ms=one.duration_ms + other.duration_ms,
        attempts=(*one.attempts, *other.attempts),
    )
