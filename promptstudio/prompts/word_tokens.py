"""Text → the tokens that text metrics count. One tokenizer for every script, and no word list.

- The text is brought to NFC and case-folded, so composed and decomposed letters, and capitals, make no difference.
- Letters, digits and the marks on them (Arabic vowel signs, Hebrew points, accents) make a word. Joiners between
  letters (U+200C, U+200D) stay, as Persian needs them; the Arabic tatweel and direction marks are dropped.
- An apostrophe between letters stays (`don't`), and so do geresh and gershayim; elsewhere a quote is a token.
- Every other visible character is a token: punctuation, symbols, and each Chinese or Japanese character, which come
  without spaces.

The reference values of BLEU and ROUGE for plain English are those of sacrebleu and rouge-score, whose own tokenizers
leave nothing of an Arabic text.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_DROPPED = {0x0640, 0x200E, 0x200F, 0x061C, 0xFEFF, 0x00AD}
_JOINERS = {0x200C, 0x200D}
_IDEOGRAPHS = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
_INNER_APOSTROPHE = re.compile("(?<=[^\\W_])['\u2019\u05f3\u05f4](?=[^\\W_])|(?<=[\u05d0-\u05ea])\"(?=[\u05d0-\u05ea])")
_APOSTROPHE = "\ue000"  # stands in for an apostrophe within a word while the text is cut
_ASCII = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*|[^\sa-z0-9]")


def tokens(text: str) -> list[str]:
    """Return words and marks in their order."""
    return list(_tokens(text))


def words(text: str) -> list[str]:
    """Return the words alone, without punctuation; ideographs are words."""
    return [token for token in _tokens(text) if token[0].isalnum() or unicodedata.category(token[0])[0] in "LNM"]


@lru_cache(maxsize=256)
def _tokens(text: str) -> tuple[str, ...]:
    """The references of a suite come again with every answer, hence the cache."""
    if text.isascii():
        return tuple(_ASCII.findall(text.lower()))
    folded = unicodedata.normalize("NFC", text).casefold()
    marked = _INNER_APOSTROPHE.sub(_APOSTROPHE, folded.replace(_APOSTROPHE, " "))
    return tuple(token.replace(_APOSTROPHE, "'") for token in marked.translate(_SPACED).split())


class _Spacing(dict[int, str]):
    """Character → itself within a word, spaced out as a token of its own, or nothing; worked out when first met."""

    def __missing__(self, code: int) -> str:
        spaced = self[code] = _spaced(code)
        return spaced


def _spaced(code: int) -> str:
    character = chr(code)
    if code in _DROPPED:
        return ""
    if code in _JOINERS or character == _APOSTROPHE:
        return character
    if any(first <= code <= last for first, last in _IDEOGRAPHS):
        return f" {character} "
    category = unicodedata.category(character)
    if category[0] in "LNM":
        return character
    return " " if category[0] in "ZC" else f" {character} "


_SPACED = _Spacing()
