"""A project at one moment: as a commit has it, or as it lies in the working tree now.

Both answer for any path which content lies there, as git names contents, so that what is known of a content need not be
found out again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from promptstudio.config import Settings, settings_as_of
from promptstudio.prompts.files import DISK, Files
from promptstudio.versions.gitfiles import GitFiles
from promptstudio.versions.repo import Repository

SETTINGS_FILE = "promptstudio.toml"
MAX_FILE_BYTES = 64_000_000
NOW = ""


class VersionedFiles(Files, Protocol):
    """Files that know their contents by git's ids."""

    def oid_at(self, name: str) -> str | None:
        """Return the id of the content of the file at a path below the repository's top, links followed."""
        ...


class Moment(NamedTuple):
    """A project as one commit has it: its files, and the settings that prompts were resolved with.

    `commit` is empty (`NOW`) for the working tree.
    """

    commit: str
    files: VersionedFiles
    settings: Settings


def moment_at(repository: Repository, commit: str, settings: Settings) -> Moment:
    """Return the project as a commit has it; without a promptstudio.toml there, with the settings of now."""
    files = GitFiles(repository, commit)
    return Moment(commit, files, settings_in(files, repository, settings))


def settings_in(files: GitFiles, repository: Repository, now: Settings) -> Settings:
    """Return the settings that a commit's promptstudio.toml gives; without one, those of now."""
    root = now.root or repository.top
    place = root / SETTINGS_FILE
    if not files.is_file(place):
        return now
    shown_path = files.prefix + SETTINGS_FILE
    return settings_as_of(files.text(place, shown=shown_path), shown=shown_path, root=root, now=now)


def working_tree(repository: Repository, settings: Settings) -> Moment:
    """Return the project as it lies there now, with the settings that hold now."""
    return Moment(NOW, WorkFiles(repository), settings)


class WorkFiles:
    """The files of the working tree. A `Files` that hashes contents as git does."""

    prefix = ""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self._oids: dict[str, str | None] = {}
        self._head: GitFiles | None = None

    def oid_at(self, name: str) -> str | None:
        if name not in self._oids:
            self._oids[name] = self._hashed(name)
        return self._oids[name]

    def _hashed(self, name: str) -> str | None:
        path = self.repository.top / name
        try:
            if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
                return None
            content = path.read_bytes()
        except (OSError, ValueError):  # gone in between, or unreadable: what reads it next says why
            return None
        oid = self._oid(content)
        if b"\r\n" not in content:
            return oid
        # A checkout may have written CRLF for the LF of the commit; both mean the same.
        plain = self._oid(content.replace(b"\r\n", b"\n"))
        return plain if self._at_head(name) == plain else oid

    def _oid(self, content: bytes) -> str:
        data = b"blob %d\0" % len(content) + content
        if self.repository.is_sha256:
            return hashlib.sha256(data).hexdigest()
        return hashlib.sha1(data, usedforsecurity=False).hexdigest()

    def _at_head(self, name: str) -> str | None:
        if self._head is None:
            head = self.repository.head()
            if head is None:
                return None
            self._head = GitFiles(self.repository, head)
        return self._head.oid_at(name)

    def text(self, path: Path, *, shown: str) -> str:
        return DISK.text(path, shown=shown)

    def is_file(self, path: Path) -> bool:
        return DISK.is_file(path)

    def is_dir(self, path: Path) -> bool:
        return DISK.is_dir(path)

    def real(self, path: Path) -> Path:
        return DISK.real(path)

    def entries(self, folder: Path) -> list[str]:
        return DISK.entries(folder)

    def walk(self, root: Path) -> Iterator[tuple[Path, list[str]]]:
        return DISK.walk(root)


def below_top(path: Path, repository: Repository) -> str | None:
    """Return a path below the repository's top with `/`, None outside; its folder may be reached through a link."""
    whole = os.path.normpath(path)
    top = repository.prefix
    if not whole.startswith(top):
        folder, name = os.path.split(whole)
        whole = os.path.join(os.path.realpath(folder), name)  # noqa: PTH118  as in GitFiles
    return whole[len(top) :].replace(os.sep, "/") if whole.startswith(top) else None
