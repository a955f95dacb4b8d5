"""A resolved prompt → three content hashes. The algorithm is a contract: docs/identity.md states it.

Canonical JSON is RFC 8785 (JCS), except that integers keep all their digits. Nothing here reads the clock, the disk or
the environment.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from promptstudio.prompts.prompt import Identity, InputSpec, MessageTemplate, OutputSpec, PartTemplate, Prompt
from promptstudio.prompts.template import literal_includes, without_comments

MAX_INLINED = 4 << 20  # characters; beyond it an include is represented by its hash
_INCLUDE = re.compile(
    r"""\{%[-+]?\s*include\s+(?P<quote>["'])(?P<name>[^"']+)(?P=quote)(?:\s+with\s+context)?\s*(?P<trim>[-+]?)%\}"""
)
_INPUT_NOTES = frozenset({"title", "description", "examples", "$comment"})
_OUTPUT_NOTES = frozenset({"$comment"})


def identify(prompt: Prompt) -> Identity:
    """Return the hashes of a prompt; its own `identity` is not read."""
    # The JSON of a map is made of that of its values, so each is written once.
    parts = {name: canonical_json(value) for name, value in resolved_behavior(prompt).items()}
    whole = "{" + ",".join(f"{_text(name)}:{parts[name]}" for name in sorted(parts)) + "}"
    return Identity(_hash(whole), _hash(parts["interface"]), _hash(parts["messages"]))


def resolved_behavior(prompt: Prompt) -> dict[str, Any]:
    """Return the value the behavior hash is taken of, as docs/identity.md describes it."""
    output = prompt.output
    return {
        "interface": {
            "inputs": {name: _input(spec) for name, spec in prompt.inputs.items()},
            "output": _output(prompt.output),
        },
        "messages": [_message(message, _Inliner(prompt.partials)) for message in prompt.messages],
        "examples": [{"inputs": example.inputs, "output": example.output} for example in prompt.examples],
        "tools": list(prompt.tools),
        "model": prompt.model,
        "parameters": prompt.parameters,
        "fallbacks": list(prompt.fallbacks),
        "retry": {"max_attempts": prompt.retry.max_attempts, "timeout": prompt.retry.timeout_s},
        "reask": {"max_retries": output.max_retries, "mode": output.mode} if output else None,
    }


def content_hash(value: Any) -> str:
    """Return `p1:` + SHA-256 of the canonical JSON of a value, 64 hex digits."""
    return _hash(canonical_json(value))


def _hash(canonical: str) -> str:
    return "p1:" + hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def canonical_json(value: Any) -> str:
    """Return the one JSON text for a value: keys sorted by UTF-16 code units, no spaces, numbers as in ECMAScript.

    >>> canonical_json({"b": 2.0, "a": [True, None, 1e-7, "é"]})
    '{"a":[true,null,1e-7,"é"],"b":2}'
    """
    if isinstance(value, Mapping):
        names = sorted(value) if "".join(value).isascii() else sorted(value, key=_utf16)
        return "{" + ",".join(f"{_text(name)}:{canonical_json(value[name])}" for name in names) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(canonical_json(item) for item in value) + "]"
    return _number(value) if isinstance(value, float) else _text(value)


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be")


_text = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def _number(value: float) -> str:
    """Return a float as ECMAScript prints it: `Number::toString`, ECMA-262 section 6.1.6.1.20."""
    if value == 0:
        return "0"
    sign, digit_tuple, exponent = Decimal(repr(value)).normalize().as_tuple()
    digits = "".join(map(str, digit_tuple))
    point = len(digits) + int(exponent)
    if 0 < point <= 21:
        text = digits[:point].ljust(point, "0") + ("." + digits[point:] if len(digits) > point else "")
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        fraction = "." + digits[1:] if len(digits) > 1 else ""
        text = f"{digits[0]}{fraction}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return "-" + text if sign else text


def _input(spec: InputSpec) -> dict[str, Any]:
    default = {"default": spec.default} if spec.has_default else {}
    schema = _plain_schema(spec.schema, _INPUT_NOTES)
    return {"type": spec.type, "required": spec.required, "schema": schema, **default}


def _output(spec: OutputSpec | None) -> dict[str, Any] | None:
    if spec is None:
        return None
    if spec.schema is None:
        return {"name": spec.name, "model": spec.model}
    return {"name": spec.name, "schema": _plain_schema(spec.schema, _OUTPUT_NOTES)}


def _plain_schema(schema: Mapping[str, Any], notes: frozenset[str]) -> Any:
    """Drop what is never sent or checked, and sort `required`, whose order means nothing."""
    if not notes.intersection(_words(schema)) and "required" not in schema:
        return schema
    # Here for weight: the schema of a one-line input needs no JSON Schema library.
    from promptstudio.prompts.jsonschemas import subschemas, without_notes

    plain = without_notes(schema, drop=notes)
    for _, part in subschemas(plain):
        if isinstance(part, dict) and isinstance(part.get("required"), list):
            part["required"] = sorted(part["required"])
    return plain


def _words(value: Any) -> set[str]:
    """Every key and `required` list in a schema, property names included: a cheap first look."""
    words: set[str] = set()
    stack = [value]
    while stack:
        part = stack.pop()
        if isinstance(part, Mapping):
            words.update(part)
            stack.extend(part.values())
        elif isinstance(part, list):
            stack.extend(part)
    return words


def _message(message: MessageTemplate, inliner: _Inliner) -> dict[str, Any]:
    if message.placeholder is not None:
        return {"placeholder": message.placeholder}
    return {"role": message.role, "parts": [_part(part, inliner) for part in message.parts]}


def _part(part: PartTemplate, inliner: _Inliner) -> dict[str, str]:
    if part.kind == "text":
        return {"text": inliner.normal(part.source)}
    return {part.kind: part.source.strip(" \t\r\n{}-")}


class _Inliner:
    """Templates without comments, with the text of what they include in its place.

    A partial that is text and variables only is put in literally. One with statements of its own (a `set` in it must
    not leak, a macro is called by name) is represented by the hash of its text, so that its name does not count.
    """

    def __init__(self, partials: Mapping[str, str]) -> None:
        self.partials = partials
        self.known: dict[str, str] = {}
        self.size = 0

    def normal(self, source: str) -> str:
        if "{%" not in source:
            return without_comments(source)
        text = without_comments(source)
        if not re.search(r"\{%[-+]?\s*raw", text):
            text = self.inlined(text)
        for name in dict.fromkeys(literal_includes(text)) if "{%" in text else ():
            digest = "p1:" + hashlib.sha256(self.partial(name).encode("utf-8")).hexdigest()
            text = text.replace(f'"{name}"', f'"{digest}"').replace(f"'{name}'", f'"{digest}"')
        return text

    def partial(self, name: str) -> str:
        if name not in self.known:
            self.known[name] = self.normal(self.partials.get(name, ""))
        return self.known[name]

    def inlined(self, text: str) -> str:
        pieces: list[str] = []
        end = 0
        for tag in _INCLUDE.finditer(text):
            partial = self.partial(tag["name"])
            if "{%" in partial or "{#" in partial or self.size + len(partial) > MAX_INLINED:
                continue
            if partial.endswith("{") or text[: tag.start()].endswith("{"):
                continue  # two halves would meet and read as a tag
            self.size += len(partial)
            pieces += [text[end : tag.start()], partial]
            end = tag.end()
            if tag["trim"] == "-":
                end += len(text[end:]) - len(text[end:].lstrip())
            elif tag["trim"] == "" and text[end : end + 1] == "\n":
                end += 1
        return "".join([*pieces, text[end:]])
