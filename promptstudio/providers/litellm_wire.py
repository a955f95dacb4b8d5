"""The wire to every provider: LiteLLM. The one door to it, and the place where its habits end.

In: a `Connection` and arguments in the OpenAI chat format. Out: a `Reply`, or one of our `ProviderError`s.
LiteLLM's own retries are off (ours is the only retry layer), its price list comes from its wheel and not from the
network, and every request passes the `GuardedTransport`. A whole answer of an OpenAI-compatible server takes LiteLLM's
own HTTP client instead of the OpenAI SDK, which costs a third more CPU and adds nothing there.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

# LiteLLM fetches a price list at import unless this is exactly "True".
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
# Unless this says otherwise it puts a .env file above its own folder into the environment: that of the project, where
# the virtual environment lies in it.
os.environ.setdefault("LITELLM_MODE", "PRODUCTION")

import httpx
import litellm
import litellm.main
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

from promptstudio.errors import BadAnswerError, ProviderTimeoutError
from promptstudio.providers.assemble import Assembler, reply_from
from promptstudio.providers.failures import provider_error
from promptstudio.providers.light_http import post_whole
from promptstudio.providers.schema import Connection, Emit, Reply
from promptstudio.providers.stream_guard import GuardedTransport
from promptstudio.providers.vectors import embedding_reply, vectors_in

_known_loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
_open_transports: list[GuardedTransport] = []
_light_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, _LightClient] = WeakKeyDictionary()
HTTP_GRACE_S = 5.0  # our own limit fires first, so that a timeout always looks the same
_allowed_host: ContextVar[str | None] = ContextVar("allowed_host", default=None)
_is_light: ContextVar[bool] = ContextVar("is_light", default=False)
LIGHT_ROUTE = "EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER"
MAX_UNPRICED = 1_000


def _quiet_litellm() -> None:
    litellm.suppress_debug_info = True
    litellm.disable_hf_tokenizer_download = True  # else counting tokens of a Llama model asks a model hub
    litellm.telemetry = False
    litellm.DEFAULT_MAX_RETRIES = 0  # type: ignore[attr-defined]  # what embeddings take `max_retries: 0` for
    litellm.turn_off_message_logging = True
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "litellm"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL)
        logger.propagate = False


def _guard_transports() -> None:
    """Wrap every transport LiteLLM makes. It has no public hook that covers both its SDK and its plain HTTP routes."""
    original = AsyncHTTPHandler._create_async_transport  # noqa: SLF001  contract-tested

    def guarded(*args: Any, **keywords: Any) -> GuardedTransport:
        transport = original(*args, **keywords)
        if transport is None:
            transport = httpx.AsyncHTTPTransport()
        made = GuardedTransport(transport, _allowed_host.get)
        _open_transports.append(made)
        return made

    AsyncHTTPHandler._create_async_transport = staticmethod(guarded)  # type: ignore[method-assign,assignment]  # noqa: SLF001


def _log_var() -> ContextVar[bool] | None:
    """Return the variable by which LiteLLM marks calls inside its own calls: it writes no log of them.

    It is private, and contract-tested; where it is gone, each call costs half a millisecond more and is the same.
    """
    try:
        from litellm._internal_context import is_internal_call  # may be missing: see above
    except ImportError:
        return None
    return is_internal_call


def _leave_out_diagnostics() -> None:
    """Leave out what LiteLLM finds out for its log about a cost of nothing; no log is kept, and it looks long."""
    from litellm.litellm_core_utils.litellm_logging import Logging

    if hasattr(Logging, "_record_zero_cost_diagnostic"):  # private: where it is gone, there is nothing to leave out
        Logging._record_zero_cost_diagnostic = _found_nothing  # type: ignore[method-assign]  # noqa: SLF001


def _found_nothing(*_: Any, **__: Any) -> None:
    return None


def _open_light_route() -> bool:
    """Let single calls take what LiteLLM's variable LIGHT_ROUTE turns on for all of them, streams too.

    Where the name it asks by is gone, every call goes through the OpenAI SDK, and is the same.
    """
    original = getattr(litellm.main, "get_secret_bool", None)
    if original is None:
        return False

    def answered(name: str, *args: Any, **keywords: Any) -> Any:
        return True if name == LIGHT_ROUTE and _is_light.get() else original(name, *args, **keywords)

    litellm.main.get_secret_bool = answered  # type: ignore[attr-defined,assignment]
    return True


class _Asyncio:
    """`asyncio` as LiteLLM sees it: a light call is prepared where it is made. In a thread, as LiteLLM has it, that
    takes no less of the processor, and two threads that want it at once take more.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    def get_event_loop(self) -> Any:
        loop = asyncio.get_event_loop()
        return _SameThread(loop) if _is_light.get() else loop


