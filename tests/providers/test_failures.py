"""Every exception of LiteLLM becomes one of ours, with a one-line message and the right exit code."""

from __future__ import annotations

import inspect
from email.utils import formatdate

import httpx
import pytest

from promptstudio import errors
from promptstudio.providers.failures import MAX_MESSAGE_CHARS, error_class, provider_error, retry_after_s
from promptstudio.providers.litellm_wire import litellm  # through our door, which keeps it off the network
from promptstudio.providers.schema import Connection

CONNECTION = Connection("openai/m", "openai", "openai/m", "api.openai.com", api_key="sk-test-0123456789abcdef")
RESPONSE = httpx.Response(418, request=httpx.Request("POST", "https://example.com"))
GIVEN = {
    "message": "it broke\nsecond line",
    "model": "m",
    "llm_provider": "openai",
    "response": RESPONSE,
    "request": httpx.Request("POST", "https://example.com"),
    "status_code": 500,
    "entity_type": "PERSON",
    "guardrail_name": "g",
    "current_cost": 2.0,
    "max_budget": 1.0,
    "raw_response": "{}",
    "schema": "{}",
    "request_data": {},
    "original_exception": None,
    "route_name": "r",
}


def exceptions_of_litellm() -> list[type[Exception]]:
    found = [one for _, one in inspect.getmembers(litellm.exceptions, inspect.isclass)]
    return [one for one in found if issubclass(one, Exception) and one.__module__ == "litellm.exceptions"]


def made(kind: type[Exception]) -> Exception:
    """An instance, with whatever its constructor insists on; one with a constructor of its own kind is bypassed."""
    parameters = inspect.signature(kind.__init__).parameters
    wanted = {name: GIVEN[name] for name in parameters if name in GIVEN}
    try:
        return kind(**wanted)
    except TypeError:
        error = kind.__new__(kind)
        error.args = ("it broke",)
        error.message = "it broke"  # type: ignore[attr-defined]
        error.num_retries = error.max_retries = None  # type: ignore[attr-defined]
        return error


@pytest.mark.parametrize("kind", exceptions_of_litellm(), ids=lambda kind: kind.__name__)
def test_each_class_of_litellm_has_a_class_of_ours(kind: type[Exception]) -> None:
    ours = provider_error(made(kind), CONNECTION)

    assert ours.exit_code == 3
    assert type(ours) is not errors.ProviderError
    assert "\n" not in ours.message
    assert ours.hint


def test_litellm_has_as_many_classes_as_we_know_of() -> None:
    assert len(exceptions_of_litellm()) >= 30


EXPECTED = {
    "AuthenticationError": errors.AuthenticationError,
    "PermissionDeniedError": errors.AuthenticationError,
    "RateLimitError": errors.RateLimitError,
    "BudgetExceededError": errors.QuotaError,
    "Timeout": errors.ProviderTimeoutError,
    "ContextWindowExceededError": errors.ContextWindowError,
    "ContentPolicyViolationError": errors.ContentPolicyError,
    "NotFoundError": errors.ModelNotFoundError,
    "BadRequestError": errors.BadRequestError,
    "UnsupportedParamsError": errors.BadRequestError,
    "ServiceUnavailableError": errors.ServerError,
    "InternalServerError": errors.ServerError,
    "APIConnectionError": errors.ProviderConnectionError,
    "MidStreamFallbackError": errors.BadAnswerError,
    "JSONSchemaValidationError": errors.BadAnswerError,
}


@pytest.mark.parametrize(("name", "ours"), EXPECTED.items())
def test_the_meaning_of_a_class_is_kept(name: str, ours: type[errors.ProviderError]) -> None:
    assert error_class(made(getattr(litellm.exceptions, name))) is ours


def test_an_unknown_exception_is_a_connection_error_and_not_a_crash() -> None:
    assert error_class(RuntimeError("what is this")) is errors.ProviderConnectionError


def test_a_json_error_body_becomes_its_message() -> None:
    error = RuntimeError('AnthropicException - {"type":"error","error":{"type":"x","message":"Slow down."}}')
    assert provider_error(error, CONNECTION).message == "openai/m: Slow down."


def test_a_message_is_one_line_of_bounded_length_without_the_key() -> None:
    error = RuntimeError(f"litellm.BadRequestError: OpenAIException - key {CONNECTION.api_key} " + "x" * 5000)
    message = provider_error(error, CONNECTION).message
    assert CONNECTION.api_key not in message
    assert len(message) <= MAX_MESSAGE_CHARS + len("openai/m: ")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": formatdate(1_700_000_030, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(1_600_000_000, usegmt=True)}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, now=1_700_000_000) == seconds
