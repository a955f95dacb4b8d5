"""`ps run`: the arguments, and the line from them to an answer."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from promptstudio.cache.choose import choose_wires, open_wires
from promptstudio.cli.completers import complete_inputs, complete_models, complete_profiles, complete_prompts
from promptstudio.cli.context import Context
from promptstudio.cli.run_inputs import Given, ask_missing, parse_parameters, rows_of, with_attachments
from promptstudio.cli.run_rows import run_rows
from promptstudio.cli.run_view import Job, View, print_dry_run, show_run
from promptstudio.cli.values import stdin_prompt
from promptstudio.errors import Interrupted, UsageError
from promptstudio.history import open_history
from promptstudio.prompts.parameters import misspelled
from promptstudio.prompts.prompt import Prompt
from promptstudio.runner import Runner, RunOptions
from promptstudio.versions.load import load_anywhere

T = TypeVar("T")


def run(
    ctx: typer.Context,
    prompt: Annotated[
        str,
        typer.Argument(
            help="A name (support/triage), a variant (support/triage:terse), a path, or - for standard input.",
            autocompletion=complete_prompts,
        ),
    ],
    values: Annotated[
        list[str] | None,
        typer.Option(
            "-v",
            "--var",
            metavar="NAME=VALUE",
            help="An input: name=text, name=@file, name=- (standard input) or name:=json. Repeat for more.",
            autocompletion=complete_inputs,
        ),
    ] = None,
    vars_file: Annotated[
        str | None,
        typer.Option(
            "--vars",
            metavar="FILE",
            help="Inputs from JSON, YAML or JSONL; - is standard input. A list runs each row.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("-m", "--model", help="Ask this model instead.", autocompletion=complete_models)
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option("-p", "--param", metavar="NAME=VALUE", help="A model parameter, such as temperature=0.2."),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", help="A named set of parameters from promptstudio.toml.", autocompletion=complete_profiles
        ),
    ] = None,
    attach: Annotated[
        list[Path] | None, typer.Option("--attach", metavar="FILE", help="Send an image, a sound or a document along.")
    ] = None,
    stream: Annotated[
        bool | None,
        typer.Option("--stream/--no-stream", help="Show the answer as it comes. Default: on a terminal."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each run.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the exact request; send nothing.")] = False,
    why: Annotated[str | None, typer.Option("--why", metavar="TEXT", help="Why you run this; kept in history.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A tag for the history row. Repeat for more.")] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="FILE", help="Take the prompt from a bundle made by `ps bundle`.")
    ] = None,
    cache: Annotated[
        bool | None,
        typer.Option("--cache/--no-cache", help="Answer from the cache what was asked before. Default: no."),
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="DIR", help="Write requests and answers to DIR as cassettes.")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option("--replay", metavar="DIR", help="Answer from the cassettes in DIR; send nothing.")
    ] = None,
    no_history: Annotated[bool, typer.Option("--no-history", help="Do not remember this run.")] = False,
    output_file: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the answer to a file.")
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=256, help="Rows of --vars that run at the same time.")
    ] = 8,
) -> int:
    """Run a prompt and print the answer."""
    context: Context = ctx.obj
    settings = here = context.settings()
    choice = choose_wires(here, "run", cache=cache, record=record, replay=replay)
    given = Given(tuple(values or ()), vars_file, tuple(attach or ()), reads_prompt=prompt == "-")
    given.check_stdin()
    found = load_anywhere(prompt, settings, stdin=stdin_prompt() if prompt == "-" else None, bundle=bundle)
    settings = found.settings  # of a commit or a bundle: its default model and profiles, with the connections of now
    loaded, attached = with_attachments(found.prompt, given.attachments)
    rows = rows_of(given, loaded, attached)
    if not rows.is_batch:
        rows = rows.completed(ask_missing(loaded, rows.values[0], context))
    for flag, name in (("-m", model), ("--profile", profile)):
        if name is not None and not name.strip():
            raise UsageError(f"{flag} is empty", hint="is the variable behind it set?")
    options = RunOptions(model, parse_parameters(parameters or ()), profile, why, tuple(tag or ()))
    if dry_run:
        requests = run_async(lambda: _requests(Runner(settings, context.env), loaded, rows.values, options))
        print_dry_run(context, requests)
        return 0
    for name in options.parameters:
        if close := misspelled(name):
            context.output.labeled("warning", f"-p {name} is sent as it is; did you mean {close!r}?", "yellow")
    view = View(as_json, stream, output_file, concurrency)
    with (
        open_wires(choice, here, context.env, partial(context.output.labeled, "note", style="yellow")) as wires,
        nullcontext() if no_history else open_history(settings) as history,
    ):
        job = Job(context, Runner(settings, context.env, history, wires), loaded, options, view)
        return run_async(lambda: run_rows(job, rows.values) if rows.is_batch else show_run(job, rows.values[0]))


async def _requests(
    runner: Runner, prompt: Prompt, rows: list[dict[str, Any]], options: RunOptions
) -> list[dict[str, Any]]:
    return [await runner.exact_request(prompt, values, options) for values in rows]


def run_async(start: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run to the end; Ctrl-C or SIGTERM cancel what is under way, which is recorded, and raise `Interrupted`."""

    async def main() -> T:
        from promptstudio.providers.call import close_connections  # beside what the run has loaded by then

        task = asyncio.current_task()
        if task is not None and sys.platform != "win32":
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            return await start()
        finally:
            await close_connections()

    try:
        return asyncio.run(main())
    except (KeyboardInterrupt, asyncio.CancelledError) as stop:
        raise Interrupted("stopped; what was finished is saved", hint="`ps history` lists it") from stop
