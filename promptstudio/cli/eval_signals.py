"""Ctrl-C and SIGTERM while a suite runs: once lets what is under way end, twice stops at once. Both leave 130."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from promptstudio.cli.context import Context
from promptstudio.config import Settings
from promptstudio.evals.evaluate import EvalOptions, Finished, Started, Watcher, evaluate
from promptstudio.evals.suite import Suite

Evaluation = Callable[[Suite, Settings, Mapping[str, str], EvalOptions, Watcher], Awaitable[Finished]]


async def evaluate_until_stopped(
    suite: Suite,
    settings: Settings,
    context: Context,
    options: EvalOptions,
    watcher: Watcher,
    evaluation: Evaluation = evaluate,
) -> Finished:
    """Run a suite. After one signal it ends as `interrupted`; after two, or before its first case, it raises so."""
    with listening(watcher.note) as stopper:

        def started(begun: Started) -> None:
            stopper.interrupt = begun.interrupt
            watcher.started(begun)

        listened = Watcher(started, watcher.case, watcher.note)
        return await evaluation(suite, settings, context.env, options, listened)


@dataclass(slots=True)
class Stopper:
    """What a signal does. A call that is answered is paid for, so the first one only asks for no more."""

    task: asyncio.Task[Any]
    note: Callable[[str], None]
    interrupt: Callable[[], None] | None = None
    signals: int = 0

    def __call__(self) -> None:
        self.signals += 1
        if self.signals == 1 and self.interrupt is not None:
            self.note("stopping: what is under way still ends and is stored; once more stops now")
            self.interrupt()
        else:
            self.task.cancel()


@contextmanager
def listening(note: Callable[[str], None]) -> Iterator[Stopper]:
    """Take the signals over; where the system has no such handlers Ctrl-C stops at once."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None  # noqa: S101  we are in a coroutine
    stopper, heard = Stopper(task, note), []
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stopper)
        except (NotImplementedError, RuntimeError, ValueError):  # Windows, or a thread that is not the main one
            continue
        heard.append(number)
    try:
        yield stopper
    finally:
        for number in heard:
            loop.remove_signal_handler(number)
