"""JSON Schemas and the values they describe."""

from __future__ import annotations

from typing import Any

import pytest

from promptstudio.prompts.jsonschemas import (
    KEYWORDS,
    object_root_problem,
    pattern_problem,
    schema_problems,
    subschemas,
    value_problems,
    without_notes,
)


@pytest.mark.parametrize(
    ("schema", "path", "says"),
    [
        ({"type": "strng"}, ("type",), "did you mean 'string'"),
        ({"type": ["string", "nul"]}, ("type",), "did you mean 'null'"),
        ({"maxlength": 3}, ("maxlength",), "did you mean 'maxLength'"),
        ({"colour": 3}, ("colour",), "unknown key 'colour'"),
        ({"maxLength": "3"}, ("maxLength",), "expected an integer, found the text '3'"),
        ({"minimum": True}, ("minimum",), "expected a number, found true"),
        ({"properties": {"a": 3}}, ("properties", "a"), "expected a JSON Schema"),
        ({"properties": {"a": {"items": {"typ": 1}}}}, ("properties", "a", "items", "typ"), "did you mean 'type'"),
        ({"anyOf": [{"enum": 3}]}, ("anyOf", 0, "enum"), "expected a list"),
        ({"pattern": "("}, ("pattern",), "unclosed group"),
        ({"pattern": "(?=a)b"}, ("pattern",), "look-around"),
        ({"pattern": r"(a)\1"}, ("pattern",), "back-references"),
        ({"pattern": "a" * 1001}, ("pattern",), "1,001 characters"),
        ({"pattern": "((a{0,100}){0,100}){0,100}"}, ("pattern",), "not a usable pattern"),
        ({"patternProperties": {"[": {}}}, ("patternProperties", "["), "not a usable pattern"),
        ({"$ref": "https://example.com/s.json"}, ("$ref",), "leaves the schema"),
        ({"items": {"$ref": "file:///etc/passwd"}}, ("items", "$ref"), "leaves the schema"),
        ({"$ref": "#/definitions/a"}, ("$ref",), "points at nothing"),
        ({"properties": {"a": {"$id": "x"}}}, ("properties", "a", "$id"), "remove it"),
        (3, (), "expected a JSON Schema"),
    ],
)
def test_a_wrong_schema_says_where(schema: Any, path: tuple[str | int, ...], says: str) -> None:
    assert any(at == path and says in message for at, message in schema_problems(schema)), schema_problems(schema)


def test_properties_may_be_named_like_keywords() -> None:
    schema = {"properties": {"type": {"type": "string"}, "maxlength": {}, "$ref": {"type": "integer"}}}
    assert schema_problems(schema) == []
    assert without_notes({"properties": {"title": {"title": "x"}}}, drop=("title",)) == {"properties": {"title": {}}}


def test_unknown_keywords_pass_in_a_foreign_schema_unless_they_look_misspelled() -> None:
    assert schema_problems({"nullable": True, "discriminator": {}}, strict_keywords=False) == []
    assert schema_problems({"maxlength": 3}, strict_keywords=False)


@pytest.mark.parametrize(
    ("schema", "value", "path", "says"),
    [
        ({"type": "integer"}, "abc", (), "expected an integer, found the text 'abc'"),
        ({"type": "integer"}, True, (), "found true"),
        ({"type": ["string", "null"]}, 3, (), "expected text or null, found the number 3"),
        ({"enum": ["web", "ios"]}, "wep", (), "did you mean 'web'"),
        ({"const": 3}, 4, (), "expected the number 3"),
        ({"maxLength": 2}, "abc", (), "at most 2 characters, found 3"),
        ({"minimum": 1}, 0, (), "at least 1, found the number 0"),
        ({"pattern": "^[a-z]+$"}, "A1", (), "does not match the pattern"),
        ({"items": {"type": "string"}}, ["a", 1], (1,), "expected text"),
        ({"required": ["a", "b"]}, {}, (), "missing key 'a', 'b'"),
        ({"properties": {"name": {}}, "additionalProperties": False}, {"nam": 1}, (), "did you mean 'name'"),
        ({"additionalProperties": {"type": "integer"}}, {"a": "x"}, ("a",), "expected an integer"),
        ({"patternProperties": {"^s_": {"type": "string"}}}, {"s_a": 1}, ("s_a",), "expected text"),
        ({"patternProperties": {"^s_": {}}, "additionalProperties": False}, {"s_a": 1, "t": 1}, (), "unknown key 't'"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 3, (), "fits none"),
        ({"multipleOf": 0.1}, 10**400, (), "cannot be checked"),
    ],
)
def test_a_wrong_value_says_where_and_why(schema: Any, value: Any, path: tuple[str | int, ...], says: str) -> None:
    problems = value_problems(schema, value)
    assert [at for at, message in problems if says in message] == [path], problems


