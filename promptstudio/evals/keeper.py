"""Results on their way into the store: many at once in one transaction, in a thread of its own.

Whoever finishes while others are being written waits for the next transaction, so there are as few of them as the disk
allows and none of them loses a case.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from promptstudio.evals.coding import digest_of
from promptstudio.evals.plan import Task
from promptstudio.evals.records import CaseResult, RunRecord
from promptstudio.evals.runner import Stored
from promptstudio.evals.store import EvalStore


class StoringKeeper:
    """Keeps the results of one run. `fresh` looks nothing up; `regrade` takes answers, those of `grading`, to judge.

    `mark` keeps what is not the provider's own answer of now, such as a replay, apart: only its like finds it.
    `before` is called before each transaction, in the thread that writes.
    """

    def __init__(
        self,
        store: EvalStore,
        run: int,
        targets: Sequence[Any],
        *,
        fresh: bool = False,
        regrade: bool = False,
        grading: RunRecord | None = None,
        mark: str = "",
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._run = run
        self._targets: Mapping[tuple[str, str], int] = {
            (target.address, target.model): index for index, target in enumerate(targets)
        }
        self._fresh, self._regrade, self._grading = fresh, regrade, grading
        self._mark, self._before = mark, before
        self._count = 0
        self._pending: list[tuple[CaseResult, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="results")

    def find(self, task: Task) -> Stored | None:
        key, answer_key = marked_key(task.key, self._mark), marked_key(task.answer_key, self._mark)
        if self._regrade:
            return self._store.find_answer(answer_key, self._grading)
        if self._fresh:
            return None
        return self._store.find(key, answer_key, (task.target.address, task.target.model, task.repeat))

    async def keep(self, result: CaseResult) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((result, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        """Write what is waiting, again and again, until nothing is. Who waits is told of what went wrong."""
        while self._pending:
            taken, self._pending = self._pending, []
            failure: BaseException | None = None
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._add, [one for one, _ in taken])
            except Exception as error:  # noqa: BLE001 - raised in each of those who wait
                failure = error
            for _, done in taken:
                if done.done():
                    continue
                if failure is not None:
                    done.set_exception(failure)
                else:
                    done.set_result(None)

    def _add(self, results: list[CaseResult]) -> None:
        self._before()
        rows = []
        for result in results:
            marked = replace(
                result, key=marked_key(result.key, self._mark), answer_key=marked_key(result.answer_key, self._mark)
            )
            rows.append((self._targets[(result.prompt, result.model)], marked if self._mark else result))
        self._store.add(self._run, self._count, rows)
        self._count += len(rows)

    def close(self) -> None:
        """Wait for what is being written, and write what still waits."""
        self._thread.shutdown()
        taken, self._pending = self._pending, []
        if taken:
            self._add([one for one, _ in taken])


def marked_key(key: str, mark: str) -> str:
    return digest_of(f"{mark}:{key}").hex() if mark and key else key
