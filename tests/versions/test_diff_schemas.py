"""Whether one JSON Schema takes all values of another: a table of keywords, and that a proof is never wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptstudio.prompts.jsonschemas import value_problems
from promptstudio.versions.diff.contain import breaks

S = "string"
CONTAINED = [
    ({}, {}),
    ({"type": "integer"}, {"type": "number"}),
    ({"type": "integer"}, {"type": ["null", "number"]}),
    ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
    ({"type": "number", "exclusiveMaximum": 5}, {"type": "number", "maximum": 5}),
    ({"type": "integer", "multipleOf": 6}, {"type": "integer", "multipleOf": 3}),
    ({"const": "a"}, {"enum": ["a", "b"]}),
    ({"enum": ["a"]}, {"type": "string", "enum": ["a", "b"], "maxLength": 1}),
    ({"enum": [1, 2.0]}, {"type": "integer", "maximum": 2}),
    ({"enum": ["ab"]}, {"type": S, "maxLength": 2}),
    ({"type": "boolean"}, {"enum": [True, False, None]}),
    ({"type": S, "pattern": "^a"}, {"type": S, "pattern": "^a"}),
    ({"type": S, "minLength": 2}, {"type": S, "minLength": 1}),
    ({"type": "array", "items": {"enum": [1]}}, {"type": "array", "items": {"type": "integer"}}),
    ({"type": "array", "maxItems": 0}, {"type": "array", "items": {"type": S}}),
    ({"type": "array", "maxItems": 1}, {"type": "array", "uniqueItems": True}),
    ({"type": S}, {"anyOf": [{"type": S}, {"type": "null"}]}),
    ({"anyOf": [{"const": 1}, {"const": 2}]}, {"type": "integer"}),
    ({"anyOf": [{"const": 1}, {"type": "null"}]}, {"anyOf": [{"type": "null"}, {"type": "integer"}]}),
    ({"allOf": [{"type": S}, {"maxLength": 3}]}, {"type": S, "maxLength": 4}),
    ({"type": S, "not": {"const": "x"}}, {"type": S}),
    ({"oneOf": [{"const": 1}, {"const": 2}]}, {"enum": [2, 1]}),
    ({"$ref": "#/definitions/a", "definitions": {"a": {"const": 1}}}, {"type": "integer"}),
    ({"type": "object", "required": ["a", "b"]}, {"type": "object", "required": ["a"]}),
    (False, {"type": S}),
    ({"type": S}, True),
]
NOT_CONTAINED = [
    ({}, {"type": S}, "type"),
    ({"type": "number"}, {"type": "integer"}, "type"),
    ({"type": [S, "null"]}, {"type": S}, "type"),
    ({"enum": [True]}, {"enum": [1]}, "enum"),
    ({"type": S}, {"enum": ["a"]}, "enum"),
    ({"enum": ["abc"]}, {"type": S, "maxLength": 2}, "maxLength"),
    ({"type": "number", "maximum": 5}, {"type": "number", "exclusiveMaximum": 5}, "exclusiveMaximum"),
    ({"type": "integer"}, {"type": "integer", "multipleOf": 2}, "multipleOf"),
    ({"type": S}, {"type": S, "pattern": "a"}, "pattern"),
    ({"type": "array"}, {"type": "array", "uniqueItems": True}, "uniqueItems"),
    ({"type": "array"}, {"type": "array", "contains": {"const": 1}}, "contains"),
    ({"type": "object"}, {"type": "object", "additionalProperties": False}, "schema"),
    ({"type": "object"}, {"type": "object", "propertyNames": {"maxLength": 3}}, "propertyNames"),
    ({"type": "object"}, {"type": "object", "patternProperties": {"^a": {"type": S}}}, "patternProperties"),
    ({"type": S}, {"oneOf": [{"type": S}, {"maxLength": 3}]}, "oneOf"),
    ({"type": S}, {"type": S, "not": {"const": "x"}}, "not"),
    ({"type": S}, False, "schema"),
    ({"const": []}, {"type": S, "const": []}, "type"),
    ({"const": "ab"}, {"enum": ["ab"], "maxLength": 1}, "maxLength"),
    ({"const": 1}, {"enum": [1, 2], "const": 2}, "const"),
    ({"$ref": "#/definitions/gone"}, {"type": S}, "$ref"),
]


@pytest.mark.parametrize(("inner", "outer"), CONTAINED, ids=str)
def test_is_shown_to_be_contained(inner: Any, outer: Any) -> None:
    assert breaks(inner, outer) == []


@pytest.mark.parametrize(("inner", "outer", "keyword"), NOT_CONTAINED, ids=str)
def test_is_not_contained_because_of(inner: Any, outer: Any, keyword: str) -> None:
    assert [found.keyword for found in breaks(inner, outer)] == [keyword]


def test_the_place_of_a_break_leads_through_fields_and_items() -> None:
    def schema(limit: int) -> dict[str, Any]:
        row = {"type": "object", "properties": {"id": {"type": "integer", "maximum": limit}}}
        return {"type": "object", "properties": {"rows": {"type": "array", "items": row}}}

    found = breaks(schema(9), schema(5))

    assert [(one.path, one.keyword, one.inner, one.outer) for one in found] == [(("rows", "[]", "id"), "maximum", 9, 5)]


def test_a_schema_that_refers_to_itself_comes_to_an_end() -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "#"}, "value": {"type": "integer"}}}
    wider = {"type": "object", "properties": {"next": {"$ref": "#"}, "value": {"type": "number"}}}

    assert breaks(tree, wider) == []
    assert [one.path for one in breaks(wider, tree)] == [("value",)]


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}], "anyOf": [{"$ref": "#"}, {"type": "string"}]},
        {"type": "object", "properties": {name: {"anyOf": [{"$ref": "#"}] * 9} for name in "abcdefgh"}},
    ],
)
def test_a_hostile_schema_is_given_up_and_not_called_compatible(schema: Any) -> None:
    found = breaks(schema, {"type": "object", "properties": {"a": {"type": "integer"}}, "not": {"const": 1}})

    assert found
    assert not all(one.is_shown for one in found)


def test_a_large_enum_is_compared_in_no_time() -> None:
    values = [f"v{number}" for number in range(20_000)]

    assert breaks({"enum": values}, {"enum": values[::-1]}) == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "ab", "abc", 0.5, 2.0]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)
NAMES = ["string", "integer", "number", "boolean", "null", "array", "object"]
LEAVES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(NAMES) | st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": VALUES,
        "minimum": st.integers(-2, 2),
        "maximum": st.integers(-2, 2),
        "exclusiveMinimum": st.integers(-2, 2),
        "exclusiveMaximum": st.integers(-2, 2),
        "multipleOf": st.integers(1, 3),
        "minLength": st.integers(0, 2),
        "maxLength": st.integers(0, 2),
        "pattern": st.sampled_from(["^a", "b$"]),
        "minItems": st.integers(0, 2),
        "maxItems": st.integers(0, 2),
        "uniqueItems": st.booleans(),
        "required": st.lists(st.sampled_from("ab"), unique=True, max_size=2),
        "minProperties": st.integers(0, 2),
        "maxProperties": st.integers(0, 2),
    },
)
SCHEMAS = st.recursive(
    LEAVES | st.booleans(),
    lambda inner: st.tuples(
        LEAVES,
        st.fixed_dictionaries(
            {},
            optional={
                "items": inner,
                "contains": inner,
                "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
                "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$"]), inner, max_size=1),
                "additionalProperties": inner,
                "propertyNames": inner,
                "anyOf": st.lists(inner, min_size=1, max_size=2),
                "oneOf": st.lists(inner, min_size=1, max_size=2),
                "allOf": st.lists(inner, min_size=1, max_size=2),
                "not": inner,
                "if": inner,
                "then": inner,
            },
        ),
    ).map(lambda parts: {**parts[0], **parts[1]}),
    max_leaves=4,
)


@settings(max_examples=250, deadline=None)
@given(SCHEMAS, SCHEMAS, st.lists(VALUES, min_size=4, max_size=12))
def test_what_is_shown_to_be_contained_holds_for_every_value(inner: Any, outer: Any, values: list[Any]) -> None:
    if breaks(inner, outer):
        return
    for value in values:
        if not problems(inner, value):
            assert not problems(outer, value)


@settings(max_examples=60, deadline=None)
@given(SCHEMAS)
def test_every_schema_contains_itself(schema: Any) -> None:
    assert breaks(schema, schema) == []


def problems(schema: Any, value: Any) -> list[Any]:
    return value_problems({"allOf": [schema]}, value)
