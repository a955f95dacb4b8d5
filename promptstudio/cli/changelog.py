"""`ps changelog A..B`: what changed in prompts between two commits, for people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptstudio.cli.completers import complete_prompts
from promptstudio.cli.context import Context
from promptstudio.errors import UsageError
from promptstudio.versions.changelog import changelog_json, changelog_lines, changelog_of, markdown_lines
from promptstudio.versions.diff.ask import Question, range_of
from promptstudio.versions.diff.collect import Ground, collect
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots


def changelog(
    ctx: typer.Context,
    between: Annotated[str, typer.Argument(metavar="A[..B]", help="Two revisions or labels; without B it is HEAD.")],
    prompts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PROMPT]...", help="Only these prompts.", autocompletion=complete_prompts),
    ] = None,
    *,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Say what changed in prompts: MAJOR first, each with its versions, the reasons, and the commits that did it."""
    context: Context = ctx.obj
    if as_json and as_markdown:
        raise UsageError("--markdown and --json are different views", hint="choose one")
    old, new, from_fork = range_of(between if ".." in between else f"{between}..HEAD")
    settings = context.settings()
    with (
        open_repository(settings.root or Path.cwd()) as repository,
        Snapshots(repository, settings) as snapshots,
    ):
        ground = Ground(snapshots, Path.cwd())
        found = collect(Question(old, new, from_fork, tuple(prompts or ())), ground)
        log = changelog_of(found, ground)
    if as_json:
        context.output.json(changelog_json(log))
    elif as_markdown:
        context.output.line("\n".join(markdown_lines(log)))
    else:
        for line in changelog_lines(log):
            context.output.line(line)
    if not log.entries:
        context.output.note(f"{log.old} → {log.new}: no prompt differs")
    return 0
