"""Texts → vectors without a model: character n-grams, hashed. Also how alike two vectors are.

The offline embedder sees spelling, not meaning: "car" and "automobile" have nothing in common for it. It makes a suite
with `similar` run without key and network, always with the same figures, and it is named in every score it makes.
Source of the scheme: Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning", arXiv:0902.2206.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from promptstudio.evals.assertions.words import words

SIZE = 1024
SHORTEST, LONGEST = 2, 4
MAX_CHARACTERS = 200_000


@dataclass(frozen=True, slots=True)
class OfflineEmbedder:
    """The n-grams of 2 to 4 characters of each word, hashed into 1,024 signed buckets and brought to length 1."""

    name: str = "offline/ngrams-v1"

    async def embed(self, texts: Sequence[str], model: str | None) -> Sequence[Sequence[float]]:
        """Return a vector for each text; `model` is for embedders that have several."""
        if model is not None and model != self.name:
            raise ValueError(f"the embedding model {model!r:.80} is not {self.name}, and no other is set up here")
        return [ngram_vector(text) for text in texts]


@lru_cache(maxsize=256)
def ngram_vector(text: str) -> tuple[float, ...]:
    """Return the vector of one text; all zeros where it has no words."""
    buckets = [0.0] * SIZE
    for word in words(text[:MAX_CHARACTERS]):
        padded = f" {word} "
        for size in range(SHORTEST, LONGEST + 1):
            for start in range(len(padded) - size + 1):
                hashed = zlib.crc32(padded[start : start + size].encode())
                buckets[hashed % SIZE] += 1.0 if hashed & 0x8000_0000 else -1.0
    length = math.sqrt(sum(value * value for value in buckets))
    return tuple(value / length for value in buckets) if length else tuple(buckets)


def cosine(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return the cosine of the angle between two vectors; None where one of them has no direction."""
    if len(one) != len(other):
        return None
    scale = math.sqrt(_square(one) * _square(other))
    if not scale or not math.isfinite(scale):
        return None
    return sum(a * b for a, b in zip(one, other, strict=True)) / scale


def _square(vector: Sequence[float]) -> float:
    return sum(value * value for value in vector)
