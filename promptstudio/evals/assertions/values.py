"""Plain data: JSON out of text, a field at a path, and when two values are the same."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 200
_MISSING = object()
_BRACKET = re.compile(r"[{\[]")
_PIECE = 1 << 14


@dataclass(frozen=True, slots=True)
class ReadJson:
    """A value read from text; `problem` says why there is none."""

    value: Any = None
    problem: str | None = None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _integer(digits: str) -> int | float:
    """An integer of any length is JSON; Python refuses to read one of more than 4,300 digits."""
    return int(digits) if len(digits) < 4_000 else float(digits)


# NaN and Infinity are Python's own additions.
_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=_integer)


def parsed_json(text: str) -> ReadJson:
    """Read a text that is JSON as a whole, blank space around it aside."""
    try:
        return ReadJson(_DECODER.decode(text.lstrip("\ufeff")))
    except json.JSONDecodeError as error:
        return ReadJson(problem=f"{error.msg} at line {error.lineno}, column {error.colno}")
    except (ValueError, RecursionError) as error:
        return ReadJson(problem="nested too deeply" if isinstance(error, RecursionError) else str(error)[:80])


def json_values(text: str) -> tuple[list[Any], bool]:
    """Return every object and list that stands in a text, and whether the whole text was searched.

    A text can be made so that each bracket starts a long way to nothing; the work is bounded to a few readings of it.
    """
    values: list[Any] = []
    place, work = 0, 8 * len(text) + 100_000
    while bracket := _BRACKET.search(text, place):
        start = bracket.start()
        value, read_to, spent = _value_at(text, start)
        place = start + 1 if read_to is None else read_to
        work -= spent
        if read_to is not None:
            values.append(value)
        elif work < 0:
            return values, False
    return values, True


def _value_at(text: str, start: int) -> tuple[Any, int | None, int]:
    """Return (value, its end or None where there is none, characters looked at).

    Python's decoder counts the lines of the whole text for each error, so it is given a piece first.
    """
    piece = text[start : start + _PIECE]
    try:
        value, end = _DECODER.raw_decode(piece)
    except json.JSONDecodeError as error:
        if len(piece) < _PIECE or (error.pos < _PIECE - 16 and not error.msg.startswith("Unterminated")):
            return None, None, error.pos + 1
    except (ValueError, RecursionError):
        return None, None, 2_000
    else:
        return value, start + end, end
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, None, len(text) - start
    return value, end, end - start


def field_at(value: Any, path: tuple[str | int, ...]) -> tuple[Any, bool]:
    """Return (the value a path leads to, True), or (None, False) where it leads nowhere."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step, value.get(str(step), _MISSING))
        elif isinstance(value, list | tuple) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None, False
        if value is _MISSING:
            return None, False
    return value, True


def same(one: Any, other: Any, depth: int = 0) -> bool:
    """True for equal data: 1 is 1.0, but true is not 1; the order of a map's keys means nothing."""
    if depth > MAX_DEPTH or isinstance(one, bool) != isinstance(other, bool):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key], depth + 1) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(same(a, b, depth + 1) for a, b in zip(one, other, strict=True))
    return bool(one == other)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first place where data is not what was expected of it."""

    path: tuple[str | int, ...]
    expected: Any
    actual: Any
    missing: bool = False


def subset_mismatch(expected: Any, actual: Any, path: tuple[str | int, ...] = ()) -> Mismatch | None:
    """Compare key by key: what `expected` does not name may be anything. Lists must have as many items."""
    if isinstance(expected, dict) and isinstance(actual, dict) and len(path) <= MAX_DEPTH:
        for key, value in expected.items():
            if key not in actual:
                return Mismatch((*path, key), value, None, missing=True)
            if found := subset_mismatch(value, actual[key], (*path, key)):
                return found
        return None
    both_lists = isinstance(expected, list | tuple) and isinstance(actual, list | tuple)
    if both_lists and len(expected) == len(actual) and len(path) <= MAX_DEPTH:
        pairs = enumerate(zip(expected, actual, strict=True))
        return next((found for i, (a, b) in pairs if (found := subset_mismatch(a, b, (*path, i)))), None)
    return None if same(expected, actual) else Mismatch(path, expected, actual)


def subset_share(expected: Any, actual: Any) -> float:
    """Return how much of what was expected is there, as the share of its leaves."""
    hits, leaves = _leaves(expected, actual)
    return hits / leaves if leaves else 1.0


def _leaves(expected: Any, actual: Any, depth: int = 0) -> tuple[int, int]:
    if isinstance(expected, dict) and expected and depth < MAX_DEPTH:
        inner = actual if isinstance(actual, dict) else {}
        counts = [_leaves(value, inner.get(key, _MISSING), depth + 1) for key, value in expected.items()]
        return sum(hits for hits, _ in counts), sum(leaves for _, leaves in counts)
    return int(subset_mismatch(expected, actual) is None), 1