class _SameThread:
    """An event loop without a thread for what is to be done in one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def run_in_executor(self, _executor: None, work: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        done = self._loop.create_future()
        try:
            done.set_result(work(*arguments))
        except Exception as error:  # noqa: BLE001 - raised where it is waited for, as by a thread
            done.set_exception(error)
        return done


def _stay_in_thread() -> None:
    """Spare light calls a thread. Where LiteLLM looks for its loop elsewhere, they have one, and are the same."""
    if getattr(litellm.main, "asyncio", None) is asyncio:
        litellm.main.asyncio = _Asyncio()  # type: ignore[attr-defined,assignment]


class _LightClient(AsyncHTTPHandler):
    """LiteLLM's HTTP client, which makes a request only once. What is not a plain one is left to the original."""

    async def post(
        self,
        url: str,
        data: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | httpx.Timeout | None = None,  # noqa: ASYNC109  the original's
        **others: Any,
    ) -> httpx.Response:
        """Return the answer, read. Raises httpx.HTTPStatusError for one that says so, and what a transport raises."""
        client = self.client
        if not isinstance(data, str | bytes) or others.get("stream") or others.get("json") or others.get("params"):
            return await self._post_as_ever(url, data, headers=headers, timeout=timeout, **others)
        sent = {**client.headers, **{name.lower(): value for name, value in (headers or {}).items()}}
        response = await post_whole(client._transport, url, data, sent, httpx.Timeout(timeout))  # noqa: SLF001  contract-tested
        if response.has_redirect_location:
            return await self._post_as_ever(url, data, headers=headers, timeout=timeout, **others)
        return response.raise_for_status()

    async def _post_as_ever(self, *args: Any, **keywords: Any) -> httpx.Response:
        response: httpx.Response = await super().post(*args, **keywords)
        return response


def _light_client() -> _LightClient:
    loop = asyncio.get_running_loop()
    if loop not in _light_clients:
        _light_clients[loop] = _LightClient()
    return _light_clients[loop]


def _remember_unpriced() -> None:
    """Look up once that a model has no price: LiteLLM looks in six places, and builds an error, for each answer.

    The size of the price list is part of what is remembered, as a model may be added to it. Private names, as above.
    """
    from litellm.litellm_core_utils.litellm_logging import Logging

    original = getattr(Logging, "_response_cost_calculator", None)
    if original is None:
        return
    unpriced: set[tuple[Any, ...]] = set()

    def calculated(self: Any, result: Any, *args: Any, **keywords: Any) -> Any:
        details, params = self.model_call_details, getattr(self, "litellm_params", None) or {}
        asked = keywords.get("litellm_model_name") or self.model
        names = (asked, details.get("custom_llm_provider"), getattr(result, "model", None), len(litellm.model_cost))
        is_plain = not (args or params.get("base_model") or any("cost_per" in name for name in params if params[name]))
        if is_plain and names in unpriced:
            return None
        cost = original(self, result, *args, **keywords)
        if cost is None and is_plain and _is_unknown(details) and len(unpriced) < MAX_UNPRICED:
            unpriced.add(names)
        return cost

    Logging._response_cost_calculator = calculated  # type: ignore[method-assign]  # noqa: SLF001


def _is_unknown(details: Mapping[str, Any]) -> bool:
    """Say whether the model is why there is no cost, and not this one answer."""
    failure = details.get("response_cost_failure_debug_information") or {}
    return "isn't mapped yet" in str(failure.get("error_str"))


_quiet_litellm()
_guard_transports()
_leave_out_diagnostics()
_has_light_route = _open_light_route()
_stay_in_thread()
_remember_unpriced()
_is_unlogged = _log_var()


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep LiteLLM from building log records of a call: nobody reads them, and cost and errors do not need them."""
    if _is_unlogged is None:
        yield
        return
    token = _is_unlogged.set(True)
    try:
        yield
    finally:
        _is_unlogged.reset(token)


@contextmanager
def _lightly(connection: Connection) -> Iterator[dict[str, Any]]:
    """Take the light route to somebody else's server that speaks OpenAI's format; OpenAI itself is left to its SDK.

    Gives the keywords that go with it.
    """
    is_other = connection.provider != "openai" and connection.route.startswith("openai/")
    if not (_has_light_route and is_other and connection.api_base):
        yield {}
        return
    token = _is_light.set(True)
    try:
        yield {"client": _light_client()}
    finally:
        _is_light.reset(token)


class LiteLLMWire:
    """`providers.schema.Wire` through LiteLLM."""

    async def send(
        self, connection: Connection, arguments: Mapping[str, Any], *, timeout_s: float, emit: Emit | None
    ) -> Reply:
        """Make one request; no retries. `timeout_s` bounds the whole answer, or each silence of a streamed one."""
        keywords = _keywords(connection, arguments, timeout_s=timeout_s, streamed=emit is not None)
        with _reaching(connection, timeout_s):
            if emit is None:
                async with asyncio.timeout(timeout_s):
                    with _unlogged(), _lightly(connection) as client:
                        raw = await litellm.acompletion(**keywords, **client)
                reply = reply_from(raw.model_dump(), _cost(raw))
            else:
                reply = await _streamed(keywords, Assembler(emit, typed=bool(arguments.get("_typed"))), timeout_s)
        return _checked(reply, connection)


class LiteLLMEmbeddingWire:
    """The wire of embeddings: `arguments` hold `input`, a list of texts, and perhaps `dimensions`."""

    async def send(
        self,
        connection: Connection,
        arguments: Mapping[str, Any],
        *,
        timeout_s: float,
        emit: Emit | None,  # noqa: ARG002  the shape of a wire: vectors come whole
    ) -> Reply:
        """Make one request; no retries."""
        keywords = _keywords(connection, arguments, timeout_s=timeout_s, streamed=False)
        if "dimensions" in arguments:
            keywords["allowed_openai_params"] = ["dimensions"]  # the provider is to refuse it, not a list of names
        with _reaching(connection, timeout_s):
            async with asyncio.timeout(timeout_s):
                with _unlogged():
                    raw = await litellm.aembedding(**keywords)
            vectors = vectors_in({"data": raw.data}, len(arguments["input"]), connection.model)
        usage = raw.usage.model_dump() if raw.usage is not None else None
        return embedding_reply(vectors, raw.model, usage, _cost(raw))


@contextmanager
def _reaching(connection: Connection, timeout_s: float) -> Iterator[None]:
    """Let nothing but the connection's host be contacted, and raise every failure as one of ours."""
    _forget_clients_of_a_dead_loop()
    token = _allowed_host.set(connection.host)
    try:
        yield
    except TimeoutError as error:
        raise ProviderTimeoutError(
            f"{connection.model}: no answer within {timeout_s:g} s",
            hint="raise `retry.timeout` in the prompt, or run it again",
        ) from error
    except Exception as error:
        raise provider_error(error, connection) from error
    finally:
        _allowed_host.reset(token)


