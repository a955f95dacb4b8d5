"""`ps history`: the arguments of list, show, search, rm and prune. What they print is in history_view.py."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from promptstudio.cli.completers import complete_models, complete_prompts
from promptstudio.cli.context import Context
from promptstudio.cli.history_view import local_time, name_of, page_lines, print_found, print_rows, row_object
from promptstudio.cli.moments import moment_from
from promptstudio.cli.parser import new_app
from promptstudio.errors import UsageError
from promptstudio.history.schema import Filters
from promptstudio.history.store import open_history
from promptstudio.prompts.wording import suggestion
from promptstudio.types import Status

STATUSES: tuple[Status, ...] = ("pending", "running", "completed", "failed", "cancelled", "interrupted")


class _ListIsDefault(TyperGroup):
    """`ps history --limit 5` means `ps history list --limit 5`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing and (not args or (args[0].startswith("-") and args[0] != "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


app = new_app(cls=_ListIsDefault, help="Look at what was run. Without a subcommand: the newest runs.")

PromptFilter = Annotated[
    str | None,
    typer.Option(
        "--prompt", metavar="NAME", help="A name, or support/* for a folder.", autocompletion=complete_prompts
    ),
]
ModelFilter = Annotated[
    str | None, typer.Option("--model", metavar="MODEL", help="Only this model.", autocompletion=complete_models)
]
StatusFilter = Annotated[str | None, typer.Option("--status", metavar="STATUS", help=f"One of: {', '.join(STATUSES)}.")]
TagFilter = Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Only runs with this tag.")]
UserFilter = Annotated[str | None, typer.Option("--user", metavar="USER", help="Only runs of this user.")]
Since = Annotated[str | None, typer.Option("--since", metavar="WHEN", help="From: an age (7d, 12h) or a date.")]
Until = Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Before: an age or a date.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command("list")
def list_rows(
    ctx: typer.Context,
    *,
    prompt: PromptFilter = None,
    model: ModelFilter = None,
    status: StatusFilter = None,
    tag: TagFilter = None,
    user: UserFilter = None,
    since: Since = None,
    until: Until = None,
    before: Annotated[str | None, typer.Option("--before", metavar="RUN", help="Continue below this id.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> int:
    """List runs, newest first."""
    context: Context = ctx.obj
    filters = _filters(prompt, model=model, status=status, tag=tag, user=user, since=since, until=until)
    with open_history(context.settings()) as history:
        rows = history.rows(filters, limit=limit, before=before)
    return print_rows(context, rows, as_json=as_json, is_filtered=filters != Filters() or before is not None)


@app.command()
def show(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="An id, its beginning, or last.")] = "last",
    as_json: Json = False,
) -> int:
    """Show one run: messages, answer, cost, attempts."""
    context: Context = ctx.obj
    with open_history(context.settings()) as history:
        row = history.row(run)
    if as_json:
        context.output.json(row_object(row))
        return 0
    for line in page_lines(row):
        context.output.line(line)
    return 0


@app.command()
def search(
    ctx: typer.Context,
    words: Annotated[
        list[str], typer.Argument(metavar="WORDS...", help="Words that must all occur; refun* finds a beginning.")
    ],
    *,
    prompt: PromptFilter = None,
    model: ModelFilter = None,
    status: StatusFilter = None,
    tag: TagFilter = None,
    user: UserFilter = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> int:
    """Search what was asked and answered."""
    context: Context = ctx.obj
    asked = " ".join(words).encode("utf-8", "replace").decode()  # bytes that are no text arrive as half characters
    filters = _filters(prompt, model=model, status=status, tag=tag, user=user, since=since, until=until)
    with open_history(context.settings()) as history:
        found = history.search(asked, filters, limit=limit)
        if found.notice and history.store.exists():
            context.output.labeled("note", found.notice, "yellow")
    return print_found(context, found.rows, asked, as_json=as_json)


@app.command()
def rm(
    ctx: typer.Context,
    runs: Annotated[list[str], typer.Argument(help="Ids, beginnings of ids, or last.", metavar="RUN...")],
    *,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Delete runs, with everything that was stored of them."""
    context: Context = ctx.obj
    with open_history(context.settings()) as history:
        rows = {row.id: row for row in (history.row(name) for name in runs)}
        for row in rows.values():
            context.output.note(f"{row.short_id}  {local_time(row.created_at)}  {name_of(row)}  {row.status}")
        if not _agreed(f"Delete {_runs(len(rows))}?", yes=yes):
            return 1
        removed = history.remove(rows)
    return _say_removed(context, removed, as_json=as_json)


@app.command()
def prune(
    ctx: typer.Context,
    *,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="WHEN", help="An age (90d) or a date; default: history.retention_days."),
    ] = None,
    keep: Annotated[int | None, typer.Option("--keep", metavar="N", min=0, help="Keep the newest so many.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Delete old runs."""
    context: Context = ctx.obj
    settings = context.settings()
    if older_than is None and keep is None and settings.retention_days is not None:
        older_than = f"{settings.retention_days}d"
    before = moment_from(older_than, "--older-than", datetime.now(UTC)) if older_than else None
    with open_history(settings) as history:
        doomed = history.prune(before=before, keep=keep, dry_run=True)
        span = (
            f", {local_time(doomed.oldest)} to {local_time(doomed.newest)}" if doomed.oldest and doomed.newest else ""
        )
        context.output.note(f"{_runs(doomed.removed)} to delete{span}; {doomed.kept:,} stay")
        if dry_run or doomed.removed == 0:
            return _say_removed(context, 0, as_json=as_json, planned=doomed.removed)
        if not _agreed(f"Delete {_runs(doomed.removed)}?", yes=yes):
            return 1
        removed = history.prune(before=before, keep=keep).removed
    return _say_removed(context, removed, as_json=as_json)


def _filters(
    prompt: str | None,
    *,
    model: str | None,
    status: str | None,
    tag: str | None,
    user: str | None,
    since: str | None,
    until: str | None,
) -> Filters:
    if status is not None and status not in STATUSES:
        raise UsageError(f"--status: there is no {status!r}", hint=suggestion(status, STATUSES, otherwise="one of"))
    now = datetime.now(UTC)
    name, _, variant = (prompt or "").partition(":")
    return Filters(
        prompt=name or None,
        variant=variant or None,
        model=model,
        status=status,
        since=moment_from(since, "--since", now) if since else None,
        until=moment_from(until, "--until", now) if until else None,
        tag=tag,
        user=user,
    )


def _agreed(question: str, *, yes: bool) -> bool:
    """Ask a person; where there is none, deleting needs --yes."""
    if yes:
        return True
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("deleting needs a yes, and nobody is at the terminal", hint="add --yes")
    return typer.confirm(question, err=True)


def _say_removed(context: Context, removed: int, *, as_json: bool, planned: int | None = None) -> int:
    if as_json:
        context.output.json({"removed": removed, **({} if planned is None else {"would_remove": planned})})
    elif planned is None:
        context.output.note(f"{_runs(removed)} deleted")
    return 0


def _runs(number: int) -> str:
    return f"{number:,} run{'' if number == 1 else 's'}"
