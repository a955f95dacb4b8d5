"""The base of the models of our YAML files, and Pydantic's errors in our words with file:line:column.

Strict: nothing is coerced. Unknown keys are errors, `x-*` keys are free at every level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from promptstudio.errors import Problem
from promptstudio.prompts.overlay import Source, walk
from promptstudio.prompts.wording import found, nearest, suggestion
from promptstudio.prompts.yamlfile import ValuePath

# One thing that is wrong with a value: path, fact, action.
Fault = tuple[ValuePath, str, str | None]


def _free_keys(schema: dict[str, Any]) -> None:
    schema["patternProperties"] = {"^x-": {}}
    schema.pop("title", None)


class FileModel(BaseModel):
    """A map in a file. The validation context `{"classes": {}}` collects which map was read as which class."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, json_schema_extra=_free_keys, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_free_keys(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, dict):
            return value
        if info.context is not None:
            info.context["classes"][id(value)] = cls
        return {key: item for key, item in value.items() if not key.startswith("x-")}

    @classmethod
    def key_names(cls) -> list[str]:
        return [field.alias or name for name, field in cls.model_fields.items()]

    @classmethod
    def may_be_null(cls, key: str) -> bool:
        """True for keys that hold any value, and for those whose type already refused the null."""
        field = next(field for name, field in cls.model_fields.items() if key in (name, field.alias))
        return field.annotation is Any or field.is_required() or field.default is not None


def fault(message: str, hint: str | None = None) -> PydanticCustomError:
    """Return the error for a validator to raise: our words, kept as they are."""
    return PydanticCustomError("fault", "{text}", {"text": message, "hint": hint})


def choice(names: Sequence[str]) -> Any:
    """Return the type of a text that is one of `names`, with a did-you-mean."""

    def check(value: str) -> str:
        if value not in names:
            raise fault(f"{found(value)} is not one of the known ones", suggestion(value, names))
        return value

    return Annotated[str, AfterValidator(check), WithJsonSchema({"type": "string", "enum": list(names)})]


Model = TypeVar("Model", bound=FileModel)


def model_problems(model: type[Model], source: Source, path: ValuePath = ()) -> tuple[Model | None, list[Problem]]:
    """Read the map at `path` as a model: the model and no problems, or None and all of them."""
    value = source.at(path)
    if not isinstance(value, dict):
        hint = None if path else "a file is a map of keys such as `prompt:`"
        return None, [source.problem(f"expected a map, {found_text(value)}", path, hint)]
    classes: dict[int, type[FileModel]] = {}
    read: Model | None = None
    problems: list[Problem] = []
    try:
        read = model.model_validate(value, context={"classes": classes})
    except ValidationError as cause:
        problems = [_problem(dict(error), source, path, classes) for error in cause.errors(include_url=False)]
    problems += _nulls(source, path, classes)
    return (None if problems else read), problems


def _nulls(source: Source, path: ValuePath, classes: Mapping[int, type[FileModel]]) -> list[Problem]:
    """A key without a value is a slip of the pen, not a way to say "default"; Pydantic would let it pass."""
    problems = []
    for at, value in walk(source.at(path), path):
        model = classes.get(id(value)) if isinstance(value, dict) else None
        for key in model.key_names() if model else ():
            if value.get(key, ...) is None and not (model and model.may_be_null(key)):
                text = "expected a value, found nothing (null)"
                problems.append(source.problem(text, (*at, key), "give a value or remove the key"))
    return problems


def problems_at(source: Source, faults: Iterable[Fault]) -> list[Problem]:
    return [
        source.problem(message, path, hint, at_key=message.startswith("unknown key")) for path, message, hint in faults
    ]


def found_text(value: Any) -> str:
    return f"found {found(value)}"


# Pydantic's error type → what was expected. Types that need more than that have a line of their own in `_problem`.
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than_equal": "a number of at most {le}",
    "too_short": "at least {min_length} item",
    "string_too_short": "text that is not empty",
}


def _problem(error: dict[str, Any], source: Source, base: ValuePath, classes: Mapping[int, type[FileModel]]) -> Problem:
    loc = (step for step in error["loc"] if not (isinstance(step, str) and step.startswith("<")))
    path: ValuePath = (*base, *loc)
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(path, source, classes)
    if kind == "missing":
        return source.problem(f"missing key {str(path[-1])!r}", path[:-1])
    if kind == "fault":
        return source.problem(context["text"], path, context["hint"])
    if kind in _EXPECTED:
        message = f"expected {_EXPECTED[kind].format(**context)}, {found_text(value)}"
        return source.problem(message, path, _type_hint(kind, value, source.literal(path)))
    return source.problem(error["msg"], path)


def _unknown_key(path: ValuePath, source: Source, classes: Mapping[int, type[FileModel]]) -> Problem:
    parent = source.at(path[:-1])
    known = classes[id(parent)].key_names() if id(parent) in classes else []
    key = str(path[-1])
    hint = suggestion(key, known)
    if not nearest(key, known):
        hint += "; a key of your own starts with x-"
    text = f"unknown key {key[:80]!r}"
    where = source.problem(text, path[:-1], hint)
    line, column = source.key_place(path)
    return Problem(where.message, file=source.file, line=line, column=column, hint=hint)


def _type_hint(kind: str, value: Any, literal: str | None) -> str | None:
    """Return what to do about a value of the wrong kind, where we can guess what was meant."""
    hint = "give a value or remove the key" if value is None else None
    if kind == "string_type" and literal is not None and value is not None:
        hint = f"quote it: '{literal}'"
    elif kind == "string_type" and isinstance(value, dict) and len(value) <= 1:
        hint = "quote a text that has `: ` or braces in it, or put it on the lines after `|`"
    elif kind in ("int_type", "float_type") and isinstance(value, str) and value.strip().lstrip("+-").isdigit():
        hint = "write the number without quotes"
    elif kind == "bool_type" and isinstance(value, str):
        hint = "write true or false, without quotes"
    elif kind == "list_type" and isinstance(value, str):
        hint = f"write a list: [{value[:40]}]"
    return hint
