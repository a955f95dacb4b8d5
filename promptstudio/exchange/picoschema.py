"""Picoschema, dotprompt's short form of a schema, and back: `{name: string, "age?": integer, years}` ↔ JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from promptstudio.prompts.wording import shown

SCALARS = ("string", "integer", "number", "boolean", "null", "any")
_JSON_TYPES = (*SCALARS, "object", "array")
MAX_DEPTH = 20


class PicoschemaError(ValueError):
    """What cannot be read as a schema."""


def json_schema_of(value: Any) -> dict[str, Any]:
    """Return JSON Schema for Picoschema or JSON Schema. Raises PicoschemaError."""
    if isinstance(value, Mapping):
        if isinstance(value.get("type"), str) and value["type"] in _JSON_TYPES:
            return dict(value)
        if isinstance(value.get("properties"), Mapping):
            return {**value, "type": "object"}
    return _schema(value, 0)


def _schema(value: Any, depth: int) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        raise PicoschemaError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        return _scalar(value)
    if not isinstance(value, Mapping):
        raise PicoschemaError("a schema is a text such as `string, what it is`, or a map")
    made: dict[str, Any] = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    for key, item in value.items():
        if key == "(*)":
            made["additionalProperties"] = _schema(item, depth + 1)
        else:
            name, is_optional, schema = _property(str(key), item, depth)
            made["properties"][name] = schema
            made["required"] += [] if is_optional else [name]
    return {key: item for key, item in made.items() if key != "required" or item}


def _scalar(text: str) -> dict[str, Any]:
    kind, comma, description = text.partition(",")
    kind = kind.strip()
    if kind not in SCALARS:
        raise PicoschemaError(f"{shown(kind)} is the name of a schema that the calling program holds")
    schema: dict[str, Any] = {} if kind == "any" else {"type": kind}
    return {**schema, **({"description": description.strip()} if comma else {})}


def _property(key: str, value: Any, depth: int) -> tuple[str, bool, dict[str, Any]]:
    name, bracket, about = key.partition("(")
    is_optional = name.endswith("?")
    name = name.removesuffix("?")
    if not bracket:
        return name, is_optional, _nullable(_schema(value, depth + 1), is_optional)
    kind, comma, description = about.removesuffix(")").partition(",")
    kind = kind.strip()
    if kind == "array":
        schema: dict[str, Any] = {"type": "array", "items": _schema(value, depth + 1)}
    elif kind == "object":
        schema = _schema(value, depth + 1)
    elif kind == "enum" and isinstance(value, list):
        schema = {"enum": [*value, None] if is_optional and None not in value else list(value)}
    else:
        raise PicoschemaError(f"{shown(key)}: in brackets stands array, object or enum")
    schema = _nullable(schema, is_optional)
    return name, is_optional, {**schema, **({"description": description.strip()} if comma else {})}


def _nullable(schema: dict[str, Any], is_optional: bool) -> dict[str, Any]:
    kind = schema.get("type")
    return {**schema, "type": [kind, "null"]} if is_optional and isinstance(kind, str) else schema


def input_field(schema: Mapping[str, Any], *, is_required: bool) -> dict[str, Any]:
    """Return what stands below `inputs:` for a property: its schema, without the null that says it may be absent."""
    field = dict(schema)
    kind = field.get("type")
    if isinstance(kind, list):
        kinds = [each for each in kind if each != "null"]
        field["type"] = kinds[0] if len(kinds) == 1 else kinds
    if not is_required and isinstance(field.get("enum"), list):
        field["enum"] = [each for each in field["enum"] if each is not None]
    if "type" not in field:
        texts = all(isinstance(each, str) for each in field.get("enum", [None]))
        field = {"type": "string" if texts and "enum" in field else "any", **field}
    if not is_required and "default" not in field:
        field["required"] = False
    return field
