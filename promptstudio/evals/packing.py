"""Texts on their way into the database and back: without secrets, and without what a row beside them says already."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from promptstudio.errors import HistoryError
from promptstudio.prompts.secrets import redact

Clean = Callable[[str], str]
"""What every text passes before it is stored."""

MAX_DEPTH = 200
MAX_TEXT = 1 << 30
"""Characters a row may unpack to: a file made by somebody else is not to fill the memory."""
_SMALL = 200
_REMEMBERED = 4_000
_WINDOW = 32_000
_SMALL_WINDOW = 4_096
_LEVEL = 6
# Part of the format: rows are packed with it. A file of another version may have another one, this one never.
_PHRASES = b'null,[0,1.0,"all assertions passed"expected anything but , found '


def cleaner(*, redacting: bool) -> Clean:
    """Return what blanks out secrets, or leaves a text as it is."""
    return _redacted if redacting else _as_it_is


def _redacted(text: str) -> str:
    """Most texts of a case are short and those of the case before: names, roles, settings, the prompt."""
    return _remembered(text) if len(text) <= _REMEMBERED else redact(text)


@lru_cache(maxsize=512)
def _remembered(text: str) -> str:
    return redact(text)


def _as_it_is(text: str) -> str:
    return text


def plain(value: Any, clean: Clean, depth: int = 0) -> Any:
    """Return JSON data for any value, its texts cleaned; what JSON has no form for becomes text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return clean(value)
    if depth >= MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {clean(str(key)): plain(part, clean, depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part, clean, depth + 1) for part in value]
    return clean(str(value)) if isinstance(value, Decimal) else clean(repr(value))


def dictionary_of(texts: Sequence[str]) -> bytes:
    """Return what is known beside a row; the last of the texts is known best."""
    joined = "".join(text[-_WINDOW:] for text in texts)[-_WINDOW:]
    return (_PHRASES + joined.encode("utf-8"))[-_WINDOW:]


def packed(text: str, dictionary: bytes = b"") -> str | bytes:
    """Return a text as it is stored: as it is, or compressed where that is shorter."""
    if not dictionary and len(text) < _SMALL:
        return text
    raw = text.encode("utf-8")
    # Small texts need no large tables: clearing those takes longer than packing. Unpacking is the same for both.
    bits, memory = (-12, 4) if len(raw) + len(dictionary) <= _SMALL_WINDOW else (-15, 8)
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, bits, memory, zlib.Z_DEFAULT_STRATEGY, dictionary)
    short = deflate.compress(raw) + deflate.flush()
    return short if len(short) < len(raw) else text


def unpacked(data: str | bytes, dictionary: bytes = b"") -> str:
    """Return the text that was packed. Raises HistoryError for what was never packed so."""
    if isinstance(data, str):
        return data
    try:
        inflate = zlib.decompressobj(-15, dictionary)
        raw = inflate.decompress(data, MAX_TEXT)
        if not inflate.eof:
            raise HistoryError("a stored result is damaged: it does not end", hint=DAMAGED)
        return raw.decode("utf-8")
    except (zlib.error, UnicodeDecodeError) as error:
        raise HistoryError(f"a stored result is damaged: {error}", hint=DAMAGED) from error


DAMAGED = "put .promptstudio/evals.db aside, and the next run begins a new one"
