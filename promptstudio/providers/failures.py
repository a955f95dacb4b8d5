"""LiteLLM's exceptions → ours: which class, what to say in one line, and how long to wait.

LiteLLM's classes share no base and the same class can mean several things, so this is a table by class name (nearest
ancestor first), then a look at the HTTP status and the words. A test walks all of LiteLLM's classes through it.
"""

from __future__ import annotations

import email.utils
import re
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

from httpx import ConnectError

from promptstudio.errors import (
    AuthenticationError,
    BadAnswerError,
    BadRequestError,
    ContentPolicyError,
    ContextWindowError,
    ModelNotFoundError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    QuotaError,
    RateLimitError,
    ServerError,
)
from promptstudio.prompts.secrets import redact
from promptstudio.providers.schema import Connection
from promptstudio.providers.stream_guard import GuardError

# LiteLLM class name → ours. Looked up along the class's ancestors, so a subclass LiteLLM adds finds its parent's row.
BY_NAME: Mapping[str, type[ProviderError]] = {
    "AuthenticationError": AuthenticationError,
    "PermissionDeniedError": AuthenticationError,
    "RateLimitError": RateLimitError,
    "BudgetExceededError": QuotaError,
    "Timeout": ProviderTimeoutError,
    "APITimeoutError": ProviderTimeoutError,
    "TimeoutException": ProviderTimeoutError,
    "ContextWindowExceededError": ContextWindowError,
    "ContentPolicyViolationError": ContentPolicyError,
    "GuardrailRaisedException": ContentPolicyError,
    "BlockedPiiEntityError": ContentPolicyError,
    "SensitiveDataRouteException": ContentPolicyError,
    "RejectedRequestError": ContentPolicyError,
    "ModifyResponseException": ContentPolicyError,
    "NotFoundError": ModelNotFoundError,
    "ModelNotMappedError": ModelNotFoundError,
    "LiteLLMUnknownProvider": ModelNotFoundError,
    "MidStreamFallbackError": BadAnswerError,
    "BrokenStreamError": BadAnswerError,
    "APIResponseValidationError": BadAnswerError,
    "JSONSchemaValidationError": BadAnswerError,
    "ForbiddenHostError": BadRequestError,
    "ImageFetchError": BadRequestError,
    "UnprocessableEntityError": BadRequestError,
    "UnsupportedParamsError": BadRequestError,
    "VectorStoreSearchError": BadRequestError,
    "InvalidRequestError": BadRequestError,
    "BadRequestError": BadRequestError,
    "ServiceUnavailableError": ServerError,
    "InternalServerError": ServerError,
    "BadGatewayError": ServerError,
    "APIConnectionError": ProviderConnectionError,
    "ConnectionRefusedError": ProviderConnectionError,
    "gaierror": ProviderConnectionError,
    "TransportError": ProviderConnectionError,
    "ClientError": ProviderConnectionError,
    "APIStatusError": ServerError,
    "APIError": ServerError,
    "MockException": ServerError,
    "OpenAIError": ServerError,
}

BY_STATUS: Mapping[int, type[ProviderError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: QuotaError,
    403: AuthenticationError,
    404: ModelNotFoundError,
    408: ProviderTimeoutError,
    413: ContextWindowError,
    422: BadRequestError,
    429: RateLimitError,
}

# Words that say more than the class or the status does; the first row that matches wins.
BY_WORDS: tuple[tuple[re.Pattern[str], type[ProviderError]], ...] = (
    (
        re.compile(r"insufficient_quota|exceeded your current quota|billing hard limit|credit balance", re.IGNORECASE),
        QuotaError,
    ),
    (
        re.compile(r"context_length_exceeded|maximum context length|prompt is too long", re.IGNORECASE),
        ContextWindowError,
    ),
    (re.compile(r"invalid.{0,10}api.key|api key not valid|no api key", re.IGNORECASE), AuthenticationError),
)

_PREFIX = re.compile(r"^(?:litellm\.)?\w*(?:Error|Exception|Timeout)\s*[:-]\s*", re.IGNORECASE)
# What LiteLLM says when it does not know better: there an HTTP status that says something else is believed.
VAGUE = (BadRequestError, ServerError, ProviderConnectionError, None)
VAGUE_STATUS: Mapping[type[ProviderError] | None, int] = {BadRequestError: 400, ProviderConnectionError: 500}
MAX_MESSAGE_CHARS = 500


def provider_error(error: BaseException, connection: Connection) -> ProviderError:
    """Turn anything LiteLLM or its HTTP client raised into ours; ours pass through with the model's name added."""
    if isinstance(error, ProviderError):
        return error
    error = _inner(error)
    kind = error_class(error)
    status = _status(error)
    message = _one_line(error, connection)
    if isinstance(error, ConnectError | ConnectionRefusedError | socket.gaierror):
        message = f"cannot connect to {connection.host or 'the provider'}"
    return kind(
        f"{connection.model}: {message}",
        hint=_hint(kind, connection),
        status_code=status,
        retry_after_s=retry_after_s(_headers(error)),
    )


def _inner(error: BaseException) -> BaseException:
    """The error that says most. SDKs wrap our guard's; routes that send late wrap a refusal as a broken stream."""
    for cause in _causes(error):
        if isinstance(cause, GuardError | ConnectError | ConnectionRefusedError | socket.gaierror):
            return cause
    original = getattr(error, "original_exception", None)
    if isinstance(original, BaseException) and (_status(original) or 0) >= 400 and _headers(original):
        return original
    return error


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__ or getattr(cause, "original_exception", None)


def error_class(error: BaseException) -> type[ProviderError]:
    """Return our class for theirs. The words come first: a 429 may be an empty account, a 400 a wrong key."""
    by_name, status = _by_name(error), _status(error)
    if by_name is not ContentPolicyError:
        for pattern, kind in BY_WORDS:
            if pattern.search(str(error)) and not (kind is AuthenticationError and _passes(status)):
                return kind
    if by_name in VAGUE and status is not None and status != VAGUE_STATUS.get(by_name):
        return BY_STATUS.get(status) or (ServerError if status >= 500 else by_name or ProviderConnectionError)
    return by_name or ProviderConnectionError


def _passes(status: int | None) -> bool:
    """Whether a status says that it is not the key: too many requests, or the provider's own trouble."""
    return status is not None and (status == 429 or status >= 500)


def _by_name(error: BaseException) -> type[ProviderError] | None:
    for ancestor in type(error).__mro__:
        if kind := BY_NAME.get(ancestor.__name__):
            return kind
    return None


def _status(error: BaseException) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) and 100 <= status <= 599 else None


