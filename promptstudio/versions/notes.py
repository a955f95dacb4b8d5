"""Notes on versions of prompts: one small file each, committed beside the prompts.

They are files and not git notes, because a clone, a push and a pull request carry files and leave git notes behind, and
a rebase loses them. A note names the behavior it is about, so it stays true whatever commit the prompt ends up in. One
file a note: two people never write into the same one, and merging never conflicts.
"""

from __future__ import annotations

import secrets
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promptstudio.errors import Problem, PromptFileError, UsageError, UserError
from promptstudio.prompts.filewrite import create_file
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.yamlfile import dump_yaml, read_text_file, read_yaml

NOTES_FOLDER = "prompt-notes"
MAX_TEXT = 20_000
MAX_NOTES = 10_000
_KEYS = ("prompt", "variant", "version", "behavior", "commit", "author", "at", "text")


@dataclass(frozen=True, slots=True)
class Note:
    """One remark. `at` is ISO 8601 in UTC, to the millisecond, so that notes keep their order.

    `commit` is what HEAD or the given revision was, if anything was committed.
    """

    prompt: str
    variant: str | None
    version: str | None
    behavior: str
    commit: str | None
    author: str
    at: str
    text: str
    file: str = ""


def new_note(prompt: Prompt, text: str, *, author: str, commit: str | None, now: datetime | None = None) -> Note:
    """Return a note on a prompt as it was loaded. Raises UsageError for an empty or a very long text."""
    text = text.strip("\r\n \t")
    if not text:
        raise UsageError("the note is empty", hint='ps note add greet "Customers liked the short form."')
    if len(text) > MAX_TEXT:
        raise UsageError(f"the note has {len(text):,} characters; the limit is {MAX_TEXT:,}")
    at = (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    behavior = prompt.identity.behavior
    return Note(prompt.name, prompt.variant, prompt.version, behavior, commit, author, at, text)


def write_note(note: Note, root: Path) -> Path:
    """Write a note into a file of its own, and return its path."""
    folder = root / NOTES_FOLDER / note.prompt
    if not folder.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"{NOTES_FOLDER} leads out of the project through a link", hint="make it a folder")
    moment = note.at.replace("-", "").replace(":", "").replace(".", "")
    path = folder / f"{moment}-{secrets.token_hex(3)}.yaml"
    values = {key: getattr(note, key) for key in _KEYS if getattr(note, key) is not None}
    create_file(path, dump_yaml(values), shown=path.relative_to(root).as_posix())
    return path


def read_notes(root: Path, prompt: str | None = None) -> tuple[list[Note], list[Problem]]:
    """Return the notes of a project, or of one prompt, oldest first; and what could not be read."""
    notes: list[Note] = []
    problems: list[Problem] = []
    folder = root / NOTES_FOLDER
    paths = sorted(folder.rglob("*.yaml"))[:MAX_NOTES] if folder.is_dir() else []
    for path in paths:
        if not path.resolve().is_relative_to(root.resolve()):
            continue
        try:
            note = _read(path, path.relative_to(root).as_posix())
        except UserError as cause:
            problems += cause.problems
            continue
        if prompt is None or unicodedata.normalize("NFC", note.prompt) == unicodedata.normalize("NFC", prompt):
            notes.append(note)
    return sorted(notes, key=lambda note: (note.at, note.file)), problems


def _read(path: Path, where: str) -> Note:
    document = read_yaml(read_text_file(path, shown=where), file=where)
    value: Any = document.value
    if not isinstance(value, dict):
        raise PromptFileError("expected a map of keys such as `text:`", file=where, line=1)
    for key, said in value.items():
        if key not in _KEYS or not isinstance(said, str):
            line, column = document.keys.get((key,), (1, 1))
            fact = f"unknown key {key[:60]!r}" if key not in _KEYS else f"{key}: expected text"
            raise PromptFileError(fact, file=where, line=line, column=column, hint=f"the keys are {', '.join(_KEYS)}")
    if missing := [key for key in ("prompt", "behavior", "author", "at", "text") if key not in value]:
        raise PromptFileError(f"missing key {missing[0]!r}", file=where, line=1)
    return Note(file=where, **{key: value.get(key) for key in _KEYS})  # type: ignore[arg-type]  # text, as checked above
