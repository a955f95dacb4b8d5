"""`ps list`: the arguments. What it does is in listing.py."""

from __future__ import annotations

from typing import Annotated

import typer

from promptstudio.cli.completers import complete_tags
from promptstudio.cli.listing import print_prompts


def list_prompts(
    ctx: typer.Context,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", metavar="TAG", help="Only prompts with this tag; repeat for more.", autocompletion=complete_tags
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """List the prompts of the project, with variants behind a colon."""
    return print_prompts(ctx.obj, tags=tag or (), as_json=as_json)
