"""Chunks of a stream, in the OpenAI format as plain data → one completion of the same format, and live events.

The wires share it, so a streamed answer and a whole one are read by the same code.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from promptstudio.providers.schema import Emit, PartialOutput, ReasoningDelta, Reply, TextDelta
from promptstudio.types import ToolCall, Usage


def reply_from(raw: Mapping[str, Any], cost_usd: Decimal | None) -> Reply:
    """Read a chat completion. Missing parts become empty, never errors: the caller decides what is missing too much."""
    choices = raw.get("choices") or [{}]
    choice = choices[0]
    message = choice.get("message") or {}
    return Reply(
        text=_text(message.get("content")) or (message.get("refusal") or ""),
        reasoning=message.get("reasoning_content") or message.get("reasoning") or None,
        tool_calls=tuple(_tool_call(call) for call in message.get("tool_calls") or ()),
        finish_reason=choice.get("finish_reason"),
        usage=usage_from(raw.get("usage")),
        cost_usd=cost_usd,
        resolved_model=raw.get("model"),
        response_id=raw.get("id"),
        system_fingerprint=raw.get("system_fingerprint"),
        raw=raw,
    )


def usage_from(usage: Mapping[str, Any] | None) -> Usage:
    """Read token counts; absent ones stay None."""
    if not usage:
        return Usage()
    prompt_details = usage.get("prompt_tokens_details") or {}
    completion_details = usage.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=usage.get("prompt_tokens"),
        output_tokens=usage.get("completion_tokens"),
        cached_tokens=prompt_details.get("cached_tokens"),
        reasoning_tokens=completion_details.get("reasoning_tokens"),
    )


class Assembler:
    """Fed one chunk after another; `completion()` gives what a call without streaming would have returned.

    `typed` says that text or tool arguments are the JSON of a typed answer: then partial objects are emitted, not text.
    """

    def __init__(self, emit: Emit, *, typed: bool) -> None:
        self._emit = emit
        self._typed = typed
        self._head: dict[str, Any] = {}
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._usage: Mapping[str, Any] | None = None
        self._last_partial: Any = None
        self.finish_reason: str | None = None

    def feed(self, chunk: Mapping[str, Any]) -> None:
        """Take in one `chat.completion.chunk`."""
        for key in ("id", "model", "created", "system_fingerprint"):
            if chunk.get(key):
                self._head.setdefault(key, chunk[key])
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) == 0:
                self._feed_delta(choice.get("delta") or {})
                self.finish_reason = choice.get("finish_reason") or self.finish_reason

    def _feed_delta(self, delta: Mapping[str, Any]) -> None:
        if reasoning := delta.get("reasoning_content") or delta.get("reasoning"):
            self._reasoning.append(reasoning)
            self._emit(ReasoningDelta(reasoning))
        if text := _text(delta.get("content")) or delta.get("refusal"):
            self._text.append(text)
            if self._typed:
                self._emit_partial("".join(self._text))
            else:
                self._emit(TextDelta(text))
        for call in delta.get("tool_calls") or ():
            self._feed_call(call)

    def _feed_call(self, call: Mapping[str, Any]) -> None:
        index = call.get("index")
        if index is None:
            index = len(self._calls) if call.get("id") else max(self._calls, default=0)
        known = self._calls.setdefault(index, {"id": "", "name": "", "arguments": []})
        function = call.get("function") or {}
        known["id"] = call.get("id") or known["id"]
        known["name"] = function.get("name") or known["name"]
        if function.get("arguments"):
            known["arguments"].append(function["arguments"])
            if self._typed:
                self._emit_partial("".join(known["arguments"]))

    def _emit_partial(self, text: str) -> None:
        value = partial_json(text)
        if value is not None and value != self._last_partial:
            self._last_partial = value
            self._emit(PartialOutput(value))

    def completion(self) -> dict[str, Any]:
        """The whole answer in the `chat.completion` format."""
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self._text) or None}
        if self._reasoning:
            message["reasoning_content"] = "".join(self._reasoning)
        if self._calls:
            message["tool_calls"] = [
                {
                    "id": call["id"],
                    "type": "function",
                    "function": {"name": call["name"], "arguments": "".join(call["arguments"])},
                }
                for _, call in sorted(self._calls.items())
            ]
        return {
            "id": "",
            "created": 0,
            "model": "",
            **self._head,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish_reason}],
            "usage": self._usage,
        }


def partial_json(text: str) -> Any:
    """The longest prefix of `text` that reads as JSON, or None; a Markdown fence around it is skipped."""
    import jiter  # beside pydantic; only a streamed typed answer needs it

    start = text.find("{")
    if start < 0:
        return None
    try:
        return jiter.from_json(text[start:].encode(), partial_mode="trailing-strings")
    except ValueError:
        return None  # not JSON so far; the finished answer is validated anyway


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return ""


def _tool_call(call: Mapping[str, Any]) -> ToolCall:
    function = call.get("function") or {}
    return ToolCall(call.get("id") or "", function.get("name") or "", function.get("arguments") or "")
