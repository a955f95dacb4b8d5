"""A whole answer of an OpenAI-compatible server takes LiteLLM's lighter way, and what comes back is the same."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from llmock.testing import LLMockServer

from promptstudio.errors import ProviderError
from promptstudio.prompts.prompt import Retry
from promptstudio.providers import litellm_wire
from promptstudio.providers.call import CallState, complete
from promptstudio.providers.schema import Completion, Request
from tests.providers.conftest import KEY, request, settings_for
from tests.providers.servers import RecordingServer

litellm = import_module("litellm")
USAGE = {
    "prompt_tokens": 5,
    "completion_tokens": 7,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
CALL = {"id": "t1", "type": "function", "function": {"name": "look_up", "arguments": '{"city": "حلب"}'}}
ONCE = Retry(max_attempts=1, timeout_s=3)


def whole(message: dict[str, Any], **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": more.pop("finish", "stop")}
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m-2026", "choices": [choice]}
    return json.dumps({**body, "usage": USAGE, **more}).encode()


def failure(message: str, **more: Any) -> bytes:
    return json.dumps({"error": {"message": message, **more}}).encode()


# What a server says: status, headers, body.
Said = tuple[int, dict[str, str], bytes]
JSON = {"content-type": "application/json"}
ANSWERS: dict[str, Said] = {
    "text": (200, JSON, whole({"content": "أهلًا, welcome"}, system_fingerprint="f1")),
    "compressed": (200, {**JSON, "content-encoding": "gzip"}, gzip.compress(whole({"content": "hi"}))),
    "tool call": (200, JSON, whole({"content": None, "tool_calls": [CALL]}, finish="tool_calls")),
    "reasoning": (200, JSON, whole({"content": "4", "reasoning_content": "2 + 2"})),
    "refusal": (200, JSON, whole({"content": None, "refusal": "no"})),
    "cut off": (200, JSON, whole({"content": "and then"}, finish="length")),
    "no usage": (200, JSON, whole({"content": "hi"}, usage=None)),
    "known price": (200, JSON, whole({"content": "hi"}, model="gpt-4.1-mini")),
    "a cookie": (200, {**JSON, "set-cookie": "a=b"}, whole({"content": "hi"})),
}
FAILURES: dict[str, Said] = {
    "bad request": (400, JSON, failure("no such parameter")),
    "too long": (400, JSON, failure("the maximum context length is 9", code="context_length_exceeded")),
    "key": (401, JSON, failure(f"wrong key {KEY}")),
    "forbidden": (403, JSON, failure("not yours")),
    "unknown model": (404, JSON, failure("no such model")),
    "unprocessable": (422, JSON, failure("temperature?")),
    "rate limit": (429, {**JSON, "retry-after": "7"}, failure("slowly")),
    "empty account": (429, JSON, failure("exceeded your current quota", code="insufficient_quota")),
    "server": (500, JSON, failure("oh")),
    "gateway": (502, {"content-type": "text/html"}, b"<html>Bad gateway</html>"),
    "unavailable": (503, {**JSON, "retry-after-ms": "250"}, b""),
    "not JSON": (200, JSON, b"{"),
    "a page": (200, {"content-type": "text/html"}, b"<html>Log in</html>"),
    "nothing": (200, JSON, b""),
    "no choices": (200, JSON, json.dumps({"id": "c1", "choices": []}).encode()),
    "an error in an answer": (200, JSON, failure("overloaded")),
}


class Saying(RecordingServer):
    """Says the same to everyone; `moved` says below /v1 that it is to be found elsewhere."""

    said: Said
    moved = False

    def __init__(self, said: Said) -> None:
        super().__init__()
        self.said = said
        handler = self._server.RequestHandlerClass
        end = handler.end_headers  # type: ignore[attr-defined]

        def end_headers(which: Any) -> None:
            for name, value in self.said[1].items():
                if name != "content-type":
                    which.send_header(name, value)
            end(which)

        handler.end_headers = end_headers  # type: ignore[attr-defined]

    def respond(self, path: str, body: dict[str, Any]) -> tuple[int, str, bytes]:
        if self.moved and path.startswith("/v1/"):
            return 307, "text/plain", b""
        return self.said[0], self.said[1]["content-type"], self.said[2]


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs that took the light way."""
    seen: list[str] = []
    original = litellm_wire._LightClient.post

    async def post(self: Any, url: str, *args: Any, **keywords: Any) -> Any:
        seen.append(url)
        return await original(self, url, *args, **keywords)

    monkeypatch.setattr(litellm_wire._LightClient, "post", post)
    return seen


