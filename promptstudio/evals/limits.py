"""How many requests may be under way at one account: a fixed number, or one that adapts to what the provider takes.

Slow start, then one more for each round of answers; a 429 halves the number and waits as long as the provider asked.
Requests that were under way when it was halved do not halve it again. Who has an answer gives the place to the next at
once: writing the answer down keeps no provider waiting.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from promptstudio.errors import QuotaError, RateLimitError
from promptstudio.providers.schema import Connection, Emit, Reach, Reply, Wire, WireCall, Wires

START = 4.0
CEILING = 64
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
LOOKS_UP_S = 0.25  # how often a pause is interrupted to see whether anybody still wants it


@dataclass(slots=True)
class Judging:
    """The judging of one case. Once a judge was asked about it, it may end, even where no new case is let in."""

    has_begun: bool = False


class Closed(Exception):
    """No further request is let through."""


class Account:
    """The requests under way at one account."""

    def __init__(self, fixed: int | None = None, ceiling: int = CEILING) -> None:
        self.limit = float(fixed or min(START, ceiling))
        self.most = self.limit
        self.cuts = 0
        self.answers = 0
        self._ceiling = fixed or ceiling
        self._is_fixed = fixed is not None
        self._is_closed = False
        self._slow_start = True
        self._active = 0
        self._cut_at = -1.0
        self._pause_until = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def slot(self, judging: Judging | None = None) -> AsyncIterator[None]:
        """Hold one of the places; waits for one, and for the end of a pause. Raises Closed where there is none left.

        With `judging` whoever belongs to a case that a judge was already asked about still gets a place.
        """
        await self._acquire(judging or Judging())
        place = _Place(self)
        token = _place_of_task.set(place)
        try:
            yield
        finally:
            _place_of_task.reset(token)
            place.leave()

    async def _acquire(self, judging: Judging) -> None:
        while True:
            if self._is_closed and not judging.has_begun:
                raise Closed
            pause_s = self._pause_until - time.monotonic()
            if pause_s > 0:
                await asyncio.sleep(min(pause_s, LOOKS_UP_S))
            elif self._active < int(self.limit):
                self._active += 1
                judging.has_begun = True
                return
            else:
                await self._turn()

    async def rested(self) -> None:
        """Wait for the end of a pause: a retry that was under way must not break it either."""
        while not self._is_closed and (pause_s := self._pause_until - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(pause_s, LOOKS_UP_S))  # a 429 meanwhile moves its end

    async def _turn(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake()  # the turn was ours and is passed on
            raise
        finally:
            if not waiter.done():
                self._waiting.remove(waiter)

    def close(self) -> None:
        """Let nobody in any more; those who wait are sent away."""
        self._is_closed = True
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def _wake(self) -> None:
        free = int(self.limit) - self._active
        while free > 0 and self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                free -= 1

    def succeeded(self, started_at: float) -> None:
        """Count an answer: it makes room for more, unless it was asked for before the last cut."""
        self._pause_s = FIRST_PAUSE_S
        self.answers += 1
        if self._is_fixed or started_at < self._cut_at or self.limit >= self._ceiling:
            return
        if self._active < int(self.limit) and not self._waiting:
            return  # nobody wanted more
        self.limit = min(self._ceiling, self.limit + (1.0 if self._slow_start else 1.0 / self.limit))
        self.most = max(self.most, self.limit)
        self._wake()

    def limited(self, started_at: float, retry_after_s: float | None) -> None:
        """Count a 429: half as many from now on, and none at all for as long as was asked."""
        now = time.monotonic()
        wait_s = retry_after_s if retry_after_s is not None else self._pause_s
        self._pause_until = max(self._pause_until, now + min(wait_s, LONGEST_PAUSE_S))
        if started_at < self._cut_at:
            return
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        self._cut_at, self.cuts, self._slow_start = now, self.cuts + 1, False
        if not self._is_fixed:
            self.limit = max(1.0, self.limit / 2)


@dataclass(slots=True)
class _Place:
    """The place of one case at an account: left when an answer is there, taken again for what it asks next."""

    account: Account
    is_held: bool = True

    async def enter(self) -> None:
        """Take the place again; a case that has begun may end even where nobody new is let in."""
        if not self.is_held:
            await self.account._acquire(Judging(has_begun=True))  # noqa: SLF001  the two are one
            self.is_held = True

    def leave(self) -> None:
        if self.is_held:
            self.is_held = False
            self.account._active -= 1  # noqa: SLF001
            self.account._wake()  # noqa: SLF001


_place_of_task: ContextVar[_Place | None] = ContextVar("place", default=None)


judging_of_task: ContextVar[Judging | None] = ContextVar("judging", default=None)


@dataclass(slots=True)
class Accounts:
    """The accounts of a run. `fixed` is the number of --concurrency, the same for each."""

    fixed: int | None = None
    ceiling: int = CEILING
    known: dict[tuple[str, ...], Account] = field(default_factory=dict)
    _is_closed: bool = False

    def close(self) -> None:
        """Let nobody in any more, also at accounts that are not known yet."""
        self._is_closed = True
        for account in self.known.values():
            account.close()

    def account(self, connection: Connection) -> Account:
        """Return the account a connection belongs to: one provider, one host, one key."""
        key = (connection.provider, connection.api_base or "", connection.api_key or "")
        if key not in self.known:
            self.known[key] = Account(self.fixed, self.ceiling)
            if self._is_closed:
                self.known[key].close()
        return self.known[key]


@dataclass(frozen=True, slots=True)
class WatchedWires:
    """Other wires, telling the account of each request how it went."""

    inner: Wires
    accounts: Accounts

    @property
    def reach(self) -> Reach:
        return self.inner.reach

    def wire_for(self, connection: Connection, call: WireCall) -> Wire:
        return _Watched(self.inner.wire_for(connection, call), self.accounts.account(connection))


@dataclass(frozen=True, slots=True)
class _Watched:
    wire: Wire
    account: Account

    async def send(
        self, connection: Connection, arguments: Mapping[str, Any], *, timeout_s: float, emit: Emit | None
    ) -> Reply:
        place = _place_of_task.get()
        if place is not None and place.account is not self.account:
            place = None  # a fallback, or a judge: the place is kept for the model of the case
        if place is not None:
            await place.enter()
        await self.account.rested()
        started_at = time.monotonic()
        try:
            reply = await self.wire.send(connection, arguments, timeout_s=timeout_s, emit=emit)
        except QuotaError:
            raise  # an empty account does not fill up by waiting
        except RateLimitError as error:
            self.account.limited(started_at, error.retry_after_s)
            raise
        self.account.succeeded(started_at)
        if place is not None:
            place.leave()
        return reply
