"""Typed answers through Instructor: a Pydantic model in, its instance out, re-asking while an answer does not validate.

The one door to Instructor. It gets our own sender instead of LiteLLM's function, so transport retries, attempts and
streaming stay where they are for text. Its `context=` renders message text as a template and is never passed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from instructor import Mode, from_litellm
from instructor.core.exceptions import IncompleteOutputException, InstructorRetryException

from promptstudio.errors import BadAnswerError, OutputValidationError, PromptStudioError
from promptstudio.prompts.prompt import OutputMode
from promptstudio.providers.prices import price_row
from promptstudio.providers.schema import Connection, Reply
from promptstudio.providers.wire_types import completion_from

if TYPE_CHECKING:
    from pydantic import BaseModel

logging.getLogger("instructor").setLevel(logging.CRITICAL)

MODES: Mapping[str, Mode] = {
    "tools": Mode.TOOLS,
    "json_schema": Mode.JSON_SCHEMA,
    "json": Mode.JSON,
    "md_json": Mode.MD_JSON,
}
Sender = Callable[[Mapping[str, Any]], Awaitable[Reply]]


def mode_for(mode: OutputMode, connection: Connection) -> Mode:
    """Resolve `auto`: tools where the model is known to call them or nothing is known, else a JSON schema.

    Ollama constrains its sampler with a schema, which small local models need more than tools.
    """
    if mode != "auto":
        return MODES[mode]
    if connection.provider in ("ollama", "ollama_chat"):
        return Mode.JSON_SCHEMA
    row = price_row(connection.model)
    if row is None or row.get("supports_function_calling"):
        return Mode.TOOLS
    return Mode.JSON_SCHEMA if row.get("supports_response_schema") else Mode.MD_JSON


async def ask_typed(
    arguments: Mapping[str, Any],
    output_model: type[BaseModel],
    *,
    mode: Mode,
    max_retries: int,
    send: Sender,
    on_invalid: Callable[[str], None],
    model: str,
) -> tuple[BaseModel, Reply]:
    """Ask until the answer validates, `max_retries` times more at most; return the object and the last reply.

    Raises `OutputValidationError` when it never does, `BadAnswerError` when the token limit cut it off.
    """
    last: list[Reply] = []

    async def create(**keywords: Any) -> Any:
        messages = [_sendable(message) for message in keywords.pop("messages")]
        reply = await send(
            {**keywords, "messages": messages, "_typed": True, "_schema": output_model.model_json_schema()}
        )
        last[:] = [reply]
        return completion_from(reply.raw)

    client = from_litellm(create, mode=mode, async_client=True)
    client.on("parse:error", lambda error, **_: on_invalid(_short(error)))
    try:
        value = await client.chat.completions.create(
            response_model=output_model, max_retries=max_retries, **_without_model(arguments), model=model
        )
    except IncompleteOutputException as error:
        raise BadAnswerError(
            f"{model}: the answer was cut off at the token limit, so it is not complete JSON",
            hint="raise parameters.max_tokens",
        ) from error
    except InstructorRetryException as error:
        raise _unwrapped(error, model, max_retries) from error
    return value, last[0]


def _sendable(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """A re-ask quotes the model's own tool call; providers refuse one whose arguments are not a JSON object."""
    calls = message.get("tool_calls")
    if not calls:
        return message
    fixed = []
    for call in calls:
        function = call["function"]
        try:
            is_object = isinstance(json.loads(function["arguments"]), dict)
        except ValueError:
            is_object = False
        arguments = function["arguments"] if is_object else json.dumps({"invalid_json": function["arguments"]})
        fixed.append({**call, "function": {**function, "arguments": arguments}})
    return {**message, "tool_calls": fixed}


def _unwrapped(error: InstructorRetryException, model: str, max_retries: int) -> PromptStudioError:
    """Instructor wraps whatever happened; ours inside is the better error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, PromptStudioError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return OutputValidationError(
        f"{model}: the answer did not fit the output schema after {max_retries + 1} tries: {_short(error)}",
        hint="loosen `output`, raise output.max_retries, or try output.mode: json_schema",
    )


def _short(error: BaseException) -> str:
    inner = error
    while isinstance(inner, InstructorRetryException) and inner.__cause__ is not None:
        inner = inner.__cause__
    if hasattr(inner, "errors"):
        rows = inner.errors()
        parts = [f"{'.'.join(map(str, row['loc'])) or 'answer'}: {row['msg']}" for row in rows[:3]]
        return "; ".join(parts) + (f"; and {len(rows) - 3} more" if len(rows) > 3 else "")
    text = " ".join(str(inner).split())
    return text if len(text) <= 300 else text[:299] + "…"


def _without_model(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name != "model"}
