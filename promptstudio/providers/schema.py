"""What goes to a model and what comes back, and the seam every way to a model fits: `Wire`, one method wide.

`Request` → `providers.call.complete` → `Completion`. A wire takes keyword arguments in the OpenAI chat format, which
is what LiteLLM, Mirascope and Instructor share, and gives back an assembled `Reply`; while it reads it may `emit`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from promptstudio.prompts.prompt import OutputSpec, Retry
from promptstudio.types import Attempt, Message, Saved, ToolCall, Usage

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a model id leads. `route` is LiteLLM's id for it; `host` is what will be contacted, None when offline.

    `key_variables` names the environment variables a key may come from; the key itself is never shown.
    """

    model: str
    provider: str
    route: str
    host: str | None
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    key_variables: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    script: str | None = None

    @property
    def is_offline(self) -> bool:
        return self.provider == "offline"


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Text that has just arrived."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """Reasoning text that has just arrived; kept apart from the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class PartialOutput:
    """The typed answer as far as it has arrived: plain JSON data, not yet validated."""

    value: Any


@dataclass(frozen=True, slots=True)
class Restarted:
    """What arrived so far is void: the answer starts again, for the reason given."""

    reason: str


Event = TextDelta | ReasoningDelta | PartialOutput | Restarted
Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Request:
    """One call to one model. `output_model` is set for typed output, then `output` says how to ask for it."""

    connection: Connection
    messages: tuple[Message, ...]
    parameters: Mapping[str, Any]
    retry: Retry = field(default_factory=Retry)
    output: OutputSpec | None = None
    output_model: type[BaseModel] | None = None
    tools: tuple[Callable[..., Any], ...] = ()
    emit: Emit | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a wire, assembled. `raw` is the OpenAI-format completion as plain data.

    `saved` is set where nothing was sent for it. `loading_ms` went into our own imports, and is no time of the model's.
    """

    text: str
    reasoning: str | None
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str | None
    usage: Usage
    cost_usd: Decimal | None
    resolved_model: str | None
    response_id: str | None
    system_fingerprint: str | None
    raw: Mapping[str, Any]
    saved: Saved | None = None
    loading_ms: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Completion:
    """The end of a request: the last reply, the typed output, and the sums over all attempts."""

    reply: Reply
    output: Any
    usage: Usage
    cost_usd: Decimal | None
    attempts: tuple[Attempt, ...]
    first_token_ms: int | None = None


class Wire(Protocol):
    """A way to a model. Raises `ProviderError`; `emit` is None when nobody watches the answer arrive."""

    async def send(
        self, connection: Connection, arguments: Mapping[str, Any], *, timeout_s: float, emit: Emit | None
    ) -> Reply: ...


@runtime_checkable
class Forgetful(Protocol):
    """A wire that keeps answers, and can be told that the last one is not worth keeping."""

    def forget_last(self) -> None: ...


@dataclass(frozen=True, slots=True)
class WireCall:
    """What a wire may want to know of the call it is made for; nothing of it is sent.

    `repeat` counts from 0 where a suite asks the same thing several times; `is_verdict` is a judge's call; one that
    `embeds` has `input` in its arguments instead of messages, and vectors in its reply (`providers.vectors`).
    """

    prompt: str = "prompt"
    repeat: int | None = None
    is_verdict: bool = False
    embeds: bool = False


Reach = Literal["always", "perhaps", "never"]


class Wires(Protocol):
    """Where the wires of a run come from. `reach` says whether they lead to a provider.

    `always`: its libraries are loaded beforehand; `perhaps`: they are loaded where it is needed; `never`: no key is
    needed and nothing of a provider is loaded.
    """

    @property
    def reach(self) -> Reach: ...

    def wire_for(self, connection: Connection, call: WireCall) -> Wire: ...
