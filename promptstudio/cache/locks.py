"""Locks between processes, which the system drops however a process ends: on a file of their own, or on a folder.

POSIX only (flock). One file a request under way: whoever holds its lock makes the call, and removes the file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from promptstudio.cache.place import make_folder

STALE_FILE_S = 3600.0


class Claim:
    """The right to make one call, held by at most one process (or event loop) at a time."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / name
        self._descriptor: int | None = None
        self._held = False

    def take(self) -> bool:
        """Try once, without waiting. Raises OSError where there can be no lock file."""
        if self._descriptor is None:
            make_folder(self._path.parent.parent)
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if not os.fstat(self._descriptor).st_nlink:  # the last holder removed it: it is no longer the one others see
            self.release()
            return self.take()
        self._held = True
        return True

    def release(self) -> None:
        """Let go, also where the claim was never taken."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        if self._held:
            self._held = False
            with contextlib.suppress(OSError):  # the folder was removed under us
                self._path.unlink()
        os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the lock on a folder itself: no file is made in it. Waits for its turn; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sweep_claims(folder: Path) -> None:
    """Remove old lock files of processes that were killed."""
    with contextlib.suppress(OSError):  # no folder, nothing to sweep
        for entry in os.scandir(folder):
            if time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE_FILE_S:
                claim = Claim(folder, entry.name)
                with contextlib.suppress(OSError), claim:
                    claim.take()
