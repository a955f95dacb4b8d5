"""Declared inputs and output fields, in one line or as JSON Schema → `InputSpec` and the schema of an answer.

One line: `type[?], description`. In both forms a field is required unless it is marked `?`, `required: false`, or has a
default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from promptstudio.errors import Problem
from promptstudio.prompts.overlay import Source
from promptstudio.prompts.prompt import MEDIA_TYPES, InputSpec, InputType
from promptstudio.prompts.wording import found, shown, suggestion
from promptstudio.prompts.yamlfile import ValuePath

INPUT_TYPES: tuple[str, ...] = get_args(InputType)
FIELD_TYPES = tuple(name for name in INPUT_TYPES if name not in MEDIA_TYPES and name != "messages")
_NO_SCHEMA = MEDIA_TYPES | {"messages"}
_OURS = frozenset({"description", "default", "required"})
# Words of other languages → ours.
_TYPE_ALIASES = {
    "str": "string",
    "text": "string",
    "int": "integer",
    "float": "number",
    "double": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
    "map": "object",
    "picture": "image",
    "sound": "audio",
    "chat": "messages",
}
# The Arabic comma separates as well as the Latin one.
_ONE_LINE = re.compile(r"\s*([^\s?,،]+)\s*(\?)?\s*(?:[,،]\s*(.*))?", re.DOTALL)
RESERVED_INPUT_NAMES = frozenset(
    [
        "and",
        "or",
        "not",
        "in",
        "is",
        "if",
        "else",
        "true",
        "false",
        "none",
        "True",
        "False",
        "None",
        "loop",
        "self",
        "super",
        "caller",
        "varargs",
        "kwargs",
        "range",
        "namespace",
        "examples",
    ]
)
NAME_HINT = "letters, digits and _, not starting with a digit or _"

_ONE_LINE_JSON_SCHEMA = {"type": "string", "description": "type[?], description", "minLength": 1}


_KEYWORD_TYPES = {
    "string": "title $ref $comment contentEncoding contentMediaType",
    "boolean": "uniqueItems readOnly writeOnly",
    "number": "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf",
    "integer": "minLength maxLength minItems maxItems minProperties maxProperties",
    "array": "enum allOf anyOf oneOf examples",
    "object": "properties patternProperties definitions $defs dependencies",
    "schema": "contains additionalItems additionalProperties propertyNames not if then else",
}


def _map_json_schema(types: tuple[str, ...]) -> dict[str, Any]:
    known: dict[str, Any] = {
        "type": {
            "description": "The kind of value.",
            "anyOf": [{"type": "string", "enum": list(types)}, {"type": "array", "items": {"type": "string"}}],
        },
        "description": {"type": "string"},
        "required": {"description": "false makes it optional.", "type": ["boolean", "array"]},
        "default": {"description": "The value when none is given; makes it optional."},
        "pattern": {"type": "string", "description": "A regular expression without look-around or back-references."},
        "format": {"type": "string", "description": "A note for the reader; it is not checked."},
        "const": {},
        "items": {"type": ["object", "array", "boolean"]},
    }
    for kind, names in _KEYWORD_TYPES.items():
        known |= {name: {"type": ["object", "boolean"] if kind == "schema" else kind} for name in names.split()}
    return {"type": "object", "properties": known, "patternProperties": {"^x-": {}}, "additionalProperties": False}


INPUT_JSON_SCHEMA: dict[str, Any] = {"anyOf": [_ONE_LINE_JSON_SCHEMA, _map_json_schema(INPUT_TYPES)]}
OUTPUT_FIELD_JSON_SCHEMA: dict[str, Any] = {"anyOf": [_ONE_LINE_JSON_SCHEMA, _map_json_schema(FIELD_TYPES)]}


@dataclass(frozen=True, slots=True)
class Declared:
    """One declared field: both forms come to this. `schema` has no description, default or `required: false` in it."""

    type: str
    schema: Mapping[str, Any]
    required: bool
    description: str = ""
    has_default: bool = False
    default: Any = None


def input_specs(source: Source) -> tuple[dict[str, InputSpec], list[Problem]]:
    """Read `inputs:`; a file whose `inputs` is no map has none here, its shape is somebody else's to judge."""
    specs: dict[str, InputSpec] = {}
    problems: list[Problem] = []
    inputs = source.value.get("inputs") if isinstance(source.value, dict) else None
    for name, value in inputs.items() if isinstance(inputs, dict) else ():
        if name.startswith("x-"):
            continue
        path: ValuePath = ("inputs", name)
        problems += _name_problems(name, path, source)
        declared, faults = read_field(value, path, source, INPUT_TYPES)
        problems += faults
        if declared is None or faults:
            continue
        line = source.key_place(path)[0]
        specs[name] = InputSpec(
            name,
            declared.type,  # type: ignore[arg-type]  # read_field lets nothing but INPUT_TYPES through
            declared.schema,
            declared.required,
            declared.has_default,
            declared.default,
            declared.description,
            line,
        )
    return specs, problems


def _name_problems(name: str, path: ValuePath, source: Source) -> list[Problem]:
    if not name.isidentifier() or name.startswith("_"):
        return [source.problem(f"{shown(name)} cannot be used as a variable", path, NAME_HINT, at_key=True)]
    if name in RESERVED_INPUT_NAMES:
        return [source.problem(f"the name {name!r} means something else in a template", path, "rename it", at_key=True)]
    return []


