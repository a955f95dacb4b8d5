"""JSON Schema (Draft 7) → is the schema sound, and does a value fit it?

Nothing is ever fetched: only `#/…` references are known. Patterns run on a linear-time engine (no look-around, no
back-references), so no pattern can hang us. `format` is a note for the reader and is not checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import jsonschema
import referencing
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from pydantic_core import SchemaError, SchemaValidator, core_schema
from pydantic_core import ValidationError as PatternMismatch
from referencing.jsonschema import DRAFT7

from promptstudio.prompts.wording import found, nearest, shown, suggestion, type_in_words

ValuePath = tuple[str | int, ...]
SchemaProblem = tuple[ValuePath, str]

MAX_PATTERN_LENGTH = 1_000
MAX_MATCHED_LENGTH = 200_000
MAX_PROBLEMS = 20
MAX_SCHEMA_NODES = 20_000
MAX_SCHEMA_DEPTH = 50
MAX_REFERENCES = 100_000

TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")
# Where schemas stand inside a schema: one schema, a list of them, a map of names to them.
_ONE = frozenset(
    {"additionalItems", "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"}
)
_LISTS = frozenset({"allOf", "anyOf", "items", "oneOf"})
_MAPS = frozenset({"$defs", "definitions", "dependencies", "patternProperties", "properties"})
ANNOTATIONS = ("title", "description", "examples", "$comment")
KEYWORDS = tuple(
    sorted(
        {*_ONE, *_LISTS, *_MAPS, *ANNOTATIONS}
        | {"$ref", "$schema", "$id", "type", "default", "enum", "const", "format", "pattern", "readOnly", "writeOnly"}
        | {"minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
        | {"minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "required"}
        | {"contentEncoding", "contentMediaType"}
    )
)


def schema_problems(schema: Any, *, strict_keywords: bool = True) -> list[SchemaProblem]:
    """Return what is wrong with a schema, each with its path.

    With `strict_keywords` an unknown keyword is a problem; without it, only one that looks like a misspelled keyword.
    """
    size = list(_schema_size(schema))
    if size:
        return size
    problems = [problem for path, part in subschemas(schema) for problem in _own_problems(path, part, strict_keywords)]
    problems += [(path, message) for path, message in _meta_problems(schema) if path not in {at for at, _ in problems}]
    problems += _reference_problems(schema)
    return sorted(problems[:MAX_PROBLEMS], key=lambda problem: [str(step) for step in problem[0]])


def object_root_problem(schema: Any) -> str | None:
    """Return why a schema cannot describe an object with named keys, or None."""
    root = schema
    for _ in range(MAX_SCHEMA_DEPTH):
        if not (isinstance(root, Mapping) and isinstance(root.get("$ref"), str)):
            break
        root = _nowhere().resolver_with_root(DRAFT7.create_resource(schema)).lookup(root["$ref"]).contents
    if isinstance(root, Mapping) and (root.get("type") == "object" or ("type" not in root and "properties" in root)):
        return None
    return "the root must be of type object; put the value into a property of one"


def _is_any_text(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "string" and len(schema) == 1


def value_problems(schema: Mapping[str, Any], value: Any) -> list[SchemaProblem]:
    """Return where and why a value does not fit the schema; an empty list where it fits."""
    if type(value) is str and _is_any_text(schema):
        return []  # what most inputs are: a tenth of a millisecond for each case of a suite
    validator = _Checker(schema, registry=_nowhere())
    problems: dict[SchemaProblem, None] = {}
    spent = _references.set([0])
    try:
        for error in validator.iter_errors(value):
            problems[tuple(error.absolute_path), _wording(error)] = None
            if len(problems) >= MAX_PROBLEMS:
                break
    except (RecursionError, _TooManyReferences):
        return [((), "the schema or the value is nested too deeply to check")]
    except (ArithmeticError, referencing.exceptions.Unresolvable) as cause:
        return [((), f"the value cannot be checked: {str(cause)[:80] or type(cause).__name__}")]
    finally:
        _references.reset(spent)
    return list(problems)


def subschemas(schema: Any, path: ValuePath = ()) -> Iterator[tuple[ValuePath, Any]]:
    """Walk every schema within a schema, itself first; property names are not mistaken for keywords."""
    stack: list[tuple[ValuePath, Any]] = [(path, schema)]
    while stack:
        at, part = stack.pop()
        yield at, part
        if isinstance(part, Mapping):
            stack.extend(reversed(list(_children(at, part))))


def _children(at: ValuePath, part: Mapping[str, Any]) -> Iterator[tuple[ValuePath, Any]]:
    for key, value in part.items():
        if key in _MAPS and isinstance(value, Mapping):
            named = (((*at, key, name), child) for name, child in value.items())
            yield from ((where, child) for where, child in named if not isinstance(child, list))
        elif key in _LISTS and isinstance(value, list):
            yield from (((*at, key, index), child) for index, child in enumerate(value))
        elif key in _ONE:
            yield (*at, key), value


def without_notes(schema: Any, *, drop: Iterable[str]) -> Any:
    """Return a copy of a schema without the given keywords and without `x-*`, wherever a keyword may stand."""
    if not isinstance(schema, Mapping):
        return schema
    dropped = frozenset(drop)
    copy: dict[str, Any] = {}
    for key, value in schema.items():
        if key in dropped or key.startswith("x-"):
            continue
        if key in _MAPS and isinstance(value, Mapping):
            copy[key] = {name: without_notes(child, drop=dropped) for name, child in value.items()}
        elif key in _LISTS and isinstance(value, list):
            copy[key] = [without_notes(child, drop=dropped) for child in value]
        else:
            copy[key] = without_notes(value, drop=dropped) if key in _ONE else value
    return copy


def _schema_size(schema: Any) -> Iterator[SchemaProblem]:
    """Refuse a schema that is too large or too deep before anything recursive looks at it."""
    stack: list[tuple[Any, int]] = [(schema, 1)]
    nodes = 0
    while stack:
        part, depth = stack.pop()
        nodes += 1
        if depth > MAX_SCHEMA_DEPTH:
            yield (), f"the schema is nested deeper than {MAX_SCHEMA_DEPTH} levels"
            return
        if nodes > MAX_SCHEMA_NODES:
            yield (), f"the schema has more than {MAX_SCHEMA_NODES:,} parts"
            return
        children = part.values() if isinstance(part, Mapping) else part if isinstance(part, list) else ()
        stack.extend((child, depth + 1) for child in children)


def _own_problems(path: ValuePath, schema: Any, strict_keywords: bool) -> Iterator[SchemaProblem]:
    if not isinstance(schema, Mapping):
        if not isinstance(schema, bool):
            yield path, f"expected a JSON Schema (a map), found {found(schema)}"
        return
    for key in schema:
        if key in KEYWORDS or key.startswith("x-"):
            continue
        close = nearest(key, KEYWORDS)
        if strict_keywords or close:
            yield (*path, key), f"unknown key {shown(key)}" + (f"; did you mean {close!r}?" if close else "")
    types = schema.get("type", [])
    for name in types if isinstance(types, list) else [types]:
        if name not in TYPES:
            yield (*path, "type"), f"unknown type {shown(str(name))}; {suggestion(str(name), TYPES)}"
    for key, pattern in _patterns(schema):
        if message := pattern_problem(pattern):
            yield (*path, *key), message
    if "$id" in schema and path:
        yield (*path, "$id"), "an inner $id would change what `#` means; remove it"


def _patterns(schema: Mapping[str, Any]) -> Iterator[tuple[ValuePath, Any]]:
    if "pattern" in schema:
        yield ("pattern",), schema["pattern"]
    named = schema.get("patternProperties")
    for pattern in named if isinstance(named, Mapping) else ():
        yield ("patternProperties", pattern), pattern


def pattern_problem(pattern: Any) -> str | None:
    """Return why a regular expression cannot be used, or None."""
    if not isinstance(pattern, str):
        return f"expected a regular expression (text), found {found(pattern)}"
    if len(pattern) > MAX_PATTERN_LENGTH:
        return f"a pattern of {len(pattern):,} characters; the limit is {MAX_PATTERN_LENGTH:,}"
    try:
        _matcher(pattern)
    except SchemaError as cause:
        lines = str(cause).splitlines()
        reason = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), lines[-1])
        reason = (
            "look-around and back-references are not supported" if "look-a" in reason or "backref" in reason else reason
        )
        return f"not a usable pattern: {reason.strip()[:120]}"
    return None


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern))


def _matches(pattern: str, text: str) -> bool:
    try:
        _matcher(pattern).validate_python(text)
    except PatternMismatch:
        return False
    return True


def _meta_problems(schema: Any) -> Iterator[SchemaProblem]:
    for error in Draft7Validator(Draft7Validator.META_SCHEMA).iter_errors(schema):
        yield tuple(error.absolute_path), _wording(error)


def _reference_problems(schema: Any) -> list[SchemaProblem]:
    problems: list[SchemaProblem] = []
    resolver = _nowhere().resolver_with_root(DRAFT7.create_resource(schema)) if isinstance(schema, Mapping) else None
    for path, part in subschemas(schema):
        reference = part.get("$ref") if isinstance(part, Mapping) else None
        if reference is None or resolver is None:
            continue
        if not isinstance(reference, str) or not reference.startswith("#"):
            hint = "only `#/…` references within the same schema are followed"
            problems.append(((*path, "$ref"), f"the reference {shown(str(reference))} leaves the schema; {hint}"))
            continue
        try:
            resolver.lookup(reference)
        except (referencing.exceptions.Unresolvable, LookupError, TypeError, ValueError):
            problems.append(((*path, "$ref"), f"the reference {shown(reference)} points at nothing"))
    return problems


def _nowhere() -> Any:
    """A registry that knows no schema but the one at hand and fetches none."""
    return referencing.Registry()


def _check_pattern(_validator: Validator, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if not isinstance(value, str):
        return
    if len(value) > MAX_MATCHED_LENGTH:
        yield ValidationError(
            f"text of {len(value):,} characters is too long to match a pattern ({MAX_MATCHED_LENGTH:,})"
        )
    elif not _matches(pattern, value):
        yield ValidationError(f"does not match the pattern {shown(pattern)}")


def _check_pattern_properties(validator: Any, patterns: Any, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    for pattern, schema in patterns.items():
        for name, item in value.items():
            if _matches(pattern, name):
                yield from validator.descend(item, schema, path=name, schema_path=pattern)


def _check_additional(validator: Any, allowed: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    properties, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, item in value.items():
        if name in properties or any(_matches(pattern, name) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError(f"unknown key {shown(name)}; {suggestion(name, properties)}")
        elif isinstance(allowed, dict):
            yield from validator.descend(item, allowed, path=name)


class _TooManyReferences(Exception):
    """References that multiply: a schema of a few lines that would take years to check."""


_references: ContextVar[list[int]] = ContextVar("_references")


def _check_reference(validator: Any, reference: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    followed = _references.get()
    followed[0] += 1
    if followed[0] > MAX_REFERENCES:
        raise _TooManyReferences
    yield from Draft7Validator.VALIDATORS["$ref"](validator, reference, value, schema) or ()


def _check_minimum(_validator: Validator, limit: Any, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if _is_number(value) and not value >= limit:  # what is not a number is less and more than nothing
        yield ValidationError("")


def _check_maximum(_validator: Validator, limit: Any, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if _is_number(value) and not value <= limit:
        yield ValidationError("")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_Checker: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    Draft7Validator,
    {
        "$ref": _check_reference,
        "minimum": _check_minimum,
        "maximum": _check_maximum,
        "pattern": _check_pattern,
        "patternProperties": _check_pattern_properties,
        "additionalProperties": _check_additional,
    },
)

# Keyword → what to say of a value that breaks it; the keyword's own value is `limit`.
_WORDS = {
    "minLength": "must have at least {limit} characters, found {length}",
    "maxLength": "must have at most {limit} characters, found {length}",
    "minimum": "must be at least {limit}, {found}",
    "maximum": "must be at most {limit}, {found}",
    "exclusiveMinimum": "must be more than {limit}, {found}",
    "exclusiveMaximum": "must be less than {limit}, {found}",
    "multipleOf": "must be a multiple of {limit}, {found}",
    "minItems": "must have at least {limit} items, found {length}",
    "maxItems": "must have at most {limit} items, found {length}",
    "uniqueItems": "must not hold an item twice",
    "minProperties": "must have at least {limit} keys, found {length}",
    "maxProperties": "must have at most {limit} keys, found {length}",
    "contains": "holds no item of the wanted kind",
    "anyOf": "fits none of the allowed forms, {found}",
    "oneOf": "must fit exactly one of the allowed forms, {found}",
    "not": "is of a kind that is not allowed, {found}",
}


def _wording(error: ValidationError) -> str:
    """Return our words for an error; the value is shown cut and without control characters."""
    value: Any = error.instance
    limit: Any = error.validator_value
    if error.validator == "type":
        return f"expected {type_in_words(limit)}, found {found(value)}"
    if error.validator == "enum":
        options = [str(option) for option in limit]
        hint = nearest(value, options) if isinstance(value, str) else None
        return f"expected one of {', '.join(options[:20])}, found {found(value)}" + (
            f"; did you mean {hint!r}?" if hint else ""
        )
    if error.validator == "const":
        return f"expected {found(limit)}, found {found(value)}"
    if error.validator == "required":
        missing = [name for name in limit if name not in value]
        return f"missing key {', '.join(map(shown, missing[:10]))}"
    words = _WORDS.get(str(error.validator))
    if words is None:
        return error.message[:200]
    length = len(value) if isinstance(value, str | list | dict) else 0
    return words.format(limit=limit, length=length, found=f"found {found(value)}")