def test_one_missing_message_names_all_missing_keys_once() -> None:
    assert len(value_problems({"required": ["a", "b", "c"]}, {})) == 1


def test_messages_never_carry_a_long_value_or_control_characters() -> None:
    message = value_problems({"type": "integer"}, "\x1b[31m\u202e" + "x" * 10_000)[0][1]
    assert len(message) < 120
    assert "\\u001b" in message
    assert "\\u202e" in message
    assert "\x1b" not in message


def test_a_catastrophic_pattern_costs_nothing() -> None:
    assert pattern_problem("(a+)+$") is None
    assert value_problems({"pattern": "(a+)+$"}, "a" * 100_000 + "b")
    assert "too long to match" in value_problems({"pattern": "a"}, "a" * 300_000)[0][1]


def test_references_that_multiply_are_stopped() -> None:
    parts = {f"d{i}": {"allOf": [{"$ref": f"#/definitions/d{i + 1}"}] * 2} for i in range(45)}
    schema = {"$ref": "#/definitions/d0", "definitions": {**parts, "d45": {}}}
    assert "too deeply" in value_problems(schema, 1)[0][1]
    assert "too deeply" in value_problems({"$ref": "#"}, 1)[0][1]


def test_a_schema_that_is_too_deep_or_too_large_is_refused_first() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"not": deep}
    assert "deeper than 50" in schema_problems(deep)[0][1]
    assert "more than 20,000 parts" in schema_problems({"enum": list(range(30_000))})[0][1]


def test_a_recursive_schema_works_on_a_tree() -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "#"}, "n": {"type": "integer"}}}
    assert schema_problems(tree) == []
    assert value_problems(tree, {"next": {"next": {"n": "x"}}})[0][0] == ("next", "next", "n")


@pytest.mark.parametrize(
    ("schema", "is_object"),
    [
        ({"type": "object"}, True),
        ({"properties": {}}, True),
        ({"$ref": "#/definitions/a", "definitions": {"a": {"type": "object"}}}, True),
        ({"type": "array"}, False),
        ({"$ref": "#"}, False),
        (True, False),
    ],
)
def test_the_root_of_an_output_must_be_an_object(schema: Any, is_object: bool) -> None:
    assert (object_root_problem(schema) is None) is is_object


def test_every_keyword_of_draft_7_is_known() -> None:
    from jsonschema import Draft7Validator

    assert set(Draft7Validator.META_SCHEMA["properties"]) <= set(KEYWORDS)


def test_subschemas_finds_schemas_wherever_they_stand() -> None:
    schema = {"items": [{"title": "a"}], "not": {"title": "b"}, "dependencies": {"x": ["y"], "z": {"title": "c"}}}
    assert {part["title"] for _, part in subschemas(schema) if "title" in part} == {"a", "b", "c"}


@pytest.mark.parametrize(("value", "says"), [(float("nan"), 2), (float("inf"), 1), (True, 0), ("a", 0), (0.5, 0)])
def test_what_is_not_a_number_is_within_no_limits(value: Any, says: int) -> None:
    found = value_problems({"minimum": 0, "maximum": 1}, value)
    assert [path for path, _ in found] == [()] * says
    assert all("must be at " in message for _, message in found)
