"""The file of one recorded request: what was asked, and the answers it got. Text ↔ `Cassette`.

Written to be read in a pull request: texts as blocks, JSON as YAML, keys in a fixed order, no times and no ids that
change by themselves. Keys, headers and addresses are not in it, and texts come here without secrets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from promptstudio.cache.request import Content, content_id
from promptstudio.errors import UserError
from promptstudio.prompts.secrets import find_secrets
from promptstudio.prompts.wording import dotted, found, suggestion
from promptstudio.prompts.yamlfile import YamlDocument, dump_yaml, read_yaml
from promptstudio.providers.vectors import packed, unpacked

FORMAT = 1
MAX_ANSWERS = 10_000
SAME_WITHIN = 0.001
HEAD = "# A recorded request and its answers; `ps cassette verify` checks that they still belong together.\n"
AGAIN = "record it again with --record, or take the file from git"

_USAGE = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
# How JSON texts are spelled: the name in the file, and the arguments of json.dumps that give the text back exactly.
_STYLES: Mapping[str, Mapping[str, Any]] = {
    "spaced": {"ensure_ascii": False},
    "compact": {"ensure_ascii": False, "separators": (",", ":")},
    "spaced ascii": {"ensure_ascii": True},
    "compact ascii": {"ensure_ascii": True, "separators": (",", ":")},
    "indented": {"ensure_ascii": False, "indent": 2},
}
_FIRST = ("role", "content", "type", "name", "description")
_VECTOR = re.compile(r"(?m)^( *(?:- )?vector: )[A-Za-z0-9+/=]+$")
_PIECES = re.compile(r"\d{1,7}(?: \d{1,7})*")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `message` is the assistant message in the chat format; `pieces` are the lengths it streamed in.

    `vector` is that of an embedded text, as base64 of 32-bit floats.
    """

    number: int
    message: Mapping[str, Any]
    finish_reason: str | None
    model: str | None
    usage: Mapping[str, int] = field(default_factory=dict)
    cost_usd: Decimal | None = None
    duration_ms: int = 0
    pieces: tuple[int, ...] = ()
    reasoning_pieces: tuple[int, ...] = ()
    vector: str = ""


@dataclass(frozen=True, slots=True)
class Cassette:
    """A request and its answers, by number. `file` is the name to show."""

    file: str
    id: str
    prompt: str
    request: Content
    answers: tuple[Answer, ...]

    @property
    def is_genuine(self) -> bool:
        """Whether the request is still the one that was recorded."""
        return content_id(self.request) == self.id

    def answer(self, number: int) -> Answer | None:
        return next((one for one in self.answers if one.number == number), None)

    def with_answer(self, new: Answer) -> Cassette:
        """Put an answer in its place. One that says the same leaves the old one, with its cost and time, as it is."""
        old = self.answer(new.number)
        if old is not None and _says(old) == _says(new) and _is_alike(old.vector, new.vector):
            new = old if old.pieces or not new.pieces else replace(old, pieces=new.pieces)
        others = [one for one in self.answers if one.number != new.number]
        return replace(self, answers=tuple(sorted([*others, new], key=lambda one: one.number)))


def _says(answer: Answer) -> Any:
    calls = [{**call, "id": ""} for call in answer.message.get("tool_calls") or ()]
    return {**answer.message, "tool_calls": calls}, answer.finish_reason, answer.model


def _is_alike(one: str, other: str) -> bool:
    """Providers give a text slightly different vectors at times; nobody wants to review that."""
    if one == other or not one or not other:
        return one == other
    ours, theirs = unpacked(one), unpacked(other)
    return len(ours) == len(theirs) and all(abs(a - b) <= SAME_WITHIN for a, b in zip(ours, theirs, strict=True))


def without_vectors(text: str) -> str:
    """Return a cassette's text to search for secrets: random digits look like anything in the long run."""
    return _VECTOR.sub(r"\1-", text)


def cassette_text(cassette: Cassette) -> str:
    """Return the file. Raises UserError where it cannot be one, and where something in it looks like a secret."""
    plain = {
        "cassette": FORMAT,
        "id": cassette.id,
        "prompt": cassette.prompt,
        "request": {name: _ordered(value) for name, value in cassette.request.items()},
        "answers": [_answer_data(one) for one in cassette.answers],
        "complete": True,  # the last line: a file that was cut off would else read as a shorter answer
    }
    try:
        text = HEAD + dump_yaml(plain)
    except ValueError as error:
        hint = "cassettes hold up to 1 MiB; take this case out of what is recorded"
        raise UserError(f"the request cannot be recorded: {error}", file=cassette.file, hint=hint) from error
    for line, column, kind in find_secrets(without_vectors(text)):
        raise UserError(
            f"the request cannot be recorded: it would hold what looks like a secret ({kind})",
            file=cassette.file, line=line, column=column, hint="take the secret out of the prompt or its inputs",
        )  # fmt: skip
    return text


def read_cassette(text: str, file: str) -> Cassette:
    """Read a file. Raises UserError with the place of the first thing that is wrong; the id is not compared."""
    return _Reader(read_yaml(text, file=file, error=UserError)).cassette()


