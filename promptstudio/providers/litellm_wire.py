"""The wire to every provider: LiteLLM. The one door to it, and the place where its habits end.

In: a `Connection` and arguments in the OpenAI chat format. Out: a `Reply`, or one of our `ProviderError`s.
LiteLLM's own retries are off (ours is the only retry layer), its price list comes from its wheel and not from the
network, and every request passes the `GuardedTransport`.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from typing import Any
from weakref import WeakSet

# LiteLLM fetches a price list at import unless this is exactly "True".
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
# Unless this says otherwise it puts a .env file above its own folder into the environment: that of the project, where
# the virtual environment lies in it.
os.environ.setdefault("LITELLM_MODE", "PRODUCTION")

import litellm
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

from promptstudio.errors import BadAnswerError, ProviderTimeoutError
from promptstudio.providers.assemble import Assembler, reply_from
from promptstudio.providers.failures import provider_error
from promptstudio.providers.schema import Connection, Emit, Reply
from promptstudio.providers.stream_guard import GuardedTransport

_known_loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
_open_transports: list[GuardedTransport] = []
HTTP_GRACE_S = 5.0  # our own limit fires first, so that a timeout always looks the same
_allowed_host: ContextVar[str | None] = ContextVar("allowed_host", default=None)


def _quiet_litellm() -> None:
    litellm.suppress_debug_info = True
    litellm.disable_hf_tokenizer_download = True  # else counting tokens of a Llama model asks a model hub
    litellm.telemetry = False
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
            import httpx

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


_quiet_litellm()
_guard_transports()
_leave_out_diagnostics()
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


class LiteLLMWire:
    """`providers.schema.Wire` through LiteLLM."""

    async def send(
        self, connection: Connection, arguments: Mapping[str, Any], *, timeout_s: float, emit: Emit | None
    ) -> Reply:
        """Make one request; no retries. `timeout_s` bounds the whole answer, or each silence of a streamed one."""
        keywords = _keywords(connection, arguments, timeout_s=timeout_s, streamed=emit is not None)
        _forget_clients_of_a_dead_loop()
        token = _allowed_host.set(connection.host)
        try:
            if emit is None:
                async with asyncio.timeout(timeout_s):
                    with _unlogged():
                        raw = await litellm.acompletion(**keywords)
                reply = reply_from(raw.model_dump(), _cost(raw))
            else:
                reply = await _streamed(keywords, Assembler(emit, typed=bool(arguments.get("_typed"))), timeout_s)
        except TimeoutError as error:
            raise ProviderTimeoutError(
                f"{connection.model}: no answer within {timeout_s:g} s",
                hint="raise `retry.timeout` in the prompt, or run it again",
            ) from error
        except Exception as error:
            raise provider_error(error, connection) from error
        finally:
            _allowed_host.reset(token)
        return _checked(reply, connection)


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
    _known_loops.discard(asyncio.get_running_loop())
