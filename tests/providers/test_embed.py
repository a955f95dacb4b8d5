"""Embeddings over a real HTTP server: what is sent, what comes back, and every way it goes wrong."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from promptstudio.config import Settings, load_settings
from promptstudio.errors import (
    AuthenticationError,
    BadAnswerError,
    ConfigError,
    NotFoundError,
    ProviderTimeoutError,
    RateLimitError,
)
from promptstudio.prompts.prompt import Retry
from promptstudio.providers.call import close_connections
from promptstudio.providers.embed import MAX_TEXTS, embed, embedding_connection
from promptstudio.providers.ngrams import OFFLINE_EMBEDDING, ngram_vector
from promptstudio.providers.schema import Connection
from promptstudio.providers.vectors import embedding_reply, packed, unpacked, vectors_in
from tests.providers.embedding_server import KEY, EmbeddingServer, vector_of

MODEL = "openai/text-embedding-3-small"
ENV = {"OPENAI_KEY": KEY}


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer() as running:
        yield running


@pytest_asyncio.fixture(autouse=True)
async def closed_connections() -> AsyncIterator[None]:
    yield
    await close_connections()


def settings_to(folder: Path, server: EmbeddingServer) -> Settings:
    lines = [
        f'[providers.{name}]\napi_base = "{server.url}"\napi_key_env = "OPENAI_KEY"\n' for name in ("openai", "mine")
    ]
    (folder / "promptstudio.toml").write_text("".join(lines))
    return load_settings(folder, env={})


def connection(folder: Path, server: EmbeddingServer, model: str = MODEL, key: str = KEY) -> Connection:
    return embedding_connection(model, settings_to(folder, server), {"OPENAI_KEY": key})


async def test_texts_of_any_script_travel_in_one_request_and_equal_ones_once(server, tmp_path) -> None:
    texts = ["a car", "سيارة جديدة", "a car", "חתול", ""]
    found = await embed(texts, connection(tmp_path, server))
    assert [list(vector) for vector in found.vectors] == [*(vector_of(text) for text in texts[:4]), []]
    assert [body["input"] for body in server.bodies] == [["a car", "سيارة جديدة", "חתול"]]
    assert (found.model, found.usage.input_tokens, len(found.attempts)) == (MODEL, 5, 1)
    assert found.cost_usd == Decimal("0.0000001")  # 5 tokens at $0.02 for a million


async def test_many_texts_are_cut_into_requests_and_an_unknown_price_is_none(server, tmp_path) -> None:
    texts = [f"text {number}" for number in range(2 * MAX_TEXTS + 1)]
    found = await embed(texts, connection(tmp_path, server, "mine/embedder"))
    assert [len(body["input"]) for body in server.bodies] == [MAX_TEXTS, MAX_TEXTS, 1]
    assert (len(found.vectors), found.cost_usd, server.bodies[0]["model"]) == (len(texts), None, "embedder")
    long = ["a" * 200_000, "b" * 200_000]
    await embed(long, connection(tmp_path, server))
    assert [body["input"] for body in server.bodies[3:]] == [["a" * 200_000], ["b" * 200_000]]


async def test_dimensions_are_asked_for_whatever_the_model_is_called(server, tmp_path) -> None:
    for model in (MODEL, "mine/embedder"):
        found = await embed(["a cat"], connection(tmp_path, server, model), dimensions=2)
        assert list(found.vectors[0]) == [0.0, 1.0]
    assert [body["dimensions"] for body in server.bodies] == [2, 2]


async def test_half_a_character_is_replaced_before_it_is_sent(server, tmp_path) -> None:
    found = await embed(["a car \ud800"], connection(tmp_path, server))
    assert server.texts == ["a car ?"]
    assert list(found.vectors[0]) == vector_of("a car")


async def test_a_429_is_waited_for_as_long_as_was_asked_and_written_down(server, tmp_path) -> None:
    server.script = [(429, {"retry-after": "0.1"}), (503, {})]
    found = await embed(["a car"], connection(tmp_path, server), retry=Retry(max_attempts=3, timeout_s=5))
    assert [attempt.error_kind for attempt in found.attempts] == ["rate_limit", "server", None]
    assert 100 <= found.attempts[1].waited_ms <= 250
    server.script = [(429, {"retry-after": "0.01"})] * 2
    with pytest.raises(RateLimitError) as refused:
        await embed(["a car"], connection(tmp_path, server), retry=Retry(max_attempts=2, timeout_s=5))
    assert refused.value.retry_after_s == 0.01


async def test_a_wrong_key_is_an_authentication_error_that_does_not_say_the_key(server, tmp_path) -> None:
    with pytest.raises(AuthenticationError) as refused:
        await embed(["a car"], connection(tmp_path, server, key="wrong-key-000000000"))
    assert "wrong-key" not in str(refused.value)
    assert server.bodies == []


async def test_an_answer_that_does_not_fit_the_texts_is_a_bad_answer(server, tmp_path) -> None:
    def without_one(answer):
        return {**answer, "data": answer["data"][1:]}

    def ragged(answer):
        return {**answer, "data": [{**answer["data"][0], "embedding": [1.0]}, answer["data"][1]]}

    def empty(answer):
        return {**answer, "data": [{**row, "embedding": []} for row in answer["data"]]}

    def twice(answer):
        return {**answer, "data": [{**row, "index": 0} for row in answer["data"]]}

    for wrong in (without_one, ragged, empty, twice):
        server.script = [wrong]
        with pytest.raises(BadAnswerError):
            await embed(["a car", "a cat"], connection(tmp_path, server), retry=Retry(max_attempts=1, timeout_s=5))
    server.script = [without_one]
    found = await embed(["a car", "a cat"], connection(tmp_path, server))
    assert [attempt.error_kind for attempt in found.attempts] == ["bad_answer", None]


async def test_silence_ends_at_the_time_limit(tmp_path) -> None:
    import time

    with EmbeddingServer([lambda answer: time.sleep(0.6) or answer]) as slow, pytest.raises(ProviderTimeoutError):
        await embed(["a car"], connection(tmp_path, slow), retry=Retry(max_attempts=1, timeout_s=0.2))


async def test_the_offline_model_needs_no_key_and_no_settings() -> None:
    found = await embed(["refund", ""], Connection(OFFLINE_EMBEDDING, "offline", OFFLINE_EMBEDDING, None))
    assert (found.vectors[0], len(found.vectors[1])) == (ngram_vector("refund"), 0)
    assert (found.cost_usd, found.model) == (0, "offline/ngrams-v1")


def test_a_model_that_cannot_embed_is_told_before_it_is_asked(server, tmp_path) -> None:
    settings = settings_to(tmp_path, server)
    assert embedding_connection("offline/ngrams-v1", settings, {}).is_offline
    assert embedding_connection("ollama/nomic-embed-text", settings, {}).route == "ollama/nomic-embed-text"
    for model, error in (
        ("offline/echo", NotFoundError),
        ("anthropic/claude-haiku-4-5", NotFoundError),
        ("nowhere/model", NotFoundError),
        ("cohere/embed-v4.0", AuthenticationError),
    ):
        with pytest.raises(error):
            embedding_connection(model, settings, {})
    (tmp_path / "promptstudio.toml").write_text('[providers.mine]\napi_key_env = "X"\n')
    with pytest.raises(ConfigError):
        embedding_connection("mine/model", load_settings(tmp_path, env={}), {})


def test_vectors_survive_being_written_as_text() -> None:
    vector = array("f", [0.1, -2.5, 3e38, 0.0])
    assert unpacked(packed(vector)) == vector
    assert packed([1.0]) == "AACAPw=="  # little-endian on every machine
    for wrong in ("", "AAA=", "AACA", "not base64!", "ü"):
        with pytest.raises(ValueError):
            unpacked(wrong)
    reply = embedding_reply([vector], "m", {"prompt_tokens": 3}, Decimal(1))
    assert vectors_in(reply.raw, 1, "m") == (vector,)
    assert reply.usage.input_tokens == 3
    assert vectors_in({"data": [{"index": 0, "embedding": packed(vector)}]}, 1, "m") == (vector,)
    for words in (["one"], None, "one", 1, [None]):
        with pytest.raises(BadAnswerError):
            vectors_in({"data": [{"index": 0, "embedding": words}]}, 1, "m")
