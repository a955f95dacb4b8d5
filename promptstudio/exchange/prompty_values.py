"""The inputs, outputs and samples that the front matter of a `.prompty` file declares → what a draft knows of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from promptstudio.errors import PromptFileError
from promptstudio.exchange.drafts import Draft
from promptstudio.exchange.peeking import document_of
from promptstudio.exchange.spots import Spot
from promptstudio.prompts.jsonschemas import value_problems

# What either version calls the kind of a value → our type.
KINDS = {
    "string": "string",
    "integer": "integer",
    "float": "number",
    "number": "number",
    "boolean": "boolean",
    "array": "array",
    "list": "array",
    "object": "object",
    "thread": "messages",
    "image": "image",
    "audio": "audio",
    "file": "file",
}
SAMPLE = "a sample is kept as an example, below tests: or in metadata:, and never sent unasked"
RICH = frozenset({"messages", "image", "audio", "file"})


def properties(spot: Spot | None) -> Iterator[tuple[str, Spot]]:
    """Yield names and values of a list or a map of properties."""
    if spot is None:
        return
    if spot.is_map():
        yield from spot.entries()
        return
    for item in spot.items():
        yield item.need("name").text(), item


def read_input(draft: Draft, name: str, spot: Spot, *, is_first: bool) -> None:
    path = spot.path
    about: dict[str, Any] = {}
    if not spot.is_map():
        _read_shorthand(draft, name, spot, about, is_first=is_first)
        return
    kind = spot.get("kind") or spot.get("type")
    about["type"] = _type_of(kind)
    if (description := spot.get("description")) is not None:
        about["description"] = description.text()
    choices = spot.get("enumValues") or spot.get("enum")
    if choices is not None and choices.is_list() and about["type"] not in RICH:
        about["enum"] = choices.plain()
    required = spot.get("required") or spot.get("is_required")
    if required is not None:
        about["required"] = required.truth()
    elif not is_first:
        about["required"] = False
    if (strict := spot.get("strict")) is not None:
        strict.settle()
    for key in ("default", "sample", "example"):
        if (value := spot.get(key)) is not None:
            _read_example(draft, name, key, value, about)
    _declare(draft, name, about, path)


def _read_shorthand(draft: Draft, name: str, spot: Spot, about: dict[str, Any], *, is_first: bool) -> None:
    """`inputs: {question: Hello}` is a sample in version 1 and a default in version 2."""
    about["type"] = _type_of_value(spot.value)
    if spot.value is None:
        about["required"] = False
        spot.settle()
    else:
        _read_example(draft, name, "sample" if is_first else "default", spot, about)
    _declare(draft, name, about, spot.path)


def _declare(draft: Draft, name: str, about: dict[str, Any], path: tuple[str | int, ...]) -> None:
    if about.get("required") is True or "default" in about:
        about.pop("required", None)
    draft.declare(name, about, path)


def _read_example(draft: Draft, name: str, key: str, value: Spot, about: dict[str, Any]) -> None:
    if key != "default":
        draft.samples[draft.ledger.own_name(name, value.path)] = value.plain()
        value.reading.ledger.changed(value.path, SAMPLE)
    elif about["type"] in RICH:
        value.drop("media and messages have no default: give them for each run")
    elif faults := value_problems(_value_schema(about), value.value):
        value.drop(f"the default does not fit its own type: {faults[0][1]}")
    elif isinstance(value.value, str) and value.value.startswith("${"):
        real = resolved(value)
        if real is not None:
            about["default"] = real
    else:
        about["default"] = value.plain()


def _value_schema(about: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in about.items() if key in ("type", "enum") and item != "any"}


def _type_of(kind: Spot | None) -> str:
    if kind is None:
        return "any"
    if not kind.is_text() or kind.value not in KINDS:
        kind.change("a value of a kind we do not know may be anything here")
        return "any"
    return KINDS[kind.text()]


def _type_of_value(value: Any) -> str:
    types = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return types.get(type(value), "any")


def read_sample(draft: Draft, sample: Spot) -> None:
    value: Any = sample.value
    if sample.is_text():
        there = file_value(sample)
        if there is None:
            return
        value = there.value
    if not isinstance(value, dict):
        sample.drop("a sample is a map of values")
        return
    draft.samples |= {draft.ledger.own_name(name, sample.path): item for name, item in value.items()}
    sample.change(SAMPLE)


def read_outputs(draft: Draft, outputs: Spot, *, is_first: bool) -> None:
    fields: dict[str, Any] = {}
    required: list[str] = []
    for name, spot in properties(outputs):
        fields[name] = _schema_of(spot)
        must = spot.get("required") if spot.is_map() else None
        if must is None or must.truth():
            required.append(name)
    if not fields:
        return
    schema: dict[str, Any] = {"type": "object", "properties": fields, "required": required}
    draft.fields["output"] = {"schema": {**schema, "additionalProperties": False}}
    if is_first:
        said = "version 1 only noted the answer's fields; here they are asked for and checked"
        outputs.reading.ledger.changed(outputs.path, said)


def _schema_of(spot: Spot) -> dict[str, Any]:
    """Return the JSON Schema of an output property."""
    if not spot.is_map():
        return {"type": _type_of_value(spot.plain())} if spot.value is not None else {}
    if (whole := spot.get("json_schema")) is not None and whole.is_map():
        return dict(whole.plain())
    kind = _type_of(spot.get("kind") or spot.get("type"))
    schema: dict[str, Any] = {} if kind == "any" or kind in RICH else {"type": kind}
    if (description := spot.get("description")) is not None:
        schema["description"] = description.text()
    choices = spot.get("enumValues") or spot.get("enum")
    if choices is not None and choices.is_list():
        schema["enum"] = choices.plain()
    if (items := spot.get("items")) is not None:
        schema["items"] = _schema_of(items)
    if (inner := spot.get("properties")) is not None:
        schema["properties"] = {name: _schema_of(each) for name, each in properties(inner)}
    return schema


# -- references -----------------------------------------------------------------------------------------------------


def resolved(spot: Spot) -> str | None:
    """Return a text; of `${env:NAME:default}` the default, because no environment is read."""
    text = str(spot.value) if isinstance(spot.value, str | int | float) else spot.text()
    match = re.fullmatch(r"\$\{env:[^:}]*(?::([^}]*))?\}", text.strip())
    if match is None:
        spot.settle()
        return text
    if not match[1]:
        spot.drop("a prompt does not depend on the environment it is read in; write the value")
        return None
    spot.change(f"the environment is not read; the default {match[1]!r:.80} is taken")
    return match[1]


def file_value(spot: Spot) -> Spot | None:
    """Read the file that `${file:name}` names, from within the imported folder; a missing one is a loss."""
    name = spot.text().strip()
    match = re.fullmatch(r"\$\{file:(.+)\}", name)
    try:
        near = spot.near(match[1] if match else name)
    except PromptFileError as cause:
        spot.drop(cause.problems[0].message)
        return None
    return spot.reading.graft(spot.path, document_of(near).value)
