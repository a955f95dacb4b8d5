"""`ps export`: a prompt in another tool's format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from promptstudio.cli.completers import complete_inputs, complete_prompts
from promptstudio.cli.context import Context
from promptstudio.cli.values import parse_assignments, stdin_prompt
from promptstudio.config import Settings
from promptstudio.errors import UserError
from promptstudio.exchange.formats import EXPORTERS, exporter_for
from promptstudio.exchange.schema import Exported, ExportRequest, Loss, SuiteFile
from promptstudio.prompts.filewrite import create_file, write_atomically
from promptstudio.prompts.inputs import check_inputs
from promptstudio.prompts.library import suite_paths_in
from promptstudio.prompts.load import load_prompt, shown_path_of
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.textfile import read_text_file
from promptstudio.prompts.yamlfile import read_yaml

_FORMATS = [row.name for row in EXPORTERS]


def export_prompt(
    ctx: typer.Context,
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="greet, greet:short, a path, or -.", autocompletion=complete_prompts)
    ],
    *,
    format_name: Annotated[
        str,
        typer.Option(
            "--format", metavar="NAME", help=f"One of: {', '.join(_FORMATS)}.", autocompletion=lambda: _FORMATS
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE|DIR",
            help="Write there; without a suffix it is a folder. Default: to standard output.",
        ),
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "-v",
            "--var",
            metavar="NAME=VALUE",
            help="Inputs, as for run: what is rendered with them is written.",
            autocompletion=complete_inputs,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when the format cannot say something.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: the files and what is lost.")] = False,
) -> int:
    """Write a prompt for another tool, so that nobody is locked in. Says what that format has no words for."""
    context: Context = ctx.obj
    settings = context.settings()
    exporter = exporter_for(format_name)
    loaded = load_prompt(prompt, settings, stdin=stdin_prompt() if prompt == "-" else None)
    given = check_inputs(loaded, parse_assignments(values, loaded)) if values else None
    suites = tuple(_suites(loaded, settings)) if format_name == "promptfoo" else ()
    exported = exporter.write(ExportRequest(loaded, _stem(loaded), given, suites))
    written = _write(exported.files, out, force=force) if out is not None else []
    if as_json:
        context.output.json(_object(exported, written))
    else:
        if out is None:
            context.output.write(_page(exported.files))
        for path in written:
            context.output.line(str(path))
        context.output.flush()
        for loss in exported.losses:
            context.output.labeled("warning", _said(loss), "yellow")
    return 1 if strict and exported.losses else 0


def _stem(prompt: Prompt) -> str:
    return f"{prompt.name}.{prompt.variant}" if prompt.variant else prompt.name


def _suites(prompt: Prompt, settings: Settings) -> Iterator[SuiteFile]:
    """Yield the suites that judge the prompt; one that cannot be read judges nothing."""
    if settings.evals_dir is None or not settings.evals_dir.is_dir():
        return
    for path in suite_paths_in(settings.evals_dir):
        label = shown_path_of(path, settings, None)
        try:
            value = read_yaml(read_text_file(path, shown=label), file=label).value
        except UserError:
            continue  # `ps lint` says what is wrong with it
        named = [value.get("prompt"), *_listed(value.get("prompts"))] if isinstance(value, dict) else []
        if prompt.name in [name.partition(":")[0].partition("@")[0] for name in named if isinstance(name, str)]:
            yield SuiteFile(path.stem, label, value)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _page(files: Mapping[str, str]) -> str:
    """Return what standard output gets: the one file as it is, several with a line of comment above each."""
    if len(files) == 1:
        text = next(iter(files.values()))
        return text if text.endswith("\n") else text + "\n"
    return "".join(f"# {name}\n{text}{'' if text.endswith(chr(10)) else chr(10)}" for name, text in files.items())


def _write(files: Mapping[str, str], out: Path, *, force: bool) -> list[Path]:
    """Write the files: a name with a suffix is that of a single one, else it is a folder. None where one is there."""
    is_folder = out.is_dir() or len(files) > 1 or not out.suffix
    targets = {out / name if is_folder else out: text for name, text in files.items()}
    there = [path for path in targets if path.exists() or path.is_symlink()]
    if there and not force:
        raise UserError("there is a file already", file=str(there[0]), hint="--force replaces it")
    for path, text in targets.items():
        if path in there:
            write_atomically(path, text)
        else:
            create_file(path, text)
    return list(targets)


def _said(loss: Loss) -> str:
    place = f"{loss.file}:{loss.line}" if loss.line is not None else loss.file
    what = "changed" if loss.severity == "changed" else "not carried over"
    return f"{place}: {f'{loss.key}: ' if loss.key else ''}{loss.reason} ({what})"


def _object(exported: Exported, written: list[Path]) -> dict[str, Any]:
    return {
        "files": dict(exported.files),
        "written": [str(path) for path in written],
        "losses": [asdict(loss) for loss in exported.losses],
    }
