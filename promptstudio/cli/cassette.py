"""`ps cassette`: the recorded requests and answers of a folder: list, check, remove what nobody uses."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from promptstudio.cache.choose import cassette_folder
from promptstudio.cache.folder import CassetteFolder, Checked
from promptstudio.cache.place import state_folder
from promptstudio.cache.used import last_uses
from promptstudio.cli.context import Context
from promptstudio.cli.moments import moment_from
from promptstudio.cli.parser import new_app
from promptstudio.config import Settings
from promptstudio.errors import NothingSelected, UsageError, UserError

app = new_app(help="Recorded requests and answers, for runs without a network.")
Folder = Annotated[
    Path | None, typer.Argument(metavar="[DIR]", help="The folder; default: replay or record in promptstudio.toml.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("ls")
def list_cassettes(ctx: typer.Context, folder: Folder = None, *, as_json: Json = False) -> int:
    """List the cassettes of a folder, and when each was last used here."""
    context: Context = ctx.obj
    settings = context.settings()
    opened = _opened(folder, settings)
    uses = last_uses(state_folder(settings, context.env), opened.path)
    found = list(opened.check())
    if as_json:
        context.output.json([_object(one, uses.get(one.path.name)) for one in found])
        return 0
    if found:
        header = ("FILE", "PROMPT", "MODEL", "ANSWERS", "LAST USED")
        context.output.table([_cells(one, uses.get(one.path.name)) for one in found], header=header)
    else:
        context.output.note(f"{opened.shown} holds no cassettes")
    if any(one.problems for one in found):
        context.output.note(f"some have problems: `{context.program} cassette verify {opened.shown}`")
    return 0


@app.command()
def verify(ctx: typer.Context, folder: Folder = None, *, as_json: Json = False) -> int:
    """Check every cassette: format, request against id, duplicates, secrets.

    Exit code 1 where something is wrong, 5 where there is nothing to check.
    """
    context: Context = ctx.obj
    opened = _opened(folder, context.settings())
    found = list(opened.check())
    if not found:
        raise NothingSelected(f"{opened.shown} holds no cassettes", hint="record some with --record")
    problems = [problem for one in found for problem in one.problems]
    if as_json:
        listed = [_problem_object(one) for one in problems]
        context.output.json({"files": len(found), "problems": listed})
        return 1 if problems else 0
    for problem in problems:
        context.output.line(f"{problem.place}: error: {problem.message}")
        if problem.hint:
            context.output.line(f"    hint: {problem.hint}")
    verdict = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}" if problems else "all genuine"
    context.output.note(f"{_cassettes(len(found))}: {verdict}")
    return 1 if problems else 0


@app.command()
def prune(
    ctx: typer.Context,
    folder: Folder = None,
    *,
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help="Remove what no recording or replay used since then.")
    ] = "1d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> int:
    """Remove cassettes that nothing uses any more. Replay all suites first: what was used counts on this machine."""
    context: Context = ctx.obj
    settings = context.settings()
    opened = _opened(folder, settings)
    moment = moment_from(since, "--since", datetime.now(UTC))
    uses = last_uses(state_folder(settings, context.env), opened.path)
    if not any(at >= moment for at in uses.values()):
        raise UsageError(
            f"{opened.shown}: no cassette was used here since {since}, so nothing tells which ones are still needed",
            hint="replay everything first, then prune; --since 30d looks further back",
        )
    doomed = [path for path in opened.files() if path.name not in uses or uses[path.name] < moment]
    for path in doomed:
        context.output.note(opened.name_of(path))
    if doomed and not dry_run:
        if not _agreed(f"Remove {_cassettes(len(doomed))}?", yes=yes):
            return 1
        _remove(doomed)
    if as_json:
        names = [opened.name_of(path) for path in doomed]
        context.output.json({"would_remove" if dry_run else "removed": names})
    else:
        context.output.note(f"{_cassettes(len(doomed))} {'would be removed' if dry_run else 'removed'}")
    return 0


def _opened(folder: Path | None, settings: Settings) -> CassetteFolder:
    if folder is None:
        named = (
            cassette_folder(settings, section, name)
            for section in ("eval", "run")
            for name in ("replay", "record")
        )  # fmt: skip
        folder = next((one for one in named if one is not None), None)
    if folder is None:
        raise UsageError("name a folder of cassettes", hint="or set eval.replay in promptstudio.toml")
    opened = CassetteFolder(folder)
    opened.must_exist()
    return opened


def _remove(paths: list[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"cannot be removed: {error.strerror}", file=str(path)) from error


def _agreed(question: str, *, yes: bool) -> bool:
    if yes:
        return True
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("removing needs a yes, and nobody is at the terminal", hint="add --yes, or --dry-run to look")
    return typer.confirm(question, err=True)


def _cells(one: Checked, used: datetime | None) -> tuple[str, ...]:
    last = used.astimezone().strftime("%Y-%m-%d %H:%M") if used else "never here"
    if one.cassette is None:
        return one.path.name, "?", "?", "?", last
    model, answers = str(one.cassette.request["model"]), str(len(one.cassette.answers))
    return one.path.name, one.cassette.prompt, model, answers, last


def _object(one: Checked, used: datetime | None) -> dict[str, Any]:
    cassette = one.cassette
    return {
        "file": one.path.name,
        "id": cassette.id if cassette else None,
        "prompt": cassette.prompt if cassette else None,
        "model": cassette.request["model"] if cassette else None,
        "answers": len(cassette.answers) if cassette else None,
        "last_used_at": used.isoformat() if used else None,
        "problems": [_problem_object(problem) for problem in one.problems],
    }


def _problem_object(problem: Any) -> dict[str, Any]:
    return {
        "message": problem.message,
        "hint": problem.hint,
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
    }


def _cassettes(number: int) -> str:
    return f"{number:,} cassette{'' if number == 1 else 's'}"
