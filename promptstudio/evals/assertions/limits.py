"""A call of somebody else's function, in this process, that cannot hang it, end it, or write to standard output.

On the main thread a timer interrupts it, which costs microseconds and stops loops, sleeps and reads alike. Elsewhere,
or where a timer is in use already, it runs in a thread of its own, which is left behind when its time is up.
"""

from __future__ import annotations

import contextlib
import contextvars
import signal
import sys
import threading
import types
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import Any, TypeVar

Result = TypeVar("Result")


class TimeIsUp(BaseException):
    """Raised inside the function, where `except Exception` must not catch it."""


class EndedProcess(Exception):
    """The function called `sys.exit`."""


def call_within(seconds: float, function: Callable[[], Result]) -> Result:
    """Call a function. Raises TimeIsUp, EndedProcess, or what the function raises."""
    with contextlib.redirect_stdout(sys.stderr):  # standard output holds the report only
        try:
            if _timer_is_free():
                with _interrupted_after(seconds):
                    return function()
            return _in_thread(seconds, function)
        except SystemExit as error:
            raise EndedProcess(f"it called sys.exit({error.code!r})"[:120]) from error


async def await_within(seconds: float, awaitable: Awaitable[Result]) -> Result:
    """Await what a function returned; each of its steps is called as `call_within` calls a function."""
    import asyncio  # whoever awaits has it loaded

    try:
        async with asyncio.timeout(seconds) as limit:
            return await _stepped(seconds, awaitable)
    except TimeoutError as error:
        if limit.expired():
            raise TimeIsUp from error
        raise


@types.coroutine
def _stepped(seconds: float, awaitable: Awaitable[Result]) -> Generator[Any, Any, Result]:
    steps = awaitable.__await__()
    send: Callable[[], Any] = lambda: next(steps)  # noqa: E731 - replaced below by what is sent in
    while True:
        done, step = call_within(seconds, lambda send=send: _step(send))  # type: ignore[misc]
        if done:
            return step  # type: ignore[no-any-return]
        try:
            value = yield step
        except BaseException as error:  # noqa: BLE001 - a cancellation or a result goes to the coroutine as it is
            send = _thrower(steps, error)
        else:
            send = _sender(steps, value)


def _step(send: Callable[[], Any]) -> tuple[bool, Any]:
    try:
        return False, send()
    except StopIteration as end:
        return True, end.value


def _sender(steps: Generator[Any, Any, Any], value: Any) -> Callable[[], Any]:
    return lambda: steps.send(value) if value is not None else next(steps)


def _thrower(steps: Generator[Any, Any, Any], error: BaseException) -> Callable[[], Any]:
    return lambda: steps.throw(error)


def _timer_is_free() -> bool:
    return (
        hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getitimer(signal.ITIMER_REAL)[0] == 0
    )


@contextlib.contextmanager
def _interrupted_after(seconds: float) -> Iterator[None]:
    def ring(_number: int, _frame: object) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    try:
        # It rings again: a function that catches even BaseException gets no peace.
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.05)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _in_thread(seconds: float, function: Callable[[], Result]) -> Result:
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(context.run(function))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=run, name="assertion", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeIsUp
    return results[0]