def raw_of(answer: Answer, cassette_id: str) -> dict[str, Any]:
    """Return the answer as a completion in the chat format."""
    usage = answer.usage
    details = {"cached_tokens": usage.get("cached_tokens")}, {"reasoning_tokens": usage.get("reasoning_tokens")}
    counts = {
        "prompt_tokens": usage.get("input_tokens", 0),
        "completion_tokens": usage.get("output_tokens", 0),
        "total_tokens": usage.get("input_tokens", 0) + usage.get("output_tokens", 0),
        **({"prompt_tokens_details": details[0]} if "cached_tokens" in usage else {}),
        **({"completion_tokens_details": details[1]} if "reasoning_tokens" in usage else {}),
    }
    return {
        "id": f"cassette-{cassette_id[:12]}-{answer.number}",
        "created": 0,
        "object": "chat.completion",
        "model": answer.model or "",
        "choices": [{"index": 0, "message": dict(answer.message), "finish_reason": answer.finish_reason}],
        "usage": counts if usage else None,
    }


def _ordered(value: Any) -> Any:
    """Sort keys, those that people look for first."""
    if isinstance(value, Mapping):
        first = [name for name in _FIRST if name in value]
        return {name: _ordered(value[name]) for name in [*first, *sorted(set(value) - set(first))]}
    return [_ordered(item) for item in value] if isinstance(value, list) else value


def _answer_data(answer: Answer) -> dict[str, Any]:
    message = dict(answer.message)
    message.pop("role", None)
    calls = message.pop("tool_calls", None) or ()
    data: dict[str, Any] = {"number": answer.number}
    if isinstance(message.get("content"), str):
        data |= _json_or_text(message.pop("content"), "text")
    data["vector"] = answer.vector
    data["reasoning"] = message.pop("reasoning_content", None)
    data["tool_calls"] = [_call_data(call) for call in calls]
    data["more"] = {name: _ordered(value) for name, value in sorted(message.items()) if value not in (None, [], {})}
    data["finish_reason"] = answer.finish_reason
    data["model"] = answer.model
    data["usage"] = {name: answer.usage[name] for name in _USAGE if name in answer.usage}
    data["cost_usd"] = None if answer.cost_usd is None else f"{answer.cost_usd:f}"
    data["duration_ms"] = answer.duration_ms
    data["pieces"] = " ".join(map(str, answer.pieces))
    data["reasoning_pieces"] = " ".join(map(str, answer.reasoning_pieces))
    return {name: value for name, value in data.items() if value not in (None, [], {}, "") or name.startswith("text")}


