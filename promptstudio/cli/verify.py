"""`ps verify`: compute again what promptstudio.lock says. A gate for CI."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer

from promptstudio.cli.completers import complete_prompts
from promptstudio.cli.context import Context, root_of
from promptstudio.cli.verify_view import FAILING, print_report, report_on
from promptstudio.config import Settings
from promptstudio.errors import ToolError
from promptstudio.versions.labels import completed, prompt_files
from promptstudio.versions.lock import change_lock
from promptstudio.versions.repo import open_repository


def verify(
    ctx: typer.Context,
    prompts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PROMPT]...", help="Default: the whole file.", autocompletion=complete_prompts),
    ] = None,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    allow_shallow: Annotated[
        bool, typer.Option("--allow-shallow", help="What a shallow clone cannot tell does not fail.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Take nothing from the cache in .git.")] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="First put the file into its layout, with a stanza for each prompt.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Compute everything in promptstudio.lock again: commits, versions, hashes, digests. Prompts must load.

    Exit code 1 when something is not as recorded, with the line of the lock file. --fix changes no label.
    """
    context: Context = ctx.obj
    settings = context.project_settings()
    if fix:
        _fix(settings)
    failing = (FAILING | ({"warning"} if strict else set())) - ({"unknown"} if allow_shallow else set())
    return print_report(context, report_on(settings, prompts or [], fresh=fresh), failing, as_json=as_json)


def _fix(settings: Settings) -> None:
    with ExitStack() as opened:
        try:
            repository = opened.enter_context(open_repository(root_of(settings)))
        except ToolError:
            repository = None
        files = prompt_files(settings, repository)
    change_lock(root_of(settings), lambda lock: completed(lock.prompts, files))
