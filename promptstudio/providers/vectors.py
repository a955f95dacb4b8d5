"""The vectors of an embedding: as a provider sends them, as our wires carry them, and as base64 text.

Numbers have 32 bits, as models compute them: what is stored, recorded and sent anew is the same to the bit.
"""

from __future__ import annotations

import base64
import math
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from promptstudio.errors import BadAnswerError
from promptstudio.providers.assemble import reply_from
from promptstudio.providers.schema import Reply
from promptstudio.types import Saved

Vector = array  # of 32-bit floats; an empty one stands for a text that has no words to embed
MAX_DIMENSIONS = 65_536


def packed(vector: Sequence[float]) -> str:
    """Return little-endian 32-bit floats as base64."""
    return base64.b64encode(_little(array("f", vector)).tobytes()).decode("ascii")


def unpacked(text: str) -> Vector[float]:
    """Return the vector that `packed` wrote. Raises ValueError for anything else."""
    data = base64.b64decode(text.encode("ascii"), validate=True)
    if len(data) % 4 or not 4 <= len(data) <= 4 * MAX_DIMENSIONS:
        raise ValueError(f"{len(data)} bytes are no vector of 32-bit floats")
    vector = array("f")
    vector.frombytes(data)
    return _little(vector)


def _little(vector: Vector[float]) -> Vector[float]:
    if sys.byteorder == "big":
        vector = vector[:]
        vector.byteswap()
    return vector


def is_worth_keeping(vector: Sequence[float]) -> bool:
    """Whether a vector says anything: all of its numbers are finite, and one is not 0."""
    return any(vector) and all(map(math.isfinite, vector))


def vectors_in(raw: Mapping[str, Any], count: int, model: str) -> tuple[Vector[float], ...]:
    """Read an answer in the OpenAI format: one vector for each text, in the order of the texts, all of one length.

    Raises BadAnswerError for anything else.
    """
    rows = raw.get("data") or ()
    found = [_indexed(row, place, model) for place, row in enumerate(rows)]
    if sorted(index for index, _ in found) != list(range(count)):
        raise BadAnswerError(f"{model}: {count} texts were embedded and {len(found)} vectors came back")
    vectors = tuple(vector for _, vector in sorted(found, key=lambda one: one[0]))
    lengths = sorted({len(vector) for vector in vectors})
    if len(lengths) > 1 or lengths[:1] == [0]:
        raise BadAnswerError(f"{model}: the vectors of one answer have {lengths[0]} and {lengths[-1]} dimensions")
    return vectors


def _indexed(row: Any, place: int, model: str) -> tuple[int, Vector[float]]:
    """Read one row, a map or an object of LiteLLM's."""
    read = row.get if isinstance(row, Mapping) else partial(getattr, row)
    index, written = read("index", None), read("embedding", None)
    try:
        vector = unpacked(written) if isinstance(written, str) else array("f", written or ())
    except (TypeError, ValueError, OverflowError) as error:
        raise BadAnswerError(f"{model}: a vector is not a list of numbers") from error
    if len(vector) > MAX_DIMENSIONS:
        raise BadAnswerError(f"{model}: a vector has {len(vector):,} dimensions")
    return (index if isinstance(index, int) else place), vector


def embedding_reply(
    vectors: Sequence[Sequence[float]],
    model: str | None,
    usage: Mapping[str, Any] | None,
    cost_usd: Decimal | None,
    saved: Saved | None = None,
) -> Reply:
    """Return vectors as the answer of a wire: `raw` is the OpenAI format, with vectors of 32-bit floats."""
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    raw = {"object": "list", "model": model, "data": data, "usage": dict(usage) if usage else None}
    return replace(reply_from(raw, cost_usd), saved=saved)