def output_schema(source: Source) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Read `output.fields` as the JSON Schema of an object; the order of the fields is kept."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    problems: list[Problem] = []
    for name, value in source.value["output"]["fields"].items():
        if name.startswith("x-"):
            continue
        path: ValuePath = ("output", "fields", name)
        if not name or len(name) > 64 or not name.isprintable():
            problems.append(source.problem("a field has a printable name of 1 to 64 characters", path, at_key=True))
        declared, faults = read_field(value, path, source, FIELD_TYPES)
        problems += faults
        if declared is None:
            continue
        notes = {"description": declared.description} if declared.description else {}
        default = {"default": declared.default} if declared.has_default else {}
        properties[name] = {**declared.schema, **notes, **default}
        if declared.required:
            required.append(name)
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return (None if problems else schema), problems


def read_field(
    value: Any, path: ValuePath, source: Source, types: tuple[str, ...]
) -> tuple[Declared | None, list[Problem]]:
    """Read one field in either form."""
    if isinstance(value, str):
        return _read_line(value, path, source, types)
    if isinstance(value, dict):
        return _read_map(value, path, source, types)
    text = f"expected a type or a map, found {found(value)}"
    return None, [source.problem(text, path, "as in `string, what it is` or {type: string}")]


def _read_line(
    text: str, path: ValuePath, source: Source, types: tuple[str, ...]
) -> tuple[Declared | None, list[Problem]]:
    read = _ONE_LINE.fullmatch(text)
    name = read.group(1) if read else text
    if read is None or name not in types:
        return None, [source.problem(f"unknown type {shown(name)}", path, _type_hint(name, types))]
    schema = {} if name in _NO_SCHEMA or name == "any" else {"type": name}
    return Declared(name, schema, read.group(2) is None, (read.group(3) or "").strip()), []


def _type_hint(name: str, types: tuple[str, ...]) -> str:
    alias = _TYPE_ALIASES.get(name.lower())
    return f"did you mean {alias!r}?" if alias in types else suggestion(name, types, otherwise="the types are")


def _read_map(
    value: dict[str, Any], path: ValuePath, source: Source, types: tuple[str, ...]
) -> tuple[Declared | None, list[Problem]]:
    name = value.get("type", "any")
    if isinstance(name, str) and name not in types:
        return None, [source.problem(f"unknown type {shown(name)}", (*path, "type"), _type_hint(name, types))]
    problems = _own_problems(value, path, source)
    kind = name if isinstance(name, str) else "any"
    if kind in _NO_SCHEMA:
        problems += _bare_problems(value, kind, path, source)
        schema: dict[str, Any] = {}
    else:
        # Here for weight: a file with nothing but one-line inputs does without the JSON Schema library.
        from promptstudio.prompts.jsonschemas import schema_problems, value_problems, without_notes

        drop = _OURS if isinstance(value.get("required"), bool) else _OURS - {"required"}
        schema = {key: item for key, item in value.items() if key not in drop}
        schema = without_notes({key: item for key, item in schema.items() if (key, item) != ("type", "any")}, drop=())
        found_problems = schema_problems(schema)
        problems += [schema_problem(source, path, at, said) for at, said in found_problems]
        if "default" in value and not problems:
            faults = value_problems(schema, value["default"])
            problems += [source.problem(said, (*path, "default", *at)) for at, said in faults]
    required = value.get("required") is not False and "default" not in value
    description = value.get("description", "")
    declared = Declared(kind, schema, required, description, "default" in value, value.get("default"))
    return declared, problems


def schema_problem(source: Source, path: ValuePath, at: ValuePath, said: str) -> Problem:
    """A hint after `; did you mean` belongs on a line of its own."""
    message, _, hint = said.partition("; did you mean ")
    place = (*path, *at)
    key_is_wrong = message.startswith("unknown key")
    if key_is_wrong:
        line, column = source.key_place(place)
        parent = source.problem(message, place[:-1])
        return Problem(parent.message, file=source.file, line=line, column=column, hint=hint and f"did you mean {hint}")
    return source.problem(message, place, f"did you mean {hint}" if hint else None)


def _own_problems(value: dict[str, Any], path: ValuePath, source: Source) -> list[Problem]:
    problems = []
    if not isinstance(value.get("description", ""), str):
        problems.append(source.problem(f"expected text, found {found(value['description'])}", (*path, "description")))
    required = value.get("required", True)
    if not isinstance(required, bool | list):
        problems.append(source.problem(f"expected true or false, found {found(required)}", (*path, "required")))
    if required is True and "required" in value and "default" in value:
        text = "a field with a default is never required"
        problems.append(source.problem(text, (*path, "required"), "remove `required` or `default`"))
    return problems


def _bare_problems(value: dict[str, Any], kind: str, path: ValuePath, source: Source) -> list[Problem]:
    extra = [key for key in value if key not in ("type", "description", "required", "title") and key[:2] != "x-"]
    return [
        source.problem(f"`{key}` means nothing for {kind}", (*path, key), "remove it", at_key=True) for key in extra
    ]
