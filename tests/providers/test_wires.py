"""Every wire format, end to end on loopback: text and typed, whole and streamed."""

from __future__ import annotations

from typing import Any

import pytest
from llmock.scenarios import Reply
from llmock.testing import LLMockServer

from promptstudio import errors
from promptstudio.config import Settings
from promptstudio.prompts.prompt import Retry
from promptstudio.providers.call import complete
from promptstudio.providers.schema import Event, PartialOutput, ReasoningDelta, TextDelta
from tests.providers.conftest import KEY, request, settings_for
from tests.providers.servers import GeminiServer, OllamaServer

MODELS = [
    "openai/gpt-4.1-mini",
    "anthropic/claude-haiku-4-5",
    "gemini/gemini-2.5-flash",
    "mistral/mistral-small-latest",
    "local/my-own-model",
]
TYPED_MODELS = [model for model in MODELS if not model.startswith("gemini/")]
ARABIC = "أهلًا بك! \u200fكيف أساعدك؟ שלום"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", MODELS)
async def test_a_text_answer_arrives_whole_with_usage_and_finish_reason(
    settings: Settings, provider: LLMockServer, model: str, streamed: bool
) -> None:
    provider.state.scenarios.add(Reply(text=ARABIC))
    events: list[Event] = []

    done = await complete(request(settings, model, emit=events.append if streamed else None))

    assert done.reply.text == ARABIC
    assert done.reply.finish_reason == "stop"
    assert done.usage.input_tokens
    assert done.usage.output_tokens
    assert [attempt.error_kind for attempt in done.attempts] == [None]
    if streamed:
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == ARABIC
        assert len(events) > 1


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", TYPED_MODELS)
async def test_a_typed_answer_becomes_an_object_and_grows_while_it_streams(
    settings: Settings, model: str, streamed: bool
) -> None:
    events: list[Event] = []

    done = await complete(request(settings, model, typed=True, emit=events.append if streamed else None))

    assert done.output.model_dump() == {"category": "billing", "urgency": 1, "reply": "mock-reply"}
    if streamed:
        partials = [event.value for event in events if isinstance(event, PartialOutput)]
        assert partials[-1] == done.output.model_dump()
        assert not [event for event in events if isinstance(event, TextDelta)]


@pytest.mark.parametrize("mode", ["tools", "json_schema", "json", "md_json"])
async def test_each_output_mode_asks_in_its_own_way_and_gets_the_object(
    settings: Settings, provider: LLMockServer, mode: str
) -> None:
    if mode != "tools":
        answer = '{"category": "bug", "urgency": 2, "reply": "ok"}'
        provider.state.scenarios.add(Reply(text=f"```json\n{answer}\n```" if mode == "md_json" else answer))

    done = await complete(request(settings, "openai/gpt-4.1-mini", typed=True, mode=mode))

    assert done.output.category == ("billing" if mode == "tools" else "bug")


async def test_parameters_and_extra_parameters_reach_the_provider(settings: Settings) -> None:
    with OllamaServer() as server:
        own = settings_for(settings.root, {"local": server.url + "/v1"})  # type: ignore[arg-type]
        await complete(request(own, "local/m", temperature=0.3, max_tokens=5, top_k=7, seed=9))
        body = server.bodies[-1]

    assert (body["temperature"], body["max_tokens"], body["top_k"], body["seed"]) == (0.3, 5, 7, 9)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_ollama_is_asked_on_its_own_chat_route_without_a_key(settings: Settings, streamed: bool) -> None:
    events: list[Event] = []
    with OllamaServer() as server:
        own = _keyless(settings, server.url)
        done = await complete(request(own, "ollama/llama3", emit=events.append if streamed else None))
        paths, headers = server.paths, server.headers[-1]

    assert done.reply.text == OllamaServer.ANSWER
    assert paths == ["/api/chat"]
    assert KEY not in str(headers)
    assert done.usage.output_tokens == 7


