"""Files that a foreign file names, as `file://data/cases.csv` → their text: regular files of the imported folder."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from promptstudio.errors import PromptFileError
from promptstudio.exchange.schema import Foreign
from promptstudio.prompts.textfile import read_text_file
from promptstudio.prompts.wording import shown

MAX_MATCHES = 200
# Code: a file of these kinds is named in a loss, and neither opened nor run.
CODE = re.compile(r"\.(?:c?js|mjs|c?ts|mts|py|rb|sh|go|exe|bat|ps1)(?::[\w.]+)?$", re.IGNORECASE)


def near_file(name: str, foreign: Foreign, line: int | None = None) -> Foreign:
    """Return the file a foreign one names, relative to itself.

    Raises PromptFileError for one that is missing, too large, hidden, no regular file, or outside of the folder.
    """
    path = _near_path(name, foreign, line)
    label = path.relative_to(foreign.root.resolve()).as_posix()
    return Foreign(path, label, read_text_file(path, shown=label).replace("\r\n", "\n"), foreign.root.resolve())


def _near_path(name: str, foreign: Foreign, line: int | None) -> Path:
    def fail(said: str, hint: str | None = None) -> PromptFileError:
        return PromptFileError(f"{shown(name)} {said}", file=foreign.shown, line=line, hint=hint)

    if not name or "\0" in name or "\\" in name or name.startswith(("/", "~")) or re.match(r"[a-zA-Z]:", name):
        raise fail("is not a path within the imported folder")
    try:
        path = (foreign.path.parent / name).resolve()
        root = foreign.root.resolve()
        mode = path.stat().st_mode if path.is_relative_to(root) else None
    except FileNotFoundError as cause:
        raise fail("is not there") from cause
    except (OSError, RuntimeError, ValueError) as cause:
        raise fail("cannot be followed") from cause
    if mode is None:
        raise fail("lies outside of the imported folder", "import the folder that holds both files")
    if any(part.startswith(".") for part in path.relative_to(root).parts):
        raise fail("is a hidden file")
    if not stat.S_ISREG(mode):
        raise fail("is not a regular file")
    return path


def near_files(pattern: str, foreign: Foreign, line: int | None = None) -> Iterator[Foreign]:
    """Yield the file of that name, or the files of one folder that a `*` in the last part of the path matches."""
    folder, _, last = pattern.rpartition("/")
    if "*" not in last or "*" in folder:
        yield near_file(pattern, foreign, line)
        return
    base = (foreign.path.parent / folder).resolve()
    if not base.is_relative_to(foreign.root.resolve()) or not base.is_dir():
        raise PromptFileError(f"{shown(pattern)} matches nothing in the imported folder", file=foreign.shown, line=line)
    names = sorted(path.name for path in base.iterdir() if fnmatchcase(path.name, last) and path.name[0] != ".")
    if len(names) > MAX_MATCHES:
        raise PromptFileError(f"{shown(pattern)} matches more than {MAX_MATCHES} files", file=foreign.shown, line=line)
    for name in names:
        yield near_file(f"{folder}/{name}" if folder else name, foreign, line)
