"""`ps new`: a prompt to begin with, empty or from another one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from promptstudio.cli.completers import complete_models, complete_prompts
from promptstudio.cli.context import Context
from promptstudio.cli.edit import edit_file
from promptstudio.cli.scaffold import FIRST_COMMAND, TEMPLATES, template_names
from promptstudio.cli.schema import schema_text
from promptstudio.config import Settings
from promptstudio.config.load import STATE_FOLDER
from promptstudio.errors import NotFoundError, UsageError, UserError
from promptstudio.prompts.edit import with_value
from promptstudio.prompts.filewrite import create_file
from promptstudio.prompts.library import SUFFIXES, prompt_names
from promptstudio.prompts.lint import lint_file
from promptstudio.prompts.load import find_file, parse_address, shown_path_of
from promptstudio.prompts.moving import moved_text
from promptstudio.prompts.naming import checked_name, free_path, prompts_root
from promptstudio.prompts.textfile import read_text_file
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import read_yaml
from promptstudio.versions.newcomers import add_stanzas

START = """\
description: Say in a sentence what this prompt is for.
version: 0.1.0
inputs:
  text: string, what the prompt works on
prompt: |
  Say in one sentence what this text is about.

  <text>{{ text }}</text>
"""


def new(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in support/triage.")],
    *,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="PROMPT|TEMPLATE",
            help=f"Start as a copy of a prompt, of a file, or of one of: {', '.join(template_names())}.",
            autocompletion=complete_prompts,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("-m", "--model", metavar="MODEL", help="The model to write.", autocompletion=complete_models),
    ] = None,
    edit: Annotated[bool, typer.Option("--edit", help="Open it in $VISUAL or $EDITOR.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Make prompts/NAME.yaml, ready to run and to be completed by editors. Never overwrites."""
    context: Context = ctx.obj
    settings = context.project_settings()
    checked = checked_name(name)
    source = _source(start, settings) if start is not None else None
    path = free_path(checked, settings, next((s for s in SUFFIXES if source and source.name.endswith(s)), ".yaml"))
    file = shown_path_of(path, settings, Path.cwd())
    text = _text(source, checked, path, settings)
    if model is not None:
        text = with_value(text, ("model",), _checked_model(model), file=file)
    create_file(path, text, shown=file)
    _provide_schema(settings)
    if said := add_stanzas([path], settings):
        context.output.labeled("warning", said, "yellow")
    if as_json:
        context.output.json({"name": checked, "path": file, "from": start})
    else:
        context.output.line(f"created {file}")
        for line in _remarks(path, settings):
            context.output.labeled("warning", line, "yellow")
    return edit_file(path, context, settings) if edit else 0


def _source(start: str, settings: Settings) -> Path:
    """Return the file to start from; a prompt of the project comes before a template of the same name."""
    if start in FIRST_COMMAND and start not in prompt_names(settings):
        return TEMPLATES / start / "prompts" / f"{FIRST_COMMAND[start].split()[1]}.yaml"
    address = parse_address(start)
    if address.kind == "stdin" or address.variant is not None or address.revision is not None:
        raise UsageError(f"{shown(start)} is not a file of the working tree", hint="name the prompt or its file alone")
    try:
        return find_file(address, settings, Path.cwd())
    except NotFoundError as cause:
        hint = " ".join(filter(None, [cause.hint, f"(templates: {', '.join(FIRST_COMMAND)})"]))
        raise NotFoundError(cause.problems[0].message, hint=hint) from cause


def _text(source: Path | None, name: str, path: Path, settings: Settings) -> str:
    schema = settings.root / STATE_FOLDER / "schemas" / "prompt.schema.json" if settings.root else None
    relative = PurePosixPath(os.path.relpath(schema, path.parent)).as_posix() if schema else "prompt.schema.json"
    line = f"# yaml-language-server: $schema={relative}\n"
    if source is None:
        return line + START
    file = shown_path_of(source, settings, Path.cwd())
    text = read_text_file(source, shown=file)
    if source.is_relative_to(TEMPLATES):
        return line + "".join(row for row in text.splitlines(keepends=True) if "yaml-language-server" not in row)
    text = moved_text(text, source.parent, path.parent, prompts_root(settings), file)
    return with_value(text, ("name",), name, file=file) if "name" in read_yaml(text, file=file).value else text


def _provide_schema(settings: Settings) -> None:
    """Bring back the schema that editors complete from, in a clone where nobody has run `ps init`."""
    if settings.root is None:
        return
    state = settings.root / STATE_FOLDER
    schema = state / "schemas" / "prompt.schema.json"
    if schema.exists() or state.is_symlink():
        return
    with contextlib.suppress(OSError, UserError):  # a folder that cannot be written costs a comfort only
        if not state.exists():
            state.mkdir(mode=0o700)
            create_file(state / ".gitignore", "*\n")
        create_file(schema, schema_text("prompt"))


def _checked_model(model: str) -> str:
    if not model or any(character.isspace() for character in model):
        raise UsageError(f"{shown(model)} is not a model id", hint="as in openai/gpt-4.1-mini")
    return model


def _remarks(path: Path, settings: Settings) -> Iterator[str]:
    """Yield what keeps the new prompt from being run, such as a partial that a template has and the project has not."""
    yield from (str(finding.problem) for finding in lint_file(path, settings) if finding.level == "error")
