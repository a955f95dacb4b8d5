"""`ps log`: the arguments. What it does is in log_view.py."""

from __future__ import annotations

from typing import Annotated

import typer

from promptstudio.cli.completers import complete_prompts
from promptstudio.cli.log_view import Wish, checked_number, print_log


def log(
    ctx: typer.Context,
    prompt: Annotated[
        str,
        typer.Argument(
            metavar="PROMPT",
            help="A name or a file; NAME:VARIANT for a variant, NAME@REV to begin there.",
            autocompletion=complete_prompts,
        ),
    ],
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="Only versions since then: 7d, or 2026-11-01.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Only versions until then.")] = None,
    number: Annotated[int | None, typer.Option("-n", metavar="N", help="At most N versions.")] = None,
    unfolded: Annotated[
        bool, typer.Option("--all", help="A line also for commits that change nothing the model sees.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Show the versions of a prompt, newest first: who made each, why, what bears it, and how its runs did.

    A version is a commit after which the model sees something else: the file changed, or a partial, a schema or
    examples it names, or the default model or profile. Renames are followed.
    """
    return print_log(ctx.obj, Wish(prompt, since, until, checked_number(number), unfolded, as_json))
