"""Any Python values → a deep copy of exact text, numbers, true/false, null, lists and mappings; or a clear refusal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from promptstudio.errors import InputsError
from promptstudio.prompts.wording import dotted, shown

VALUE_DEPTH_LIMIT = 50
VALUE_BITS_LIMIT = 4096


def plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Copy named values; anything but plain data raises InputsError with its path."""
    return {str(name): plain_value(value, (str(name),)) for name, value in values.items()}


def plain_value(value: Any, path: tuple[str | int, ...]) -> Any:
    """Copy one value. A subclass (an enum member, say) becomes what it is a subclass of."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, (int, float)):
        return _number(value, path)
    if len(path) > VALUE_DEPTH_LIMIT:
        raise _refused(path[:6], f"nested more than {VALUE_DEPTH_LIMIT} deep")
    if isinstance(value, (list, tuple)):
        return [plain_value(item, (*path, place)) for place, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {_key(key, path): plain_value(item, (*path, str(key))) for key, item in value.items()}
    raise _refused(path, f"{type(value).__name__} is not plain data")


def _text(value: str, path: tuple[str | int, ...]) -> str:
    text = value if type(value) is str else str.__str__(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        found = f"half a character (surrogate) at position {error.start}"
        raise _refused(path, found, "decode the bytes it came from as UTF-8") from error
    return text


def _number(value: float, path: tuple[str | int, ...]) -> int | float:
    if isinstance(value, int):
        if value.bit_length() > VALUE_BITS_LIMIT:
            raise _refused(path, f"a number of more than {VALUE_BITS_LIMIT} bits")
        return int.__add__(value, 0)
    if not math.isfinite(value):
        raise _refused(path, f"{value} is not a number that JSON can write")
    return float.__add__(value, 0.0)


def _key(key: Any, path: tuple[str | int, ...]) -> str:
    if not isinstance(key, str):
        raise _refused(path, f"keys are text, found {shown(repr(key))}")
    return _text(key, path)


def _refused(path: tuple[str | int, ...], fact: str, hint: str | None = None) -> InputsError:
    return InputsError(
        f"inputs.{dotted(path):.120}: {fact}", hint=hint or "give text, numbers, true or false, lists or mappings"
    )
