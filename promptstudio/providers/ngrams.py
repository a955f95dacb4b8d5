"""Texts → vectors without a model: character n-grams, hashed. The offline embedding model.

It sees spelling, not meaning: "car" and "automobile" have nothing in common for it. It makes a suite with `similar` run
without key and network, always with the same figures, and it is named in every score it makes.
Source of the scheme: Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning", arXiv:0902.2206.
"""

from __future__ import annotations

import math
import zlib
from array import array
from functools import lru_cache

from promptstudio.prompts.word_tokens import words
from promptstudio.providers.vectors import Vector

OFFLINE_EMBEDDING = "offline/ngrams-v1"
SIZE = 1024
SHORTEST, LONGEST = 2, 4
MAX_CHARACTERS = 200_000


@lru_cache(maxsize=256)
def ngram_vector(text: str) -> Vector[float]:
    """Return the n-grams of 2 to 4 characters of each word, hashed into 1,024 signed buckets, brought to length 1.

    All zeros where the text has no words. The same vector is returned again: it is not to be changed.
    """
    buckets = [0.0] * SIZE
    for word in words(text[:MAX_CHARACTERS]):
        padded = f" {word} "
        for size in range(SHORTEST, LONGEST + 1):
            for start in range(len(padded) - size + 1):
                hashed = zlib.crc32(padded[start : start + size].encode("utf-8", "surrogatepass"))
                buckets[hashed % SIZE] += 1.0 if hashed & 0x8000_0000 else -1.0
    length = math.sqrt(sum(value * value for value in buckets))
    return array("f", (value / length for value in buckets) if length else buckets)
