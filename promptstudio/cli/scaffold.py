"""A template's name and a folder → a project in it. Never overwrites: what is there stays, and is said to stay."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from promptstudio.cli.schema import KINDS, schema_text
from promptstudio.config.load import FILE_NAME, STATE_FOLDER
from promptstudio.errors import NotFoundError, UserError
from promptstudio.prompts.wording import suggestion

# Data, not code: a folder for each template; `@NAME@` in promptstudio.toml becomes the project's name.
TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
IGNORED = f"{STATE_FOLDER}/"
DEFAULT = "basic"
# Template → the command that shows it at work.
FIRST_COMMAND = {
    "basic": "run greet -v name=Ada",
    "typed": 'run triage -v ticket="I was charged twice"',
    "arabic": 'run reply -v message="لم يصلني الطلب"',
}


@dataclass(frozen=True, slots=True)
class Placed:
    """What happened to one file; `path` is relative to the project."""

    path: str
    outcome: Literal["created", "kept", "changed"]


def template_names() -> tuple[str, ...]:
    return tuple(FIRST_COMMAND)


def scaffold(root: Path, template: str | None) -> list[Placed]:
    """Write a template's files into a folder, which is made where it is missing; without one only what all share."""
    if template is not None and template not in FIRST_COMMAND:
        raise NotFoundError(
            f"there is no template {template!r}", hint=suggestion(template, FIRST_COMMAND, otherwise="templates")
        )
    root = root.absolute()
    placed = []
    try:
        root.mkdir(parents=True, exist_ok=True)
        for name, text in _files(root, template):
            placed.append(_place(root, name, text))
        placed.append(_ignore(root))
        placed.append(_lock(root))
    except OSError as error:
        path = error.filename or str(root)
        raise UserError(f"cannot write: {error.strerror}", file=str(path)) from error
    return placed


def _files(root: Path, template: str | None) -> Iterator[tuple[str, str]]:
    if template is not None:
        yield from _template_files(root, TEMPLATES / template)
    yield f"{STATE_FOLDER}/.gitignore", "*\n"
    for kind in KINDS:
        yield f"{STATE_FOLDER}/schemas/{kind}.schema.json", schema_text(kind)


def _template_files(root: Path, folder: Path) -> Iterator[tuple[str, str]]:
    # A folder may have any name; what cannot be printed cannot stand in a settings file.
    name = "".join(char if char.isprintable() else "_" for char in root.name) or "prompts"
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            # JSON's string escapes are also TOML's.
            yield str(path.relative_to(folder)), text.replace("@NAME@", json.dumps(name, ensure_ascii=False))


def _place(root: Path, name: str, text: str) -> Placed:
    path = root / name
    private = name.startswith(IGNORED)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o777)
    try:
        # Exclusive: a file that is there stays, and a link is not followed.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return Placed(name, "kept")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return Placed(name, "created")


def _ignore(root: Path) -> Placed:
    """Make git ignore the history: it may hold what people wrote."""
    path = root / ".gitignore"
    try:
        present = path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return _place(root, ".gitignore", f"{IGNORED}\n.env\n")
    if {IGNORED, STATE_FOLDER, f"/{IGNORED}", f"/{STATE_FOLDER}"} & {line.strip() for line in present.splitlines()}:
        return Placed(".gitignore", "kept")
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{'' if present.endswith(chr(10)) or not present else chr(10)}{IGNORED}\n")
    return Placed(".gitignore", "changed")


def _lock(root: Path) -> Placed:
    """Make the lock file with a stanza for each prompt: two branches then promote without meeting in one line."""
    # weight: settings and prompts are read only here
    from promptstudio.config import load_settings
    from promptstudio.versions.labels import completed, prompt_files
    from promptstudio.versions.stanza import LOCK_NAME, lock_text

    try:
        prompts = completed({}, prompt_files(load_settings(root, env={}), None))
    except UserError:  # settings that cannot be read keep nobody from the rest; the stanzas come with the first label
        prompts = {}
    return _place(root, LOCK_NAME, lock_text(prompts.values()))


def is_project(root: Path) -> bool:
    return (root / FILE_NAME).exists()
