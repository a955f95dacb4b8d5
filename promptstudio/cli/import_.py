"""`ps import`: prompts, suites and cases from the files of another tool, and the answers that came along."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptstudio.cli.context import Context
from promptstudio.config import Settings
from promptstudio.errors import NotFoundError, NothingSelected, Problem, UserError
from promptstudio.exchange.formats import AUTO, IMPORTERS
from promptstudio.exchange.importing import import_path
from promptstudio.exchange.placing import Target, below, check, targets_of, write_all
from promptstudio.exchange.schema import Import, Loss
from promptstudio.versions.newcomers import add_stanzas

if TYPE_CHECKING:
    from promptstudio.evals.imported import ImportedRun

_FORMATS = [AUTO, *(row.name for row in IMPORTERS)]


def import_files(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A file of another tool, or a folder of them.")],
    *,
    format_name: Annotated[
        str,
        typer.Option(
            "--format", metavar="NAME", help=f"One of: {', '.join(_FORMATS)}.", autocompletion=lambda: _FORMATS
        ),
    ] = AUTO,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where prompts go. Default: the prompts folder.")
    ] = None,
    evals: Annotated[
        Path | None, typer.Option("--evals", metavar="DIR", help="Where suites go. Default: the suites' folder.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when something could not be carried over.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Bring prompts, suites and cases in from promptfoo, LangChain, DeepEval, RAGAS, inspect_ai and others.

    Answers that came along with cases become a run that `ps score` judges.

    Says of everything that could not be carried over in which file and under which key it stands. Nothing in the files
    is run or fetched; a file of yours is never overwritten without --force. It writes everything or nothing.
    """
    context: Context = ctx.obj
    if not path.exists() and not path.is_symlink():
        raise NotFoundError(f"there is no file or folder {str(path)!r}")
    settings = context.settings()
    result = _from_here(import_path(path, format=format_name), path if path.is_dir() else path.parent)
    _check_made(result, path, settings)
    made = below(result.made, _folder_within(settings, out))
    targets = targets_of(made, out or _folder(settings, "prompts"), evals or _folder(settings, "evals"), force=force)
    kept = [target for target in targets if target.outcome == "kept"]
    if kept and not dry_run:
        raise UserError([_there_already(target) for target in kept])
    if not dry_run:
        write_all(targets)
        made_prompts = [target.path for target in targets if target.made.kind == "prompt"]
        if said := add_stanzas(made_prompts, settings):
            context.output.labeled("warning", said, "yellow")
    kept_answers = [] if dry_run else _keep_answers(context, settings, result, targets)
    if as_json:
        runs = [asdict(one) for one in kept_answers]
        context.output.json({**_object(result, targets, dry_run=dry_run), "runs": runs})
    else:
        for line in _lines(targets):
            context.output.line(line)
        context.output.flush()  # what was written stands before what was lost, also where both go to one pipe
        for text in _warnings(result):
            context.output.labeled("warning", text, "yellow")
        context.output.note(_summary(result, targets, dry_run=dry_run))
        for one in kept_answers:
            said = f"{_answers(one.answers)} of {one.suite}: run {one.run[:18]}, not judged yet"
            context.output.note(f"{said}; `{context.program} score {one.run[:18]}` judges them")
    return 1 if strict and (result.losses or result.unclaimed) else 0


def _keep_answers(context: Context, settings: Settings, result: Import, targets: Sequence[Target]) -> list[ImportedRun]:
    """Make a run of the answers that came along with cases. They are in the cases' metadata whatever happens here."""
    paths = {one.made.name: one.path for one in targets if one.made.kind == "suite"}
    fresh = {one.made.source for one in targets if one.outcome in ("new", "replaced")}
    if not result.answers:
        return []
    from promptstudio.evals.imported import store_answers  # the engine of evaluations, only where there are answers
    from promptstudio.evals.suite import load_suite

    kept: list[ImportedRun] = []
    for found in result.answers:
        why = "this is not a project" if settings.root is None else ""
        try:
            if found.source in fresh and not why:
                kept.append(store_answers(load_suite(paths[found.suite], settings), found, settings))
        except UserError as error:
            why = error.problems[0].message
        if why:
            said = f"{found.source}: its answers are kept in the metadata of the cases only: {why}"
            context.output.labeled("warning", said, "yellow")
    return kept


