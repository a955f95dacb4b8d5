"""`ps cp` and `ps mv`: a prompt or a partial under another name, with everything that goes with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from promptstudio.cli.completers import complete_prompts
from promptstudio.cli.context import Context
from promptstudio.config import Settings
from promptstudio.errors import UsageError
from promptstudio.prompts.load import find_file, parse_address
from promptstudio.prompts.moving import Plan, partial_name, plan_partial, plan_prompt
from promptstudio.prompts.naming import wanted_target
from promptstudio.prompts.wording import shown
from promptstudio.versions.lock import LOCK_NAME
from promptstudio.versions.moves import apply_plan, lock_changes, with_notes
from promptstudio.versions.newcomers import add_stanzas

Source = Annotated[
    str,
    typer.Argument(
        metavar="FROM", help="greet, a path, or a partial: _partials/tone.md.", autocompletion=complete_prompts
    ),
]
Target = Annotated[str, typer.Argument(metavar="TO", help="The new name.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def copy(
    ctx: typer.Context, source: Source, target: Target, *, dry_run: DryRun = False, as_json: AsJson = False
) -> int:
    """Copy a prompt. Files it names relative to itself stay the same files; a `name:` in it becomes the new one."""
    return _carry_out(ctx.obj, source, target, is_move=False, dry_run=dry_run, as_json=as_json)


def move(
    ctx: typer.Context, source: Source, target: Target, *, dry_run: DryRun = False, as_json: AsJson = False
) -> int:
    """Rename or move a prompt: suites, labels and relative file names follow. All or nothing, with `git mv`.

    A partial is moved by its path, as in `_partials/a.md`; the prompts that include it follow.
    """
    return _carry_out(ctx.obj, source, target, is_move=True, dry_run=dry_run, as_json=as_json)


def _carry_out(context: Context, source: str, target: str, *, is_move: bool, dry_run: bool, as_json: bool) -> int:
    settings = context.project_settings()
    plan = with_notes(_plan(source, target, settings, is_move=is_move), settings)
    changes = list(_changes(plan, settings))
    if not dry_run:
        apply_plan(plan, settings)
        said = None if is_move or plan.new_name is None else add_stanzas([plan.new], settings)
        if said:
            context.output.labeled("warning", said, "yellow")
    if as_json:
        context.output.json(_object(plan, changes, dry_run=dry_run))
        return 0
    verb = ("move" if is_move else "copy") if dry_run else "moved" if is_move else "copied"
    would = "would " if dry_run else ""
    context.output.line(f"{would}{verb} {plan.source.shown} → {plan.shown}")
    for file, what in changes:
        context.output.line(f"{would}{'change' if dry_run else 'changed'} {file}: {what}")
    for note in plan.notes:
        context.output.labeled("warning", note, "yellow")
    return 0


def _plan(source: str, target: str, settings: Settings, *, is_move: bool) -> Plan:
    cwd = Path.cwd()
    if (old := partial_name(source, settings, cwd)) is not None:
        return plan_partial(old, partial_name(target, settings, cwd) or target, settings, is_move=is_move)
    address = parse_address(source)
    if address.kind == "stdin" or address.variant is not None or address.revision is not None:
        raise UsageError(f"{shown(source)} is not a file of the working tree", hint="name the prompt or its file alone")
    name, suffix = wanted_target(target, settings, cwd)
    return plan_prompt(find_file(address, settings, cwd), name, suffix, settings, is_move=is_move)


def _changes(plan: Plan, settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield file and change, for what changes beside the name of the file."""
    if plan.after != plan.source.text:
        yield plan.shown, "what it says of its own name and place"
    for edit in plan.edits:
        yield from ((edit.copy.shown, what) for what in edit.what)
    if lock_changes(plan, settings):
        yield LOCK_NAME, f"{plan.old_name} → {plan.new_name}"


def _object(plan: Plan, changes: list[tuple[str, str]], *, dry_run: bool) -> dict[str, Any]:
    return {
        "from": plan.source.shown,
        "to": plan.shown,
        "old_name": plan.old_name,
        "new_name": plan.new_name,
        "dry_run": dry_run,
        "changes": [{"file": file, "what": what} for file, what in changes],
        "notes": list(plan.notes),
    }
