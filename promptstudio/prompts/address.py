"""An address of a prompt → the file it means. Parses no YAML where the path tells, and loads no template library."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from promptstudio.config.settings import Settings
from promptstudio.errors import NotFoundError, PromptFileError, UsageError
from promptstudio.prompts.files import DISK, Files
from promptstudio.prompts.library import SUFFIXES, prompt_rows, row_of
from promptstudio.prompts.wording import nearest, shown

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


def find_file(address: Address, settings: Settings, cwd: Path, files: Files = DISK) -> Path:
    """Return the file of an address that is a name or a path."""
    is_path = address.kind == "path" or (
        "/" in address.target and files.is_file(absolute_path(Path(address.target), cwd))
    )
    if is_path:
        return absolute_path(Path(address.target).expanduser(), cwd)
    return path_of(address.target, settings, files)


def shown_path_of(path: Path, settings: Settings, cwd: Path | None, files: Files = DISK) -> str:
    """Return a path as messages show it: from the project's root, else from the current folder, else in full."""
    absolute = absolute_path(path, cwd)
    for base in (settings.root, cwd):
        if base is not None and (below := path_below(absolute, base, files)):
            return files.prefix + below.as_posix()
    return files.prefix + absolute.as_posix()


def absolute_path(path: Path, cwd: Path | None) -> Path:
    """Return an absolute path without `..`; links stay as they are written."""
    return Path(os.path.normpath((cwd or Path.cwd()) / path))


def path_below(path: Path, base: Path, files: Files = DISK) -> Path | None:
    """Return the part of a path below a folder, also where one of them is written through a link."""
    if path.is_relative_to(base):
        return path.relative_to(base)
    real, real_base = files.real(path.parent) / path.name, files.real(base)
    return real.relative_to(real_base) if real.is_relative_to(real_base) else None


def path_of(name: str, settings: Settings, files: Files = DISK) -> Path:
    """Return the file of a prompt's name: the path below the prompts folder, or the file whose `name:` it is."""
    root = settings.prompts_dir
    if root is None:
        hint = "give a path such as ./greet.yaml, or make a project here: ps init"
        raise NotFoundError(f"there is no prompt {shown(name)}: this folder is in no project", hint=hint)
    wanted = unicodedata.normalize("NFC", name)
    near = [path for path in files_named(name, root, files) if row_of(path, settings, files).name == wanted]
    found = near or [row.path for row in prompt_rows(settings, files) if row.name == wanted]
    if len(found) > 1:
        both = " and ".join(shown_path_of(path, settings, None, files) for path in found)
        raise PromptFileError(f"two files are named {shown(name)}: {both}", hint="rename one of them")
    if not found:
        raise _unknown(name, settings, files)
    return found[0]


def files_named(name: str, root: Path, files: Files) -> list[Path]:
    """Return the files that stand where the name says; no link out of the folder, nothing that is not a prompt."""
    if any(part in ("", ".", "..") or part[0] in "_." for part in name.split("/")):
        return []
    paths = [root / (name + suffix) for suffix in SUFFIXES]
    real_root = files.real(root)
    return [path for path in paths if files.is_file(path) and files.real(path).is_relative_to(real_root)]


def _unknown(name: str, settings: Settings, files: Files) -> NotFoundError:
    rows = prompt_rows(settings, files)
    close = nearest(name, [row.name for row in rows]) or nearest(name, [row.name.rpartition("/")[2] for row in rows])
    if close:
        whole = next(row.name for row in rows if close in (row.name, row.name.rpartition("/")[2]))
        hint = f"did you mean {whole!r}?"
    elif rows:
        hint = "ps list shows all prompts"
    else:
        hint = "the prompts folder is empty"
    return NotFoundError(f"there is no prompt {shown(name)}", hint=hint)
