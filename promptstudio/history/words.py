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
from promptstudio.words import UNSPACED, bare, excerpt, fold, fold_letters, forms_of

__all__ = ["Query", "fold_letters", "parse_query", "snippet"]

_WORD = re.compile(r"[^\W_]+")
_TERM = re.compile(r'"([^"]+)"|([^\s"]+)')


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
        needles.extend([fold(term)] if phrase else _WORD.findall(bare(fold(term))))
    return Query(" AND ".join(matches), tuple(filter(None, scanned)), tuple(filter(None, needles)))


def _match(term: str, *, exact: bool, beginning: bool) -> str:
    if exact:
        return _quoted(term)
    forms = forms_of(term)
    quoted = [_quoted(form) + ("*" if beginning else "") for form in forms]
    return quoted[0] if len(quoted) == 1 else f"({' OR '.join(quoted)})"


def _quoted(term: str) -> str:
    return '"' + term.replace('"', '""') + '"'


def _has_token(term: str) -> bool:
    """Whether FTS5 finds a word in it: letters and digits make words."""
    return any(unicodedata.category(character)[0] in "LN" for character in term)


def snippet(texts: Iterable[str], needles: tuple[str, ...]) -> Snippet | None:
    """Return the surroundings of the first word found in the first text that has one; None where none has."""
    found = excerpt(texts, needles)
    return Snippet(found.text, found.marks) if found is not None else None
