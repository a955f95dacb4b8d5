"""`ps init`: make a project that runs at once."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from promptstudio.cli.completers import complete_templates
from promptstudio.cli.context import Context
from promptstudio.cli.scaffold import DEFAULT, FIRST_COMMAND, is_project, scaffold, template_names


def init(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where; made if missing.", metavar="[DIR]")] = Path(),
    *,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            metavar="NAME",
            help=f"One of: {', '.join(template_names())}. Default for a new project: {DEFAULT}.",
            autocompletion=complete_templates,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Make a project: settings, a few prompts, a suite. It runs without a key.

    Nothing is ever overwritten. In a project, --template adds the files of a template that are missing; without it only
    the schemas for editors and the lines of .gitignore are brought back.
    """
    context: Context = ctx.obj
    is_new = not is_project(folder)
    chosen = template or (DEFAULT if is_new else None)
    placed = scaffold(folder, chosen)
    if as_json:
        context.output.json(
            {"root": str(folder.absolute()), "files": [{"path": p.path, "outcome": p.outcome} for p in placed]}
        )
        return 0
    for one in placed:
        context.output.line(f"{one.outcome:<8} {folder / one.path}")
    if is_new and chosen is not None:
        enter = "" if folder.absolute() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
        context.output.note(f"\nTry it: {enter}{context.program} {FIRST_COMMAND[chosen]}")
    return 0