def asked(tmp_path: Path, url: str, model: str = "local/m", **more: Any) -> Request:
    return request(settings_for(tmp_path, {"local": f"{url}/v1"}), model, retry=ONCE, **more)


async def both(asked: Request, monkeypatch: pytest.MonkeyPatch, posts: list[str]) -> tuple[Any, Any]:
    """Return how a call ends on the light way and through the SDK: its completion, or its error."""
    ends: list[Completion | ProviderError] = []
    for is_light in (True, False):
        monkeypatch.setattr(litellm_wire, "_has_light_route", is_light)
        try:
            ends.append(await complete(asked))
        except ProviderError as error:
            ends.append(error)
    assert len(posts) == 1
    return ends[0], ends[1]


def messages_of(done: Completion) -> list[dict[str, Any]]:
    """Return the messages of an answer, without what LiteLLM says of fields that are empty."""
    messages = [choice["message"] for choice in done.reply.raw["choices"]]
    return [
        {name: value for name, value in message.items() if value not in (None, {"refusal": None})}
        for message in messages
    ]


def test_the_private_names_are_those_of_the_installed_litellm() -> None:
    assert litellm_wire._has_light_route
    assert litellm.main.get_secret_bool.__module__ == litellm_wire.__name__
    assert isinstance(litellm_wire._LightClient().client._transport, litellm_wire.GuardedTransport)


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_is_the_same_as_through_the_sdk(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, posts: list[str]
) -> None:
    with Saying(ANSWERS[name]) as server:
        light, sdk = await both(asked(tmp_path, server.url), monkeypatch, posts)
    assert isinstance(light, Completion), light
    assert replace(light.reply, raw={}) == replace(sdk.reply, raw={})
    assert messages_of(light) == messages_of(sdk)
    assert (light.usage, light.cost_usd) == (sdk.usage, sdk.cost_usd)
    assert server.bodies[0] == server.bodies[1]
    assert server.headers[0]["authorization"] == server.headers[1]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_is_the_same_as_through_the_sdk(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, posts: list[str]
) -> None:
    with Saying(FAILURES[name]) as server:
        light, sdk = await both(asked(tmp_path, server.url), monkeypatch, posts)
    assert isinstance(light, ProviderError), light
    assert (type(light), light.retryable, light.retry_after_s) == (type(sdk), sdk.retryable, sdk.retry_after_s)
    if server.said[0] != 200:  # the SDK's way makes up a status for an answer that is none
        assert light.status_code == sdk.status_code == server.said[0]
    assert KEY not in str(light)
    assert len(server.bodies) == 2


@pytest.mark.parametrize(
    ("model", "streamed", "is_light"),
    [
        ("local/m", False, True),
        ("local/m", True, False),
        ("openai/gpt-4.1-mini", False, False),
        ("mistral/mistral-small-latest", False, False),
    ],
)
async def test_only_a_whole_answer_of_somebody_elses_server_takes_it(
    settings: Any, provider: LLMockServer, posts: list[str], model: str, streamed: bool, is_light: bool
) -> None:
    await complete(request(settings, model, emit=(lambda _: None) if streamed else None))
    assert bool(posts) == is_light


