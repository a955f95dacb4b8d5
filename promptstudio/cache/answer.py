"""An answer that is kept: which ones may be, how a stored one becomes a `Reply`, and how it streams again."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from decimal import Decimal
from typing import Any

from promptstudio.prompts.secrets import find_secrets
from promptstudio.providers.assemble import Assembler, reply_from
from promptstudio.providers.schema import Emit, Reply
from promptstudio.types import Saved

FINISHED = frozenset({"stop", "tool_calls", "function_call"})
_WORD = re.compile(r"\s*\S+\s*|\s+")
_WHY_NOT = {
    "length": "it was cut off at the token limit",
    "content_filter": "the provider's content filter cut it",
    None: "it has no finish reason",
}


def why_not_kept(reply: Reply, tools: Iterable[Mapping[str, Any]] = (), *, keeps_secrets: bool = False) -> str | None:
    """Return why an answer is not for the cache, or None where it may be kept. `tools` are those that were offered."""
    message = ((reply.raw.get("choices") or [{}])[0]).get("message") or {}
    if message.get("refusal"):
        return "the model refused"
    if reply.finish_reason not in FINISHED:
        return _WHY_NOT.get(reply.finish_reason, f"it ended with {reply.finish_reason}")
    if not reply.text.strip() and not reply.tool_calls:
        return "it is empty"
    texts = [reply.text, reply.reasoning or "", *(call.arguments for call in reply.tool_calls)]
    if not keeps_secrets and any(find_secrets(text) for text in texts if text):
        return "it holds what looks like a secret"
    return _fault_of_calls(reply, {(tool.get("function") or {}).get("name") for tool in tools})


def _fault_of_calls(reply: Reply, offered: Set[str | None]) -> str | None:
    if any(call.name not in offered for call in reply.tool_calls):
        return "it calls a tool that was not offered"
    if not all(_is_object(call.arguments) for call in reply.tool_calls):
        return "the arguments of a tool call are no JSON object"
    return None


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(json.loads(arguments or "{}"), dict)
    except (ValueError, RecursionError):
        return False


def kept_reply(raw: Mapping[str, Any], saved: Saved) -> Reply:
    """Return a stored completion as a reply for which nothing was sent: it costs nothing, and says what it had."""
    return replace(reply_from(raw, Decimal(0)), saved=saved)


def as_kept(reply: Reply, duration_ms: int) -> Reply:
    """Return an answer of now for someone else who asked the same at the same time."""
    return reply if reply.saved else replace(reply, cost_usd=Decimal(0), saved=Saved(reply.cost_usd, duration_ms))


async def stream_again(
    raw: Mapping[str, Any],
    emit: Emit,
    *,
    typed: bool,
    pieces: Sequence[int] = (),
    reasoning_pieces: Sequence[int] = (),
) -> None:
    """Emit a whole answer as a stream would: in the pieces it once came in, else word by word."""
    assembler = Assembler(emit, typed=typed)
    message = ((raw.get("choices") or [{}])[0]).get("message") or {}
    reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
    content = reply_from(raw, None).text
    deltas: list[dict[str, Any]] = [{"reasoning_content": part} for part in _parts(reasoning, reasoning_pieces)]
    deltas += [{"content": part} for part in _parts(content, pieces)]
    for index, call in enumerate(message.get("tool_calls") or () if typed else ()):
        arguments = (call.get("function") or {}).get("arguments") or ""
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": w}}]} for w in _parts(arguments, ())]
    for delta in deltas:
        assembler.feed({"choices": [{"index": 0, "delta": delta}]})
        await asyncio.sleep(0)


def _parts(text: str, lengths: Sequence[int]) -> Iterator[str]:
    if not lengths:
        yield from _WORD.findall(text)
        return
    start = 0
    for length in lengths:
        if part := text[start : start + length]:
            yield part
        start += length
    if text[start:]:  # the text was edited since
        yield text[start:]