async def test_ollama_gets_a_json_schema_for_a_typed_answer(settings: Settings) -> None:
    with OllamaServer() as server:
        done = await complete(request(_keyless(settings, server.url), "ollama/llama3", typed=True))
        body = server.bodies[-1]

    assert done.output.urgency == 4
    assert body["format"]["required"] == ["category", "urgency", "reply"]


def _keyless(settings: Settings, url: str) -> Settings:
    from promptstudio.config import load_settings

    assert settings.root is not None
    settings.root.joinpath("promptstudio.toml").write_text(f'[providers.ollama]\napi_base = "{url}"\n')
    return load_settings(settings.root, env={})


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_gemini_answers_a_typed_call_with_a_function_call(settings: Settings, streamed: bool) -> None:
    events: list[Event] = []
    with GeminiServer() as server:
        own = settings_for(settings.root, {"gemini": server.url + "/v1beta"})  # type: ignore[arg-type]
        done = await complete(
            request(own, "gemini/gemini-2.5-flash", typed=True, emit=events.append if streamed else None)
        )
        headers = server.headers[-1]

    assert done.output.reply == "נשמח לעזור"
    assert headers["x-goog-api-key"] == KEY


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_reasoning_is_kept_apart_from_the_answer(settings: Settings, streamed: bool) -> None:
    events: list[Event] = []
    with OllamaServer() as server:
        own = settings_for(settings.root, {"local": server.url + "/v1"})  # type: ignore[arg-type]
        done = await complete(request(own, "local/thinker", emit=events.append if streamed else None))

    assert done.reply.text == OllamaServer.ANSWER
    assert done.reply.reasoning == "let me think"
    if streamed:
        assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "let me think"


async def test_the_price_is_known_for_known_models_and_unknown_for_others(settings: Settings) -> None:
    known = await complete(request(settings, "openai/gpt-4.1-mini"))
    unknown = await complete(request(settings, "local/my-own-model"))

    assert known.cost_usd is not None
    assert 0 < known.cost_usd < 1
    assert unknown.cost_usd is None


async def test_a_redirect_to_another_host_is_refused(settings: Settings) -> None:
    with OllamaServer(redirect_to="http://127.0.0.2:9/steal") as server:
        own = settings_for(settings.root, {"local": server.url + "/v1"})  # type: ignore[arg-type]
        with pytest.raises(errors.ProviderError, match="refused to contact"):
            await complete(request(own, "local/m"))


async def test_the_key_never_shows_in_an_error(settings: Settings) -> None:
    with OllamaServer(status=401, error=f"Incorrect API key provided: {KEY}") as server:
        own = settings_for(settings.root, {"local": server.url + "/v1"})  # type: ignore[arg-type]
        with pytest.raises(errors.AuthenticationError) as caught:
            await complete(request(own, "local/m"))

    assert KEY not in str(caught.value)
    assert caught.value.hint == "check the key in TEST_KEY"


async def test_nothing_else_is_sent_along_with_a_request(settings: Settings) -> None:
    with OllamaServer() as server:
        own = settings_for(settings.root, {"local": server.url + "/v1"})  # type: ignore[arg-type]
        await complete(request(own, "local/m"))
        body: dict[str, Any] = server.bodies[-1]

    assert set(body) == {"model", "messages"}
    assert body["messages"] == [
        {"role": "system", "content": "Be nice."},
        {"role": "user", "content": "hello مرحبا"},
    ]


async def test_a_host_that_does_not_answer_is_named(settings: Settings) -> None:
    own = settings_for(settings.root, {"local": "http://127.0.0.1:9/v1"})  # type: ignore[arg-type]
    with pytest.raises(errors.ProviderConnectionError, match=r"cannot connect to 127\.0\.0\.1:9") as caught:
        await complete(request(own, "local/m", retry=Retry(1, 5)))
    assert "[providers.local]" in str(caught.value.hint)
