"""Raw values for a prompt's inputs → complete, typed values; all that is wrong with them in one error.

Text that came from outside stays data from here on: it is measured against its schema, copied, and never parsed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from promptstudio.errors import InputsError, Problem
from promptstudio.prompts.jsonschemas import value_problems
from promptstudio.prompts.media import (
    MediaKind,
    kind_of,
    media_from_bytes,
    media_from_data_uri,
    media_from_path,
    media_from_url,
)
from promptstudio.prompts.plain import plain_value
from promptstudio.prompts.prompt import MEDIA_TYPES, InputSpec, Prompt
from promptstudio.prompts.wording import dotted, found, shown, suggestion
from promptstudio.types import Media, Message, Part, Role

ROLES: tuple[str, ...] = get_args(Role)
NUMBER_DIGITS_LIMIT = 1000
_JSON_TYPES: dict[str, tuple[str, type]] = {"array": ("a JSON list", list), "object": ("a JSON object", dict)}


def check_inputs(prompt: Prompt, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for every input of the prompt: the given one, its default, or None for an absent optional.

    Media come back as `Media`, messages as a tuple of `Message`, everything else as plain data. Null counts as not
    given where the schema does not allow it. All that is wrong is in one InputsError.
    """
    return checked_inputs(prompt, values, needed=prompt.inputs)


def checked_inputs(prompt: Prompt, values: Mapping[str, Any], *, needed: Collection[str]) -> dict[str, Any]:
    """`check_inputs` where only the names in `needed` must have a value (few-shot examples fill one message)."""
    problems = unknown_names(prompt, values)
    complete: dict[str, Any] = {}
    missing: list[str] = []
    for name, spec in prompt.inputs.items():
        if not _is_given(spec, values) and not spec.has_default:
            complete[name] = None
            missing += [name] if spec.required and name in needed else []
            continue
        try:
            complete[name] = _typed(spec, values[name] if _is_given(spec, values) else spec.default)
        except InputsError as error:
            problems += error.problems
    if missing:
        problems.append(_missing_problem(prompt, missing))
    if problems:
        raise InputsError(problems)
    return complete


def missing_inputs(prompt: Prompt, values: Mapping[str, Any]) -> list[str]:
    """The required inputs that have neither a value nor a default, in the order they are declared."""
    return [
        name
        for name, spec in prompt.inputs.items()
        if spec.required and not spec.has_default and not _is_given(spec, values)
    ]


def parse_value(spec: InputSpec | None, text: str) -> Any:
    """Turn text from a command line into the declared type; text without a declared type stays text."""
    if spec is None or spec.type == "string":
        return text
    if spec.type in ("integer", "number"):
        return _parse_number(spec, text)
    if spec.type == "boolean":
        if text not in ("true", "false"):
            raise _expected(spec.name, "true or false", text)
        return text == "true"
    if spec.type in _JSON_TYPES or spec.type == "messages":
        return _parse_json(spec, text, *_JSON_TYPES.get(spec.type, ("a JSON list of messages", list)))
    if spec.type == "any" and not _takes_text(spec):
        return _parse_json(spec, text, "JSON", object)
    return text


# -- names ----------------------------------------------------------------------------------------------------------


def unknown_names(prompt: Prompt, values: Mapping[str, Any]) -> list[Problem]:
    """Return a problem for each name that is no input, with the nearest one that is."""
    known = list(prompt.inputs)
    return [
        Problem(
            f"{prompt.name}: there is no input {shown(str(name))}",
            hint=suggestion(str(name), known, otherwise="its inputs are") if known else "it takes no inputs",
        )
        for name in values
        if name not in prompt.inputs
    ]


def _missing_problem(prompt: Prompt, names: Sequence[str]) -> Problem:
    flags = " ".join(
        f"-v {name}=@FILE" if prompt.inputs[name].type in MEDIA_TYPES else f"-v {name}=…" for name in names
    )
    plural = "s" if len(names) > 1 else ""
    return Problem(f"{prompt.name}: missing input{plural}: {', '.join(names)}", hint=f"give {flags}")


# -- values ---------------------------------------------------------------------------------------------------------


def _is_given(spec: InputSpec, values: Mapping[str, Any]) -> bool:
    return spec.name in values and (values[spec.name] is not None or _takes_null(spec))


def _typed(spec: InputSpec, value: Any) -> Any:
    if value is None and not _takes_null(spec):
        return None  # a default of null means the same as being optional
    if spec.type in MEDIA_TYPES:
        return _media_value(spec.name, value, cast("MediaKind", spec.type))
    if spec.type == "messages":
        return _messages_value(spec.name, value)
    return _data_value(spec, value)


def _takes_null(spec: InputSpec) -> bool:
    """Whether the schema itself lets null be a value, as `type: [string, "null"]` does."""
    declared = spec.schema.get("type")
    names = [declared] if isinstance(declared, str) else declared or []
    return "null" in names or None in spec.schema.get("enum", ())


