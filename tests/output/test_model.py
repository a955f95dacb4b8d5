"""JSON Schema → Pydantic: the schema stays the judge, the model gives attributes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from promptstudio.errors import PromptFileError
from promptstudio.output.model import model_from_schema, output_model
from promptstudio.prompts.prompt import OutputSpec

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["kind", "rows"],
    "properties": {
        "kind": {"type": "string", "enum": ["a", "b"]},
        "rows": {"type": "array", "maxItems": 2, "items": {"$ref": "#/definitions/row"}},
        "note": {"type": "string", "maxLength": 3},
        "الاسم": {"type": "string"},
        "class": {"type": "integer"},
        "model_dump": {"type": "string"},
    },
    "definitions": {"row": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}},
}
GOOD = {"kind": "a", "rows": [{"n": 1}], "الاسم": "سارة", "class": 3, "model_dump": "x"}


def test_values_become_attributes_and_come_back_as_they_were() -> None:
    value = model_from_schema("my answer", SCHEMA).model_validate(GOOD)
    assert type(value).__name__ == "MyAnswer"
    assert value.kind == "a"  # type: ignore[attr-defined]
    assert value.rows[0].n == 1  # type: ignore[attr-defined]
    assert value.الاسم == "سارة"  # type: ignore[attr-defined]
    assert value.model_dump(mode="json", by_alias=True, exclude_unset=True) == GOOD


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "c"}, "kind"),
        ({"rows": [{"n": 1}] * 3}, "rows"),
        ({"rows": [{"n": "1"}]}, r"rows\.0\.n"),
        ({"note": "long"}, "note"),
        ({"extra": 1}, "extra"),
    ],
)
def test_what_the_schema_forbids_is_refused_with_its_place(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        model_from_schema("answer", SCHEMA).model_validate({**GOOD, **change})


def test_the_model_is_asked_for_exactly_the_schema_of_the_file() -> None:
    shown = model_from_schema("Answer", SCHEMA).model_json_schema()
    assert {key: shown[key] for key in SCHEMA} == SCHEMA


def test_a_schema_that_contains_itself_makes_a_model_in_bounded_depth() -> None:
    tree = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}}}
    value = model_from_schema("Tree", tree).model_validate({"kids": [{"kids": [{"kids": []}]}]})
    assert value.kids[0] is not None  # type: ignore[attr-defined]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def spec(model: str) -> OutputSpec:
    return OutputSpec("Answer", None, model=model, line=7)


def test_a_model_is_imported_from_the_repository(repository: Path) -> None:
    text = "from pydantic import BaseModel\nclass Answer(BaseModel):\n    n: int\n"
    repository.joinpath("my_answers.py").write_text(text)
    found = output_model(spec("my_answers:Answer"), repository)
    assert issubclass(found, BaseModel)
    assert found.model_validate({"n": 1}).n == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("reference", "text", "words"),
    [
        ("pydantic:BaseModel", None, "no module 'pydantic' in this repository"),
        ("nothing:Answer", None, "no module 'nothing'"),
        ("os.path", None, "module:name"),
        ("../evil:Answer", None, "module:name"),
        ("broken_one:Answer", "raise RuntimeError('no')", "RuntimeError: no"),
        ("leaving_one:Answer", "import sys; sys.exit(3)", "importing"),
        ("wrong_one:Answer", "Answer = 3", "not a Pydantic model"),
        ("absent_one:Answer", "", "not a Pydantic model"),
    ],
)
def test_anything_else_is_named_with_file_and_line(
    repository: Path, reference: str, text: str | None, words: str
) -> None:
    if text is not None:
        repository.joinpath(reference.partition(":")[0] + ".py").write_text(text)
    with pytest.raises(PromptFileError, match=words) as caught:
        output_model(spec(reference), repository, file="prompts/x.yaml")
    assert str(caught.value).startswith("prompts/x.yaml:7: ")


def test_without_a_project_there_is_nowhere_to_import_from() -> None:
    with pytest.raises(PromptFileError, match="needs a project"):
        output_model(spec("answers:Answer"), None)


def test_references_that_multiply_end_soon_and_the_schema_is_still_checked() -> None:
    levels: dict[str, Any] = {
        f"d{n}": {
            "type": "object",
            "required": ["x", "y", "z"],
            "properties": {key: {"$ref": f"#/$defs/d{n + 1}"} for key in "xyz"},
        }
        for n in range(30)
    }
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": levels}
    with pytest.raises(ValidationError, match=r"a\.x: expected a map"):
        model_from_schema("Fan", schema).model_validate({"a": {"x": 1, "y": 1, "z": 1}})
