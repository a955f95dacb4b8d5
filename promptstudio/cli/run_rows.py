"""A list of inputs, run row by row with limited concurrency; answers are printed in the order of the rows."""

from __future__ import annotations

import asyncio
from typing import Any

from promptstudio.cli.context import Context
from promptstudio.cli.run_view import Job, View, answer_text, report
from promptstudio.errors import UsageError
from promptstudio.output.result_json import result_object
from promptstudio.runner import Outcome


async def run_rows(job: Job, rows: list[dict[str, Any]]) -> int:
    """Run all rows. One that fails does not stop the others; the exit code is that of the first failure."""
    context, view = job.context, job.view
    if view.file is not None:
        raise UsageError("-o writes one answer; for rows redirect standard output", hint="--json > answers.jsonl")
    limit = asyncio.Semaphore(view.concurrency)

    async def one(values: dict[str, Any]) -> Outcome:
        async with limit:
            return await job.runner.run(job.prompt, values, job.options)

    tasks = [asyncio.create_task(one(values)) for values in rows]
    try:
        codes = await _print_all(context, tasks, view)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    failed = [code for code in codes if code]
    if failed:
        context.output.labeled("error", f"{len(failed)} of {len(rows)} rows failed", "red")
    return failed[0] if failed else 0


async def _print_all(context: Context, tasks: list[asyncio.Task[Outcome]], view: View) -> list[int]:
    """Print each row's answer in order, as soon as it and those before it are there; return the exit codes."""
    codes = []
    bar = _Bar(context, len(tasks))
    try:
        for task in tasks:
            task.add_done_callback(lambda _task: bar.advance())
        for number, task in enumerate(tasks, 1):
            outcome = await task
            bar.hide()
            _print_row(context, outcome, number, view)
            bar.show()
            problem = outcome.error or outcome.unrecorded
            codes.append(problem.exit_code if problem else 0)
    finally:
        bar.hide()
    return codes


def _print_row(context: Context, outcome: Outcome, number: int, view: View) -> None:
    output = context.output
    if view.as_json:
        output.json(result_object(outcome.result), indent=None)
    elif outcome.error is not None:
        output.labeled("error", f"row {number}: {outcome.error.message}", "red")
        if outcome.error.hint:
            output.labeled("hint", outcome.error.hint, "green")
    else:
        if output.is_tty:
            output.heading(f"── row {number}", "dim")
        text = answer_text(outcome.result)
        output.write(text if text.endswith("\n") else text + "\n")
    if outcome.unrecorded is not None:
        report(context, outcome.unrecorded)
    output.flush()


class _Bar:
    """Progress on standard error while a person watches there; it steps aside while an answer is written."""

    def __init__(self, context: Context, total: int) -> None:
        self._progress: Any = None
        if not context.output.err_is_tty:
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        console = Console(file=context.output.err, no_color=not context.output.color)
        self._progress = Progress(
            BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, transient=True
        )
        self._task = self._progress.add_task("rows", total=total)
        self.show()

    def advance(self) -> None:
        if self._progress is not None:
            self._progress.advance(self._task)

    def show(self) -> None:
        if self._progress is not None:
            self._progress.start()

    def hide(self) -> None:
        if self._progress is not None:
            self._progress.stop()
