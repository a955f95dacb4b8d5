"""`ps show`: one prompt, as a page, as its file, resolved, or rendered with values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptstudio.cli.completers import complete_inputs, complete_prompts
from promptstudio.cli.context import Context
from promptstudio.cli.page import message_lines, page_lines, prompt_object
from promptstudio.cli.values import parse_assignments, stdin_prompt
from promptstudio.errors import UsageError
from promptstudio.prompts.inputs import check_inputs
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.render import render_messages
from promptstudio.prompts.tokens import estimate_message_tokens
from promptstudio.prompts.yamlfile import read_text_file
from promptstudio.types import Message
from promptstudio.versions.load import Loaded, load_anywhere


def show(
    ctx: typer.Context,
    prompt: Annotated[
        str,
        typer.Argument(
            metavar="PROMPT",
            help="greet, greet:short, greet@HEAD~3, a path, or - for stdin.",
            autocompletion=complete_prompts,
        ),
    ],
    *,
    file: Annotated[bool, typer.Option("--file", help="Print the file as it is.")] = False,
    resolved: Annotated[
        bool,
        typer.Option("--resolved", help="Print what the file means: short forms, includes and defaults filled in."),
    ] = False,
    render: Annotated[bool, typer.Option("--render", help="Print the messages that would be sent.")] = False,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "-v",
            "--var",
            metavar="NAME=VALUE",
            help="An input: name=text, name=@file, name=- or name:=json. Repeat for more.",
            autocompletion=complete_inputs,
        ),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="FILE", help="Take the prompt from a bundle made by `ps bundle`.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Show a prompt: what it takes, what it returns, what it says, about how many tokens that is. Sends nothing."""
    context: Context = ctx.obj
    _check_flags(file=file, resolved=resolved, render=render or bool(values))
    settings = context.settings()
    stdin = stdin_prompt() if prompt == "-" else None
    found = load_anywhere(prompt, settings, stdin=stdin, bundle=bundle)
    loaded, settings = found.prompt, found.settings
    if file:
        return _print_file(context, found)
    messages = _rendered(loaded, values or []) if render or values else None
    if as_json or resolved:
        context.output.json(prompt_object(loaded, settings, messages))
    elif messages is not None:
        _print_messages(context, messages)
    else:
        for line in page_lines(loaded, settings):
            context.output.line(line)
    return 0


def _check_flags(**given: bool) -> None:
    chosen = [f"--{name}" for name, is_given in given.items() if is_given]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} are different views", hint="choose one")


def _print_file(context: Context, found: Loaded) -> int:
    path = found.prompt.path
    text = found.text if found.text is not None or path is None else read_text_file(path)
    context.output.write(text or "")
    return 0


def _rendered(prompt: Prompt, items: list[str]) -> tuple[Message, ...]:
    values = parse_assignments(items, prompt)
    return render_messages(prompt, check_inputs(prompt, values))


def _print_messages(context: Context, messages: tuple[Message, ...]) -> None:
    for line in message_lines(messages):
        context.output.line(line)
    context.output.note(f"about {estimate_message_tokens(messages):,} input tokens")
