"""One commit of a repository → its files, as if they lay there: a `Files` of promptstudio.prompts.files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from promptstudio.errors import NotFoundError, PromptFileError
from promptstudio.prompts.textfile import MAX_BYTES, decode_text
from promptstudio.versions.repo import FOLDER, LINK, SUBMODULE, Entry, Repository

MAX_LINKS = 20


class GitFiles:
    """The files of one commit. `oids` are contents that are known already, by path below the repository's top."""

    def __init__(self, repository: Repository, commit: str, oids: Mapping[str, str | None] | None = None) -> None:
        self.repository = repository
        self.commit = commit
        self.prefix = f"{commit[:8]}:"
        self._oids = dict(oids or {})  # what is known already, by path

    @cached_property
    def _root(self) -> str:
        return self.repository.root_tree(self.commit)

    def oid_at(self, name: str) -> str | None:
        """Return the id of a file's content by its path below the top, links followed; None where there is no file."""
        if name not in self._oids:
            self._oids[name] = self._content_id(self.repository.top / name)
        return self._oids[name]

    def is_through_link(self, name: str) -> bool:
        """Whether a path below the top is a link, or leads through one."""
        parts = tuple(name.split("/"))
        try:
            return self._followed(parts) != parts
        except OSError:
            return True

    def real_name(self, name: str) -> str | None:
        """Return where a path below the top leads to, None outside the repository or in a circle."""
        try:
            parts = self._followed(tuple(name.split("/")))
        except OSError:
            return None
        return "/".join(parts) if parts[:1] != ("..",) else None

    def text(self, path: Path, *, shown: str) -> str:
        entry = self.entry(path)
        if entry is None:
            raise NotFoundError("there is no such file in this commit", file=shown)
        if entry.mode == SUBMODULE:
            raise PromptFileError("this is a submodule, not a file", file=shown)
        if entry.mode == FOLDER:
            raise PromptFileError("this is a directory, not a file", file=shown)
        found = self.repository.object(entry.oid)
        if found is None:
            hint = "a partial clone lacks files that were never fetched"
            raise PromptFileError("the file's content is missing in the repository", file=shown, hint=hint)
        return decode_text(found.content[: MAX_BYTES + 1], file=shown)

    def blob_id(self, path: Path) -> str | None:
        """Return the id of a file's content, links followed; None where there is no file."""
        parts = self._below(path)
        return self.oid_at("/".join(parts)) if parts else None

    def _content_id(self, path: Path) -> str | None:
        entry = self.entry(path)
        return entry.oid if entry is not None and entry.mode not in (FOLDER, SUBMODULE) else None

    def is_file(self, path: Path) -> bool:
        return self.blob_id(path) is not None

    def is_dir(self, path: Path) -> bool:
        entry = self.entry(path)
        return entry is not None and entry.mode == FOLDER

    def entries(self, folder: Path) -> list[str]:
        entry = self.entry(folder)
        return list(self.repository.tree(entry.oid)) if entry is not None and entry.mode == FOLDER else []

    def walk(self, root: Path) -> Iterator[tuple[Path, list[str]]]:
        entry = self.entry(root)
        if entry is not None and entry.mode == FOLDER:
            yield from self._walk(root, entry.oid)

    def _walk(self, folder: Path, oid: str) -> Iterator[tuple[Path, list[str]]]:
        listed = {name: entry for name, entry in self.repository.tree(oid).items() if name[0] not in "_."}
        yield folder, [name for name, entry in listed.items() if entry.mode not in (FOLDER, SUBMODULE)]
        for name, entry in listed.items():
            if entry.mode == FOLDER:
                yield from self._walk(folder / name, entry.oid)

    def real(self, path: Path) -> Path:
        """Follow the links the commit holds; a path outside the repository stays as it is."""
        parts = self._below(path)
        return self.repository.top.joinpath(*self._followed(parts)) if parts is not None else path

    def entry(self, path: Path) -> Entry | None:
        """Return what lies at a path, links followed."""
        parts = self._below(path)
        if parts is None:
            return None
        try:
            return self._lookup(self._followed(parts))
        except OSError:
            return None  # links in a circle lead to no file

    def _below(self, path: Path) -> tuple[str, ...] | None:
        whole = os.path.normpath(path)
        top = str(self.repository.top)
        if whole == top:
            return ()
        if not whole.startswith(top + os.sep):
            folder, name = os.path.split(whole)  # the working tree may be reached through a link
            whole = os.path.join(os.path.realpath(folder), name)  # noqa: PTH118  PurePath would cost each lookup
            if not whole.startswith(top + os.sep):
                return None
        return Path(whole[len(top) + 1 :]).parts

    def _lookup(self, parts: Iterable[str]) -> Entry | None:
        entry = Entry(FOLDER, self._root)
        for name in parts:
            if entry.mode != FOLDER:
                return None
            found = self.repository.tree(entry.oid).get(name)
            if found is None:
                return None
            entry = found
        return entry

    def _followed(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        """Return the parts with each link in them replaced by what it points at."""
        done: list[str] = []
        waiting = list(parts)
        links = 0
        while waiting:
            name = waiting.pop(0)
            if name in ("", "."):
                continue
            if name == "..":
                if not done:
                    return ("..", *waiting)  # out of the repository: nothing of it
                done.pop()
                continue
            entry = self._lookup((*done, name))
            if entry is None or entry.mode != LINK:
                done.append(name)
                continue
            links += 1
            if links > MAX_LINKS:
                raise OSError("links go round in a circle")
            found = self.repository.object(entry.oid)
            target = os.fsdecode(found.content[:4096]) if found else ""
            if target.startswith("/"):
                return ("..", *target.split("/"))
            waiting = [*target.split("/"), *waiting]
        return tuple(done)
