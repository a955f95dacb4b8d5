"""`promptstudio.load("support/triage")` → an object that runs the prompt from Python.

What is asynchronous (`arun`, `astream`) is written once; `run` and `stream` are the same on a background loop, so they
work in a script, under a running event loop and in a notebook.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptstudio.config import Settings, load_settings
from promptstudio.errors import BadAnswerError, PromptStudioError
from promptstudio.history import open_history
from promptstudio.output.continuation import Continuation
from promptstudio.portal import portal, run_blocking
from promptstudio.prompts.inputs import check_inputs
from promptstudio.prompts.prompt import Prompt as PromptFile
from promptstudio.prompts.render import render_messages
from promptstudio.providers.schema import Event, PartialOutput, ReasoningDelta, Restarted, TextDelta
from promptstudio.runner import Outcome, Runner, RunOptions
from promptstudio.types import Message, Result
from promptstudio.versions.load import load_anywhere


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an answer that has just arrived. Exactly one of the three is set; `str()` gives the text.

    `partial` is a typed answer as far as it has come: plain data, not yet validated, each one replacing the last.
    """

    text: str = ""
    reasoning: str = ""
    partial: Any = None

    def __str__(self) -> str:
        return self.text


class AsyncStream:
    """Iterate it with `async for`; afterwards `result` holds the finished run."""

    def __init__(self, prompt: Prompt, values: Mapping[str, Any], options: RunOptions) -> None:
        self._prompt = prompt
        self._values = values
        self._options = options
        self._result: Result | None = None

    @property
    def result(self) -> Result:
        """The finished run; an error while the stream has not been read to its end."""
        if self._result is None:
            raise RuntimeError("the stream has not been read to its end")
        return self._result

    async def __aiter__(self) -> AsyncGenerator[Chunk, None]:
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        task = asyncio.create_task(self._prompt.outcome(self._values, self._options, queue.put_nowait))
        task.add_done_callback(lambda _task: queue.put_nowait(None))
        text = Continuation()
        try:
            while (event := await queue.get()) is not None:
                if (chunk := _chunk(event, text)) is not None:
                    yield chunk
            self._result = result_or_raise(await task)
            text.end()
            if text.diverged and self._result.output is None:
                raise _told_otherwise()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])


def _chunk(event: Event, text: Continuation) -> Chunk | None:
    if isinstance(event, TextDelta):
        new = text.add(event.text)
        if text.diverged:
            raise _told_otherwise()
        return Chunk(text=new) if new else None
    if isinstance(event, ReasoningDelta):
        return Chunk(reasoning=event.text)
    if isinstance(event, PartialOutput):
        return Chunk(partial=event.value)
    if isinstance(event, Restarted):
        text.restart()
    return None


def _told_otherwise() -> BadAnswerError:
    return BadAnswerError(
        "the stream broke, and the second answer differs from what was already given out",
        hint="use run() or arun() where an answer must be whole",
    )


class Stream:
    """Iterate it with `for`; afterwards `result` holds the finished run. Leaving the loop early cancels the call."""

    def __init__(self, stream: AsyncStream) -> None:
        self._stream = stream

    @property
    def result(self) -> Result:
        """The finished run; an error while the stream has not been read to its end."""
        return self._stream.result

    def __iter__(self) -> Iterator[Chunk]:
        chunks = self._stream.__aiter__()
        loop = portal()

        async def following() -> Chunk | None:
            return await anext(chunks, None)

        try:
            while (chunk := loop.call(following)) is not None:
                yield chunk
        finally:
            loop.call(chunks.aclose)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt of a project, ready to run. `file` is the resolved prompt; inputs are keyword arguments everywhere."""

    file: PromptFile
    settings: Settings
    history: bool = True

    @property
    def name(self) -> str:
        """The prompt's name, such as `support/triage`."""
        return self.file.name

    @property
    def behavior(self) -> str:
        """The behavior hash: equal hashes mean the same requests."""
        return self.file.identity.behavior

    def run(self, options: RunOptions = RunOptions(), /, **inputs: Any) -> Result:  # noqa: B008  frozen
        """Run once and return the result. Raises `InputsError` before a call, `ProviderError` after one that failed."""
        return run_blocking(self._run, options, inputs)

    async def arun(self, options: RunOptions = RunOptions(), /, **inputs: Any) -> Result:  # noqa: B008
        """Like `run`, for `async` code."""
        return await self._run(options, inputs)

    def stream(self, options: RunOptions = RunOptions(), /, **inputs: Any) -> Stream:  # noqa: B008
        """Run once and return an iterable of `Chunk`s."""
        return Stream(AsyncStream(self, inputs, options))

    def astream(self, options: RunOptions = RunOptions(), /, **inputs: Any) -> AsyncStream:  # noqa: B008
        """Like `stream`, for `async for`."""
        return AsyncStream(self, inputs, options)

    def messages(self, **inputs: Any) -> tuple[Message, ...]:
        """Render the messages; nothing is sent."""
        return render_messages(self.file, check_inputs(self.file, inputs))

    def as_mirascope(self) -> Any:
        """Return the prompt as a Mirascope `llm.Prompt`: `.messages(**inputs)`, `.call("litellm/MODEL", **inputs)`.

        Calls made on it go through LiteLLM with this project's connections, and are not recorded in the history.
        """
        from promptstudio.output.model import output_model
        from promptstudio.providers.call import default_sender
        from promptstudio.providers.mirascope_bridge import mirascope_prompt, register

        output = self.file.output
        register(default_sender(self.settings, os.environ, self.file.parameters, self.file.retry))
        return mirascope_prompt(
            self.name,
            lambda values: render_messages(self.file, check_inputs(self.file, values)),
            tuple(self.file.inputs),
            output_model(output, self.settings.root, file=self.file.shown_path) if output else None,
        )

    async def outcome(self, inputs: Mapping[str, Any], options: RunOptions, emit: Any = None) -> Outcome:
        """Run once and return how it ended, failures included."""
        history = open_history(self.settings) if self.history else None
        try:
            return await Runner(self.settings, os.environ, history).run(self.file, inputs, options, emit)
        finally:
            if history is not None:
                history.close()

    async def _run(self, options: RunOptions, inputs: Mapping[str, Any]) -> Result:
        return result_or_raise(await self.outcome(inputs, options))


def result_or_raise(outcome: Outcome) -> Result:
    """Return the result of a run, or raise what ended it, with the id of its row."""
    problem: PromptStudioError | None = outcome.error or outcome.unrecorded
    if problem is not None:
        problem.add_note(f"run {outcome.result.id}")
        raise problem
    return outcome.result


def load(
    address: str | Path,
    *,
    project: str | Path | None = None,
    history: bool = True,
    bundle: str | Path | None = None,
) -> Prompt:
    """Load a prompt by its address: a name, `name:variant`, `name@production`, `name@HEAD~3`, or a path.

    `project` is a folder in the project, by default the current one. `history=False` remembers no runs. `bundle` is a
    file made by `ps bundle`, for places without git; its hashes are checked. Raises `PromptFileError` with every
    problem of the file, `NotFoundError` for a name that does not exist, `CheckFailed` for a bundle that was changed.
    """
    settings = load_settings(Path(project) if project is not None else Path.cwd(), env=os.environ)
    found = load_anywhere(str(address), settings, bundle=Path(bundle) if bundle is not None else None)
    return Prompt(found.prompt, found.settings, history)
