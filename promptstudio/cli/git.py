"""`ps git`: let git show prompts by meaning, merge the lock file, and check prompts before a commit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptstudio.cli.context import Context
from promptstudio.cli.parser import new_app
from promptstudio.config import Settings
from promptstudio.errors import UsageError
from promptstudio.versions import git_setup
from promptstudio.versions.git_setup import Part
from promptstudio.versions.repo import Repository, open_repository

app = new_app(no_args_is_help=True, help="Let git show prompts by meaning, and check them before a commit.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def install(
    ctx: typer.Context,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="The hook fails wherever `check --staged` does.")] = False,
    as_json: Json = False,
) -> int:
    """Add it: settings of this repository, lines in .gitattributes, a pre-commit hook. Twice is the same as once."""
    context: Context = ctx.obj
    settings, repository = _ground(context)
    with repository:
        parts = git_setup.install(repository, settings, strict=strict)
    _report(context, parts, as_json=as_json)
    return 0


@app.command()
def uninstall(ctx: typer.Context, *, as_json: Json = False) -> int:
    """Take away what `install` added. What others wrote stays, byte by byte."""
    context: Context = ctx.obj
    settings, repository = _ground(context)
    with repository:
        parts = git_setup.uninstall(repository, settings)
    _report(context, parts, as_json=as_json)
    return 0


@app.command()
def status(ctx: typer.Context, *, as_json: Json = False) -> int:
    """Say what of it is there. Exit code 1 where something is missing."""
    context: Context = ctx.obj
    settings, repository = _ground(context)
    with repository:
        parts = git_setup.status(repository, settings)
    _report(context, parts, as_json=as_json)
    return 0 if all(part.state in ("installed", "shared") for part in parts) else 1


@app.command()
def textconv(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A prompt file, as git hands it over.")],
) -> int:
    """Print what a prompt file says, without layout and comments: what `git diff` compares. Any other file as it is."""
    from promptstudio.cli.git_view import print_readable  # it lies apart: git calls it for each file, without a parser

    return print_readable(ctx.obj, file)


@app.command("merge-lock")
def merge_lock(
    ctx: typer.Context,
    base: Annotated[Path, typer.Argument(metavar="BASE", help="What both sides began with.")],
    ours: Annotated[Path, typer.Argument(metavar="OURS", help="Our side; the result is written to it.")],
    theirs: Annotated[Path, typer.Argument(metavar="THEIRS", help="Their side.")],
    path: Annotated[str, typer.Argument(metavar="[PATH]", help="The file's name, for messages.")] = "promptstudio.lock",
) -> int:
    """Merge two versions of promptstudio.lock; git calls it. Exit code 1 where a conflict is left for a person."""
    context: Context = ctx.obj
    from promptstudio.versions.lock_merge import merge_lock_files  # only a merge needs it

    texts = [_lock_text(file) for file in (base, ours, theirs)]
    text, has_conflicts = merge_lock_files(*texts)
    ours.write_text(text, encoding="utf-8", newline="")
    if has_conflicts:
        context.output.note(f"{path}: both sides moved a label; keep the one that is meant")
    return 1 if has_conflicts else 0


@app.command("pre-commit")
def pre_commit(
    ctx: typer.Context,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Fail wherever `check --staged` does.")] = False,
) -> int:
    """Check the prompts that are staged: they load, lint finds no error, a MAJOR change raises the major version."""
    from promptstudio.cli.git_check import check_staged  # weight: loads prompts

    return check_staged(ctx.obj, strict=strict)


def _ground(context: Context) -> tuple[Settings, Repository]:
    settings = context.project_settings()
    return settings, open_repository(settings.root or Path.cwd())


def _lock_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        raise UsageError(f"cannot read {file}: {cause}", hint="git hands over three files") from cause


def _report(context: Context, parts: list[Part], *, as_json: bool) -> None:
    if as_json:
        context.output.json(
            [{"part": one.name, "state": one.state, "where": one.where, "note": one.note} for one in parts]
        )
        return
    context.output.table([(one.name, one.state, one.where, one.note) for one in parts], header=_HEADER)


_HEADER = ("PART", "STATE", "WHERE", "NOTE")
