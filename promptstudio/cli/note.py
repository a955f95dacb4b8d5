"""`ps note`: remarks on versions of prompts, kept in committed files."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from promptstudio.cli.completers import complete_prompts
from promptstudio.cli.context import Context
from promptstudio.cli.parser import new_app
from promptstudio.errors import PromptStudioError, UsageError, UserError
from promptstudio.prompts.load import parse_address
from promptstudio.versions.git import git_facts, git_user
from promptstudio.versions.load import load_prompt
from promptstudio.versions.notes import Note, new_note, read_notes, write_note

app = new_app(help="Notes on versions of prompts.")


@app.command("add")
def add(
    ctx: typer.Context,
    prompt: Annotated[
        str,
        typer.Argument(metavar="PROMPT[@REV]", help="What the note is about.", autocompletion=complete_prompts),
    ],
    text: Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="The note; - reads it from stdin.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Write a note on a version of a prompt, into a file of its own below prompt-notes/; commit it to share it."""
    context: Context = ctx.obj
    settings = context.project_settings()
    root = settings.root or Path.cwd()
    loaded = load_prompt(prompt, settings)
    words = " ".join(text or ())
    said = sys.stdin.read() if words == "-" else words
    commit = loaded.revision.commit if loaded.revision else git_facts(loaded.path, root).commit
    note = new_note(loaded, said, author=git_user(root), commit=commit)
    path = write_note(note, root)
    if as_json:
        context.output.json({**asdict(note), "file": path.relative_to(root).as_posix()})
    else:
        context.output.note(f"noted in {path.relative_to(root).as_posix()}; commit it to share it")
    return 0


@app.command("list")
def list_notes(
    ctx: typer.Context,
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="[PROMPT[@REV]]", help="Default: all prompts.", autocompletion=complete_prompts),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """List notes, oldest first. With @REV or a variant only those on exactly that behavior."""
    context: Context = ctx.obj
    settings = context.project_settings()
    root = settings.root or Path.cwd()
    address = parse_address(prompt) if prompt else None
    if address is not None and address.kind != "name":
        raise UsageError(f"{prompt}: notes are kept by name", hint="ps list shows the names")
    notes, problems = read_notes(root, address.target if address else None)
    if prompt and address is not None and (address.revision or address.variant):
        behavior = load_prompt(prompt, settings).identity.behavior
        notes = [note for note in notes if note.behavior == behavior]
    for problem in problems:
        context.output.labeled("warning", str(problem), "yellow")
    if as_json:
        context.output.json([asdict(note) for note in notes])
    else:
        _print(context, notes)
    return 0


def _print(context: Context, notes: list[Note]) -> None:
    current: dict[tuple[str, str | None], str | None] = {}
    for number, note in enumerate(notes):
        key = (note.prompt, note.variant)
        if key not in current:
            current[key] = _behavior_now(context, note)
        name = note.prompt + (f":{note.variant}" if note.variant else "")
        version = f" {note.version}" if note.version else ""
        mark = "" if current[key] == note.behavior else "  (changed since)"
        if number:
            context.output.line("")
        context.output.line(
            f"{name}{version}  {note.behavior[:15]}  {note.at[:16].replace('T', ' ')}  {note.author}{mark}"
        )
        for line in note.text.splitlines():
            context.output.line(f"  {line}")
    if not notes:
        context.output.note("no notes; `ps note add PROMPT TEXT` writes one")


def _behavior_now(context: Context, note: Note) -> str | None:
    address = note.prompt + (f":{note.variant}" if note.variant else "")
    try:
        return load_prompt(address, context.settings()).identity.behavior
    except (UserError, PromptStudioError):  # a prompt that is gone or broken has no behavior to compare with
        return None
