"""The exact cache at the seam: what hits, what is never kept, and one call for many who ask at once."""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cache_samples import CONNECTION, FROM_GREET, CountingWires, arguments, completion, send

from promptstudio.cache.request import cache_key, content_of
from promptstudio.cache.store import CacheStore
from promptstudio.cache.wire import CachedWires
from promptstudio.errors import RateLimitError
from promptstudio.prompts.prompt import Retry
from promptstudio.providers.retry import Attempts
from promptstudio.providers.schema import Event, PartialOutput, TextDelta, WireCall
from promptstudio.types import Saved


def key_of(connection: Any = CONNECTION, repeat: int | None = None, **changes: Any) -> bytes:
    asked = {**arguments(), **changes}
    return cache_key(content_of(asked, connection.model), connection, repeat)


async def test_the_second_identical_request_is_answered_from_the_store_and_costs_nothing(
    wires: CachedWires, provider: CountingWires
) -> None:
    first, second = await send(wires), await send(wires)
    assert provider.calls == 1
    assert (first.saved, first.cost_usd) == (None, Decimal("0.00125"))
    assert second.cost_usd == 0
    assert second.saved == Saved(Decimal("0.00125"), second.saved.duration_ms if second.saved else -1)
    assert replace(second, cost_usd=first.cost_usd, saved=None) == first


async def test_an_answer_outlives_the_process_that_asked(
    store: CacheStore, wires: CachedWires, provider: CountingWires
) -> None:
    await send(wires)
    wires.close()
    again = CachedWires(CacheStore(store.path), provider)
    assert (await send(again)).saved is not None
    again.close()
    assert provider.calls == 1


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [{"role": "user", "content": "hi!"}]},
        {"messages": [{"role": "system", "content": "hi"}]},
        {"temperature": 0.1},
        {"seed": 1},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"tool_choice": "auto"},
        {"response_format": {"type": "json_object"}},
        {"_schema": {"type": "object"}},
        {"repeat": 1},
        {"connection": replace(CONNECTION, route="openai/other")},
        {"connection": replace(CONNECTION, host="other.example.com")},
        {"connection": replace(CONNECTION, api_base="https://api.example.com/other/v1")},
    ],
    ids=str,
)
def test_whatever_can_change_the_answer_changes_the_key(change: dict[str, Any]) -> None:
    assert key_of(**change) != key_of()


@pytest.mark.parametrize(
    "change",
    [
        {"connection": replace(CONNECTION, api_key="another", headers={"x-team": "blue"})},
        {"connection": replace(CONNECTION, model="alias/m")},
        {"repeat": 0},
        {"_typed": False},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"model": "alias/m"},
        {"seed": None},
    ],
    ids=str,
)
def test_keys_headers_and_the_transport_are_not_part_of_the_key(change: dict[str, Any]) -> None:
    assert key_of(**change) == key_of()


def test_the_credentials_in_an_address_and_the_scheme_are_not_part_of_the_key() -> None:
    plain, secret = (f"https://{who}h.example/v1" for who in ("", "ada:secret-word@"))
    assert key_of(replace(CONNECTION, api_base=plain)) == key_of(replace(CONNECTION, api_base=secret))


def test_zero_is_zero_however_it_is_written() -> None:
    assert key_of(temperature=0) == key_of(temperature=0.0)


def test_the_rules_of_an_offline_script_are_part_of_the_key(tmp_path: Path) -> None:
    script = tmp_path / "offline.yaml"
    connection = replace(CONNECTION, provider="offline", script=str(script))
    script.write_text("rules: [{text: a}]")
    before = key_of(connection)
    script.write_text("rules: [{text: b}]")
    assert key_of(connection) != before


def test_media_are_compared_by_their_bytes_and_not_kept() -> None:
    def content(data: bytes) -> dict[str, Any]:
        url = "data:image/png;base64," + base64.b64encode(data).decode()
        sound = {"data": base64.b64encode(data).decode(), "format": "wav"}
        parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "input_audio", "input_audio": sound}]
        return content_of({"messages": [{"role": "user", "content": parts}]}, "m")

    assert content(b"x" * 99) == content(b"x" * 99) != content(b"y" * 99)
    assert "[image/png, 99 bytes, SHA-256 " in str(content(b"x" * 99))
    assert "[audio/wav, 99 bytes, SHA-256 " in str(content(b"x" * 99))


