"""The values that travel between floors. Frozen; a change makes a copy; no behavior beyond reading themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

Role = Literal["system", "developer", "user", "assistant", "tool"]
PartKind = Literal["text", "image", "audio", "file"]
Status = Literal["pending", "running", "completed", "failed", "cancelled", "interrupted"]


@dataclass(frozen=True, slots=True)
class Media:
    """An image, a sound or a document: either `data` or `url` is set.

    `mime_type` is as in RFC 6838 (`image/png`); `name` is a file name to show, never a path.
    """

    mime_type: str
    data: bytes | None = field(default=None, repr=False)
    url: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One content part of a message: `text` for kind `text`, `media` for the others."""

    kind: PartKind
    text: str = ""
    media: Media | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation, rendered. A plain text message has exactly one text part."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The text parts joined by blank lines; media parts are left out."""
        return "\n\n".join(part.text for part in self.parts if part.kind == "text")

    @classmethod
    def of(cls, role: Role, text: str) -> Message:
        return cls(role, (Part("text", text),))


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as the provider reported them; None means it did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None

    def plus(self, other: Usage) -> Usage:
        """Add counts; a count nobody reported stays None."""
        return Usage(
            _sum(self.input_tokens, other.input_tokens),
            _sum(self.output_tokens, other.output_tokens),
            _sum(self.cached_tokens, other.cached_tokens),
            _sum(self.reasoning_tokens, other.reasoning_tokens),
        )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)


@dataclass(frozen=True, slots=True)
class Saved:
    """What an answer had cost when it was asked for, where it now came from the cache or from a recording.

    `cost_usd` is None where the price was unknown.
    """

    cost_usd: Decimal | None
    duration_ms: int

    def plus(self, other: Saved) -> Saved:
        """Add up; an unknown price makes the sum unknown."""
        known = self.cost_usd is not None and other.cost_usd is not None
        cost_usd = (self.cost_usd or Decimal(0)) + (other.cost_usd or Decimal(0)) if known else None
        return Saved(cost_usd, self.duration_ms + other.duration_ms)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request on the wire. `error_kind` is None for the one that succeeded.

    `reason` says why it was made: the first `call`, a `retry` after a transport error, a `reask` after an answer that
    did not validate, or a `fallback` to another model. `number` counts from 1 over the whole run. `saved` is set
    where nothing was sent.
    """

    number: int
    model: str
    reason: Literal["call", "retry", "reask", "fallback"]
    started_at: datetime
    duration_ms: int
    usage: Usage = Usage()
    cost_usd: Decimal | None = None
    status_code: int | None = None
    error_kind: str | None = None
    error_message: str | None = None
    waited_ms: int = 0
    saved: Saved | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model asked for; `arguments` is the JSON text as it came, not yet trusted."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """What `--json` says of an error."""

    kind: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One finished run of a prompt, whatever its end.

    `output` is the typed value (a Pydantic model instance) where the prompt has an `output:`, else None.
    `cost_usd` is None where the price is unknown, never 0. `commit` is the full hash or None outside git.
    `cached` says that nothing was sent; then `saved` is what all of it had cost before.
    """

    id: str
    prompt: str
    variant: str | None
    version: str | None
    behavior: str
    commit: str | None
    dirty: bool | None
    model: str
    status: Status
    text: str
    output: Any = None
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    cost_usd: Decimal | None = None
    duration_ms: int = 0
    first_token_ms: int | None = None
    finish_reason: str | None = None
    cached: bool = False
    saved: Saved | None = None
    attempts: tuple[Attempt, ...] = ()
    error: ErrorInfo | None = None
    resolved_model: str | None = None
    provider_response_id: str | None = None
    system_fingerprint: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
