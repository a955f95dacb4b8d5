"""How alike two vectors are, and the embedder of assertions that are judged outside of a run: the offline one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import mul
from typing import Literal

from promptstudio.errors import UsageError
from promptstudio.evals.judge.schema import Bill
from promptstudio.providers.embed import Embeddings
from promptstudio.providers.ngrams import OFFLINE_EMBEDDING, ngram_vector

Measure = Literal["cosine", "dot", "euclidean"]


@dataclass(frozen=True, slots=True)
class OfflineEmbedder:
    """Embeds without a model: by spelling, not by meaning."""

    name: str = OFFLINE_EMBEDDING

    async def embed(self, texts: Sequence[str], model: str | None = None, dimensions: int | None = None) -> Embeddings:
        """Return a vector for each text. Raises UsageError where another model, or another size, is asked for."""
        if model is not None and model != self.name:
            raise UsageError(f"the embedding model {model!r:.80} is not {self.name}, and no other is set up here")
        check_offline_size(dimensions)
        return Embeddings(tuple(ngram_vector(text) for text in texts), self.name)


def check_offline_size(dimensions: int | None) -> None:
    if dimensions is not None:
        raise UsageError(f"{OFFLINE_EMBEDDING} has one size", hint="leave `dimensions` out")


def charge(bill: Bill, found: Embeddings) -> None:
    """Put what embedding came to on a score's bill: the requests, of which those of a cache cost nothing."""
    bill.calls += len(found.attempts)
    bill.cached += sum(attempt.saved is not None for attempt in found.attempts)
    bill.usage = bill.usage.plus(found.usage)
    if found.cost_usd is None:
        bill.unpriced += 1
    bill.cost_usd += found.cost_usd or Decimal(0)


def cosine(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return the cosine of the angle between two vectors; None where one of them has no direction."""
    scale = math.sqrt(_product(one, one) * _product(other, other))
    if not scale or not math.isfinite(scale):
        return None
    return _finite(_product(one, other) / scale)


def dot(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return the scalar product; None where one of the vectors says nothing."""
    return _finite(_product(one, other)) if any(one) and any(other) else None


def euclidean(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return the distance; None where one of the vectors says nothing."""
    if not any(one) or not any(other):
        return None
    return _finite(math.dist(one, other))


MEASURES: Mapping[Measure, Callable[[Sequence[float], Sequence[float]], float | None]] = {
    "cosine": cosine,
    "dot": dot,
    "euclidean": euclidean,
}


def _product(one: Sequence[float], other: Sequence[float]) -> float:
    total: float = sum(map(mul, one, other))
    return total


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
