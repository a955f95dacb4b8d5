"""Two JSON Schemas → why a value of the one may not be a value of the other. Sound, not complete; pure and bounded.

An empty answer proves that every value of `inner` is a value of `outer`. What cannot be proven is a `Break` that says
so; nothing is ever guessed to be compatible. Needs no JSON Schema library: the rules are a table of keywords.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from promptstudio.versions.diff.values import MAX_COMPARED, missing, same, type_of

MAX_STEPS = 20_000
MAX_DEPTH = 60
_TYPES = frozenset({"string", "integer", "number", "boolean", "array", "object", "null"})
_NOTES = frozenset({"type", "title", "description", "default", "examples", "definitions", "$defs", "$schema", "$id"})
_COMBINED = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Break:
    """One way in which a value of `inner` may be none of `outer`.

    `path` leads to the value: field names, `[]` for the items of a list, `*` for other keys. `keyword` is what broke,
    `inner` and `outer` what the two schemas say there (None where they say nothing). `is_shown` is False where it could
    only not be proven.
    """

    path: Path
    keyword: str
    inner: Any = None
    outer: Any = None
    is_shown: bool = True


@dataclass(slots=True)
class _Walk:
    """What one comparison carries along: the two documents, for references, and how much was done."""

    inner_root: Any
    outer_root: Any
    formats: bool
    steps: int = 0
    depth: int = 0
    open_pairs: set[tuple[int, int]] = field(default_factory=set)


def breaks(inner: Any, outer: Any, *, formats: bool = False) -> list[Break]:
    """Return why not every value of `inner` is one of `outer`; empty where that is proven.

    With `formats` a `format` counts as a promise to whoever reads the value; without, as the note that it is to us.
    """
    walk = _Walk(inner, outer, formats)
    found = list(dict.fromkeys(_hashable(_breaks(inner, outer, (), walk))))
    return [entry.value for entry in found]


@dataclass(frozen=True)
class _Once:
    """A break that is equal to another one at the same place and keyword."""

    key: tuple[Path, str, str, str]
    value: Break = field(compare=False)


def _hashable(found: Iterator[Break]) -> Iterator[_Once]:
    for one in found:
        yield _Once((one.path, one.keyword, repr(one.inner), repr(one.outer)), one)


def _breaks(inner: Any, outer: Any, path: Path, walk: _Walk) -> Iterator[Break]:
    walk.steps += 1
    if walk.steps > MAX_STEPS or walk.depth > MAX_DEPTH:
        yield Break(path, "schema", is_shown=False)
        return
    if inner is False or outer is True or outer == {}:
        return
    if same(inner, outer) and not _refers(inner):
        return
    inner = {} if inner is True else inner
    if outer is False:
        yield Break(path, "schema", inner, outer)
        return
    pair = (id(inner), id(outer))
    if pair in walk.open_pairs:
        return  # a reference that leads back here: it holds if the rest does
    walk.open_pairs.add(pair)
    walk.depth += 1
    try:
        yield from _compared(inner, outer, path, walk)
    finally:
        walk.depth -= 1
        walk.open_pairs.discard(pair)


def _compared(inner: Mapping[str, Any], outer: Mapping[str, Any], path: Path, walk: _Walk) -> Iterator[Break]:
    if "$ref" in inner or "$ref" in outer:
        yield from _referenced(inner, outer, path, walk)
        return
    inner = _merged(inner)
    outer = _merged(outer)
    if any(name in inner or name in outer for name in _COMBINED):
        yield from _combined(inner, outer, path, walk)
        return
    yield from _plain(inner, outer, path, walk)


def _plain(inner: Mapping[str, Any], outer: Mapping[str, Any], path: Path, walk: _Walk) -> Iterator[Break]:
    values = _finite(inner)
    if values is not None:
        yield from _value_breaks(values, inner, outer, path, walk)
        return
    types, allowed = _types(inner), _types(outer)
    if _lost(types, allowed):
        yield Break(path, "type", inner.get("type"), outer.get("type"))
        return
    for word, listed in _lists(outer):
        if not _covers(types, listed):
            yield Break(path, word, inner.get(word), outer[word])
            return
    for kinds, rule in _RULES:
        if types & kinds:
            yield from rule(inner, outer, path, walk)
    if walk.formats:
        for word in ("format", "contentEncoding", "contentMediaType"):
            if word in outer and inner.get(word) != outer[word]:
                yield Break(path, word, inner.get(word), outer[word], is_shown=False)


# -- types and single values ------------------------------------------------------------------------------------------


def _types(schema: Mapping[str, Any]) -> frozenset[str]:
    named = schema.get("type")
    if named is None:
        return _TYPES
    return frozenset([named] if isinstance(named, str) else named)


def _lost(types: frozenset[str], allowed: frozenset[str]) -> frozenset[str]:
    """Return the types that are not allowed; an integer is a number."""
    return types - _with_integer(allowed)


def _finite(schema: Mapping[str, Any]) -> Sequence[Any] | None:
    """Return all values a schema can have, where it lists them."""
    values: Sequence[Any] | None = None
    for _, listed in _lists(schema):
        left_out = missing(values, listed) if values is not None else []
        values = listed if values is None else missing(values, left_out)
    return values


def _lists(schema: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield the keywords of a schema that list its values, with the values."""
    if isinstance(schema.get("enum"), list | tuple):
        yield "enum", schema["enum"]
    if "const" in schema:
        yield "const", [schema["const"]]


