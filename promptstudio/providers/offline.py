"""Answers without a key or a network: `offline/echo` gives back what it was asked, `offline/script` follows a file.

They speak the same format as the real wires, so typed output, re-asks and streaming run the real code. Every answer
and every history row names the model `offline/…`; they never stand in for a judge.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from promptstudio.errors import BadRequestError, PromptFileError, ProviderTimeoutError
from promptstudio.prompts.tokens import estimate_tokens
from promptstudio.prompts.yamlfile import read_text_file, read_yaml
from promptstudio.providers.assemble import Assembler, reply_from
from promptstudio.providers.schema import Connection, Emit, Reply

MAX_DEPTH = 20
MAX_VALUES = 10_000
"""A schema of a few lines can ask for more values than there is memory for."""
RULE_KEYS = frozenset({"contains", "text", "output", "delay_ms"})


class OfflineWire:
    """`providers.schema.Wire` without a network."""

    async def send(
        self, connection: Connection, arguments: Mapping[str, Any], *, timeout_s: float, emit: Emit | None
    ) -> Reply:
        """Answer at once; `timeout_s` bounds nothing but a scripted delay."""
        schema: Mapping[str, Any] | None = arguments.get("_schema")
        asked = _last_user_text(arguments)
        if connection.model == "offline/script":
            answer, delay_ms = _scripted(connection, arguments)
        else:
            answer, delay_ms = (_sample(schema, asked) if schema else asked), 0
        await asyncio.sleep(min(delay_ms / 1000, timeout_s))
        if delay_ms / 1000 > timeout_s:
            raise ProviderTimeoutError(f"{connection.model}: no answer within {timeout_s:g} s")
        text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        raw = _completion(connection, arguments, text)
        if emit is not None:
            raw = await _replayed(raw, emit, typed=schema is not None)
        return reply_from(raw, Decimal(0))


def _completion(connection: Connection, arguments: Mapping[str, Any], text: str) -> dict[str, Any]:
    tool = _forced_tool(arguments)
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if tool is not None:
        call = {"id": "call_offline", "type": "function", "function": {"name": tool["name"], "arguments": text}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    input_tokens = estimate_tokens(json.dumps(arguments.get("messages", []), ensure_ascii=False, default=str))
    output_tokens = estimate_tokens(text)
    return {
        "id": "offline",
        "object": "chat.completion",
        "created": 0,
        "model": connection.model,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if tool else "stop"}],
        "usage": {
            "prompt_tokens": input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": input_tokens + output_tokens,
        },
    }


async def _replayed(raw: dict[str, Any], emit: Emit, *, typed: bool) -> dict[str, Any]:
    """Send a whole answer through the assembler word by word, as a stream would."""
    assembler = Assembler(emit, typed=typed)
    message = raw["choices"][0]["message"]
    call = (message.get("tool_calls") or [None])[0]
    for number, word in enumerate(
        re.findall(r"\s*\S+\s*|\s+", call["function"]["arguments"] if call else message["content"])
    ):
        if call:
            function = {"name": call["function"]["name"] if number == 0 else None, "arguments": word}
            delta: dict[str, Any] = {
                "tool_calls": [{"index": 0, "id": call["id"] if number == 0 else None, "function": function}]
            }
        else:
            delta = {"content": word}
        assembler.feed({"id": raw["id"], "model": raw["model"], "choices": [{"index": 0, "delta": delta}]})
        await asyncio.sleep(0)
    assembler.feed({"choices": [{"index": 0, "delta": {}, "finish_reason": raw["choices"][0]["finish_reason"]}]})
    assembler.feed({"choices": [], "usage": raw["usage"]})
    return assembler.completion()


def _last_user_text(arguments: Mapping[str, Any]) -> str:
    for message in reversed(arguments.get("messages") or []):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            texts = [part.get("text") or f"[{part.get('type')}]" for part in content or ()]
            return "\n\n".join(texts)
    return ""


def _forced_tool(arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
    tools = arguments.get("tools") or []
    return tools[0]["function"] if tools and arguments.get("_typed") else None


def _sample(schema: Mapping[str, Any], asked: str) -> Any:
    """A value that fits the schema, made from the question where text is asked for. The same every time."""
    return _Sampler(schema, asked).value(schema, 0)


class _Sampler:
    def __init__(self, root: Mapping[str, Any], asked: str) -> None:
        self._root = root
        self._asked = asked
        self._values = 0

    def value(self, schema: Mapping[str, Any], depth: int) -> Any:
        self._values += 1
        if depth > MAX_DEPTH or self._values > MAX_VALUES:
            return None
        schema = self._resolved(schema)
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        for key in ("enum", "examples"):
            if schema.get(key):
                return schema[key][0]
        for key in ("anyOf", "oneOf"):
            if schema.get(key):
                return self.value(schema[key][0], depth + 1)
        if schema.get("allOf"):
            merged: dict[str, Any] = {}
            for part in schema["allOf"]:
                merged |= self._resolved(part)
            return self.value({**merged, **{k: v for k, v in schema.items() if k != "allOf"}}, depth + 1)
        kind = schema.get("type")
        kind = kind[0] if isinstance(kind, list) and kind else kind
        return self._of_type(kind or ("object" if "properties" in schema else "string"), schema, depth)

    def _of_type(self, kind: str, schema: Mapping[str, Any], depth: int) -> Any:
        if kind == "object":
            wanted = schema.get("required") or ()
            return {
                name: self.value(part, depth + 1)
                for name, part in (schema.get("properties") or {}).items()
                if name in wanted
            }
        if kind == "array":
            items = schema.get("items") if isinstance(schema.get("items"), Mapping) else {}
            return [
                self.value(items or {}, depth + 1)
                for _ in range(min(max(1, int(schema.get("minItems") or 1)), MAX_VALUES))
            ]
        if kind in ("integer", "number"):
            return self._number(kind, schema)
        return {"boolean": True, "null": None}.get(kind, self._text(schema)) if kind != "string" else self._text(schema)

    def _number(self, kind: str, schema: Mapping[str, Any]) -> float:
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        step = schema.get("multipleOf") or (1 if kind == "integer" else 0.5)
        value = low if low is not None else (min(high, 1) if high is not None else 1)
        if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
            value = schema["exclusiveMinimum"] + step
        if schema.get("multipleOf"):
            value = -(-value // step) * step
        return int(value) if kind == "integer" else float(value)

    def _text(self, schema: Mapping[str, Any]) -> str:
        formats = {
            "date": "2026-01-01",
            "date-time": "2026-01-01T00:00:00Z",
            "email": "someone@example.com",
            "uri": "https://example.com/",
        }
        if schema.get("format") in formats:
            return formats[schema["format"]]
        text = " ".join(self._asked.split()) or "offline"
        longest = int(schema.get("maxLength") or 200)
        shortest = int(schema.get("minLength") or 0)
        return text[:longest].ljust(min(shortest, 10_000), ".")

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        for _ in range(MAX_DEPTH):
            reference = schema.get("$ref")
            if not isinstance(reference, str) or not reference.startswith("#/"):
                return schema
            target: Any = self._root
            for step in reference[2:].split("/"):
                target = target.get(step, {}) if isinstance(target, Mapping) else {}
            schema = target if isinstance(target, Mapping) else {}
        return {}


def _scripted(connection: Connection, arguments: Mapping[str, Any]) -> tuple[Any, int]:
    """The first rule all of whose `contains` words occur in the conversation, letter case aside."""
    path = Path(connection.script or "offline.yaml")
    if not path.is_file():
        raise BadRequestError(
            f"offline/script: there is no {path.name}",
            hint=f"write rules to {path.name}, or name another file as [providers.offline] api_base",
        )
    conversation = json.dumps(arguments.get("messages", []), ensure_ascii=False, default=str).casefold()
    for rule in _rules(path):
        if all(word.casefold() in conversation for word in rule["contains"]):
            return rule["answer"], rule["delay_ms"]
    raise BadRequestError(
        f"offline/script: no rule of {path.name} matches this request", hint="add a last rule without `contains`"
    )


def _rules(path: Path) -> list[dict[str, Any]]:
    document = read_yaml(read_text_file(path), file=path.name)
    value = document.value
    if not isinstance(value, dict) or not isinstance(value.get("rules"), list) or set(value) - {"rules"}:
        raise PromptFileError("an offline script is a mapping with one key, `rules`, a list", file=path.name, line=1)
    return [_rule(rule, index, path.name, document.positions) for index, rule in enumerate(value["rules"])]


def _rule(rule: Any, index: int, file: str, positions: Mapping[Any, Any]) -> dict[str, Any]:
    line = (positions.get(("rules", index)) or (None, None))[0]
    answers = [key for key in ("text", "output") if isinstance(rule, dict) and key in rule]
    words = rule.get("contains", []) if isinstance(rule, dict) else []
    words = [words] if isinstance(words, str) else words
    delay_ms = rule.get("delay_ms", 0) if isinstance(rule, dict) else 0
    is_good = (
        len(answers) == 1
        and not set(rule) - RULE_KEYS
        and isinstance(words, list)
        and all(isinstance(word, str) for word in words)
        and isinstance(delay_ms, int)
        and 0 <= delay_ms <= 600_000
    )
    if not is_good:
        raise PromptFileError(
            f"rules[{index}]: a rule has `contains` (words), and one of `text` and `output`; `delay_ms` is optional",
            file=file,
            line=line,
        )
    return {"contains": words, "answer": rule[answers[0]], "delay_ms": delay_ms}
