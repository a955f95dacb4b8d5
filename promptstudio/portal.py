"""Coroutines for callers that are not asynchronous: one background event loop for all of them.

It works in a script, under a running loop and in a notebook alike, and provider connections stay on one loop.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

P = ParamSpec("P")
T = TypeVar("T")
_lock = threading.Lock()
_open: list[tuple[BlockingPortal, AbstractContextManager[BlockingPortal]]] = []


def portal() -> BlockingPortal:
    """Return the process's background loop, started at the first call and stopped at exit."""
    from anyio.from_thread import start_blocking_portal  # asyncio and anyio: only where a sync call needs them

    with _lock:
        if not _open:
            context = start_blocking_portal()
            _open.append((context.__enter__(), context))
            atexit.register(close)
        return _open[0][0]


def run_blocking(function: Callable[P, Awaitable[T]], *args: P.args, **keywords: P.kwargs) -> T:
    """Run a coroutine function to its end on the background loop. Ctrl-C cancels it there before it is raised here."""
    future = portal().start_task_soon(lambda: function(*args, **keywords))
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def close() -> None:
    """Stop the background loop."""
    with _lock:
        while _open:
            _open.pop()[1].__exit__(None, None, None)