def _covers(types: frozenset[str], listed: Sequence[Any]) -> bool:
    """Return whether a list of values holds every value of the types: only true, false and null can be listed."""
    needed = ([True, False] if "boolean" in types else []) + ([None] if "null" in types else [])
    return types <= {"boolean", "null"} and not missing(needed, listed)


def _value_breaks(
    values: Sequence[Any], inner: Mapping[str, Any], outer: Mapping[str, Any], path: Path, walk: _Walk
) -> Iterator[Break]:
    own = [value for value in values if type_of(value) in _with_integer(_types(inner))]
    for word, listed in _lists(outer):
        if missing(own, listed):
            yield Break(path, word, _listed(inner), list(listed))
            return
    if any(type_of(value) not in _with_integer(_types(outer)) for value in own):
        yield Break(path, "type", inner.get("type"), outer.get("type"))
        return
    limits = {key: value for key, value in outer.items() if key not in ("enum", "const")}
    for value in own[:MAX_COMPARED]:
        # A single value is the schema of that value alone, as far as its size goes.
        yield from _single(value, inner, limits, path, walk)
    if len(own) > MAX_COMPARED and limits.keys() - _NOTES:
        yield Break(path, "enum", _listed(inner), None, is_shown=False)


def _listed(schema: Mapping[str, Any]) -> Any:
    found = _finite(schema)
    return list(found) if found is not None else None


def _with_integer(types: frozenset[str]) -> frozenset[str]:
    return types | {"integer"} if "number" in types else types


def _single(value: Any, inner: Mapping[str, Any], outer: Mapping[str, Any], path: Path, walk: _Walk) -> Iterator[Break]:
    kind = type_of(value)
    if kind in ("integer", "number"):
        narrow: dict[str, Any] = {"type": kind, "minimum": value, "maximum": value, "multipleOf": abs(value)}
    elif kind == "string":
        narrow = {"type": "string", "minLength": len(value), "maxLength": len(value)}
        narrow |= {word: inner[word] for word in ("pattern", "format") if word in inner}
    elif kind in ("array", "object"):
        narrow = {**inner, "type": kind}
        narrow.pop("enum", None)
        narrow.pop("const", None)
    else:
        return
    yield from _plain(narrow, outer, path, walk)


# -- keywords ---------------------------------------------------------------------------------------------------------


def _numbers(inner: Mapping[str, Any], outer: Mapping[str, Any], path: Path, _walk: _Walk) -> Iterator[Break]:
    whole = "number" not in _types(inner)
    for side, sign in (("Minimum", 1), ("Maximum", -1)):
        have, want = _bound(inner, side, sign, whole), _bound(outer, side, sign, whole)
        if want is not None and (have is None or have < want):
            word = _bound_word(outer, side)
            yield Break(path, word, inner.get(word), outer[word])
    if "multipleOf" in outer and not _multiple(inner, outer["multipleOf"], whole=whole):
        yield Break(path, "multipleOf", inner.get("multipleOf"), outer["multipleOf"])


def _bound(schema: Mapping[str, Any], side: str, sign: int, whole: bool) -> tuple[Any, bool] | None:
    """Return the tightest limit as (value × sign, is exclusive), so that the greater one is the tighter."""
    limits = []
    if side.lower() in schema:
        limits.append((schema[side.lower()] * sign, False))
    if f"exclusive{side}" in schema:
        value = schema[f"exclusive{side}"] * sign
        limits.append((value + 1, False) if whole and type_of(value) == "integer" else (value, True))
    return max(limits, default=None)