def _keywords(
    connection: Connection, arguments: Mapping[str, Any], *, timeout_s: float, streamed: bool
) -> dict[str, Any]:
    keywords = {
        **{name: value for name, value in arguments.items() if not name.startswith("_")},
        "model": connection.route,
        "api_key": connection.api_key or "not-needed",  # never None: LiteLLM would look for OPENAI_API_KEY itself
        "timeout": timeout_s + HTTP_GRACE_S,
        "max_retries": 0,
        "num_retries": 0,
    }
    if connection.api_base:
        keywords["api_base"] = connection.api_base
    if connection.headers:
        keywords["extra_headers"] = dict(connection.headers)
    if streamed:
        keywords |= {"stream": True, "stream_options": {"include_usage": True}}
    return keywords


async def _streamed(keywords: dict[str, Any], assembler: Assembler, timeout_s: float) -> Reply:
    async with asyncio.timeout(timeout_s) as limit:
        loop = asyncio.get_running_loop()
        with _unlogged():
            stream = await litellm.acompletion(**keywords)
        try:
            async for chunk in stream:
                limit.reschedule(loop.time() + timeout_s)
                assembler.feed(chunk.model_dump())
        finally:
            await _close(stream)
    if (stream.received_finish_reason or stream.intermittent_finish_reason) is None:
        raise BadAnswerError("the stream ended without a finish reason")  # the wrapper would have made one up
    raw = assembler.completion()
    return reply_from(raw, _stream_cost(raw, keywords["model"]))


async def _close(stream: Any) -> None:
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()


def _checked(reply: Reply, connection: Connection) -> Reply:
    if not reply.raw.get("choices"):
        raise BadAnswerError(f"{connection.model}: the answer has no choices")
    if reply.finish_reason is None:
        raise BadAnswerError(f"{connection.model}: the answer has no finish reason")
    return reply


def _cost(response: Any) -> Decimal | None:
    cost = response._hidden_params.get("response_cost")  # noqa: SLF001  documented by LiteLLM as the place to read it
    return None if cost is None else _dollars(cost)


def _stream_cost(raw: Mapping[str, Any], route: str) -> Decimal | None:
    if not raw.get("usage"):
        return None
    try:
        cost = litellm.completion_cost(completion_response=litellm.ModelResponse(**raw), model=route)
    except Exception:  # noqa: BLE001  many classes, one meaning: the price list does not know the model
        return None
    return _dollars(cost)


def _dollars(cost: float) -> Decimal:
    """LiteLLM multiplies floats; a millionth of a micro-dollar is finer than any price list."""
    return Decimal(str(round(cost, 12)))


def _forget_clients_of_a_dead_loop() -> None:
    """LiteLLM keeps HTTP clients by the id of the event loop; a new loop may get the id of one that is gone."""
    loop = asyncio.get_running_loop()
    if loop in _known_loops:
        return
    _known_loops.add(loop)
    cache = litellm.in_memory_llm_clients_cache.cache_dict
    for key in [key for key in cache if str(key).endswith(f"-{id(loop)}")]:
        cache.pop(key, None)


async def close_connections() -> None:
    """Close what LiteLLM keeps open for this event loop, so that it can end without warnings."""
    await litellm.close_litellm_async_clients()  # type: ignore[attr-defined,no-untyped-call]  # loaded lazily there
    while _open_transports:  # those LiteLLM has lost sight of too
        await _open_transports.pop().aclose()
    litellm.in_memory_llm_clients_cache.cache_dict.clear()  # a closed client must not be found again
    _light_clients.pop(asyncio.get_running_loop(), None)
    _known_loops.discard(asyncio.get_running_loop())
