"""An address (a name, a path, or `-`) → `Prompt`."""

from __future__ import annotations

from pathlib import Path

from promptstudio.config.settings import Settings
from promptstudio.errors import UsageError
from promptstudio.prompts.address import (
    Address,
    absolute_path,
    find_file,
    parse_address,
    path_below,
    path_of,
    shown_path_of,
)
from promptstudio.prompts.assemble import Place, assemble
from promptstudio.prompts.files import DISK, Files
from promptstudio.prompts.includes import Folder
from promptstudio.prompts.library import default_name
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import read_yaml

__all__ = [
    "STDIN_NAME",
    "Address",
    "find_file",
    "load_file",
    "load_prompt",
    "parse_address",
    "path_of",
    "place_of",
    "shown_path_of",
]

STDIN_NAME = "stdin"


def load_prompt(
    address: str, settings: Settings, *, stdin: str | None = None, cwd: Path | None = None, files: Files = DISK
) -> Prompt:
    """Load the prompt an address names, from `files`.

    `stdin` is the text of standard input, for the address `-`; relative paths start at `cwd`. Revisions are for
    `promptstudio.versions.load`. Raises UsageError, NotFoundError, or PromptFileError with every problem of the file.
    """
    here = cwd or Path.cwd()
    parsed = parse_address(address)
    if parsed.revision is not None:
        raise UsageError(
            f"{shown(address)}: only a prompt of the working tree can be given here", hint="leave the @ part away"
        )
    if parsed.kind == "stdin":
        return _from_stdin(stdin, settings, parsed.variant)
    return load_file(find_file(parsed, settings, here, files), settings, variant=parsed.variant, cwd=here, files=files)


def _from_stdin(text: str | None, settings: Settings, variant: str | None) -> Prompt:
    if text is None:
        raise UsageError("the prompt is to come from standard input, and there is none", hint="pipe a file into it")
    shown_path = "<stdin>"
    document = read_yaml(text, file=shown_path)
    folder = Folder(settings.prompts_dir, settings.prompts_dir, lambda path: shown_path_of(path, settings, None))
    return assemble(document, Place(None, STDIN_NAME, shown_path, folder), settings, variant)


def load_file(
    path: Path, settings: Settings, *, variant: str | None = None, cwd: Path | None = None, files: Files = DISK
) -> Prompt:
    """Load a prompt from a file, which may lie outside the project."""
    shown_path = shown_path_of(path, settings, cwd, files)
    document = read_yaml(files.text(path, shown=shown_path), file=shown_path)
    return assemble(document, place_of(path, settings, cwd, files), settings, variant)


def place_of(path: Path, settings: Settings, cwd: Path | None = None, files: Files = DISK) -> Place:
    """Return name and folder of a file: a file outside the project reads only from its own folder."""
    absolute = absolute_path(path, cwd)
    root = absolute.parent
    if settings.prompts_dir is not None and settings.root is not None and path_below(absolute, settings.root, files):
        root = settings.prompts_dir
    inside = path_below(absolute, root, files)
    name = default_name(root / inside, root) if inside else default_name(absolute, absolute.parent)
    folder = Folder(root, absolute.parent, lambda file: shown_path_of(file, settings, cwd, files), files)
    return Place(absolute, name, shown_path_of(path, settings, cwd, files), folder)