def _bound_word(schema: Mapping[str, Any], side: str) -> str:
    return f"exclusive{side}" if f"exclusive{side}" in schema else side.lower()


def _multiple(inner: Mapping[str, Any], step: Any, *, whole: bool) -> bool:
    own = inner.get("multipleOf", 1 if whole else None)
    return own == step or (isinstance(own, int) and isinstance(step, int) and own % step == 0)


def _sizes(low: str, high: str) -> Callable[[Mapping[str, Any], Mapping[str, Any], Path, _Walk], Iterator[Break]]:
    def rule(inner: Mapping[str, Any], outer: Mapping[str, Any], path: Path, _walk: _Walk) -> Iterator[Break]:
        if outer.get(low, 0) > inner.get(low, 0):
            yield Break(path, low, inner.get(low), outer[low])
        if high in outer and (high not in inner or inner[high] > outer[high]):
            yield Break(path, high, inner.get(high), outer[high])

    return rule


def _equal(*words: str) -> Callable[[Mapping[str, Any], Mapping[str, Any], Path, _Walk], Iterator[Break]]:
    """Return a rule for what can only be proven by being the same."""

    def rule(inner: Mapping[str, Any], outer: Mapping[str, Any], path: Path, _walk: _Walk) -> Iterator[Break]:
        for word in words:
            if word in outer and (word not in inner or not same(inner[word], outer[word])):
                yield Break(path, word, inner.get(word), outer[word], is_shown=False)

    return rule


def _unique(inner: Mapping[str, Any], outer: Mapping[str, Any], path: Path, _walk: _Walk) -> Iterator[Break]:
    if outer.get("uniqueItems") and not inner.get("uniqueItems") and inner.get("maxItems", 2) > 1:
        yield Break(path, "uniqueItems", inner.get("uniqueItems"), outer["uniqueItems"])


def _items(inner: Mapping[str, Any], outer: Mapping[str, Any], path: Path, walk: _Walk) -> Iterator[Break]:
    have, want = inner.get("items", True), outer.get("items", True)
    if inner.get("maxItems") == 0:
        return
    if isinstance(have, list) or isinstance(want, list):
        closed = same(inner.get("additionalItems", True), outer.get("additionalItems", True))
        if not (same(have, want) and closed) or _refers(have):
            yield Break((*path, "[]"), "items", have, want, is_shown=False)
        return
    yield from _breaks(have, want, (*path, "[]"), walk)


def _properties(inner: Mapping[str, Any], outer: Mapping[str, Any], path: Path, walk: _Walk) -> Iterator[Break]:
    have, want = inner.get("properties", {}), outer.get("properties", {})
    for name in outer.get("required", ()):
        if name not in inner.get("required", ()):
            yield Break((*path, name), "required", inner=False, outer=True)
    open_inner, open_outer = inner.get("additionalProperties", True), outer.get("additionalProperties", True)
    for name in dict.fromkeys([*have, *want]):
        mine, theirs = have.get(name, open_inner), want.get(name, open_outer)
        if mine is not False and theirs is False:
            yield Break((*path, name), "properties", mine, None)
        else:
            yield from _breaks(mine, theirs, (*path, name), walk)
    yield from _breaks(open_inner, open_outer, (*path, "*"), walk)
    patterns, wanted = inner.get("patternProperties", {}), outer.get("patternProperties", {})
    if (patterns or wanted) and not (same(patterns, wanted) and not _refers(patterns)):
        anything = not wanted and not want and open_outer in (True, {})
        if not anything:
            yield Break(path, "patternProperties", patterns or None, wanted or None, is_shown=False)


def _refers(part: Any) -> bool:
    stack = [part]
    while stack:
        one = stack.pop()
        if isinstance(one, Mapping):
            if "$ref" in one:
                return True
            stack.extend(one.values())
        elif isinstance(one, list):
            stack.extend(one)
    return False


