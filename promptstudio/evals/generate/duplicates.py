"""Which of many texts say nearly the same: cosine of character n-grams, without a model."""

from __future__ import annotations

from collections.abc import Sequence

from promptstudio.providers.ngrams import ngram_vector
from promptstudio.providers.vectors import Vector

NEARLY = 0.92


class Seen:
    """Texts so far; `nearest` says how near a new one is to the nearest of them."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._vectors: list[Vector[float]] = []
        self._texts: set[str] = set()
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        self._texts.add(_plain(text))
        self._vectors.append(ngram_vector(_plain(text)))

    def nearest(self, text: str) -> float:
        """Return the likeness to the nearest text so far, 0 to 1."""
        plain = _plain(text)
        if plain in self._texts:
            return 1.0
        vector = ngram_vector(plain)
        return max((sum(a * b for a, b in zip(vector, other, strict=True)) for other in self._vectors), default=0.0)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
