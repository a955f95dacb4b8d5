"""Text or messages → about how many tokens a model counts, offline and in bounded time.

The vocabulary (cl100k_base) is the copy that the litellm package ships, found without importing litellm. Other models
cut text differently, by some ten percent for English and more for other scripts, so this is an estimate and says so.
Without the vocabulary a table of characters per token and script stands in.
"""

from __future__ import annotations

import base64
import binascii
import importlib.util
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from promptstudio.types import Media, Message

if TYPE_CHECKING:
    from tiktoken import Encoding

CHUNK_CHARACTERS = 2_000
"""Text is cut into pieces this long before it is encoded: the cost of one long word grows faster than its length."""

EXACT_CHARACTERS = 400_000
"""Of longer texts, this many characters are counted, spread over the whole, and the rest is taken to be alike."""

MESSAGE_TOKENS = 4
REPLY_TOKENS = 3
IMAGE_TOKENS = 765
_BYTES_PER_TOKEN = {"audio": 1_600, "file": 20}

# The file name is the one tiktoken itself would give the vocabulary in its cache.
_VOCABULARY = "litellm_core_utils/tokenizers/9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
_VOCABULARY_SIZE = 100_256
# How cl100k_base cuts text into words before merging, as tiktoken publishes it.
_WORDS = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)

# Characters per token by script, measured with cl100k_base on running text.
_CHARACTERS_PER_TOKEN = {
    "LATIN": 4.2,
    "MARKED LATIN": 0.9,
    "CYRILLIC": 2.2,
    "GREEK": 1.1,
    "ARABIC": 1.3,
    "HEBREW": 1.1,
    "DEVANAGARI": 0.9,
    "THAI": 0.9,
    "CJK": 0.85,
    "HIRAGANA": 0.95,
    "KATAKANA": 0.9,
    "HANGUL": 0.8,
}
_PUNCTUATION_PER_TOKEN = 1.6
_DIGITS_PER_TOKEN = 2.5
_OTHER_PER_TOKEN = 0.4


def estimate_tokens(text: str) -> int:
    """About how many tokens `text` is; 0 for an empty text, at least 1 for any other."""
    if not text:
        return 0
    sample = _sample(text)
    counted = _count(sample)
    return max(1, round(counted * len(text) / sum(map(len, sample))))


def estimate_message_tokens(messages: Iterable[Message]) -> int:
    """Tokens of a whole request: texts, media at a flat rate, and the few tokens each turn and the reply cost."""
    total = 0
    for message in messages:
        total += MESSAGE_TOKENS
        for part in message.parts:
            total += estimate_tokens(part.text) if part.media is None else _media_tokens(part.kind, part.media)
    return total + REPLY_TOKENS if total else 0


def _media_tokens(kind: str, media: Media) -> int:
    if kind == "image" or media.data is None:
        return IMAGE_TOKENS
    if kind == "file" and media.mime_type != "application/pdf":
        return estimate_tokens(media.data.decode("utf-8", "replace"))
    return len(media.data) // _BYTES_PER_TOKEN[kind] + 1


def _sample(text: str) -> list[str]:
    """The chunks to count: all of them, or evenly spread ones."""
    starts = range(0, len(text), CHUNK_CHARACTERS)
    stride = max(1, -(-len(starts) // (EXACT_CHARACTERS // CHUNK_CHARACTERS)))
    return [text[start : start + CHUNK_CHARACTERS] for start in starts[::stride]]


def _count(chunks: list[str]) -> float:
    encoding = _encoding()
    if encoding is None:
        return sum(map(_guess, chunks))
    return sum(len(encoding.encode_ordinary(chunk)) for chunk in chunks)


@cache
def _encoding() -> Encoding | None:
    ranks = _ranks()
    if ranks is None:
        return None
    from tiktoken import Encoding  # a compiled library, and most commands count nothing

    return Encoding("cl100k_base", pat_str=_WORDS, mergeable_ranks=ranks, special_tokens={})


def _ranks() -> dict[bytes, int] | None:
    """Each token's bytes and rank; None where the file is not there or not what we know."""
    path = vocabulary_path()
    if path is None:
        return None
    try:
        lines = path.read_bytes().split(b"\n")
        ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line)}
    except (OSError, ValueError, binascii.Error):
        return None  # another release of litellm may ship it otherwise; the table below answers then
    return ranks if len(ranks) == _VOCABULARY_SIZE else None


def vocabulary_path() -> Path | None:
    """The vocabulary in the installed litellm package, found without importing it."""
    spec = importlib.util.find_spec("litellm")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / _VOCABULARY
        if path.is_file():
            return path
    return None


def _guess(text: str) -> float:
    """Tokens by script, for where there is no vocabulary."""
    counts = Counter(_script(character) for character in text)
    return sum(number / _rate(script) for script, number in counts.items())


def _rate(script: str) -> float:
    named = {"punctuation": _PUNCTUATION_PER_TOKEN, "digit": _DIGITS_PER_TOKEN, "space": 1e9}
    return named.get(script) or _CHARACTERS_PER_TOKEN.get(script, _OTHER_PER_TOKEN)


@lru_cache(maxsize=4096)
def _script(character: str) -> str:
    category = unicodedata.category(character)
    if character.isspace():
        return "space"
    if category[0] in "LM":
        script = unicodedata.name(character, "OTHER").split()[0].split("-")[0]
        return script if script != "LATIN" or character.isascii() else "MARKED LATIN"
    if category == "Nd":
        return "digit"
    return "punctuation" if category.startswith("P") or character.isascii() else "other"
