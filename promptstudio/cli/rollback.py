"""`ps rollback`: a label goes back to where it pointed before, or to a revision."""

from __future__ import annotations

from typing import Annotated

import typer

from promptstudio.cli.completers import complete_prompts
from promptstudio.cli.context import Context, root_of
from promptstudio.cli.known_evidence import known_evidence
from promptstudio.cli.label_moves import commit_message, make_moves, prompt_name, report_moves
from promptstudio.errors import UsageError
from promptstudio.prompts.wording import shown
from promptstudio.versions.git import git_user
from promptstudio.versions.labels import label_before, label_of, who_now
from promptstudio.versions.lock import read_lock
from promptstudio.versions.promotion import plan_move
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots


def rollback(
    ctx: typer.Context,
    address: Annotated[
        str,
        typer.Argument(metavar="PROMPT@LABEL", help="Such as greet@production.", autocompletion=complete_prompts),
    ],
    *,
    to: Annotated[
        str | None, typer.Option("--to", metavar="REV", help="Where to; default: where the label pointed before.")
    ] = None,
    commit: Annotated[bool, typer.Option("--commit", help="Commit promptstudio.lock, and nothing else.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept in the file.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Take a label back to where it pointed before, as the git history of promptstudio.lock has it.

    A second rollback goes forth again: it undoes the first.
    """
    context: Context = ctx.obj
    settings = context.project_settings()
    target, at, label = address.rpartition("@")
    label = label.removeprefix("label:")
    if not at or not target or not label:
        raise UsageError(f"{shown(address)} names no label", hint="write PROMPT@LABEL, such as greet@production")
    lock = read_lock(settings.root)
    name = target if target in lock.prompts else prompt_name(target, settings)
    now = label_of(lock, name, label)
    with open_repository(root_of(settings)) as repository, Snapshots(repository, settings) as snapshots:
        before = label_before(repository, settings, name, label, now) if to is None else None
        who = who_now(git_user(repository.top), reason)
        asked = before.commit if before else to or ""
        move = plan_move(snapshots, lock, name, label, asked, who, to=before)
        evidence = known_evidence(lock, settings, [move.new.behavior])
        message = commit_message("Roll back {label} of {prompt}", [move], reason) if commit else None
        made = make_moves(snapshots, [move], evidence, message=message, dry_run=dry_run)
    report_moves(context, made, as_json=as_json)
    return 0
