"""The number of requests at once follows what the provider takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from promptstudio.errors import QuotaError, RateLimitError
from promptstudio.evals.limits import Account, Accounts, Closed, WatchedWires
from promptstudio.providers.schema import Connection, Emit, Reach, Reply, Wire, WireCall
from promptstudio.types import Usage

HERE = Connection("openai/x", "openai", "openai/x", "127.0.0.1", api_key="k1")
REPLY = Reply("hi", None, (), "stop", Usage(), None, None, None, None, {})


async def crowd(account: Account, count: int, *, hold_s: float = 0.005) -> int:
    """Send a number of requests that all succeed; return how many were under way at most."""
    active = most = 0

    async def one() -> None:
        nonlocal active, most
        async with account.slot():
            started = time.monotonic()
            active += 1
            most = max(most, active)
            await asyncio.sleep(hold_s)
            active -= 1
            account.succeeded(started)

    await asyncio.gather(*(one() for _ in range(count)))
    return most


async def test_a_fixed_number_is_never_exceeded_and_fully_used() -> None:
    assert await crowd(Account(fixed=7), 60) == 7


async def test_it_starts_slowly_and_grows_to_its_ceiling_while_answers_come() -> None:
    account = Account(ceiling=32)
    assert account.limit == 4
    assert await crowd(account, 300) == 32
    assert account.limit == 32


async def test_it_does_not_grow_while_nobody_wants_more() -> None:
    account = Account()
    for _ in range(50):
        await crowd(account, 1, hold_s=0)
    assert account.limit < 8


async def test_a_429_halves_it_once_for_all_that_were_under_way() -> None:
    account = Account(ceiling=64)
    account.limit = 40
    started = time.monotonic()
    for _ in range(10):
        account.limited(started, 0.0)
    assert account.limit == 20
    account.limited(time.monotonic(), 0.0)
    assert (account.limit, account.cuts) == (10, 2)


async def test_after_a_429_it_waits_as_long_as_was_asked_then_goes_on_carefully() -> None:
    account = Account(ceiling=64)
    account.limited(time.monotonic(), 0.15)
    begun = time.monotonic()
    async with account.slot():
        assert time.monotonic() - begun >= 0.14
    before = account.limit
    account.succeeded(time.monotonic())
    assert account.limit - before <= 1.0 / before + 1e-9  # no slow start after a cut


async def test_it_never_falls_below_one() -> None:
    account = Account()
    for _ in range(20):
        account.limited(time.monotonic(), 0.0)
    assert account.limit == 1
    assert await crowd(account, 1) == 1


async def test_a_cancelled_waiter_passes_its_turn_on() -> None:
    account = Account(fixed=1)
    order: list[str] = []

    async def take(name: str) -> None:
        async with account.slot():
            order.append(name)
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(take(name)) for name in "abcd"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 2)
    assert order == ["a", "c", "d"]
    assert isinstance(done[1], asyncio.CancelledError)


async def test_each_account_has_a_number_of_its_own() -> None:
    accounts = Accounts()
    other = Connection("openai/x", "openai", "openai/x", "127.0.0.1", api_key="k2")
    assert accounts.account(HERE) is accounts.account(HERE)
    assert accounts.account(HERE) is not accounts.account(other)


class Raising:
    """Wires that answer with what they are given."""

    def __init__(self, outcome: Reply | Exception) -> None:
        self.outcome = outcome

    @property
    def reach(self) -> Reach:
        return "always"

    def wire_for(self, connection: Connection, call: WireCall) -> Wire:
        return self

    async def send(
        self, connection: Connection, arguments: Mapping[str, Any], *, timeout_s: float, emit: Emit | None
    ) -> Reply:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.mark.parametrize(
    ("outcome", "limit"), [(RateLimitError("429", retry_after_s=0.0), 2.0), (QuotaError("empty"), 4.0), (REPLY, 4.0)]
)
async def test_the_wire_tells_the_account_and_hands_on_what_it_got(outcome: Reply | Exception, limit: float) -> None:
    accounts = Accounts()
    wire = WatchedWires(Raising(outcome), accounts).wire_for(HERE, WireCall())
    [found] = await asyncio.gather(wire.send(HERE, {}, timeout_s=1, emit=None), return_exceptions=True)
    assert found is outcome
    assert accounts.account(HERE).limit == limit


class Counting:
    """Wires that count how many requests are under way at once."""

    reach: Reach = "always"

    def __init__(self) -> None:
        self.active = self.most = self.calls = 0

    def wire_for(self, connection: Connection, call: WireCall) -> Wire:
        return self

    async def send(
        self, connection: Connection, arguments: Mapping[str, Any], *, timeout_s: float, emit: Emit | None
    ) -> Reply:
        self.active, self.calls = self.active + 1, self.calls + 1
        self.most = max(self.most, self.active)
        await asyncio.sleep(0.005)
        self.active -= 1
        return REPLY


async def test_who_has_an_answer_keeps_nobody_from_asking_and_waits_again_to_ask_more() -> None:
    accounts, counting = Accounts(fixed=2), Counting()
    wire = WatchedWires(counting, accounts).wire_for(HERE, WireCall())
    account, kept = accounts.account(HERE), asyncio.Event()

    async def one(turns: int) -> None:
        async with account.slot():
            for _ in range(turns):
                await wire.send(HERE, {}, timeout_s=1, emit=None)
            await kept.wait()  # as long as it takes to store the answer

    cases = [asyncio.create_task(one(turns)) for turns in (1, 3, 1, 3, 1, 3)]
    async with asyncio.timeout(10):
        while counting.calls < 12:  # noqa: ASYNC110  as long as it takes
            await asyncio.sleep(0.001)
    assert counting.most == 2
    kept.set()
    await asyncio.gather(*cases)
    assert await crowd(account, 10) == 2  # every place was given back once


async def test_a_conversation_that_has_begun_ends_where_nobody_new_is_let_in() -> None:
    accounts, counting = Accounts(fixed=1), Counting()
    wire = WatchedWires(counting, accounts).wire_for(HERE, WireCall())
    account = accounts.account(HERE)
    async with account.slot():
        await wire.send(HERE, {}, timeout_s=1, emit=None)
        accounts.close()
        await wire.send(HERE, {}, timeout_s=1, emit=None)
    assert counting.calls == 2
    with pytest.raises(Closed):
        async with account.slot():
            pass
