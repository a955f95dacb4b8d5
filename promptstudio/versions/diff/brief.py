"""A value or a JSON Schema → a few words, for a line of text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MAX_BRIEF = 60


def brief(value: Any, limit: int = MAX_BRIEF) -> str:
    """Return a value as JSON on one line, cut; text without quotes where nothing would be unclear."""
    if isinstance(value, str):
        text = value if value and value.isprintable() and not value.isspace() else json.dumps(value, ensure_ascii=False)
    else:
        text = json.dumps(_whole(value), ensure_ascii=False, default=str)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _whole(value: Any) -> Any:
    """60.0 as 60, as hashes have it too."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value


def described(schema: Any) -> str:
    """Return a schema in words: `integer 1..5`, `web | ios`, `list of string`."""
    if not isinstance(schema, Mapping) or not schema:
        return "any value"
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(values, list):
        return brief(" | ".join(brief(value, 20) for value in values))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    kind = schema.get("type", "any value")
    name = " or ".join(map(str, kind)) if isinstance(kind, list) else str(kind)
    if name == "array" and isinstance(schema.get("items"), Mapping):
        return f"list of {described(schema['items'])}"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None or high is not None:
        return f"{name} {'' if low is None else low}..{'' if high is None else high}"
    return f"{name}, at most {schema['maxLength']:,} letters" if "maxLength" in schema else name
