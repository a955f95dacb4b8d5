"""`promptstudio.lock` on the disk and in commits: read, and changed by one writer at a time.

The file lies at the project's root. Its values are in `stanza`, how its text is read in `lock_reading`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from promptstudio.config import Settings
from promptstudio.errors import LockFileError
from promptstudio.versions.lock_reading import MAX_BYTES, parse_lock
from promptstudio.versions.repo import Repository
from promptstudio.versions.stanza import HEAD, LOCK_NAME, Evidence, Label, Lock, Stanza, is_passing, lock_text, scalar

__all__ = [
    "LOCK_NAME", "Evidence", "Label", "Lock", "Stanza", "alone", "change_lock", "is_passing", "labels_at", "lock_at",
    "lock_text", "parse_lock", "read_lock", "relative_path", "rewrite_lock", "root_prefix",
]  # fmt: skip

WAIT_S = 10.0
_STEP_S = 0.02


def read_lock(root: Path | None) -> Lock:
    """Return what the lock file in a project's root says now; without a file, or a project, an empty lock."""
    if root is None:
        return Lock()
    path = root / LOCK_NAME
    try:
        if not path.is_file() and path.exists():
            raise LockFileError("this is no regular file", file=LOCK_NAME)
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return Lock()
    except OSError as cause:
        raise LockFileError(f"cannot read the file: {cause.strerror}", file=LOCK_NAME) from cause
    return parse_lock(_decoded(data, LOCK_NAME))


def read_stanza(root: Path, name: str) -> Lock:
    """Return the lock file as far as it speaks of one prompt: that is quick however many there are.

    A text that ps did not write is read whole, so that what is wrong with it is told.
    """
    path = root / LOCK_NAME
    text = _decoded(path.read_bytes()[: MAX_BYTES + 1], LOCK_NAME) if path.is_file() else ""
    start = text.find(f"\n  {scalar(name)}:\n    ")
    if not text.startswith(HEAD) or "\n<<<<<<< " in text or "\n>>>>>>> " in text:
        return read_lock(root)
    if start < 0:
        return Lock()
    end = text.find("\n\n", start + 1)
    return parse_lock(f"{HEAD}{text[start:end] if end >= 0 else text[start:].rstrip()}\n")


def lock_at(repository: Repository, commit: str, settings: Settings) -> Lock:
    """Return the lock file of a commit, an empty one where it has none."""
    shown = f"{commit[:8]}:{LOCK_NAME}"
    found = repository.object(f"{commit}:{relative_path(repository, settings.root, LOCK_NAME)}")
    if found is None or found.kind != "blob":
        return Lock(file=shown)
    return parse_lock(_decoded(found.content[: MAX_BYTES + 1], shown), file=shown)


def labels_at(repository: Repository, commit: str, settings: Settings) -> Mapping[str, Mapping[str, Label]]:
    """Return the labels of each prompt as the lock file of a commit has them."""
    return {name: stanza.labels for name, stanza in lock_at(repository, commit, settings).prompts.items()}


def root_prefix(repository: Repository, root: Path | None) -> str:
    """Return what git puts before paths below the project's root: `services/bot/`, empty at the repository's top."""
    below = Path(os.path.realpath(root or repository.top)).relative_to(repository.top).as_posix()
    return "" if below == "." else f"{below}/"


def relative_path(repository: Repository, root: Path | None, path: str) -> str:
    """Return a path below the project's root as git names it, from the top of the repository."""
    return root_prefix(repository, root) + path


def _decoded(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise LockFileError(f"the file is larger than {MAX_BYTES:,} bytes", file=file)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as cause:
        line = data.count(b"\n", 0, cause.start) + 1
        raise LockFileError("not UTF-8", file=file, line=line, hint="take the file from git again") from cause


def change_lock(root: Path, change: Callable[[Lock], Mapping[str, Stanza]]) -> Lock:
    """Read the lock file, let `change` say what its prompts are now, and write it where that is something else.

    Only one process at a time does so; others wait. Raises LockFileError, and then the file is as it was.
    """
    with alone(root):
        return rewrite_lock(root, change)


def rewrite_lock(root: Path, change: Callable[[Lock], Mapping[str, Stanza]]) -> Lock:
    """Do what `change_lock` does, for callers that keep other writers away themselves."""
    # weight: who only reads needs none of it
    from promptstudio.prompts.filewrite import create_file, write_atomically

    before = read_lock(root)
    text = lock_text(change(before).values())
    path = root / LOCK_NAME
    if text != before.source and path.exists():
        write_atomically(path, text, was=before.source.encode(), shown=LOCK_NAME)
    elif text != before.source:
        create_file(path, text, shown=LOCK_NAME)
    return parse_lock(text)


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Keep other writers away. The project's folder itself is held: a file of our own could be left behind."""
    try:
        descriptor = os.open(root, os.O_RDONLY)
    except OSError as cause:
        raise LockFileError(f"the project's folder cannot be read: {cause.strerror}", file=LOCK_NAME) from cause
    try:
        _wait_for(descriptor)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int) -> None:
    give_up = time.monotonic() + WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            if time.monotonic() > give_up:
                raise LockFileError(
                    "another ps is writing it", file=LOCK_NAME, hint="run the command again when that one is done"
                ) from cause
            time.sleep(_STEP_S)
        except OSError:
            return  # a file system without locks: that nobody changed the file meanwhile is still checked
        else:
            return
