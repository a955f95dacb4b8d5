"""`ps lint`: check prompt and suite files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from promptstudio.cli.context import Context
from promptstudio.config import Settings
from promptstudio.errors import NotFoundError, NothingSelected
from promptstudio.prompts.library import is_record
from promptstudio.prompts.lint import Finding, lint_file, lint_project

SUFFIXES = (".yaml", ".yml")


def lint(
    ctx: typer.Context,
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders; the whole project without.", metavar="[PATHS]...")
    ] = None,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Check prompts and suites: shape, templates, examples, secrets. Runs none of them, imports no code of yours.

    Exit code 1 when there are errors, 5 when there was nothing to check.
    """
    context: Context = ctx.obj
    findings, files = _findings(context, paths or [])
    errors = sum(finding.level == "error" for finding in findings)
    warnings = len(findings) - errors
    if as_json:
        found = [_object(finding) for finding in findings]
        context.output.json({"files": files, "errors": errors, "warnings": warnings, "findings": found})
    else:
        for line in _lines(findings):
            context.output.line(line)
        context.output.note(_summary(files, errors, warnings))
    return 1 if errors or (strict and warnings) else 0


def _findings(context: Context, paths: Sequence[Path]) -> tuple[list[Finding], int]:
    if not paths:
        settings = context.project_settings()
        files = sum(
            1
            for folder in (settings.prompts_dir, settings.evals_dir)
            if folder and folder.is_dir()
            for _ in _files(folder)
        )
        if files == 0:
            raise NothingSelected("there is no prompt and no suite to check", hint=_where(settings))
        return lint_project(settings), files
    settings = context.settings()
    chosen = [file for path in paths for file in _files(path)]
    if not chosen:
        raise NothingSelected(f"no .yaml file in {', '.join(str(path) for path in paths)}")
    return [finding for file in chosen for finding in lint_file(file, settings)], len(chosen)


def _where(settings: Settings) -> str:
    return f"prompts lie in {settings.prompts_dir}, suites in {settings.evals_dir}"


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        found = (file for file in sorted(path.rglob("*")) if file.suffix in SUFFIXES and file.is_file())
        yield from (file for file in found if not file.name.startswith("_") and not is_record(file))
    elif path.exists():
        yield path
    else:
        raise NotFoundError(f"there is no file {str(path)!r}", hint="name files or folders, not prompts")


def _lines(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        problem = finding.problem
        yield f"{problem.place or '-'}: {finding.level}: {problem.message} ({finding.rule})"
        if problem.hint:
            yield f"    hint: {problem.hint}"


def _summary(files: int, errors: int, warnings: int) -> str:
    checked = _counted(files, "file")
    if not errors and not warnings:
        return f"{checked}, nothing to complain about"
    return f"{checked}: {_counted(errors, 'error')}, {_counted(warnings, 'warning')}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _object(finding: Finding) -> dict[str, Any]:
    problem = finding.problem
    return {
        "level": finding.level,
        "rule": finding.rule,
        "message": problem.message,
        "hint": problem.hint,
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
    }
