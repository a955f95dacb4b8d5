"""An English word → its stem, after Porter; a word with other letters is its own stem.

Source: Porter 1980, "An algorithm for suffix stripping", Program 14(3), 130-137, with the two departures that its
author made later (`-bli`, `-logi`).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

_STEP_2 = (
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("logi", "log"),
)
_STEP_3 = (
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
)
_STEP_4 = (
    *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate"),
    *("iti", "ous", "ive", "ize"),
)


@lru_cache(maxsize=4096)
def stem(word: str) -> str:
    """Return the stem of a lower-case word."""
    if len(word) <= 2 or not (word.isascii() and word.isalpha()):
        return word
    for step in (_plural, _past, _y, _double_suffix, _suffix, _last_suffix, _tidy):
        word = step(word)
    return word


def _is_consonant(word: str, place: int) -> bool:
    if word[place] in "aeiou":
        return False
    return word[place] != "y" or place == 0 or not _is_consonant(word, place - 1)


def _measure(root: str) -> int:
    """Return how often a vowel is followed by a consonant: the m of the paper."""
    kinds = [_is_consonant(root, place) for place in range(len(root))]
    return sum(not before and after for before, after in pairwise(kinds))


def _has_vowel(root: str) -> bool:
    return any(not _is_consonant(root, place) for place in range(len(root)))


def _ends_double(word: str) -> bool:
    return len(word) > 1 and word[-1] == word[-2] and _is_consonant(word, len(word) - 1)


def _ends_short(word: str) -> bool:
    """Consonant, vowel, consonant other than w, x and y: as in `hop`."""
    size = len(word)
    return (
        size > 2
        and _is_consonant(word, size - 3)
        and not _is_consonant(word, size - 2)
        and _is_consonant(word, size - 1)
        and word[-1] not in "wxy"
    )


def _plural(word: str) -> str:
    if word.endswith(("sses", "ies")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    root = word[:-2] if word.endswith("ed") else word[:-3] if word.endswith("ing") else ""
    if not _has_vowel(root):
        return word
    if root.endswith(("at", "bl", "iz")):
        return root + "e"
    if _ends_double(root) and root[-1] not in "lsz":
        return root[:-1]
    return root + "e" if _measure(root) == 1 and _ends_short(root) else root


def _y(word: str) -> str:
    return word[:-1] + "i" if word.endswith("y") and _has_vowel(word[:-1]) else word


def _replaced(word: str, rules: tuple[tuple[str, str], ...]) -> str:
    for ending, replacement in rules:
        if word.endswith(ending):
            root = word[: -len(ending)]
            return root + replacement if _measure(root) > 0 else word
    return word


def _double_suffix(word: str) -> str:
    return _replaced(word, _STEP_2)


def _suffix(word: str) -> str:
    return _replaced(word, _STEP_3)


def _last_suffix(word: str) -> str:
    ending = next((ending for ending in sorted(_STEP_4, key=len, reverse=True) if word.endswith(ending)), None)
    if ending is None:
        return word
    root = word[: -len(ending)]
    if ending == "ion" and not root.endswith(("s", "t")):
        return word
    return root if _measure(root) > 1 else word


def _tidy(word: str) -> str:
    if word.endswith("e"):
        root = word[:-1]
        if _measure(root) > 1 or (_measure(root) == 1 and not _ends_short(root)):
            word = root
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word
