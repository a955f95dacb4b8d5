"""One run, shown: the answer as it comes or whole, on a terminal, into a pipe or a file."""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptstudio.cli.context import Context
from promptstudio.errors import BadAnswerError, PromptStudioError, UsageError
from promptstudio.history.ids import short_id
from promptstudio.output.continuation import Continuation
from promptstudio.output.result_json import result_object
from promptstudio.output.terminal import json_text, safe_text
from promptstudio.prompts.prompt import Prompt
from promptstudio.providers.schema import Event, PartialOutput, Restarted, TextDelta
from promptstudio.runner import Outcome, Runner, RunOptions
from promptstudio.types import Result


@dataclass(frozen=True, slots=True)
class View:
    """How answers are shown. `stream` is None where the terminal decides."""

    as_json: bool
    stream: bool | None
    file: Path | None
    concurrency: int


@dataclass(frozen=True, slots=True)
class Job:
    """What all rows of one command share."""

    context: Context
    runner: Runner
    prompt: Prompt
    options: RunOptions
    view: View


async def show_run(job: Job, values: dict[str, Any]) -> int:
    """Run once and print the answer. Returns the exit code; raises the run's error where it is not printed as JSON."""
    context, view = job.context, job.view
    if not _is_streamed(job):
        outcome = await job.runner.run(job.prompt, values, job.options)
        _print_whole(context, outcome, view)
        return finish(context, outcome, view)
    live: _LiveText | _LiveOutput = _LiveOutput(context) if job.prompt.output else _LiveText(context)
    outcome = await _streamed(job, values, live)
    live.end(outcome)
    return finish(context, outcome, view)


def _is_streamed(job: Job) -> bool:
    if job.view.as_json or job.view.file is not None:
        return False
    if job.view.stream is not None:
        return job.view.stream and (job.context.output.is_tty or job.prompt.output is None)
    return job.context.output.is_tty