def _headers(error: BaseException) -> Mapping[str, str]:
    """LiteLLM keeps the provider's headers in one of two places, depending on the route."""
    found: dict[str, str] = {}
    response = getattr(error, "response", None)
    for headers in (getattr(response, "headers", None), getattr(error, "litellm_response_headers", None)):
        if headers is not None:
            found |= {str(name).lower(): str(value) for name, value in headers.items()}
    return found


def retry_after_s(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait by `retry-after-ms`, or `retry-after` in seconds or as an HTTP date (RFC 9110, 10.2.3)."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - (time.time() if now is None else now))


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < float("inf") else None


def _one_line(error: BaseException, connection: Connection) -> str:
    text = str(getattr(error, "message", None) or error or type(error).__name__)
    text = " ".join(text.split("\n", maxsplit=1)[0].split())
    for _ in range(6):
        shorter = _PREFIX.sub("", text)
        if shorter == text or not shorter:
            break
        text = shorter
    if connection.api_key:
        text = text.replace(connection.api_key, "***")
    text = redact(_json_message(text) or text)
    return text if len(text) <= MAX_MESSAGE_CHARS else text[: MAX_MESSAGE_CHARS - 1] + "…"


def _json_message(text: str) -> str | None:
    """The `message` inside a JSON error body, wherever the text begins with words of LiteLLM's own."""
    import json

    start = text.find("{")
    if start < 0:
        return None
    try:
        body: Any = json.loads(text[start:])
    except ValueError:
        return None
    if isinstance(body, dict):
        inner = body.get("error", body)
        if isinstance(inner, str):
            return inner
        if isinstance(inner, dict):
            found = inner.get("message") or body.get("message")
            return found if isinstance(found, str) else None
    return None


def _hint(kind: type[ProviderError], connection: Connection) -> str | None:
    variables = " or ".join(connection.key_variables)
    hints: Mapping[type[ProviderError], str] = {
        AuthenticationError: f"check the key in {variables}"
        if variables
        else "this connection sends no key: name its "
        f"variable in promptstudio.toml as [providers.{connection.provider}] api_key_env",
        QuotaError: "the account has no quota left: check its billing page, or use another model with -m",
        RateLimitError: "wait and run it again, lower --concurrency, or name `fallbacks` in the prompt",
        ProviderTimeoutError: "raise `retry.timeout` in the prompt, or run it again",
        ProviderConnectionError: f"check that {connection.host or 'the provider'} is right and can be reached; "
        f"api_base is set in promptstudio.toml under [providers.{connection.provider}]",
        ModelNotFoundError: f"`ps models {connection.model.rpartition('/')[2]}` lists the models we know",
        ContextWindowError: "shorten the inputs, or use a model with a longer context (`ps models`)",
        ContentPolicyError: "the provider refused the content; change the text, or use another model",
        BadAnswerError: "the provider's answer was broken; run it again, or use another model with -m",
        ServerError: "the provider has trouble; run it again later, or name `fallbacks` in the prompt",
        BadRequestError: "`ps run … --dry-run` shows the exact request",
    }
    return hints.get(kind)