# Which types a rule is about, and the rule. All of them are asked; a type nobody asks about has no keywords.
_RULES: tuple[tuple[frozenset[str], Callable[..., Iterator[Break]]], ...] = (
    (frozenset({"number", "integer"}), _numbers),
    (frozenset({"string"}), _sizes("minLength", "maxLength")),
    (frozenset({"string"}), _equal("pattern")),
    (frozenset({"array"}), _sizes("minItems", "maxItems")),
    (frozenset({"array"}), _unique),
    (frozenset({"array"}), _items),
    (frozenset({"array"}), _equal("contains")),
    (frozenset({"object"}), _sizes("minProperties", "maxProperties")),
    (frozenset({"object"}), _properties),
    (frozenset({"object"}), _equal("propertyNames", "dependencies")),
)


# -- references and combinations --------------------------------------------------------------------------------------


def _referenced(inner: Mapping[str, Any], outer: Mapping[str, Any], path: Path, walk: _Walk) -> Iterator[Break]:
    mine, theirs = resolved(inner, walk.inner_root), resolved(outer, walk.outer_root)
    if mine is None or theirs is None:
        yield Break(path, "$ref", inner.get("$ref"), outer.get("$ref"), is_shown=False)
        return
    yield from _breaks(mine, theirs, path, walk)


def resolved(schema: Any, root: Any) -> Any:
    """Follow `#/…` references; None where one leads nowhere or in a circle."""
    for _ in range(MAX_DEPTH):
        if not (isinstance(schema, Mapping) and "$ref" in schema):
            return schema
        name = schema["$ref"]
        if not isinstance(name, str) or not name.startswith("#"):
            return None
        schema = root
        for step in filter(None, name[1:].split("/")):
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(schema, Mapping) and key in schema:
                schema = schema[key]
            elif isinstance(schema, list) and key.isdigit() and int(key) < len(schema):
                schema = schema[int(key)]
            else:
                return None
    return None


def _merged(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put the parts of `allOf` beside the rest, where no two of them speak of the same keyword."""
    parts = schema.get("allOf")
    if not isinstance(parts, list) or not all(isinstance(part, Mapping) and "$ref" not in part for part in parts):
        return schema
    whole = {key: value for key, value in schema.items() if key != "allOf"}
    for part in parts:
        notes = {"title", "description", "default", "examples"}
        if (part.keys() & whole.keys()) - notes:
            return schema
        whole |= part
    return whole


def _combined(inner: Mapping[str, Any], outer: Mapping[str, Any], path: Path, walk: _Walk) -> Iterator[Break]:
    mine = {name: inner[name] for name in _COMBINED if name in inner}
    theirs = {name: outer[name] for name in _COMBINED if name in outer}
    rest_inner = {name: value for name, value in inner.items() if name not in _COMBINED}
    rest_outer = {name: value for name, value in outer.items() if name not in _COMBINED}
    if same(mine, theirs) and not _refers(mine):
        yield from _breaks(rest_inner, rest_outer, path, walk)
        return
    branches = next((mine[name] for name in ("anyOf", "oneOf") if isinstance(mine.get(name), list)), None)
    if branches is not None:
        for branch in branches:
            yield from _breaks(_joined(rest_inner, branch, walk), outer, path, walk)
        return
    if rest_outer:
        yield from _breaks(rest_inner, rest_outer, path, walk)
    for name, wanted in theirs.items():
        yield from _demanded(name, inner, wanted, path, walk)


def _demanded(name: str, inner: Mapping[str, Any], wanted: Any, path: Path, walk: _Walk) -> Iterator[Break]:
    """Yield what stands against `inner` meeting one combining keyword of the other schema."""
    if name == "allOf":
        for part in wanted:
            yield from _breaks(inner, part, path, walk)
    elif name == "anyOf":
        tries = [list(_breaks(inner, part, path, walk)) for part in wanted]
        if all(tries):
            yield Break(path, "anyOf", _short_types(inner), [_short_types(part) for part in wanted], is_shown=False)
    elif name not in ("then", "else"):
        yield Break(path, name, None, wanted, is_shown=False)


def _short_types(schema: Any) -> Any:
    return schema.get("type", "any") if isinstance(schema, Mapping) else schema


def _joined(rest: Mapping[str, Any], branch: Any, walk: _Walk) -> Any:
    """Return a schema that takes all that both take: both together, or the branch alone where they overlap."""
    found = resolved(branch, walk.inner_root)
    if not isinstance(found, Mapping):
        return branch
    notes = {"title", "description", "default", "examples", "definitions", "$defs"}
    if (rest.keys() & found.keys()) - notes:
        return {**found}
    return {**rest, **found}
