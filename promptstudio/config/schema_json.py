"""The table of keys → the JSON Schema (Draft 7) of promptstudio.toml, for editors and for `ps schema config`."""

from __future__ import annotations

from typing import Any

from promptstudio.config.schema import KEYS, OVERLAY_SECTIONS, Key

_JUDGE: list[dict[str, Any]] = [
    {"type": "string", "minLength": 1},
    {
        "type": "object",
        "properties": {"model": {"type": "string"}, "parameters": {"type": "object"}},
        "required": ["model"],
        "additionalProperties": False,
    },
]
_VALUE: dict[str, dict[str, Any]] = {
    "string": {"type": "string", "minLength": 1},
    "folder": {"type": "string", "minLength": 1},
    "database": {"type": "string", "minLength": 1},
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "url": {"type": "string", "minLength": 1},  # offline/script has a file here
    "variable": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
    "tool": {"type": "string", "pattern": "^[A-Za-z_][\\w.]*:[A-Za-z_]\\w*$"},
    "age": {"type": "string", "pattern": "^(never|[1-9][0-9]{0,4}[mhdw])$"},
    "any": {},
    "parameter": {},
    "header": {
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {"env": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}},
                "required": ["env"],
                "additionalProperties": False,
            },
        ]
    },
    "judge": {"anyOf": [*_JUDGE, {"type": "array", "minItems": 1, "items": {"anyOf": _JUDGE}}]},
}


def config_schema() -> dict[str, Any]:
    """Build the schema; `x-*` keys are free everywhere."""
    root = _closed_table()
    for key in KEYS:
        _place(root, key)
    root["properties"]["environments"] = {
        "type": "object",
        "description": "Overlays; PROMPTSTUDIO_ENV names the one that holds.",
        "additionalProperties": {
            **_closed_table(),
            "properties": {name: {"$ref": f"#/properties/{name}"} for name in OVERLAY_SECTIONS},
        },
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "PromptStudio settings",
        "description": "promptstudio.toml: what holds for every prompt of a project.",
        **root,
    }


def _place(table: dict[str, Any], key: Key) -> None:
    *path, name = key.path
    for part in path:
        table = _child(table, part)
    if name == "*":
        table["additionalProperties"] = _value(key)
    else:
        table["properties"][name] = _value(key)


def _child(table: dict[str, Any], part: str) -> dict[str, Any]:
    if part == "*":
        if not isinstance(table["additionalProperties"], dict):
            table["additionalProperties"] = _closed_table()
        found: dict[str, Any] = table["additionalProperties"]
    else:
        found = table["properties"].setdefault(part, _closed_table())
    return found


def _closed_table() -> dict[str, Any]:
    return {"type": "object", "properties": {}, "patternProperties": {"^x-": {}}, "additionalProperties": False}


def _value(key: Key) -> dict[str, Any]:
    schema: dict[str, Any] = {**_VALUE[key.kind], "description": key.help}
    if key.default is not None:
        schema["default"] = key.default
    if key.minimum is not None:
        schema["minimum"] = key.minimum
    if key.above is not None:
        schema["exclusiveMinimum"] = key.above
    return schema