def _call_data(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {"name": function["name"], "id": call["id"], **_json_or_text(function["arguments"], "arguments")}


def _json_or_text(text: str, name: str) -> dict[str, Any]:
    """JSON becomes YAML where the text can be made from it again to the letter."""
    if text[:1] in ("{", "["):
        try:
            value = json.loads(text)
            style = next((style for style, how in _STYLES.items() if json.dumps(value, **how) == text), None)
        except (ValueError, RecursionError):
            style = None
        if style is not None and _is_yaml(value):
            return {f"{name}_json": value, **({} if style == "spaced" else {f"{name}_style": style})}
    return {name: text}


def _is_yaml(value: Any) -> bool:
    try:
        dump_yaml({"value": value})
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Reader:
    """Checks one document against the format, key by key."""

    document: YamlDocument

    def cassette(self) -> Cassette:
        top = self.mapping((), self.document.value)
        found_format = top.get("cassette")
        if found_format != FORMAT or isinstance(found_format, bool):
            self.fail(("cassette",), f"this is no cassette of format {FORMAT}", AGAIN)
        self.keys((), top, ("cassette", "id", "prompt", "request", "answers", "complete"))
        if top.get("complete") is not True:
            self.fail((), "the file is cut off: its last line, `complete: true`, is missing", AGAIN)
        listed = self.of("answers", list, (), top)
        if not 1 <= len(listed) <= MAX_ANSWERS:
            self.fail(("answers",), f"a cassette has between 1 and {MAX_ANSWERS:,} answers", AGAIN)
        answers = tuple(self.answer(("answers", index), one) for index, one in enumerate(listed))
        numbers = [one.number for one in answers]
        if len(set(numbers)) < len(numbers):
            self.fail(("answers",), "two answers have the same number", AGAIN)
        return Cassette(
            file=self.document.file,
            id=self.of("id", str, (), top),
            prompt=self.of("prompt", str, (), top),
            request=self.request(self.of("request", dict, (), top)),
            answers=answers,
        )

    def request(self, data: Mapping[str, Any]) -> Content:
        here = ("request",)
        known = ("model", "parameters", "messages", "tools", "tool_choice", "response_format", "schema", "input")
        self.keys(here, data, known)
        self.of("model", str, here, data)
        if "input" in data:  # a text that was embedded
            self.of("input", str, here, data)
            return dict(data)
        for index, message in enumerate(self.of("messages", list, here, data)):
            self.mapping((*here, "messages", index), message)
        return dict(data)

    def answer(self, here: tuple[str | int, ...], value: Any) -> Answer:
        data = self.mapping(here, value)
        self.keys(
            here, data,
            ("number", "text", "text_json", "text_style", "reasoning", "tool_calls", "more", "finish_reason", "model",
             "usage", "cost_usd", "duration_ms", "pieces", "reasoning_pieces", "vector"),
        )  # fmt: skip
        number = self.of("number", int, here, data)
        if not 1 <= number <= 1_000_000:
            self.fail((*here, "number"), "answers are counted from 1", AGAIN)
        usage = self.of("usage", dict, here, data, default={})
        self.keys((*here, "usage"), usage, _USAGE)
        calls = self.of("tool_calls", list, here, data, default=[])
        message: dict[str, Any] = {"role": "assistant", "content": self.text("text", here, data)}
        if "reasoning" in data:
            message["reasoning_content"] = self.of("reasoning", str, here, data)
        if calls:
            message["tool_calls"] = [self.call((*here, "tool_calls", at), call) for at, call in enumerate(calls)]
        return Answer(
            number=number,
            message={**message, **self.of("more", dict, here, data, default={})},
            finish_reason=self.of("finish_reason", str, here, data, default=None),
            model=self.of("model", str, here, data, default=None),
            usage={name: self.of(name, int, (*here, "usage"), usage) for name in usage},
            cost_usd=self.cost(here, data),
            duration_ms=self.of("duration_ms", int, here, data, default=0),
            pieces=self.pieces("pieces", here, data),
            reasoning_pieces=self.pieces("reasoning_pieces", here, data),
            vector=self.vector(here, data),
        )

    def call(self, here: tuple[str | int, ...], value: Any) -> dict[str, Any]:
        data = self.mapping(here, value)
        self.keys(here, data, ("name", "id", "arguments", "arguments_json", "arguments_style"))
        function = {"name": self.of("name", str, here, data), "arguments": self.text("arguments", here, data) or ""}
        return {"id": self.of("id", str, here, data), "type": "function", "function": function}

    def text(self, name: str, here: tuple[str | int, ...], data: Mapping[str, Any]) -> str | None:
        """Read a text, or the JSON that stands for it."""
        if f"{name}_json" not in data:
            written: str | None = self.of(name, str, here, data, default=None)
            return written
        style = data.get(f"{name}_style", "spaced")
        if style not in _STYLES:
            self.fail((*here, f"{name}_style"), f"unknown style {found(style)}", suggestion(str(style), _STYLES))
        return json.dumps(data[f"{name}_json"], **_STYLES[style])

    def cost(self, here: tuple[str | int, ...], data: Mapping[str, Any]) -> Decimal | None:
        text = self.of("cost_usd", str, here, data, default=None)
        if text is None:
            return None
        try:
            cost = Decimal(text)
        except InvalidOperation:
            cost = Decimal(-1)
        if not (cost.is_finite() and 0 <= cost < 1_000_000):
            self.fail((*here, "cost_usd"), f"expected dollars, found {found(text)}", AGAIN)
        return cost

    def pieces(self, name: str, here: tuple[str | int, ...], data: Mapping[str, Any]) -> tuple[int, ...]:
        text = self.of(name, str, here, data, default="")
        if text and not _PIECES.fullmatch(text):
            self.fail((*here, name), "expected lengths such as '4 12 7'", AGAIN)
        return tuple(int(length) for length in text.split())

    def vector(self, here: tuple[str | int, ...], data: Mapping[str, Any]) -> str:
        text: str = self.of("vector", str, here, data, default="")
        try:
            return packed(unpacked(text)) if text else ""
        except ValueError:
            self.fail((*here, "vector"), "expected a vector of 32-bit floats as base64", AGAIN)

    def mapping(self, here: tuple[str | int, ...], value: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            self.fail(here, f"expected a map, found {found(value)}", AGAIN)
        return value

    def of(
        self, name: str, kind: type, here: tuple[str | int, ...], data: Mapping[str, Any], default: Any = ...
    ) -> Any:
        if name not in data and default is not ...:
            return default
        if name not in data:
            self.fail(here, f"the key {name!r} is missing", AGAIN)
        value = data[name]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            words: Mapping[type, str] = {str: "text", int: "an integer", list: "a list", dict: "a map"}
            hint = "quote it if it is text" if kind is str else AGAIN
            self.fail((*here, name), f"expected {words[kind]}, found {found(value)}", hint)
        return value

    def keys(self, here: tuple[str | int, ...], data: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for name in data:
            if name not in known:
                self.fail((*here, name), f"unknown key {name!r}", suggestion(name, known))

    def fail(self, path: tuple[str | int, ...], fact: str, hint: str | None) -> NoReturn:
        line, column = self.document.keys.get(path) or self.document.place_of(path)
        where = f"{dotted(path)}: " if path else ""
        raise UserError(f"{where}{fact}", file=self.document.file, line=line, column=column, hint=hint)
