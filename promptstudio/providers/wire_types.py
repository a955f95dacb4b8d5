"""Plain data ↔ the OpenAI SDK's types, which Mirascope and Instructor read. The one door to `openai`.

Answers of other providers carry words the SDK's types do not list (a finish reason of their own, say), so objects are
constructed, not validated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionChunk

FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})


def completion_from(raw: Mapping[str, Any]) -> ChatCompletion:
    """Build the SDK's completion from a plain one; an unknown finish reason becomes `stop`."""
    choices = []
    for choice in raw.get("choices") or ():
        message = {"refusal": None, **choice.get("message", {})}
        finish_reason = choice.get("finish_reason")
        choices.append(
            {
                **choice,
                "message": message,
                "finish_reason": finish_reason if finish_reason in FINISH_REASONS else "stop",
            }
        )
    return ChatCompletion.construct(**{**raw, "choices": choices})


def load_client() -> None:
    """Import the part of the SDK that it loads at the first request; LiteLLM sends through it."""
    import openai.resources.chat  # noqa: F401


def chunk_from(*, text: str | None = None, finish_reason: str | None = None, model: str = "") -> ChatCompletionChunk:
    """Build one chunk of a stream."""
    reason = finish_reason if finish_reason is None or finish_reason in FINISH_REASONS else "stop"
    return ChatCompletionChunk.construct(
        id="",
        created=0,
        model=model,
        object="chat.completion.chunk",
        choices=[{"index": 0, "delta": {"content": text}, "finish_reason": reason}],
    )