def _takes_text(spec: InputSpec) -> bool:
    declared = spec.schema.get("type", "string")
    return "string" in ([declared] if isinstance(declared, str) else declared)


def _data_value(spec: InputSpec, value: Any) -> Any:
    data = plain_value(value, (spec.name,))
    problems = [
        Problem(f"inputs.{dotted((spec.name, *path))}: {message}")
        for path, message in value_problems(spec.schema, data)
    ]
    if problems:
        raise InputsError(problems)
    return int(data) if spec.type == "integer" and isinstance(data, float) else data


def _media_value(name: str, value: Any, expect: MediaKind) -> Media:
    try:
        return _media(value, expect)
    except InputsError as error:
        problems = [Problem(f"inputs.{name}: {problem.message}", hint=problem.hint) for problem in error.problems]
        raise InputsError(problems) from error


def _media(value: Any, expect: MediaKind) -> Media:
    if isinstance(value, Media):
        return _checked_media(value, expect)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return media_from_bytes(bytes(value), expect)
    if isinstance(value, Path):
        return media_from_path(value, expect)
    if isinstance(value, str) and value[:5].lower() == "data:":
        return media_from_data_uri(value, expect)
    if isinstance(value, str) and re.match(r"https?://", value, re.IGNORECASE):
        return media_from_url(value, expect)
    raise InputsError(
        f"expected {'an' if expect[0] in 'ai' else 'a'} {expect}, found {found(value)}",
        hint="give name=@FILE on the command line, a pathlib.Path or bytes in Python, or a data: or http(s) URL",
    )


def _checked_media(media: Media, expect: MediaKind) -> Media:
    if (media.data is None) == (media.url is None):
        raise InputsError("a Media has either data or a url")
    if media.url is not None:
        checked = media_from_url(media.url, expect)
        return media if kind_of(media.mime_type) == expect else checked
    checked = media_from_bytes(media.data or b"", expect, name=media.name)
    # Text says little about itself, so there the caller's type is as good as ours.
    return media if kind_of(media.mime_type) == expect == "file" else checked


# -- messages -------------------------------------------------------------------------------------------------------


def _messages_value(name: str, value: Any) -> tuple[Message, ...]:
    if not isinstance(value, (list, tuple)):
        raise InputsError(
            f"inputs.{name}: expected a list of messages, found {found(value)}",
            hint='write [{"role": "user", "content": "…"}, …]',
        )
    return tuple(
        item if isinstance(item, Message) else _message(item, f"inputs.{name}[{place}]")
        for place, item in enumerate(value)
    )


def _message(value: Any, place: str) -> Message:
    if not isinstance(value, Mapping):
        raise InputsError(f"{place}: expected role and content, found {found(value)}")
    unknown = [str(key) for key in value if key not in ("role", "content")]
    if unknown:
        raise InputsError(f"{place}: unknown key {shown(unknown[0])}", hint="a message has role and content")
    role = value.get("role")
    if role not in ROLES:
        raise InputsError(f"{place}.role: found {found(role)}", hint=f"roles are {', '.join(ROLES)}")
    return Message(cast("Role", role), _text_parts(value.get("content"), f"{place}.content"))


def _text_parts(content: Any, place: str) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Part("text", plain_text(content, place)),)
    if not isinstance(content, (list, tuple)) or not content:
        raise InputsError(f"{place}: expected text or a list of text parts, found {found(content)}")
    return tuple(_text_part(part, f"{place}[{number}]") for number, part in enumerate(content))


def _text_part(part: Any, place: str) -> Part:
    fits = (
        isinstance(part, Mapping) and {"text"} <= set(part) <= {"type", "text"} and part.get("type", "text") == "text"
    )
    if not fits or not isinstance(part["text"], str):
        raise InputsError(f"{place}: expected a text part", hint='write {"type": "text", "text": "…"}')
    return Part("text", plain_text(part["text"], place))


def plain_text(text: str, place: str) -> str:
    return cast("str", plain_value(text, (place.removeprefix("inputs."),)))


# -- the command line -----------------------------------------------------------------------------------------------


def _parse_number(spec: InputSpec, text: str) -> int | float:
    stripped = text.strip()
    if len(stripped) <= NUMBER_DIGITS_LIMIT:
        if re.fullmatch(r"[+-]?[0-9]+", stripped):
            return int(stripped)
        if spec.type == "number" and re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", stripped):
            return float(stripped)
    raise _expected(spec.name, "an integer" if spec.type == "integer" else "a number", text)


def _parse_json(spec: InputSpec, text: str, wanted: str, kind: type) -> Any:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _expected(spec.name, wanted, text, f"it does not read as JSON: {error!s:.100}") from error
    if not isinstance(value, kind):
        raise _expected(spec.name, wanted, text)
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _expected(name: str, wanted: str, text: str, hint: str | None = None) -> InputsError:
    return InputsError(f"inputs.{name}: expected {wanted}, found {shown(text)}", hint=hint)
