"""Text → the form in which words are compared, in any language; and the piece of a text that shows where they stand.

Case and diacritics do not count, nor do vowel marks and letter forms in Arabic and Hebrew. A word of these two is also
found with the article, conjunction or preposition that is written onto it (كتاب finds والكتاب, ספר finds הספר).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

# The same table is in the history's first migration; a test compares the two over all of Unicode's first plane.
DROPPED = (
    *(*range(0x0591, 0x05BE), 0x05BF, 0x05C1, 0x05C2, 0x05C4, 0x05C5, 0x05C7),
    *(0x0640, *range(0x064B, 0x0660), 0x0670),
    *(*range(0x06D6, 0x06DD), *range(0x06DF, 0x06E5), 0x06E7, 0x06E8, *range(0x06EA, 0x06EE)),
)
UNIFIED = {
    **dict.fromkeys("آأإٱ", "ا"),
    **dict.fromkeys("ىی", "ي"),
    "ک": "ك",
    "ة": "ه",
    **{chr(zero + digit): str(digit) for zero in (0x0660, 0x06F0) for digit in range(10)},
}
FOLD = {**dict.fromkeys(DROPPED, ""), **{ord(letter): plain for letter, plain in UNIFIED.items()}}

ARABIC_PREFIXES = ("", "ال", "و", "ف", "ب", "ك", "ل", "وال", "فال", "بال", "كال", "لل", "ول", "ولل", "وب", "فب")
ARABIC_ARTICLES = ("وال", "فال", "بال", "كال", "ولل", "لل", "ال")
HEBREW_PREFIXES = ("", "ה", "ו", "ב", "כ", "ל", "מ", "ש", "וה", "ול", "וב", "ומ", "מה", "שה", "כש", "וש")
UNSPACED = re.compile(  # Thai, Lao, Myanmar, Khmer, Chinese, Japanese
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)

BEFORE, AFTER = 60, 120
"""Characters of an excerpt before and after the first mark."""

Fold = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A piece of a text; `marks` are [start, end) ranges in it."""

    text: str
    marks: tuple[tuple[int, int], ...] = ()


def forms_of(term: str) -> list[str]:
    """Return the word with what Arabic and Hebrew write onto its front; other words stand alone."""
    if all("\u0621" <= letter <= "\u064a" for letter in term) and len(term) > 1:
        base = bare(term)
        return list(dict.fromkeys([term, *(prefix + base for prefix in ARABIC_PREFIXES)]))
    if all("א" <= letter <= "ת" for letter in term) and len(term) > 1:
        bases = [term, term[1:]] if term.startswith("ה") and len(term) > 3 else [term]
        return list(dict.fromkeys(prefix + base for base in bases for prefix in HEBREW_PREFIXES))
    return [term]


def bare(term: str) -> str:
    """Take the article off an Arabic word, with what is written before it; a short rest means it was no article."""
    for prefix in ARABIC_ARTICLES:
        if term.startswith(prefix) and len(term) >= len(prefix) + 3:
            return term[len(prefix) :]
    return term


def fold_letters(text: str) -> str:
    """Drop Arabic and Hebrew marks and unify letter forms, exactly as the database does."""
    return text.translate(FOLD)


def fold(text: str) -> str:
    """Return the form in which words are compared here: no case, no diacritics."""
    if text.isascii():
        return text.lower()
    return text.translate(_FOLDED)


def fold_wide(text: str) -> str:
    """Like `fold`, and compatible forms are one too: full-width letters, ligatures, Arabic presentation forms."""
    return text.lower() if text.isascii() else text.translate(_FOLDED_WIDE)


class _Folded(dict[int, str]):
    """Code point → compared form, computed once for each character that occurs."""

    def __init__(self, form: Literal["NFD", "NFKD"]) -> None:
        super().__init__()
        self.form = form

    def __missing__(self, code: int) -> str:
        plain = FOLD.get(code)
        if plain is None:
            letters = unicodedata.normalize(self.form, chr(code).casefold())
            plain = "".join(letter for letter in letters if not unicodedata.combining(letter)).translate(FOLD)
        self[code] = plain
        return plain


_FOLDED = _Folded("NFD")
_FOLDED_WIDE = _Folded("NFKD")


def excerpt(texts: Iterable[str], needles: tuple[str, ...], folded_by: Fold = fold) -> Excerpt | None:
    """Return the surroundings of the first word found in the first text that has one; None where none has.

    `needles` are words as `folded_by` returns them.
    """
    for text in texts:
        folded = folded_by(text)
        starts = [at for needle in needles if (at := _find(folded, needle)) >= 0]
        if starts:
            wanted = "|".join(re.escape(needle) for needle in sorted(needles, key=len, reverse=True))
            return _cut(text, _original(text, folded, min(starts), folded_by), re.compile(wanted), folded_by)
    return None


def excerpt_of(texts: Iterable[str], wanted: re.Pattern[str], folded_by: Fold = fold) -> Excerpt | None:
    """Like `excerpt`, for a pattern that matches folded text."""
    for text in texts:
        folded = folded_by(text)
        if found := wanted.search(folded):
            return _cut(text, _original(text, folded, found.start(), folded_by), wanted, folded_by)
    return None


def _find(folded: str, needle: str) -> int:
    """Return where a needle stands, at the beginning of a word if it does anywhere."""
    at = first = folded.find(needle)
    while at > 0 and folded[at - 1].isalnum():
        at = folded.find(needle, at + 1)
    return at if at >= 0 else first


def _original(text: str, folded: str, target: int, folded_by: Fold) -> int:
    """Return the place in `text` of a place in its folded form, which may be shorter or longer."""
    if len(folded) == len(text) and text.isascii():
        return target
    position = length = 0
    while position < len(text):
        chunk = len(folded_by(text[position : position + 1000]))
        if length + chunk > target:
            break
        length += chunk
        position += 1000
    while position < len(text) and length + len(folded_by(text[position])) <= target:
        length += len(folded_by(text[position]))
        position += 1
    return position


def _cut(text: str, at: int, wanted: re.Pattern[str], folded_by: Fold) -> Excerpt:
    start, end = max(0, at - BEFORE), min(len(text), at + AFTER)
    if start and (space := text.find(" ", start, at)) >= 0:
        start = space + 1
    if end < len(text) and (space := text.rfind(" ", at, end)) > at:
        end = space
    before, after = "…" if start else "", "…" if end < len(text) else ""
    piece = before + text[start:end] + after
    return Excerpt(piece, _marks(piece, wanted, folded_by))


def _marks(piece: str, wanted: re.Pattern[str], folded_by: Fold) -> tuple[tuple[int, int], ...]:
    places = [index for index, character in enumerate(piece) for _ in folded_by(character)] + [len(piece)]
    return tuple((places[found.start()], places[found.end()]) for found in wanted.finditer(folded_by(piece)))
