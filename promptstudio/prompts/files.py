"""Where the files of prompts are read from: the disk, or anything that looks like it (a commit, a bundle).

A prompt and everything it names (partials, examples, schemas) is read through one `Files`, so that it comes wholly from
one place. Paths are absolute; those of a commit or a bundle are where its files would lie on the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from promptstudio.errors import NotFoundError
from promptstudio.prompts.textfile import decode_text, read_text_file


class Files(Protocol):
    """What loading needs of a file system. `prefix` is put before the paths in messages, such as `a1b2c3d:`."""

    @property
    def prefix(self) -> str: ...

    def text(self, path: Path, *, shown: str) -> str:
        """Return the text of a UTF-8 file of at most 1 MiB. Raises NotFoundError or PromptFileError."""
        ...

    def is_file(self, path: Path) -> bool: ...

    def is_dir(self, path: Path) -> bool: ...

    def real(self, path: Path) -> Path:
        """Return the path with links followed. Raises OSError where they go round in a circle."""
        ...

    def entries(self, folder: Path) -> list[str]:
        """Return the names in a folder."""
        ...

    def walk(self, root: Path) -> Iterator[tuple[Path, list[str]]]:
        """Yield each folder below `root`, and the files in it; names with `_` or `.` in front are left out."""
        ...


class Disk:
    """The files as they lie there now."""

    prefix = ""

    def text(self, path: Path, *, shown: str) -> str:
        return read_text_file(path, shown=shown)

    def is_file(self, path: Path) -> bool:
        return path.is_file()

    def is_dir(self, path: Path) -> bool:
        return path.is_dir()

    def real(self, path: Path) -> Path:
        try:
            return path.resolve()
        except RuntimeError as cause:  # a link that points at itself, up to Python 3.12
            raise OSError(str(cause)) from cause

    def entries(self, folder: Path) -> list[str]:
        return [entry.name for entry in folder.iterdir()]

    def walk(self, root: Path) -> Iterator[tuple[Path, list[str]]]:
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if name[0] not in "_."]
            yield Path(folder), [name for name in files if name[0] not in "_."]


DISK = Disk()


class RecordingFiles:
    """Other files, remembering which paths were asked for: what a prompt depends on, also by not being there."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.prefix = files.prefix
        self.asked: dict[Path, None] = {}

    def text(self, path: Path, *, shown: str) -> str:
        self.asked[path] = None
        return self.files.text(path, shown=shown)

    def is_file(self, path: Path) -> bool:
        self.asked[path] = None
        return self.files.is_file(path)

    def is_dir(self, path: Path) -> bool:
        return self.files.is_dir(path)

    def real(self, path: Path) -> Path:
        return self.files.real(path)

    def entries(self, folder: Path) -> list[str]:
        return self.files.entries(folder)

    def walk(self, root: Path) -> Iterator[tuple[Path, list[str]]]:
        return self.files.walk(root)


class HeldFiles:
    """Files that are held in memory, by absolute path; there are no links among them."""

    def __init__(self, contents: Mapping[Path, bytes], prefix: str) -> None:
        self.contents = contents
        self.prefix = prefix
        self.folders: dict[Path, set[str]] = {}
        for path in contents:
            for child, folder in zip((path, *path.parents), path.parents, strict=False):
                self.folders.setdefault(folder, set()).add(child.name)

    def text(self, path: Path, *, shown: str) -> str:
        if path not in self.contents:
            raise NotFoundError("there is no such file", file=shown)
        return decode_text(self.contents[path], file=shown)

    def is_file(self, path: Path) -> bool:
        return path in self.contents

    def is_dir(self, path: Path) -> bool:
        return path in self.folders

    def real(self, path: Path) -> Path:
        return Path(os.path.normpath(path))

    def entries(self, folder: Path) -> list[str]:
        return sorted(self.folders.get(folder, ()))

    def walk(self, root: Path) -> Iterator[tuple[Path, list[str]]]:
        names = [name for name in self.entries(root) if name[0] not in "_."]
        yield root, [name for name in names if root / name in self.contents]
        for name in names:
            if root / name in self.folders:
                yield from self.walk(root / name)