async def test_headers_of_a_connection_and_parameters_arrive(tmp_path: Path, posts: list[str]) -> None:
    with Saying(ANSWERS["text"]) as server:
        plain = asked(tmp_path, server.url, temperature=0.5, top_k=4)
        headers = {"X-Team": "ours", "User-Agent": "u"}
        await complete(replace(plain, connection=replace(plain.connection, headers=headers)))
    assert posts
    assert (server.headers[0]["x-team"], server.headers[0]["user-agent"]) == ("ours", "u")
    assert (server.bodies[0]["temperature"], server.bodies[0]["top_k"]) == (0.5, 4)


async def test_a_redirect_on_the_same_host_is_followed_and_another_host_is_refused(
    tmp_path: Path, posts: list[str]
) -> None:
    with Saying(ANSWERS["text"]) as server, Saying(ANSWERS["text"]) as other:
        server.moved = True
        server.said = (200, {**JSON, "location": f"{server.url}/v2/chat/completions"}, ANSWERS["text"][2])
        assert (await complete(asked(tmp_path, server.url))).reply.text == "أهلًا, welcome"
        server.said = (200, {**JSON, "location": f"{other.url}/v2/chat/completions"}, b"")
        with pytest.raises(ProviderError, match="refused to contact"):
            await complete(asked(tmp_path, server.url))
    assert other.paths == []


async def test_a_request_whose_connection_breaks_is_one_request_and_one_attempt(
    tmp_path: Path, posts: list[str]
) -> None:
    """LiteLLM's own client would ask again behind our back."""
    taken = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                taken.append(connection.recv(65_536))
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # a reset
                connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        state = CallState()
        with pytest.raises(ProviderError) as caught:
            await complete(asked(tmp_path, f"http://127.0.0.1:{server.getsockname()[1]}"), state)
        assert caught.value.retryable
        server.shutdown(socket.SHUT_RDWR)
    assert (len(taken), len(state.attempts), len(posts)) == (1, 1, 1)


async def test_a_model_without_a_price_is_looked_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[Any] = []
    original = litellm.response_cost_calculator

    def calculator(**keywords: Any) -> Any:
        looked_up.append(keywords["model"])
        return original(**keywords)

    monkeypatch.setattr(litellm, "response_cost_calculator", calculator)
    with Saying(ANSWERS["text"]) as server:
        asking = asked(tmp_path, server.url, "local/never-seen")
        costs = [(await complete(asking)).cost_usd for _ in range(3)]
        assert costs == [None, None, None]
        assert len(looked_up) == 1
        price = {"input_cost_per_token": 0.5, "output_cost_per_token": 1, "litellm_provider": "openai", "mode": "chat"}
        monkeypatch.setitem(litellm.model_cost, "m-2026", price)
        assert (await complete(asking)).cost_usd == pytest.approx(5 * 0.5 + 7)


async def test_one_answer_that_cannot_be_priced_leaves_its_model_its_price(tmp_path: Path) -> None:
    broken = {**USAGE, "prompt_tokens": "many"}
    with Saying((200, JSON, whole({"content": "hi"}, model="gpt-4.1-mini", usage=broken))) as server:
        asking = asked(tmp_path, server.url, "local/gpt-4.1-mini")
        with pytest.raises(ProviderError):
            await complete(asking)
        server.said = ANSWERS["known price"]
        assert (await complete(asking)).cost_usd


async def test_the_light_way_takes_no_thread_and_the_other_one_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, handed = asyncio.get_running_loop(), list[bool]()
    original = loop.run_in_executor

    def run_in_executor(*arguments: Any) -> Any:
        handed.append(litellm_wire._has_light_route)
        return original(*arguments)

    monkeypatch.setattr(loop, "run_in_executor", run_in_executor)
    with Saying(next(iter(ANSWERS.values()))) as server:
        for is_light in (True, False):
            monkeypatch.setattr(litellm_wire, "_has_light_route", is_light)
            await complete(asked(tmp_path, server.url))
    assert set(handed) == {False}