def test_ids_that_a_provider_makes_up_for_tool_calls_do_not_count() -> None:
    def conversation(call_id: str) -> list[dict[str, Any]]:
        call = {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        return [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": call_id, "content": "1"}]

    assert key_of(messages=conversation("call_a")) == key_of(messages=conversation("call_b"))


TOOL = {"content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "[1"}}]}
STRANGER = {"content": None, "tool_calls": [{"id": "1", "function": {"name": "g", "arguments": "{}"}}]}
OFFERED = [{"type": "function", "function": {"name": "f"}}]
SECRET = "here you are: sk-proj-4Jx9Qb7Lm2Zt8Wd5Rf1Kc6Vn3Hs0Pg"


@pytest.mark.parametrize(
    "raw",
    [
        completion("I cannot", message={"refusal": "I cannot help with that"}),
        completion("cut o", finish_reason="length"),
        completion("", finish_reason="content_filter"),
        completion("", finish_reason="stop"),
        completion(" \n"),
        completion("x", finish_reason=None),
        completion("x", finish_reason="error"),
        completion(message=TOOL, finish_reason="tool_calls"),
        completion(message=STRANGER, finish_reason="tool_calls"),
        completion(SECRET),
    ],
    ids=[
        "refusal",
        "truncated",
        "filtered",
        "empty",
        "blank",
        "unfinished",
        "strange",
        "broken tool call",
        "unknown tool",
        "secret",
    ],
)
async def test_a_bad_answer_is_given_and_not_kept(wires: CachedWires, provider: CountingWires, raw: Any) -> None:
    provider.raws = [raw, completion("good")]
    await send(wires, tools=OFFERED)
    second = await send(wires, tools=OFFERED)
    assert (second.text, second.saved, provider.calls) == ("good", None, 2)
    assert wires.store.stats().total.not_kept == 0  # not yet written
    wires.store.flush()
    assert (wires.store.stats().total.misses, wires.store.stats().total.not_kept) == (2, 1)


async def test_an_error_is_not_kept(wires: CachedWires, provider: CountingWires) -> None:
    provider.raws = [RateLimitError("slow down"), completion("good")]
    with pytest.raises(RateLimitError):
        await send(wires)
    assert (await send(wires)).text == "good"


async def test_an_answer_that_did_not_fit_the_schema_is_asked_for_again(
    wires: CachedWires, provider: CountingWires
) -> None:
    wire: Any = wires.wire_for(CONNECTION, WireCall())
    await wire.send(CONNECTION, arguments(), timeout_s=5, emit=None)
    wire.forget_last()
    await send(wires)
    assert provider.calls == 2


async def test_a_verdict_goes_past_the_cache(wires: CachedWires, provider: CountingWires) -> None:
    for _ in range(2):
        await send(wires, call=WireCall(is_verdict=True))
    assert provider.calls == 2
    assert wires.store.entries() == []


async def test_repeats_are_asked_for_one_by_one_and_then_found(wires: CachedWires, provider: CountingWires) -> None:
    for _ in range(2):
        for repeat in range(3):
            await send(wires, call=WireCall(repeat=repeat))
    assert provider.calls == 3


async def test_sixty_four_identical_requests_at_once_make_one_call(wires: CachedWires, provider: CountingWires) -> None:
    provider.delay_s = 0.05
    replies = await asyncio.gather(*(send(wires) for _ in range(64)))
    assert provider.calls == 1
    assert {reply.text for reply in replies} == {"hello"}
    assert sum(reply.saved is None for reply in replies) == 1


async def test_those_who_wait_share_an_answer_that_is_not_kept(wires: CachedWires, provider: CountingWires) -> None:
    provider.delay_s, provider.raws = 0.05, [completion("cut", finish_reason="length")]
    await asyncio.gather(*(send(wires) for _ in range(8)))
    assert provider.calls == 1


async def test_where_the_one_who_asked_fails_the_next_one_tries(wires: CachedWires, provider: CountingWires) -> None:
    provider.delay_s, provider.raws = 0.02, [RateLimitError("no"), completion("good")]
    ends = await asyncio.gather(*(send(wires) for _ in range(5)), return_exceptions=True)
    assert [type(end) for end in ends].count(RateLimitError) == 1
    assert provider.calls == 2


async def test_where_the_one_who_asked_is_stopped_the_next_one_tries(
    wires: CachedWires, provider: CountingWires
) -> None:
    provider.delay_s = 0.05
    first, second = asyncio.create_task(send(wires)), asyncio.create_task(send(wires))
    await asyncio.sleep(0.01)
    first.cancel()
    assert (await second).text == "hello"
    assert provider.calls == 2


async def test_nobody_waits_longer_than_the_timeout_of_the_call(wires: CachedWires, provider: CountingWires) -> None:
    claim = wires.store.claim(key_of())
    assert claim.take()
    assert (await send(wires, timeout_s=0.1)).text == "hello"
    claim.release()
    provider.delay_s = 0.5
    slow = asyncio.create_task(send(wires, "other"))
    await asyncio.sleep(0.01)
    provider.delay_s = 0
    assert (await send(wires, "other", timeout_s=0.05)).saved is None
    slow.cancel()


async def test_a_hit_streams_its_text_in_pieces(wires: CachedWires, provider: CountingWires) -> None:
    provider.raws = [completion("Hello there, world.\nأهلًا بك")]
    await send(wires)
    events: list[Event] = []
    await send(wires, emit=events.append)
    texts = [event.text for event in events if isinstance(event, TextDelta)]
    assert len(texts) > 3
    assert "".join(texts) == "Hello there, world.\nأهلًا بك"


async def test_a_typed_hit_grows_as_it_is_streamed(wires: CachedWires, provider: CountingWires) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "T", "arguments": '{"a": 1, "b": "two"}'}}
    provider.raws = [completion(None, message={"tool_calls": [call]}, finish_reason="tool_calls")]
    tools = [{"type": "function", "function": {"name": "T"}}]
    await send(wires, _typed=True, tools=tools)
    events: list[Event] = []
    assert (await send(wires, _typed=True, tools=tools, emit=events.append)).saved is not None
    values = [event.value for event in events if isinstance(event, PartialOutput)]
    assert values[-1] == {"a": 1, "b": "two"}
    assert len(values) > 1


async def test_what_hits_saved_is_counted_and_stays(store: CacheStore, wires: CachedWires) -> None:
    for _ in range(4):
        await send(wires)
    wires.close()
    total = CacheStore(store.path).stats().total
    assert (total.hits, total.misses, total.saved_usd, total.hit_rate) == (3, 1, Decimal("0.00375"), 0.75)


async def test_the_library_of_a_provider_is_not_loaded_for_a_hit(wires: CachedWires) -> None:
    assert wires.reach == "perhaps"


async def test_loading_the_library_for_the_first_miss_is_no_time_of_the_models(
    wires: CachedWires, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptstudio.cache.wire.load_libraries", lambda *_, **__: time.sleep(0.5))
    attempts = Attempts(wires.wire_for(CONNECTION, FROM_GREET), CONNECTION, Retry(), lambda _event: None)
    reply = await attempts.send(arguments())
    assert attempts.loading_ms == reply.loading_ms >= 500
    assert attempts.attempts[0].duration_ms < attempts.loading_ms
    assert attempts.first_token_ms is not None
    assert attempts.first_token_ms < attempts.loading_ms
    again = await send(wires)
    assert again.saved is not None
    assert again.saved.duration_ms < attempts.loading_ms
    later = await send(wires, "other")
    assert later.loading_ms == 0


async def test_answers_that_come_while_others_are_written_share_a_transaction(
    store: CacheStore, wires: CachedWires, provider: CountingWires, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    keep_all = store.keep_all

    def counted(entries: Any) -> list[bool]:
        sizes.append(len(entries))
        time.sleep(0.02)  # as long as a disk may take
        return keep_all(entries)

    monkeypatch.setattr(store, "keep_all", counted)
    asked = [f"question {number}" for number in range(20)]
    await asyncio.gather(*(send(wires, text) for text in asked))
    assert sum(sizes) == 20
    assert len(sizes) < 20
    again = [await send(wires, text) for text in asked]
    assert all(reply.saved is not None for reply in again)
    assert provider.calls == 20
