"""The wire of embeddings: without a network for the offline model, else LiteLLM's, loaded when it is first needed.

In: arguments with `input`, a list of texts, and perhaps `dimensions`. Out: a `Reply` whose `raw` holds the vectors.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from decimal import Decimal
from importlib import import_module
from typing import Any

from promptstudio.providers.ngrams import ngram_vector
from promptstudio.providers.schema import Connection, Emit, Reply
from promptstudio.providers.vectors import embedding_reply

_DOOR = "promptstudio.providers.litellm_wire"


class EmbeddingWire:
    """`providers.schema.Wire` for calls that embed."""

    async def send(
        self, connection: Connection, arguments: Mapping[str, Any], *, timeout_s: float, emit: Emit | None
    ) -> Reply:
        """Make one request; no retries. Raises `ProviderError`."""
        texts = arguments["input"]
        if connection.is_offline:
            return embedding_reply([ngram_vector(text) for text in texts], connection.model, None, Decimal(0))
        if _DOOR not in sys.modules:  # two seconds, which must not stop those who wait for answers
            await asyncio.to_thread(import_module, _DOOR)
        from promptstudio.providers.litellm_wire import LiteLLMEmbeddingWire

        return await LiteLLMEmbeddingWire().send(connection, arguments, timeout_s=timeout_s, emit=emit)
