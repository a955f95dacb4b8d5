"""`ps blame`: the arguments. What it does is in blame_view.py and live_view.py."""

from __future__ import annotations

from typing import Annotated

import typer

from promptstudio.cli.blame_view import Wish, print_blame
from promptstudio.cli.completers import complete_prompts


def blame(
    ctx: typer.Context,
    prompt: Annotated[
        str | None,
        typer.Argument(
            metavar="[PROMPT]", help="A name or a file; NAME@REV for an older state.", autocompletion=complete_prompts
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="What was live then: 2026-11-01T10:00Z, 2026-11-01, or 7d ago."),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", metavar="LABEL", help="Only this label; without --at, as of now.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Show for each field of a prompt who last changed its value, when, in which commit, and why.

    With --at or --label: what the labels of the lock file meant at that moment, and who had promoted it.
    """
    return print_blame(ctx.obj, Wish(prompt, at, label, as_json))
