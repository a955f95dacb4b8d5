"""Values → the few words of a reason: on one line, short, and without characters that move a cursor or reorder text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from promptstudio.evals.assertions.assertion import as_text
from promptstudio.prompts.wording import dotted, shown

SHORT = 60
_AROUND = 20


def quoted(value: Any, limit: int = SHORT) -> str:
    """Return a value for a reason: text in quotes, anything else as JSON, cut."""
    if not isinstance(value, str):
        return quoted(as_text(value), limit)[1:-1]
    cut = value[:limit]
    if cut.isprintable():  # nearly always, and much cheaper than a look at each character
        return f"'{cut}…'" if len(value) > limit else f"'{cut}'"
    return shown(value, limit)


def listed(values: Iterable[Any], limit: int = 6) -> str:
    """Return values in quotes with commas; more than a few are counted."""
    items = list(values)
    text = ", ".join(quoted(item, 40) for item in items[:limit])
    return f"{text} and {len(items) - limit} more" if len(items) > limit else text or "none"


def number(value: float) -> str:
    """Return a number with at most four figures after the point."""
    return str(value) if isinstance(value, int) else f"{value:.4f}".rstrip("0").rstrip(".")


def first_difference(expected: str, actual: str) -> tuple[str, str]:
    """Return both texts for a reason: whole where they are short, else from shortly before where they part."""
    if len(expected) <= SHORT and len(actual) <= SHORT:
        return quoted(expected), quoted(actual)
    place = _parting(expected, actual)
    line = actual.count("\n", 0, place) + 1
    column = place - (actual.rfind("\n", 0, place) + 1) + 1
    start = max(0, place - _AROUND)
    return _from(expected, start), f"{_from(actual, start)}, which differs at line {line}, column {column}"


def _parting(one: str, other: str) -> int:
    """Return the first place where two texts differ, in slices: texts may be long."""
    step = 4096
    for start in range(0, min(len(one), len(other)), step):
        mine, yours = one[start : start + step], other[start : start + step]
        if mine != yours:
            pairs = enumerate(zip(mine, yours, strict=False))
            return start + next((index for index, (a, b) in pairs if a != b), min(len(mine), len(yours)))
    return min(len(one), len(other))


def _from(text: str, start: int) -> str:
    if start >= len(text):
        return "the end of the text" if start else "an empty text"
    return f"'…{quoted(text[start:])[1:]}" if start else quoted(text)


def path_text(path: Iterable[str | int]) -> str:
    """Return a path as people write it, safe to show."""
    return shown(dotted(path))[1:-1]