async def _streamed(job: Job, values: dict[str, Any], live: _LiveText | _LiveOutput) -> Outcome:
    queue: asyncio.Queue[Event | None] = asyncio.Queue()
    task = asyncio.create_task(job.runner.run(job.prompt, values, job.options, queue.put_nowait))
    task.add_done_callback(lambda _task: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            live.show(event)
    except BaseException:
        task.cancel()
        await asyncio.wait([task])
        raise
    return await task


class _LiveText:
    """Text as it arrives. After a break the second answer goes on where the first one stopped, if it can."""

    def __init__(self, context: Context) -> None:
        self._output = context.output
        self._text = Continuation()
        self._gave_up = False

    def show(self, event: Event) -> None:
        if isinstance(event, Restarted):
            self._text.restart()
        elif isinstance(event, TextDelta) and not self._gave_up:
            new = self._text.add(event.text)
            if self._text.diverged:
                self._start_over()
            elif new:
                self._output.write(new)
                self._output.flush()

    def _start_over(self) -> None:
        """A terminal can be told that the text above is void; a pipe cannot."""
        if not self._output.is_tty:
            self._gave_up = True
            return
        self._output.write("\n")
        self._output.flush()
        self._output.labeled("note", "the stream broke and the answer starts again", "yellow")
        self._output.write(self._text.accept())
        self._output.flush()

    def end(self, outcome: Outcome) -> None:
        if outcome.error is None and not self._gave_up:
            self._text.end()
            if self._text.diverged:
                self._start_over()
        if self._text.shown and not self._text.shown.endswith("\n") and (self._output.is_tty or not self._gave_up):
            self._output.write("\n")
        if self._gave_up and outcome.error is None:
            raise BadAnswerError(
                "the stream broke, and the second answer differs from what was already written",
                hint=f"`ps history show {outcome.result.id}` has the whole answer; --no-stream avoids this",
            )


class _LiveOutput:
    """A typed answer as it grows, redrawn in place; what stays is the validated one."""

    def __init__(self, context: Context) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        self._output = context.output
        self._text = Text
        console = Console(file=context.output.out, no_color=not context.output.color, highlight=False)
        self._live = Live(console=console, transient=True, refresh_per_second=12, vertical_overflow="visible")
        self._live.start()

    def show(self, event: Event) -> None:
        if isinstance(event, PartialOutput):
            self._live.update(self._text(safe_text(json_text(event.value))))
        elif isinstance(event, Restarted):
            self._live.update(self._text(""))

    def end(self, outcome: Outcome) -> None:
        self._live.stop()
        if outcome.error is None:
            self._output.line(answer_text(outcome.result))


def answer_text(result: Result) -> str:
    """What is printed of an answer: the text, or the typed value as indented JSON."""
    if result.output is None:
        return result.text
    return json_text(result.output.model_dump(mode="json", by_alias=True))


def _print_whole(context: Context, outcome: Outcome, view: View) -> None:
    result = outcome.result
    if view.as_json:
        text = json_text(result_object(result))
    elif outcome.error is not None:
        return
    else:
        text = answer_text(result)
    if view.file is not None:
        _write_file(context, view.file, text)
        return
    context.output.write(text if text.endswith("\n") else text + "\n")
    context.output.flush()


def _write_file(context: Context, path: Path, text: str) -> None:
    """Write all of it or leave the old file; an answer that cannot be written is printed, so that it is not lost."""
    text = text if text.endswith("\n") else text + "\n"
    try:
        target = path.resolve()  # a link stays a link: what it points at is written
        if target.exists() and not target.is_file() and not target.is_dir():
            target.write_text(text, encoding="utf-8", errors="backslashreplace")  # a device or a pipe is not replaced
            return
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
            Path(temporary).chmod(mode)
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that points at itself
        context.output.write(text)
        context.output.flush()
        reason = error.strerror if isinstance(error, OSError) else "a link that goes round in a circle"
        raise UsageError(f"-o {path}: {reason}; the answer was printed instead") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def finish(context: Context, outcome: Outcome, view: View) -> int:
    """Say on standard error what belongs there, and return or raise how the run ended."""
    if outcome.unrecorded is not None:
        report(context, outcome.unrecorded)
    if outcome.error is not None:
        if view.as_json:
            return outcome.error.exit_code
        raise outcome.error
    if not view.as_json:
        _notes(context, outcome.result)
    return outcome.unrecorded.exit_code if outcome.unrecorded else 0


def report(context: Context, error: PromptStudioError) -> None:
    """An answer is there but the history is not: said, and part of the exit code."""
    context.output.labeled("error", f"this run was not recorded: {error.message}", "red")
    if error.hint:
        context.output.labeled("hint", error.hint, "green")


def _notes(context: Context, result: Result) -> None:
    output = context.output
    if result.finish_reason == "length":
        output.labeled("warning", "the answer was cut off at the token limit (max_tokens)", "yellow")
    if result.finish_reason == "content_filter":
        output.labeled("warning", "the provider's content filter cut the answer", "yellow")
    for call in result.tool_calls:
        output.note(f"the model asks for {call.name}({call.arguments}); `ps run` does not run tools")
    if output.err_is_tty:
        output.note(summary(result))


def summary(result: Result) -> str:
    """One line about a run: model, tokens, cost, time, and where to find it again."""
    usage = result.usage
    parts = [result.model]
    if usage.input_tokens is not None or usage.output_tokens is not None:
        parts.append(f"{usage.input_tokens or 0} + {usage.output_tokens or 0} tokens")
    parts.append("cost unknown" if result.cost_usd is None else f"${result.cost_usd:.6f}".rstrip("0").rstrip("."))
    if result.cached:
        parts.append("cached")
    parts.append(f"{result.duration_ms / 1000:.2f} s")
    if len(result.attempts) > 1:
        parts.append(f"{len(result.attempts)} attempts")
    parts.append(f"ps history show {short_id(result.id)}")
    return " · ".join(parts)


def print_dry_run(context: Context, requests: list[dict[str, Any]]) -> None:
    """Print the requests a run would send: one object, or one a line for rows."""
    if len(requests) == 1:
        context.output.json(requests[0])
        return
    for request in requests:
        context.output.json(request, indent=None)
