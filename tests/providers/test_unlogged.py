"""What is left out of LiteLLM's work: its log. It rests on private names, and where they are gone nothing is lost."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from llmock.scenarios import Fail
from llmock.testing import LLMockServer

from promptstudio.config import Settings
from promptstudio.errors import AuthenticationError
from promptstudio.providers import litellm_wire
from promptstudio.providers.call import complete
from tests.providers.conftest import request

# After litellm_wire: it sets LiteLLM's environment before the first import, which else asks the network for prices.
is_internal_call = import_module("litellm._internal_context").is_internal_call
Logging = import_module("litellm.litellm_core_utils.litellm_logging").Logging


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of LiteLLM's log handlers while the test runs."""
    seen: list[str] = []
    for name in ("async_success_handler", "async_failure_handler"):
        original = getattr(Logging, name)

        async def handler(self: Any, *args: Any, _name: str = name, _original: Any = original, **words: Any) -> Any:
            seen.append(_name)
            return await _original(self, *args, **words)

        monkeypatch.setattr(Logging, name, handler)
    return seen


def test_the_private_names_are_those_of_the_installed_litellm() -> None:
    assert litellm_wire._is_unlogged is is_internal_call
    assert Logging._record_zero_cost_diagnostic is litellm_wire._found_nothing


async def test_no_log_record_is_built_of_an_answer_or_an_error(
    settings: Settings, provider: LLMockServer, logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await complete(request(settings, "openai/gpt-4.1-mini"))
    with pytest.raises(AuthenticationError):
        await _refused(settings, provider)
    assert logged == []

    monkeypatch.setattr(litellm_wire, "_is_unlogged", None)
    with pytest.raises(AuthenticationError):
        await _refused(settings, provider)
    assert logged == ["async_failure_handler"]


@pytest.mark.parametrize("model", ["openai/gpt-4.1-mini", "anthropic/claude-haiku-4-5", "local/my-own-model"])
async def test_cost_and_usage_are_the_same_where_the_private_name_is_gone(
    settings: Settings, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = await complete(request(settings, model))
    monkeypatch.setattr(litellm_wire, "_is_unlogged", None)
    with_log = await complete(request(settings, model))
    assert without.cost_usd == with_log.cost_usd
    assert without.usage == with_log.usage


async def test_a_call_of_somebody_else_in_the_same_task_is_logged_as_before(settings: Settings) -> None:
    await complete(request(settings, "openai/gpt-4.1-mini"))
    assert is_internal_call.get() is False


async def _refused(settings: Settings, provider: LLMockServer) -> None:
    provider.state.scenarios.add(Fail(401, times=1))
    await complete(request(settings, "openai/gpt-4.1-mini"))
