"""The parameters of a call that we know, and what is wrong with the ones a file gives.

Names are LiteLLM's, snake_case. A name we do not know passes through, because providers have more than we can list; one
that looks misspelled is a lint warning. What belongs to the connection is refused: a prompt file is shared text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from promptstudio.prompts.wording import found, nearest, shown

Fault = tuple[tuple[str | int, ...], str, str | None]

_NUMBER = (int, float)
# Name → (accepted Python types, what to call them, least, most)
KNOWN: dict[str, tuple[tuple[type, ...], str, float | None, float | None]] = {
    "temperature": (_NUMBER, "a number", 0, 2),
    "top_p": (_NUMBER, "a number", 0, 1),
    "top_k": ((int,), "a whole number", 0, None),
    "min_p": (_NUMBER, "a number", 0, 1),
    "max_tokens": ((int,), "a whole number", 1, None),
    "max_completion_tokens": ((int,), "a whole number", 1, None),
    "seed": ((int,), "a whole number", None, None),
    "stop": ((str, list), "text or a list of texts", None, None),
    "presence_penalty": (_NUMBER, "a number", -2, 2),
    "frequency_penalty": (_NUMBER, "a number", -2, 2),
    "repetition_penalty": (_NUMBER, "a number", 0, None),
    "n": ((int,), "a whole number", 1, 128),
    "logprobs": ((bool,), "true or false", None, None),
    "top_logprobs": ((int,), "a whole number", 0, 20),
    "logit_bias": ((dict,), "a map", None, None),
    "reasoning_effort": ((str,), "text", None, None),
    "thinking": ((dict,), "a map", None, None),
    "verbosity": ((str,), "text", None, None),
    "parallel_tool_calls": ((bool,), "true or false", None, None),
    "tool_choice": ((str, dict), "text or a map", None, None),
    "service_tier": ((str,), "text", None, None),
    "user": ((str,), "text", None, None),
    "extra_body": ((dict,), "a map", None, None),
}

_CONNECTION = "connections live in promptstudio.toml, [providers.NAME]; a key only in the environment"
# Name → where it belongs instead
REFUSED = {
    **dict.fromkeys(
        [
            "api_key",
            "api_base",
            "base_url",
            "api_version",
            "api_type",
            "organization",
            "custom_llm_provider",
            "headers",
            "extra_headers",
            "default_headers",
            "aws_access_key_id",
            "aws_secret_access_key",
            "aws_session_token",
            "vertex_credentials",
            "azure_ad_token",
            "client_secret",
            "secret",
            "password",
            "token",
            "access_token",
            "http_client",
            "client",
        ],
        _CONNECTION,
    ),
    "model": "write `model:` at the top of the file",
    "messages": "write `messages:` at the top of the file",
    "tools": "write `tools:` at the top of the file",
    "functions": "write `tools:` at the top of the file",
    "response_format": "write `output:` at the top of the file",
    "stream": "streaming is chosen for a run: --stream or --no-stream",
    "stream_options": "streaming is chosen for a run: --stream or --no-stream",
    "timeout": "write `retry: {timeout: …}`",
    "request_timeout": "write `retry: {timeout: …}`",
    "num_retries": "write `retry: {max_attempts: …}`",
    "max_retries": "write `retry: {max_attempts: …}`",
    "fallbacks": "write `fallbacks:` at the top of the file",
    "mock_response": "use the model offline/echo or offline/script",
}
_SECRET_NAME = re.compile(r"(?:^|_)(?:api_?key|secret|password|credentials?|private_key)(?:$|_)")
_SNAKE = re.compile(r"[a-z][a-z0-9_]*")


def parameter_faults(parameters: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong, with paths relative to the parameters. A null is fine: it removes a profile's value."""
    for name, value in parameters.items():
        if name in REFUSED:
            yield (name,), "does not belong in parameters", REFUSED[name]
        elif not _SNAKE.fullmatch(name):
            close = nearest(name, KNOWN)
            yield (
                (name,),
                f"{shown(name)} is not snake_case",
                f"did you mean {close!r}?" if close else "as in max_tokens",
            )
        elif _SECRET_NAME.search(name):
            yield (name,), "looks like a secret", _CONNECTION
        elif value is not None and name in KNOWN:
            yield from _value_faults(name, value)


def _value_faults(name: str, value: Any) -> Iterator[Fault]:
    types, words, least, most = KNOWN[name]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        yield (name,), f"expected {words}, found {found(value)}", None
    elif isinstance(value, int | float) and (
        (least is not None and value < least) or (most is not None and value > most)
    ):
        limits = f"between {least} and {most}" if most is not None and least is not None else f"of at least {least}"
        yield (name,), f"expected {words} {limits}, found {found(value)}", None
    elif isinstance(value, list) and not all(isinstance(item, str) for item in value):
        yield (name,), f"expected {words}", None


def misspelled(name: str) -> str | None:
    """Return the known parameter that an unknown one is probably meant to be."""
    return None if name in KNOWN or name in REFUSED else nearest(name, KNOWN)
