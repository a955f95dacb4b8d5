"""`ps bump`: raise a prompt's version in its file, by what changed or by what is asked."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from promptstudio.cli.completers import complete_prompts
from promptstudio.cli.context import Context
from promptstudio.config import Settings
from promptstudio.errors import ToolError, UsageError
from promptstudio.prompts.edit import with_version
from promptstudio.prompts.filewrite import rewrite
from promptstudio.prompts.library import prompt_paths
from promptstudio.prompts.load import find_file, parse_address, shown_path_of
from promptstudio.prompts.wording import shown
from promptstudio.versions.bump import LEVELS, Bump, Level, plan_bump
from promptstudio.versions.repo import Repository, open_repository


def bump(
    ctx: typer.Context,
    prompts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PROMPT... [auto|major|minor|patch]",
            help="The prompts, and by how much; auto, the default, asks git what changed.",
            autocompletion=complete_prompts,
        ),
    ] = None,
    *,
    auto: Annotated[bool, typer.Option("--auto", help="By what changed since the last version; the default.")] = False,
    all_prompts: Annotated[bool, typer.Option("--all", help="Every prompt of the project; only with auto.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Raise the `version:` of prompt files; their comments and layout stay as they are.

    A broken contract raises the first number, changed behavior the second, other words the third.
    """
    context: Context = ctx.obj
    names, level = _level(list(prompts or ()))
    if auto and level is not None:
        raise UsageError(f"--auto and {level} are different ways", hint="choose one")
    settings = context.settings()
    paths = _paths(names, settings, level, all_prompts=all_prompts)
    with ExitStack() as opened:
        repository = _repository(paths, opened) if level is None else None
        plans = [plan_bump(path, settings, repository, level) for path in paths]
    for plan in plans:
        if plan.new is not None and not dry_run:
            _write(plan, settings)
    _report(context, plans, settings, dry_run=dry_run, as_json=as_json)
    return 0


def _level(words: list[str]) -> tuple[list[str], Level | None]:
    """Take the level from the end of the words, as in `ps bump greet minor`."""
    if words and words[-1] == "auto":
        return words[:-1], None
    level = next((level for level in LEVELS if words and words[-1] == level), None)
    return (words[:-1], level) if level is not None else (words, None)


def _paths(names: list[str], settings: Settings, level: Level | None, *, all_prompts: bool) -> list[Path]:
    if all_prompts and (names or level is not None):
        raise UsageError("--all goes with auto alone", hint="ps bump --all")
    if all_prompts:
        return prompt_paths(settings)
    if not names:
        raise UsageError("which prompt?", hint="ps bump greet, ps bump greet minor, or ps bump --all")
    addresses = [parse_address(name) for name in names]
    for address in addresses:
        if address.revision or address.variant or address.kind == "stdin":
            raise UsageError(f"{shown(address.target)}: a version belongs to a whole file", hint="give its name alone")
    return [find_file(address, settings, Path.cwd()) for address in addresses]


def _repository(paths: list[Path], opened: ExitStack) -> Repository | None:
    try:
        return opened.enter_context(open_repository(paths[0].parent)) if paths else None
    except ToolError:  # without git only what needs it fails, with its own words
        return None


def _write(plan: Bump, settings: Settings) -> None:
    new = plan.new or ""
    place = shown_path_of(plan.path, settings, None)
    rewrite(plan.path, lambda text: with_version(text, new, file=place), shown=place)


def _report(context: Context, plans: list[Bump], settings: Settings, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        context.output.json([_object(plan, settings) for plan in plans])
        return
    for plan in plans:
        if plan.new is None:
            context.output.note(f"{plan.name}: {plan.why}")
            continue
        change = f"{plan.old} → {plan.new}" if plan.old else plan.new
        context.output.line(f"{plan.name}: {change}{' (dry run)' if dry_run else ''}: {plan.why}")
        for reason in plan.verdict.reasons if plan.verdict else ():
            context.output.line(f"  {reason.place}: {reason.text}")


def _object(plan: Bump, settings: Settings) -> dict[str, object]:
    return {
        "prompt": plan.name,
        "file": shown_path_of(plan.path, settings, None),
        "old": plan.old,
        "new": plan.new,
        "verdict": plan.verdict.level.name if plan.verdict else None,
        "reasons": [f"{reason.place}: {reason.text}" for reason in plan.verdict.reasons] if plan.verdict else [],
        "since": plan.since,
        "why": plan.why,
    }
