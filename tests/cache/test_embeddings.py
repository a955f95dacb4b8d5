"""Embeddings in the cache and in cassettes, each text by itself, whatever travelled together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from promptstudio.cache.choose import WireChoice, open_wires
from promptstudio.cache.folder import CassetteFolder
from promptstudio.cache.recorder import RecordingWires, ReplayWires
from promptstudio.cache.store import CacheStore
from promptstudio.cache.wire import CachedWires
from promptstudio.config import Settings, load_settings
from promptstudio.errors import BadAnswerError, NotFoundError, ProviderError, UserError
from promptstudio.prompts.prompt import Retry
from promptstudio.providers.call import ProviderWires, close_connections
from promptstudio.providers.embed import Embeddings, embed, embedding_connection
from promptstudio.providers.ngrams import OFFLINE_EMBEDDING
from promptstudio.providers.schema import Connection
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


@pytest.fixture
def settings(tmp_path: Path, server: EmbeddingServer) -> Settings:
    (tmp_path / "promptstudio.toml").write_text(
        f'[providers.openai]\napi_base = "{server.url}"\napi_key_env = "OPENAI_KEY"\n'
    )
    return load_settings(tmp_path, env={})


async def embedded(settings: Settings, wires: Any, *texts: str, **more: Any) -> Embeddings:
    model, env = more.pop("model", MODEL), more.pop("env", ENV)
    connection = embedding_connection(model, settings, env, without_secrets=wires.reach == "never")
    return await embed(texts, connection, wires=wires, retry=Retry(max_attempts=1, timeout_s=5), **more)


async def test_only_texts_that_are_not_kept_are_asked_for(settings, server, tmp_path) -> None:
    wires = CachedWires(CacheStore(tmp_path / "cache.db"), ProviderWires())
    first = await embedded(settings, wires, "a car", "سيارة")
    wires.close()
    again = CachedWires(CacheStore(tmp_path / "cache.db"), ProviderWires())
    second = await embedded(settings, again, "سيارة", "a cat", "a car")
    assert server.texts == ["a car", "سيارة", "a cat"]
    assert second.vectors == (first.vectors[1], second.vectors[1], first.vectors[0])
    assert second.saved is None  # something was sent
    third = await embedded(settings, again, "a cat", "a car")
    assert (third.cost_usd, len(server.bodies)) == (0, 2)
    assert third.saved is not None
    assert third.saved.cost_usd == Decimal("7E-8")  # half of the first request, and the second
    again.close()
    stats = CacheStore(tmp_path / "cache.db").stats()
    assert (stats.entries, stats.total.hits, stats.total.misses) == (3, 4, 3)


async def test_model_text_and_dimensions_are_the_key(settings, server, tmp_path) -> None:
    wires = CachedWires(CacheStore(tmp_path / "cache.db"), ProviderWires())
    for _ in range(2):
        await embedded(settings, wires, "a car")
        await embedded(settings, wires, "a car", dimensions=2)
        await embedded(settings, wires, "a  car")
        await embedded(settings, wires, "a car", model="openai/text-embedding-3-large")
    assert len(server.bodies) == 4


async def test_the_same_text_at_once_is_one_request(settings, server, tmp_path) -> None:
    stores = [CacheStore(tmp_path / "cache.db") for _ in range(4)]
    found = await asyncio.gather(
        *(
            embedded(settings, CachedWires(stores[number % 4], ProviderWires()), *texts)
            for number, texts in enumerate([("a car", "a cat"), ("a cat", "a car"), ("a car",), ("a cat",)] * 4)
        )
    )
    assert sorted(server.texts) == ["a car", "a cat"]
    assert {len(one.vectors) for one in found} == {1, 2}


async def test_vectors_that_say_nothing_and_errors_are_not_kept(settings, server, tmp_path) -> None:
    def nothing(answer: Any) -> Any:
        return {**answer, "data": [{**row, "embedding": [0.0, 0.0]} for row in answer["data"]]}

    wires = CachedWires(CacheStore(tmp_path / "cache.db"), ProviderWires())
    server.script = [nothing, (500, {}), (400, {})]
    assert list((await embedded(settings, wires, "a car")).vectors[0]) == [0.0, 0.0]
    for _ in range(2):
        with pytest.raises(ProviderError):
            await embedded(settings, wires, "a car")
    assert list((await embedded(settings, wires, "a car")).vectors[0]) == vector_of("a car")
    assert len(server.bodies) == 4


async def test_a_model_that_changed_behind_its_name_is_an_error_and_not_a_figure(settings, server, tmp_path) -> None:
    wires = CachedWires(CacheStore(tmp_path / "cache.db"), ProviderWires())
    await embedded(settings, wires, "a car")
    server.script = [lambda a: {**a, "data": [{**row, "embedding": [1.0, 2.0]} for row in a["data"]]}]
    for _ in range(2):  # what came is kept now, and still does not fit
        with pytest.raises(BadAnswerError, match="2 dimensions, others 4"):
            await embedded(settings, wires, "a car", "a cat")


async def test_a_cache_that_cannot_be_written_is_no_obstacle(settings, server, tmp_path) -> None:
    (tmp_path / "cache.db").mkdir()
    wires = CachedWires(CacheStore(tmp_path / "cache.db"), ProviderWires())
    for _ in range(2):
        assert list((await embedded(settings, wires, "a car")).vectors[0]) == vector_of("a car")
    assert len(server.bodies) == 2


async def test_a_recording_is_readable_and_replays_without_network_and_key(settings, server, tmp_path) -> None:
    folder = tmp_path / "tapes"
    recorded = await embedded(settings, RecordingWires(CassetteFolder(folder), ProviderWires()), "سيارة", "a cat")
    texts = sorted(path.read_text(encoding="utf-8") for path in folder.iterdir())
    assert len(texts) == 2
    arabic = next(text for text in texts if "سيارة" in text)
    assert "  model: openai/text-embedding-3-small\n  input: سيارة\n" in arabic
    assert "    vector: AACAPwAAAAAAAAAAAAAAAA==\n" in arabic
    assert KEY not in "".join(texts)
    wires = ReplayWires(CassetteFolder(folder))
    found = await embedded(settings, wires, "a cat", "سيارة", env={})
    assert found.vectors == recorded.vectors[::-1]
    assert (found.cost_usd, len(server.bodies), len(wires.files)) == (0, 1, 2)
    assert found.saved is not None
    assert all(not one.problems for one in CassetteFolder(folder).check())


async def test_a_text_that_was_not_recorded_names_the_nearest(settings, server, tmp_path) -> None:
    folder = tmp_path / "tapes"
    await embedded(settings, RecordingWires(CassetteFolder(folder), ProviderWires()), "the red car")
    wires = ReplayWires(CassetteFolder(folder))
    with pytest.raises(NotFoundError, match="input is 'the red cat' and was 'the red car'"):
        await embedded(settings, wires, "the red cat")
    with pytest.raises(NotFoundError, match=r"parameters\.dimensions is 2 and was not there"):
        await embedded(settings, wires, "the red car", dimensions=2)


async def test_recording_nearly_the_same_again_leaves_the_file_and_another_vector_changes_it(
    settings, server, tmp_path
) -> None:
    folder = tmp_path / "tapes"
    wires = RecordingWires(CassetteFolder(folder), ProviderWires())
    written = []
    for shift in (0.0, 0.0001, 0.1):

        def shifted(answer: Any, shift: float = shift) -> Any:
            rows = [{**row, "embedding": [x + shift for x in row["embedding"]]} for row in answer["data"]]
            return {**answer, "data": rows}

        server.script = [shifted]
        await embedded(settings, wires, "a car")
        written += [path.read_text() for path in folder.iterdir()]
    assert written[0] == written[1]
    assert written[1] != written[2]


async def test_a_vector_edited_by_hand_is_told_with_its_place(settings, server, tmp_path) -> None:
    folder = tmp_path / "tapes"
    await embedded(settings, RecordingWires(CassetteFolder(folder), ProviderWires()), "a car")
    [path] = folder.iterdir()
    path.write_text(path.read_text().replace("AACAPwAA", "AACAPw!!"))
    with pytest.raises(UserError, match=r"expected a vector of 32-bit floats as base64") as told:
        await embedded(settings, ReplayWires(CassetteFolder(folder)), "a car")
    assert told.value.problems[0].line == 10


async def test_a_secret_in_a_text_is_not_recorded_and_digits_of_a_vector_are_no_secret(
    settings, server, tmp_path
) -> None:
    folder = tmp_path / "tapes"
    secret = "my key is sk-proj-Ab3dEf6hIj9kLmN0pQrStUvWx"
    await embedded(settings, RecordingWires(CassetteFolder(folder), ProviderWires()), secret)
    [path] = folder.iterdir()
    assert "sk-proj" not in path.read_text()
    found = await embedded(settings, ReplayWires(CassetteFolder(folder)), secret, env={})
    assert list(found.vectors[0]) == vector_of(secret)
    text = path.read_text().replace("vector: AAAA", "vector: AKIAABCDEFGHIJKLMNOP/AAAAAAAAAAAAAAA")
    path.write_text(text)
    assert "AKIA" in text
    [checked] = CassetteFolder(folder).check()
    assert checked.problems == ()


async def test_the_offline_model_is_neither_kept_nor_recorded(settings, tmp_path) -> None:
    offline = Connection(OFFLINE_EMBEDDING, "offline", OFFLINE_EMBEDDING, None)
    for choice in (
        WireChoice(cache=True),
        WireChoice(record=tmp_path / "tapes"),
        WireChoice(replay=tmp_path / "tapes"),
    ):
        with open_wires(choice, settings, {}, print) as wires:
            assert len((await embed(["refund"], offline, wires=wires)).vectors[0]) == 1024
    assert list((tmp_path / "tapes").iterdir()) == []
    assert not list(tmp_path.rglob("*cache*.db"))
