"""One request to one model: `Request` → Mirascope → (Instructor) → retries → wire → `Completion`.

The heavy libraries are imported here, inside the functions, when a call is really made.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from promptstudio.config import Settings
from promptstudio.errors import InputsError, PromptStudioError, UsageError
from promptstudio.prompts.prompt import Retry
from promptstudio.providers.retry import Attempts
from promptstudio.providers.schema import Completion, Connection, Emit, Reach, Reply, Request, Wire, WireCall
from promptstudio.types import Attempt, Saved, Usage

# Parameters that would steer LiteLLM instead of the model: the connection, retries and callbacks are not a prompt's.
RESERVED = frozenset(
    {
        "allowed_openai_params",
        "api_base",
        "api_key",
        "api_version",
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "azure_ad_token",
        "base_url",
        "cache",
        "caching",
        "callbacks",
        "client",
        "custom_llm_provider",
        "extra_headers",
        "fallbacks",
        "function_call",
        "functions",
        "guardrails",
        "headers",
        "hooks",
        "litellm_metadata",
        "litellm_params",
        "max_retries",
        "messages",
        "metadata",
        "mock_response",
        "mock_tool_calls",
        "model",
        "model_list",
        "num_retries",
        "organization",
        "prompt_id",
        "prompt_variables",
        "response_format",
        "shared_session",
        "ssl_verify",
        "stream",
        "stream_options",
        "timeout",
        "tool_choice",
        "tools",
        "user_continue_message",
        "vertex_credentials",
    }
)


# Providers that are sent an image's URL as it is; for others LiteLLM would fetch the image itself.
URL_PROVIDERS = frozenset({"openai", "azure", "mistral", "groq", "xai", "openrouter", "together_ai", "fireworks_ai"})


@dataclass(slots=True)
class CallState:
    """What a call leaves behind, also when it fails: the attempts so far."""

    attempts: tuple[Attempt, ...] = ()
    first_token_ms: int | None = None
    loading_ms: int = 0


async def complete(request: Request, state: CallState | None = None, wire: Wire | None = None) -> Completion:
    """Ask the model and return its answer; `state` holds the attempts even if this raises a `ProviderError`."""
    from promptstudio.providers.mirascope_bridge import call_through

    state = state or CallState()
    check_parameters(request.parameters)
    _check_media(request)
    attempts = Attempts(wire or wire_for(request.connection), request.connection, request.retry, request.emit)
    answers: list[tuple[Any, Reply]] = []

    async def send(arguments: dict[str, Any]) -> Reply:
        answers[:] = [await _ask(request, {**arguments, **request.parameters}, attempts)]
        return answers[0][1]

    try:
        await call_through(request.messages, request.connection.model, send, request.tools)
    finally:
        state.attempts = tuple(attempts.attempts)
        state.first_token_ms = attempts.first_token_ms
        state.loading_ms = attempts.loading_ms
    output, reply = answers[0]
    return Completion(
        reply=reply,
        output=output,
        usage=total_usage(state.attempts),
        cost_usd=total_cost(state.attempts),
        attempts=state.attempts,
        first_token_ms=state.first_token_ms,
    )


async def exact_request(request: Request) -> dict[str, Any]:
    """Return what would be sent, in LiteLLM's words, without sending it. The key is not in it."""
    captured: list[Mapping[str, Any]] = []

    class Capture:
        async def send(
            self,
            connection: Connection,  # noqa: ARG002  the shape of a wire
            arguments: Mapping[str, Any],
            *,
            timeout_s: float,
            emit: Emit | None,  # noqa: ARG002
        ) -> Reply:
            captured.append({"timeout": timeout_s, **arguments})
            raise _CapturedError("captured")

    with suppress(_CapturedError):
        await complete(request, wire=Capture())
    shown = {name: value for name, value in captured[0].items() if not name.startswith("_")}
    connection = request.connection
    return {
        "model": connection.route,
        "host": connection.host,
        "api_base": connection.api_base,
        "api_key_from": list(connection.key_variables),
        **{name: value for name, value in shown.items() if name != "model"},
    }


class _CapturedError(PromptStudioError):
    """Carries a dry run out of the libraries around the wire."""


