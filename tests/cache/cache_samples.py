"""A provider that counts its calls, and a request to it; for the cache and for cassettes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from promptstudio.providers.assemble import reply_from
from promptstudio.providers.schema import Connection, Emit, Reach, Reply, TextDelta, Wire, WireCall

FROM_GREET = WireCall("greet")
CONNECTION = Connection("openai/m", "openai", "openai/m", "api.example.com", api_key="key-of-nobody-42")


def completion(text: str | None = "hello", **changes: Any) -> dict[str, Any]:
    """A chat completion as a provider sends it; `message` and `finish_reason` may be given."""
    message = {"role": "assistant", "content": text, **changes.get("message", {})}
    return {
        "id": "chatcmpl-1",
        "created": 1,
        "object": "chat.completion",
        "model": "m-2026",
        "choices": [{"index": 0, "message": message, "finish_reason": changes.get("finish_reason", "stop")}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
    }


@dataclass
class CountingWires:
    """`Wires` to a provider in this process: `raws` are its answers in turn, the last one again and again."""

    raws: list[Any] = field(default_factory=lambda: [completion()])
    delay_s: float = 0.0
    calls: int = 0
    reach: Reach = "always"

    def wire_for(self, connection: Connection, call: WireCall) -> Wire:
        return self

    async def send(
        self, connection: Connection, arguments: Mapping[str, Any], *, timeout_s: float, emit: Emit | None
    ) -> Reply:
        self.calls += 1
        raw = self.raws[min(self.calls, len(self.raws)) - 1]
        await asyncio.sleep(self.delay_s)
        if isinstance(raw, Exception):
            raise raw
        reply = reply_from(raw, Decimal("0.00125"))
        if emit is not None:
            for start in range(0, len(reply.text), 4):
                emit(TextDelta(reply.text[start : start + 4]))
        return reply


def arguments(text: str = "hi", **more: Any) -> dict[str, Any]:
    return {"model": "openai/m", "messages": [{"role": "user", "content": text}], **more}


async def send(wires: Any, text: str = "hi", *, call: WireCall = FROM_GREET, **more: Any) -> Reply:
    """Send a request through the wire of a new call."""
    emit, timeout_s = more.pop("emit", None), more.pop("timeout_s", 5.0)
    wire = wires.wire_for(more.pop("connection", CONNECTION), call)
    reply: Reply = await wire.send(CONNECTION, arguments(text, **more), timeout_s=timeout_s, emit=emit)
    return reply
