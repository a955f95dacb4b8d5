"""What a person typed to find → a query that cannot fail, and the piece of a row's text that shows why it was found.

Words are joined by AND. `"two words"` is a phrase, `refun*` a beginning. A single Arabic or Hebrew word is also found
with the article, conjunction or preposition that is written onto it (كتاب finds والكتاب, ספר finds הספר). Vowel marks
and letter forms do not count. Words the index cannot hold (symbols, scripts without spaces) are looked for as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from promptstudio.history.schema import Snippet

# The same table is in migrations/versions/0001_first.py; a test compares the two over all of Unicode's first plane.
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
_WORD = re.compile(r"[^\W_]+")
_TERM = re.compile(r'"([^"]+)"|([^\s"]+)')

BEFORE, AFTER = 60, 120
"""Characters of a snippet before and after the first mark."""


@dataclass(frozen=True, slots=True)
class Query:
    """`match` is FTS5 syntax (empty: nothing to look up), `scanned` what must be read for, `needles` what to mark."""

    match: str
    scanned: tuple[str, ...]
    needles: tuple[str, ...]


def parse_query(text: str, *, indexed: bool = True) -> Query:
    """Turn typed words into a query; without an index every word is scanned for."""
    matches, scanned, needles = [], [], []
    for found in _TERM.finditer(text.replace("\0", " ")):
        phrase, word = found.group(1), found.group(2)
        term = (phrase or word).strip()
        beginning = word is not None and len(term) > 1 and term.endswith("*")
        term = term[:-1] if beginning else term
        if not indexed or not _has_token(term) or UNSPACED.search(term):
            scanned.append(term)
            needles.append(fold(term))
            continue
        matches.append(_match(fold_letters(term), exact=phrase is not None, beginning=beginning))
        needles.extend([fold(term)] if phrase else _WORD.findall(_bare(fold(term))))
    return Query(" AND ".join(matches), tuple(filter(None, scanned)), tuple(filter(None, needles)))


def _match(term: str, *, exact: bool, beginning: bool) -> str:
    if exact:
        return _quoted(term)
    forms = _forms(term)
    quoted = [_quoted(form) + ("*" if beginning else "") for form in forms]
    return quoted[0] if len(quoted) == 1 else f"({' OR '.join(quoted)})"


def _forms(term: str) -> list[str]:
    """Return the word with what Arabic and Hebrew write onto its front; other words stand alone."""
    if all("\u0621" <= letter <= "\u064a" for letter in term) and len(term) > 1:
        base = _bare(term)
        return list(dict.fromkeys([term, *(prefix + base for prefix in ARABIC_PREFIXES)]))
    if all("א" <= letter <= "ת" for letter in term) and len(term) > 1:
        bases = [term, term[1:]] if term.startswith("ה") and len(term) > 3 else [term]
        return list(dict.fromkeys(prefix + base for base in bases for prefix in HEBREW_PREFIXES))
    return [term]


def _bare(term: str) -> str:
    """Take the article off an Arabic word, with what is written before it; a short rest means it was no article."""
    for prefix in ARABIC_ARTICLES:
        if term.startswith(prefix) and len(term) >= len(prefix) + 3:
            return term[len(prefix) :]
    return term


def _quoted(term: str) -> str:
    return '"' + term.replace('"', '""') + '"'


def _has_token(term: str) -> bool:
    """Whether FTS5 finds a word in it: letters and digits make words."""
    return any(unicodedata.category(character)[0] in "LN" for character in term)


def fold_letters(text: str) -> str:
    """Drop Arabic and Hebrew marks and unify letter forms, exactly as the database does."""
    return text.translate(FOLD)


def fold(text: str) -> str:
    """Return the form in which words are compared here: no case, no diacritics."""
    if text.isascii():
        return text.lower()
    return text.translate(_FOLDED)


class _Folded(dict[int, str]):
    """Code point → compared form, computed once for each character that occurs."""

    def __missing__(self, code: int) -> str:
        plain = FOLD.get(code)
        if plain is None:
            letters = unicodedata.normalize("NFD", chr(code).casefold())
            plain = "".join(letter for letter in letters if not unicodedata.combining(letter)).translate(FOLD)
        self[code] = plain
        return plain


_FOLDED = _Folded()


def snippet(texts: Iterable[str], needles: tuple[str, ...]) -> Snippet | None:
    """Return the surroundings of the first word found in the first text that has one; None where none has."""
    for text in texts:
        folded = fold(text)
        starts = [at for needle in needles if (at := _find(folded, needle)) >= 0]
        if starts:
            return _cut(text, _original(text, folded, min(starts)), needles)
    return None


def _find(folded: str, needle: str) -> int:
    """Return where a needle stands, at the beginning of a word if it does anywhere."""
    at = first = folded.find(needle)
    while at > 0 and folded[at - 1].isalnum():
        at = folded.find(needle, at + 1)
    return at if at >= 0 else first


def _original(text: str, folded: str, target: int) -> int:
    """Return the place in `text` of a place in its folded form, which may be shorter or longer."""
    if len(folded) == len(text) and text.isascii():
        return target
    position = length = 0
    while position < len(text):
        chunk = len(fold(text[position : position + 1000]))
        if length + chunk > target:
            break
        length += chunk
        position += 1000
    while position < len(text) and length + len(fold(text[position])) <= target:
        length += len(fold(text[position]))
        position += 1
    return position


def _cut(text: str, at: int, needles: tuple[str, ...]) -> Snippet:
    start, end = max(0, at - BEFORE), min(len(text), at + AFTER)
    if start and (space := text.find(" ", start, at)) >= 0:
        start = space + 1
    if end < len(text) and (space := text.rfind(" ", at, end)) > at:
        end = space
    before, after = "…" if start else "", "…" if end < len(text) else ""
    piece = before + text[start:end] + after
    return Snippet(piece, _marks(piece, needles))


def _marks(piece: str, needles: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    places = [index for index, character in enumerate(piece) for _ in fold(character)] + [len(piece)]
    folded = fold(piece)
    wanted = "|".join(re.escape(needle) for needle in sorted(needles, key=len, reverse=True))
    return tuple((places[found.start()], places[found.end()]) for found in re.finditer(wanted, folded))
