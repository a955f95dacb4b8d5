"""The JSON Schemas that editors use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from promptstudio.prompts.schema_export import Kind, schema_json, schema_path
from promptstudio.prompts.yamlfile import read_yaml
from tests.prompts.test_lint import SUITE
from tests.prompts.test_schema import BAD

GOLDEN_DIR = Path(__file__).parent.parent / "golden"
KINDS: tuple[Kind, ...] = ("prompt", "suite")


def errors(kind: Kind, text: str) -> list[str]:
    schema = json.loads(schema_json(kind))
    return [error.message for error in Draft7Validator(schema).iter_errors(read_yaml(text, file="x").value)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_shipped_schema_is_the_generated_one_and_is_draft_7(kind: Kind) -> None:
    assert schema_path(kind).read_text(encoding="utf-8") == schema_json(kind)
    schema = json.loads(schema_json(kind))
    Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert "#/$defs" not in schema_json(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_most_keys_have_a_description(kind: Kind) -> None:
    properties: dict[str, Any] = json.loads(schema_json(kind))["properties"]
    assert sum("description" in part or "$ref" in part for part in properties.values()) >= len(properties) / 2


def test_good_files_fit() -> None:
    assert errors("prompt", (GOLDEN_DIR / "whole_prompt.yaml").read_text(encoding="utf-8")) == []
    assert errors("prompt", "prompt: a") == []
    assert errors("prompt", "x-a: 1\nsystem: a\nprompt: b\noutput: {schema: {$ref: ./x.json}}") == []
    assert errors("suite", SUITE) == []
    assert errors("suite", "prompt: a\ncases: data/x.jsonl") == []


# What only reading the templates, patterns and names can tell; the schema of an editor cannot.
_BEYOND_A_SCHEMA = (
    "cannot hold", "do not start with", "no spaces", "snake_case", "does not belong", "looks like a secret", "braces",
    "expected an integer, found the text 'x'", "never required", "means nothing", "as a variable", "in a template",
    "look-around", "leaves the schema", "root must be", "unknown key 'typ'", "MODULE:CLASS", "Latin letters",
    "a variant cannot", "two names", "needs a value", "has one name", "has no name", "compares with",
    "FILE.py:FUNCTION",
    "unknown type", "texts", "found true", "expected a number, found the text 'hot'",
)  # fmt: skip


@pytest.mark.parametrize(
    "text", [text for text, _, says, _ in BAD if not any(part in says for part in _BEYOND_A_SCHEMA)]
)
def test_bad_files_do_not_fit(text: str) -> None:
    assert errors("prompt", text)


@pytest.mark.parametrize(
    "text", ["cases: []", "prompt: a", "prompt: a\nprompts: [b]\ncases: x", "prompt: a\ncases: x\ngat: {}"]
)
def test_bad_suites_do_not_fit(text: str) -> None:
    assert errors("suite", text)