async def _ask(request: Request, arguments: dict[str, Any], attempts: Attempts) -> tuple[Any, Reply]:
    if request.output_model is None:
        return None, await attempts.send(arguments)
    from promptstudio.providers.typed import ask_typed, mode_for

    output = request.output
    return await ask_typed(
        arguments,
        request.output_model,
        mode=mode_for(output.mode if output else "auto", request.connection),
        max_retries=output.max_retries if output else 2,
        send=attempts.send,
        on_invalid=attempts.mark_invalid,
        model=request.connection.model,
    )


def load_libraries(model: str, *, typed: bool, provider: bool = True) -> None:
    """Import what a call needs, so that the time of a call is the provider's and not that of our imports.

    Without `provider` the wire's own library is left out: the answer may come from elsewhere.
    """
    import promptstudio.providers.mirascope_bridge

    if typed:
        import promptstudio.providers.typed
    if provider and not model.startswith("offline/"):
        import promptstudio.providers.litellm_wire  # noqa: F401


def load_everything() -> None:
    """Import and read what calls of any kind need, for a process that is there before the first one."""
    from promptstudio.providers.prices import price_list
    from promptstudio.providers.wire_types import load_client

    load_libraries("any/model", typed=True)
    load_client()
    price_list()


def wire_for(connection: Connection) -> Wire:
    """Return the way to a connection; importing LiteLLM takes seconds, so only where it is needed."""
    if connection.is_offline:
        from promptstudio.providers.offline import OfflineWire

        return OfflineWire()
    from promptstudio.providers.litellm_wire import LiteLLMWire

    return LiteLLMWire()


@dataclass(frozen=True, slots=True)
class ProviderWires:
    """`Wires` that all lead to the providers."""

    @property
    def reach(self) -> Reach:
        return "always"

    def wire_for(self, connection: Connection, call: WireCall) -> Wire:
        if call.embeds:
            from promptstudio.providers.embedding_wire import EmbeddingWire  # few runs embed

            return EmbeddingWire()
        return wire_for(connection)


def total_saved(attempts: tuple[Attempt, ...]) -> Saved | None:
    """Add up what was not spent because nothing was sent; None where something was."""
    total = Saved(Decimal(0), 0)
    for attempt in attempts:
        if attempt.saved is None:
            return None
        total = total.plus(attempt.saved)
    return total if attempts else None


def total_usage(attempts: tuple[Attempt, ...]) -> Usage:
    """Add up what all attempts used: re-asks are paid for too."""
    total = Usage()
    for attempt in attempts:
        total = total.plus(attempt.usage)
    return total


def total_cost(attempts: tuple[Attempt, ...]) -> Decimal | None:
    """Add up what all attempts cost; None when an answered one has no known price."""
    total = Decimal(0)
    for attempt in attempts:
        if attempt.cost_usd is not None:
            total += attempt.cost_usd
        elif attempt.usage != Usage():
            return None
    return total if any(attempt.cost_usd is not None for attempt in attempts) else None


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Refuse parameters that would steer the connection instead of the model."""
    reserved = sorted(RESERVED & set(parameters))
    if reserved:
        raise UsageError(
            f"parameters.{reserved[0]} cannot be set in a prompt or with -p",
            hint="connections are set in promptstudio.toml under [providers.NAME]; retries in the prompt's `retry`",
        )


def _check_media(request: Request) -> None:
    """Refuse a media URL where LiteLLM would download it: that is a host nobody named in a setting."""
    connection = request.connection
    if connection.is_offline or connection.route.partition("/")[0] in URL_PROVIDERS:
        return
    for message in request.messages:
        for part in message.parts:
            if part.media is not None and part.media.url is not None:
                raise InputsError(
                    f"{connection.model} takes no {part.kind} URLs, and we download nothing",
                    hint="give the file itself: name=@file",
                )


async def close_connections() -> None:
    """Close idle provider connections of this event loop, if any were opened."""
    module = sys.modules.get("promptstudio.providers.litellm_wire")
    if module is not None:
        await module.close_connections()


def default_sender(
    settings: Settings, env: Mapping[str, str], parameters: Mapping[str, Any], retry: Retry
) -> Callable[[dict[str, Any]], Awaitable[Reply]]:
    """Return what sends the calls people make on a Mirascope object themselves: by model id, with our retries."""

    async def send(arguments: dict[str, Any]) -> Reply:
        from promptstudio.providers.connect import connection_for  # reads the price list: only when a call is made

        connection = connection_for(str(arguments.pop("model")), settings, env)
        attempts = Attempts(wire_for(connection), connection, retry, None)
        return await attempts.send({**parameters, **arguments})

    return send
