"""The one retry layer: which errors are tried again, how long to wait, and a record of every attempt.

It stands between Instructor's re-asks and the wire, so each request on the network is one `Attempt`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from promptstudio.errors import ProviderError
from promptstudio.prompts.prompt import Retry
from promptstudio.providers.schema import Connection, Emit, Event, Forgetful, Reply, Restarted, Wire
from promptstudio.types import Attempt, Usage

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
LONGEST_RETRY_AFTER_S = 120.0


class Attempts:
    """Sends requests over a wire with retries, and keeps the list of attempts of one run."""

    def __init__(self, wire: Wire, connection: Connection, retry: Retry, emit: Emit | None) -> None:
        self.attempts: list[Attempt] = []
        self.first_token_ms: int | None = None
        self.loading_ms = 0
        self._wire = wire
        self._connection = connection
        self._retry = retry
        self._emit = emit
        self._started = time.monotonic()
        self._shown = False
        self._waited_ms = 0

    async def send(self, arguments: Mapping[str, Any]) -> Reply:
        """Make a request, again after errors that may pass, `retry.max_attempts` times in all."""
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._retry.max_attempts),
            retry=retry_if_exception(_is_worth_retrying),
            wait=self._wait_s,
            before_sleep=self._note_restart,
            reraise=True,
        )
        is_reask = bool(self.attempts)
        async for attempt in retrying:
            with attempt:
                number = attempt.retry_state.attempt_number
                reason = "retry" if number > 1 else ("reask" if is_reask else "call")
                return await self._one(arguments, reason)
        raise AssertionError("unreachable: tenacity returns or raises")

    def mark_invalid(self, message: str) -> None:
        """Say that the last answer did not fit the output schema."""
        last = self.attempts[-1]
        self.attempts[-1] = _failed(last, "output_validation", message)
        if isinstance(self._wire, Forgetful):
            self._wire.forget_last()
        self._restart("the answer did not fit the output schema")

    async def _one(self, arguments: Mapping[str, Any], reason: Any) -> Reply:
        started_at, started = datetime.now(UTC), time.monotonic()
        waited_ms, self._waited_ms = self._waited_ms, 0
        reply: Reply | None = None
        failure: BaseException | None = None
        try:
            reply = await self._wire.send(
                self._connection, arguments, timeout_s=self._retry.timeout_s, emit=self._note if self._emit else None
            )
        except BaseException as error:
            failure = error
            raise
        finally:
            self.attempts.append(
                Attempt(
                    number=len(self.attempts) + 1,
                    model=self._connection.model,
                    reason=reason,
                    started_at=started_at,
                    duration_ms=self._without_loading(round((time.monotonic() - started) * 1000), reply),
                    usage=reply.usage if reply else Usage(),
                    cost_usd=reply.cost_usd if reply else None,
                    status_code=failure.status_code if isinstance(failure, ProviderError) else None,
                    error_kind=_kind(failure),
                    error_message=str(failure) if isinstance(failure, ProviderError) else None,
                    waited_ms=waited_ms,
                    saved=reply.saved if reply else None,
                )
            )
        return reply

    def _without_loading(self, duration_ms: int, reply: Reply | None) -> int:
        """Return the model's time of an attempt, and keep that of our imports."""
        if reply is None or not reply.loading_ms:
            return duration_ms
        self.loading_ms += reply.loading_ms
        if self.first_token_ms is not None:
            self.first_token_ms = max(0, self.first_token_ms - reply.loading_ms)
        return max(0, duration_ms - reply.loading_ms)

    def _note(self, event: Event) -> None:
        if self.first_token_ms is None:
            self.first_token_ms = round((time.monotonic() - self._started) * 1000)
        self._shown = True
        if self._emit:
            self._emit(event)

    def _note_restart(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self._restart(str(error))

    def _restart(self, reason: str) -> None:
        if self._shown and self._emit:
            self._emit(Restarted(reason))
            self._shown = False

    def _wait_s(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_s if isinstance(error, ProviderError) else None
        backoff = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (state.attempt_number - 1))
        jitter = random.uniform(1.0, 1.3)  # noqa: S311  spreads clients out, guards nothing
        wait_s = backoff * jitter if asked is None else asked + random.uniform(0.02, 0.1)  # noqa: S311
        self._waited_ms = round(wait_s * 1000)
        return wait_s


def _is_worth_retrying(error: BaseException) -> bool:
    if not isinstance(error, ProviderError) or not error.retryable:
        return False
    return (error.retry_after_s or 0.0) <= LONGEST_RETRY_AFTER_S


def _kind(error: BaseException | None) -> str | None:
    if error is None:
        return None
    return error.kind if isinstance(error, ProviderError) else "cancelled"


def _failed(attempt: Attempt, kind: str, message: str) -> Attempt:
    return replace(attempt, error_kind=kind, error_message=message)
