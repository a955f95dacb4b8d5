"""The models of our files → JSON Schema (Draft 7) for editors.

`python -m promptstudio.prompts.schema_export` writes the shipped ones anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from promptstudio.prompts.filemodel import FileModel
from promptstudio.prompts.schema import PromptFile
from promptstudio.prompts.suite_schema import Case, SuiteFile

Kind = Literal["prompt", "suite"]
SCHEMA_DIR = Path(__file__).parent / "schemas"
_MODELS: dict[Kind, tuple[type[FileModel], str]] = {
    "prompt": (PromptFile, "A PromptStudio prompt"),
    "suite": (SuiteFile, "A PromptStudio evaluation suite"),
}


def _one_of(*names: str) -> list[dict[str, Any]]:
    return [{"required": [name]} for name in names]


# What a Pydantic model cannot say: which keys exclude each other. Definition (or the root) → a condition.
_EXCLUSIVE: dict[str, dict[str, Any]] = {
    "PromptFile": {
        "oneOf": [{"required": ["prompt"]}, {"required": ["messages"], "not": {"required": ["system"]}}],
    },
    "SuiteFile": {"oneOf": _one_of("prompt", "prompts")},
    "Output": {"oneOf": _one_of("fields", "schema", "model")},
    "PartModel": {"oneOf": _one_of("text", "image", "audio", "file")},
}


def schema_json(kind: Kind) -> str:
    """Return the JSON Schema of a kind of file, as it is shipped."""
    model, title = _MODELS[kind]
    raw = model.model_json_schema(ref_template="#/definitions/{model}")
    definitions = raw.pop("$defs", {})
    if model is SuiteFile:
        case = Case.model_json_schema(ref_template="#/definitions/{model}")
        definitions |= case.pop("$defs", {}) | {"Case": case}
        raw["properties"]["cases"]["anyOf"][1]["items"] = {"$ref": "#/definitions/Case"}
    head = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": title,
        "description": raw.pop("description"),
    }
    body = _draft7(raw) | _EXCLUSIVE[model.__name__]
    parts = {name: _draft7(part) | _EXCLUSIVE.get(name, {}) for name, part in sorted(definitions.items())}
    return json.dumps({**head, **body, "definitions": parts}, indent=2, ensure_ascii=False) + "\n"


_NAMED = frozenset({"properties", "patternProperties"})  # maps whose keys are names, not keywords


def _draft7(schema: Any) -> Any:
    """Rewrite what Pydantic generates: no nulls for absent keys, no generated titles, no neighbors of `$ref`."""
    if isinstance(schema, list):
        return [_draft7(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {
        key: {name: _draft7(part) for name, part in value.items()} if key in _NAMED else _draft7(value)
        for key, value in schema.items()
        if not _is_noise(key, value)
    }
    if "anyOf" in copy and {"type": "null"} in copy["anyOf"]:
        rest = [item for item in copy.pop("anyOf") if item != {"type": "null"}]
        copy = {**rest[0], **copy} if len(rest) == 1 else {"anyOf": rest, **copy}
    if "$ref" in copy and len(copy) > 1:
        copy["allOf"] = [{"$ref": copy.pop("$ref")}]
    return copy


def _is_noise(key: str, value: Any) -> bool:
    return (key == "title" and isinstance(value, str)) or (key == "default" and value in (None, [], {}))


def schema_path(kind: Kind) -> Path:
    """Return the shipped file of a schema."""
    return SCHEMA_DIR / f"{kind}.schema.json"


if __name__ == "__main__":
    for name in _MODELS:
        schema_path(name).write_text(schema_json(name), encoding="utf-8")
