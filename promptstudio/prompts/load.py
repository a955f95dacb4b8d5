"""An address (a name, a path, or `-`) → `Prompt`."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from promptstudio.config.settings import Settings
from promptstudio.errors import NotFoundError, PromptFileError, UsageError
from promptstudio.prompts.assemble import Place, assemble
from promptstudio.prompts.includes import Folder
from promptstudio.prompts.library import SUFFIXES, default_name, prompt_rows, row_of
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.wording import nearest, shown
from promptstudio.prompts.yamlfile import read_text_file, read_yaml

STDIN_NAME = "stdin"
_ADDRESS_HINT = "an address is NAME, NAME:VARIANT, a path to a .yaml file, or - for standard input"
_PATH = re.compile(r"(?P<target>.*\.ya?ml)(?::(?P<variant>[^:@/]*))?(?:@(?P<revision>.*))?", re.DOTALL)
_NAME = re.compile(r"(?P<target>[^:@]*)(?::(?P<variant>[^:@]*))?(?:@(?P<revision>.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Address:
    """What a user writes to name a prompt. `target` is a name or a path; for standard input it is `-`."""

    kind: Literal["name", "path", "stdin"]
    target: str
    variant: str | None = None
    revision: str | None = None


def parse_address(address: str) -> Address:
    """Take an address apart without looking at the disk."""
    parts = _PATH.fullmatch(address) or _NAME.fullmatch(address)
    if parts is None or not parts["target"] or "\0" in address or "" in (parts["variant"], parts["revision"]):
        raise UsageError(f"{shown(address)} is not an address of a prompt", hint=_ADDRESS_HINT)
    target = parts["target"]
    is_path = parts.re is _PATH or target.startswith(("./", "../", "/", "~/")) or Path(target).is_absolute()
    kind: Literal["name", "path", "stdin"] = "stdin" if target == "-" else "path" if is_path else "name"
    return Address(kind, target, parts["variant"], parts["revision"])


def load_prompt(address: str, settings: Settings, *, stdin: str | None = None, cwd: Path | None = None) -> Prompt:
    """Load the prompt an address names.

    `stdin` is the text of standard input, for the address `-`; relative paths start at `cwd`. Raises UsageError,
    NotFoundError, or PromptFileError with every problem of the file.
    """
    here = cwd or Path.cwd()
    parsed = _as_path_if_one_is_there(parse_address(address), here)
    if parsed.revision is not None:
        hint = "check the revision out, or leave the @ part away for the file as it is now"
        raise UsageError(f"{shown(address)}: revisions and labels are not supported yet", hint=hint)
    if parsed.kind == "stdin":
        return _from_stdin(stdin, settings, parsed.variant)
    if parsed.kind == "path":
        return load_file(here / Path(parsed.target).expanduser(), settings, variant=parsed.variant, cwd=here)
    return load_file(path_of(parsed.target, settings), settings, variant=parsed.variant, cwd=here)


def _as_path_if_one_is_there(address: Address, here: Path) -> Address:
    if address.kind == "name" and "/" in address.target and (here / address.target).is_file():
        return Address("path", address.target, address.variant, address.revision)
    return address


def _from_stdin(text: str | None, settings: Settings, variant: str | None) -> Prompt:
    if text is None:
        raise UsageError("the prompt is to come from standard input, and there is none", hint="pipe a file into it")
    shown_path = "<stdin>"
    document = read_yaml(text, file=shown_path)
    folder = Folder(settings.prompts_dir, settings.prompts_dir, lambda path: shown_path_of(path, settings, None))
    return assemble(document, Place(None, STDIN_NAME, shown_path, folder), settings, variant)


def load_file(path: Path, settings: Settings, *, variant: str | None = None, cwd: Path | None = None) -> Prompt:
    """Load a prompt from a file, which may lie outside the project."""
    shown_path = shown_path_of(path, settings, cwd)
    document = read_yaml(read_text_file(path, shown=shown_path), file=shown_path)
    return assemble(document, place_of(path, settings, cwd), settings, variant)


def place_of(path: Path, settings: Settings, cwd: Path | None = None) -> Place:
    """Return name and folder of a file: a file outside the project reads only from its own folder."""
    absolute = _absolute(path, cwd)
    root = absolute.parent
    if settings.prompts_dir is not None and settings.root is not None and _below(absolute, settings.root):
        root = settings.prompts_dir
    inside = _below(absolute, root)
    name = default_name(root / inside, root) if inside else default_name(absolute, absolute.parent)
    folder = Folder(root, absolute.parent, lambda file: shown_path_of(file, settings, cwd))
    return Place(absolute, name, shown_path_of(path, settings, cwd), folder)


def shown_path_of(path: Path, settings: Settings, cwd: Path | None) -> str:
    """Return a path as messages show it: from the project's root, else from the current folder, else in full."""
    absolute = _absolute(path, cwd)
    for base in (settings.root, cwd):
        if base is not None and (below := _below(absolute, base)):
            return below.as_posix()
    return absolute.as_posix()


def _absolute(path: Path, cwd: Path | None) -> Path:
    """Return an absolute path without `..`; links stay as they are written."""
    return Path(os.path.normpath((cwd or Path.cwd()) / path))


def _below(path: Path, base: Path) -> Path | None:
    """Return the part of a path below a folder, also where one of them is written through a link."""
    if path.is_relative_to(base):
        return path.relative_to(base)
    real = path.parent.resolve() / path.name
    return real.relative_to(base.resolve()) if real.is_relative_to(base.resolve()) else None


def path_of(name: str, settings: Settings) -> Path:
    """Return the file of a prompt's name: the path below the prompts folder, or the file whose `name:` it is."""
    root = settings.prompts_dir
    if root is None:
        hint = "give a path such as ./greet.yaml, or make a project here: ps init"
        raise NotFoundError(f"there is no prompt {shown(name)}: this folder is in no project", hint=hint)
    wanted = unicodedata.normalize("NFC", name)
    near = [path for path in _files_named(name, root) if row_of(path, settings).name == wanted]
    found = near or [row.path for row in prompt_rows(settings) if row.name == wanted]
    if len(found) > 1:
        files = " and ".join(shown_path_of(path, settings, None) for path in found)
        raise PromptFileError(f"two files are named {shown(name)}: {files}", hint="rename one of them")
    if not found:
        raise _unknown(name, settings)
    return found[0]


def _files_named(name: str, root: Path) -> list[Path]:
    """Return the files that stand where the name says; no link out of the folder, nothing that is not a prompt."""
    if any(part in ("", ".", "..") or part[0] in "_." for part in name.split("/")):
        return []
    files = [root / (name + suffix) for suffix in SUFFIXES]
    return [path for path in files if path.is_file() and path.resolve().is_relative_to(root.resolve())]


def _unknown(name: str, settings: Settings) -> NotFoundError:
    rows = prompt_rows(settings)
    close = nearest(name, [row.name for row in rows]) or nearest(name, [row.name.rpartition("/")[2] for row in rows])
    if close:
        whole = next(row.name for row in rows if close in (row.name, row.name.rpartition("/")[2]))
        hint = f"did you mean {whole!r}?"
    elif rows:
        hint = "ps list shows all prompts"
    else:
        hint = "the prompts folder is empty"
    return NotFoundError(f"there is no prompt {shown(name)}", hint=hint)
