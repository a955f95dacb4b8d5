"""A prompt file → the text `git diff` compares: what it says, one value a line, without layout, quoting and comments.

Pure, and of the file alone: a partial is a file of its own and has a diff of its own. What cannot be read is returned
as it is, because git must always have something to show.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from promptstudio.errors import UserError
from promptstudio.prompts.keyorder import PROMPT_KEYS
from promptstudio.prompts.yamlfile import read_yaml

MAX_CHARACTERS = 2 << 20
_ONE_LINE = re.compile(r"\s*([^\s?,،]+)\s*(\?)?\s*(?:[,،]\s*(.*))?", re.DOTALL)
_SIMPLE = re.compile(r"[^\W\d][\w/.@:+-]*(?: [\w/.@:+-]+)*")
_NO_TEXT = frozenset({"true", "false", "null", "yes", "no", "on", "off"})


def readable(text: str) -> str:
    """Return the canonical form of a prompt file; any other text as it is."""
    if len(text) > MAX_CHARACTERS:
        return text
    try:
        value = read_yaml(text, file="-").value
    except UserError:
        return text
    if not isinstance(value, dict) or not {"prompt", "messages", "system"} & value.keys():
        return text
    return "".join(f"{line}\n" for line in _prompt_lines(value))


def _prompt_lines(value: Mapping[str, Any]) -> Iterator[str]:
    known = [key for key in PROMPT_KEYS if key in value]
    others = sorted(key for key in value if key not in PROMPT_KEYS)
    has_short = False
    for key in (*known, *others):
        if key == "schema_version":
            continue
        if key == "inputs" and isinstance(value[key], dict):
            yield from _field_lines("inputs", value[key])
        elif key == "output" and isinstance(value[key], dict):
            yield from _output_lines(value[key])
        elif key in ("system", "prompt"):
            yield from () if has_short else _message_lines(_short_form(value))
            has_short = True
        elif key == "messages" and isinstance(value[key], list):
            yield from _message_lines(value[key])
        else:
            yield from _lines(key, value[key])


def _short_form(value: Mapping[str, Any]) -> list[Any]:
    roles = (("system", "system"), ("user", "prompt"))
    return [{"role": role, "content": value[key]} for role, key in roles if key in value]


def _message_lines(messages: list[Any]) -> Iterator[str]:
    for message in messages:
        if not isinstance(message, dict):
            yield from _lines("message", message)
        elif "placeholder" in message:
            yield f"message ({message['placeholder']})"
        else:
            yield f"message {message.get('role', '')}:"
            content = message.get("content")
            parts = content if isinstance(content, list) else [content]
            for part in parts:
                yield from _part_lines(part)


def _part_lines(part: Any) -> Iterator[str]:
    if isinstance(part, dict) and set(part) == {"text"}:
        part = part["text"]
    if isinstance(part, str):
        yield from (f"    {line}".rstrip() for line in part.removesuffix("\n").split("\n"))
    else:
        yield from (f"    {line}" for line in _lines("part", part))


def _field_lines(where: str, fields: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(fields):
        yield from _lines(f"{where}.{name}", _field(fields[name]))


def _field(value: Any) -> Any:
    """Return the one-line form of a declaration as the map it stands for."""
    found = _ONE_LINE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    need = {"required": False} if found[2] else {}
    note = {"description": found[3].strip()} if found[3] and found[3].strip() else {}
    return {"type": found[1], **need, **note}


def _output_lines(output: Mapping[str, Any]) -> Iterator[str]:
    for key in ("name", "model", "schema", "mode", "max_retries"):
        if key in output:
            yield from _lines(f"output.{key}", output[key])
    if isinstance(output.get("fields"), dict):
        yield from _field_lines("output", output["fields"])
    for key in sorted(set(output) - {"name", "model", "schema", "mode", "max_retries", "fields"}):
        yield from _lines(f"output.{key}", output[key])


def _lines(where: str, value: Any) -> Iterator[str]:
    """Yield `a.b: value` for each leaf: keys sorted, lists of plain values on one line, longer text below the name."""
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from _lines(f"{where}.{key}", value[key])
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for number, item in enumerate(value, 1):
            yield from _lines(f"{where}[{number}]", item)
    elif isinstance(value, str) and "\n" in value.removesuffix("\n"):
        yield f"{where}:"
        yield from (f"    {line}".rstrip() for line in value.removesuffix("\n").split("\n"))
    else:
        yield f"{where}: {_plain(value)}"


def _plain(value: Any) -> str:
    """Return a value on one line: text without quotes where it can only be text."""
    if isinstance(value, str) and _SIMPLE.fullmatch(value) and value.lower() not in _NO_TEXT:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
