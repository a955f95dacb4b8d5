"""`ps edit`: a prompt in your editor, checked when you come back."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from promptstudio.cli.completers import complete_prompts
from promptstudio.cli.context import Context
from promptstudio.config import Settings
from promptstudio.errors import NotFoundError, ToolError, UsageError
from promptstudio.prompts.lint import Finding, lint_file
from promptstudio.prompts.load import find_file, parse_address, shown_path_of
from promptstudio.prompts.moving import partial_name
from promptstudio.prompts.naming import prompts_root
from promptstudio.prompts.wording import shown

# Tried in this order where neither variable is set.
USUAL_EDITORS = ("editor", "nano", "vim", "vi")


def edit(
    ctx: typer.Context,
    prompt: Annotated[
        str,
        typer.Argument(
            metavar="PROMPT", help="greet, a path, or a partial: _partials/tone.md.", autocompletion=complete_prompts
        ),
    ],
) -> int:
    """Open a prompt in $VISUAL or $EDITOR, then check it. Your text is always kept, also when it has errors.

    Exit code 1 when the prompt has errors afterwards.
    """
    context: Context = ctx.obj
    settings = context.settings()
    return edit_file(_file(prompt, settings), context, settings)


def _file(prompt: str, settings: Settings) -> Path:
    if settings.prompts_dir is not None and (name := partial_name(prompt, settings, Path.cwd())) is not None:
        path = prompts_root(settings) / name
        if not path.is_file():
            raise NotFoundError(f"there is no partial {shown(name)}")
        return path
    address = parse_address(prompt)
    if address.kind == "stdin" or address.revision is not None:
        raise UsageError(f"{shown(prompt)} is not a file of the working tree", hint="name the prompt or its file alone")
    path = find_file(address, settings, Path.cwd())
    if not path.is_file():
        raise NotFoundError(f"there is no file {shown(str(path))}", hint="`ps new NAME` makes a prompt")
    return path


def edit_file(path: Path, context: Context, settings: Settings) -> int:
    """Let the person edit a file until it loads, or they have enough of it."""
    command = editor_command(context.env)
    file = shown_path_of(path, settings, Path.cwd())
    before = path.read_bytes()
    while True:
        _run(command, path)
        if not path.is_file():
            raise NotFoundError("the file is gone: the editor did not leave one", file=file)
        findings = [] if _is_partial(path, settings) else lint_file(path, settings)
        _print(context, findings)
        errors = sum(finding.level == "error" for finding in findings)
        if not errors or not _wants_again(context):
            break
    kept = "saved" if path.read_bytes() != before else "not changed"
    context.output.note(f"{file}: {kept}" + (f", with {errors} error{'' if errors == 1 else 's'}" if errors else ""))
    return 1 if errors else 0


def editor_command(env: Mapping[str, str]) -> list[str]:
    """Return the editor as the words of a command; no shell ever sees them."""
    for variable in ("VISUAL", "EDITOR"):
        if not (value := env.get(variable, "").strip()):
            continue
        try:
            words = shlex.split(value)
        except ValueError as cause:
            hint = f"as in {variable}='code --wait'"
            raise UsageError(f"{variable} is {shown(value)}, which has an open quote", hint=hint) from cause
        if words:
            return words
    found = next((name for name in USUAL_EDITORS if shutil.which(name, path=env.get("PATH"))), None)
    if found is None:
        raise UsageError("no editor is known", hint="set EDITOR, as in: export EDITOR='code --wait'")
    return [found]


def _run(command: Sequence[str], path: Path) -> None:
    """The path is absolute, so that no name can be taken for an option."""
    try:
        done = subprocess.run([*command, os.fspath(path.absolute())], check=False)
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise ToolError(f"the editor {shown(command[0])} cannot be started: {reason}", hint="set EDITOR") from cause
    if done.returncode:
        hint = "the file is as the editor left it"
        raise ToolError(f"the editor {shown(command[0])} ended with code {done.returncode}", hint=hint)


def _is_partial(path: Path, settings: Settings) -> bool:
    return settings.prompts_dir is not None and (
        path.is_relative_to(settings.prompts_dir)
        and any(part.startswith("_") for part in path.relative_to(settings.prompts_dir).parts)
    )


def _print(context: Context, findings: Sequence[Finding]) -> None:
    for finding in findings:
        context.output.labeled(finding.level, str(finding.problem), "red" if finding.level == "error" else "yellow")
        if finding.problem.hint:
            context.output.labeled("hint", finding.problem.hint, "green")


def _wants_again(context: Context) -> bool:
    is_person = sys.stdin is not None and sys.stdin.isatty() and context.output.err_is_tty
    return is_person and typer.confirm("Edit again?", default=True, err=True)