def _answers(count: int) -> str:
    return "1 answer" if count == 1 else f"{count:,} answers"


def _from_here(result: Import, folder: Path) -> Import:
    """Name the foreign files as they are reached from the current folder."""

    def name(file: str) -> str:
        return (folder / file).as_posix()

    return replace(
        result,
        made=tuple(replace(made, source=name(made.source)) for made in result.made),
        losses=tuple(replace(loss, file=name(loss.file)) for loss in result.losses),
        unclaimed=tuple(name(file) for file in result.unclaimed),
        sources=tuple((name(file), format_name) for file, format_name in result.sources),
        answers=tuple(replace(found, source=name(found.source)) for found in result.answers),
    )


def _folder(settings: Settings, name: str) -> Path:
    there = settings.prompts_dir if name == "prompts" else settings.evals_dir
    return there if there is not None else Path(name)


def _folder_within(settings: Settings, out: Path | None) -> str:
    """Return where --out lies below the prompts folder: that is how the prompts in it are named."""
    if out is None or settings.prompts_dir is None:
        return ""
    chosen, root = out.resolve(), settings.prompts_dir.resolve()
    return chosen.relative_to(root).as_posix() if chosen.is_relative_to(root) else ""


def _check_made(result: Import, path: Path, settings: Settings) -> None:
    if not result.made:
        unreadable = [loss for loss in result.losses if loss.reason.startswith("not read: ")]
        if unreadable:
            raise UserError(_problems(unreadable))
        raise NothingSelected(
            f"there is nothing to import in {path}",
            hint="name the format with --format; `ps import --help` lists them",
        )
    if problems := check(result.made, settings):
        raise UserError(problems)


def _problems(losses: Sequence[Loss]) -> list[Problem]:
    return [Problem(loss.reason, file=loss.file, line=loss.line) for loss in losses]


def _there_already(target: Target) -> Problem:
    said = f"there is a file already, with another text than what {target.made.source} becomes; nothing was imported"
    return Problem(said, file=_shown(target.path), hint="--force replaces it, --out DIR writes elsewhere")


def _shown(path: Path) -> str:
    """Return a path from the current folder where it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _lines(targets: Sequence[Target]) -> Iterator[str]:
    for target in targets:
        yield f"{target.outcome:<9} {_shown(target.path)}  (from {target.made.source})"


def _warnings(result: Import) -> Iterator[str]:
    for loss in result.losses:
        place = f"{loss.file}:{loss.line}" if loss.line is not None else loss.file
        what = "changed" if loss.severity == "changed" else "not carried over"
        yield f"{place}: {f'{loss.key}: ' if loss.key else ''}{loss.reason} ({what})"
    for name in result.unclaimed:
        yield f"{name}: of no format we know, left alone"


def _summary(result: Import, targets: Sequence[Target], *, dry_run: bool) -> str:
    written = sum(target.outcome in ("new", "replaced") for target in targets)
    verb = "would be written" if dry_run else "written"
    losses = len(result.losses)
    noted = f", {losses} {'thing was' if losses == 1 else 'things were'} lost or changed" if losses else ""
    return f"{written} {'file' if written == 1 else 'files'} {verb}{noted}"


def _object(result: Import, targets: Sequence[Target], *, dry_run: bool) -> dict[str, Any]:
    files = [
        {"path": _shown(one.path), "kind": one.made.kind, "outcome": one.outcome, "source": one.made.source}
        for one in targets
    ]
    return {
        "dry_run": dry_run,
        "files": files,
        "losses": [asdict(loss) for loss in result.losses],
        "unclaimed": list(result.unclaimed),
        "sources": [{"file": file, "format": format_name} for file, format_name in result.sources],
    }
