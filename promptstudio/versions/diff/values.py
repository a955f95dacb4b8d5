"""JSON values: when two are the same, which of some a list lacks, what type one is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MAX_COMPARED = 200  # lists and maps in an enum


def same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal; true is not 1, but 5.0 is 5."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(isinstance(one, bool) == isinstance(other, bool) and one == other)


def missing(values: Sequence[Any], listed: Sequence[Any]) -> list[Any]:
    """Return the values that a list lacks."""
    scalars = {_key(value) for value in listed if not isinstance(value, list | Mapping)}
    others = [value for value in listed if isinstance(value, list | Mapping)][:MAX_COMPARED]
    return [value for value in values if not _is_among(value, scalars, others)]


def _is_among(value: Any, scalars: set[tuple[bool, Any]], others: list[Any]) -> bool:
    if isinstance(value, list | Mapping):
        return any(same(value, other) for other in others)
    return _key(value) in scalars


def _key(value: Any) -> tuple[bool, Any]:
    """What makes true something else than 1 in a set, where 5.0 is 5."""
    return isinstance(value, bool), value


def type_of(value: Any) -> str:
    """Return the JSON Schema type of a value, the narrowest."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list | tuple) else "object"
