"""Locks between processes, which the system drops however a process ends: on a file, on a byte of one, on a folder.

POSIX only. A request under way is one lock: whoever holds it makes the call. Where the system can lock single bytes for
an open file (Linux) all requests share one file, and a lock costs next to nothing; elsewhere each has a file of its
own, which its holder removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, Self

from promptstudio.cache.place import make_folder

STALE_FILE_S = 3600.0
# The system's `struct flock` on 64 bits: type, whence, start, length, process. Others have no such locks.
_SET_LOCK: int | None = getattr(fcntl, "F_OFD_SETLK", None) if sys.platform == "linux" and sys.maxsize > 2**32 else None
_FLOCK = struct.Struct("hhqqi4x")


class Right(Protocol):
    """The right to make one call; at most one process (or event loop) has it at a time. Use it with `with`."""

    def take(self) -> bool:
        """Try once, without waiting. Raises OSError where there can be no lock."""
        ...

    def release(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Rights:
    """The rights to make calls, each named by the first bytes of a key. May be used from several threads."""

    def __init__(self, path: Path) -> None:
        self._folder = path.with_name(path.name + ".locks")
        self._bytes = _Bytes(path.with_name(path.name + ".claims")) if _SET_LOCK is not None else None

    def right(self, key: bytes) -> Right:
        if self._bytes is None:
            return Claim(self._folder, key.hex())
        return _ByteClaim(self._bytes, int.from_bytes(key[:7]))

    def sweep(self) -> None:
        """Remove what killed processes have left."""
        sweep_claims(self._folder)

    def close(self) -> None:
        """Let go of everything; it may be used again."""
        if self._bytes is not None:
            self._bytes.close()


class _Bytes:
    """Locks on single bytes of a file that stays empty. The system knows an open file, and we who of us holds which."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._process = 0
        self._held: set[int] = set()
        self._lock = threading.Lock()

    def lock(self, place: int) -> bool:
        with self._lock:
            descriptor = self._opened()
            if place in self._held:
                return False
            try:
                _set_lock(descriptor, fcntl.F_WRLCK, place)
            except BlockingIOError:
                return False
            self._held.add(place)
            return True

    def unlock(self, place: int) -> None:
        with self._lock:
            if place in self._held and self._descriptor is not None:
                self._held.remove(place)
                _set_lock(self._descriptor, fcntl.F_UNLCK, place)

    def close(self) -> None:
        with self._lock:
            self._forget()

    def _opened(self) -> int:
        """Return the file, opened anew after a fork, whose locks are its parent's, and where it was removed."""
        if self._descriptor is not None:
            if self._process == os.getpid() and os.fstat(self._descriptor).st_nlink:
                return self._descriptor
            self._forget()
        make_folder(self._path.parent)
        flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor, self._process = os.open(self._path, flags, 0o600), os.getpid()
        return self._descriptor

    def _forget(self) -> None:
        self._held.clear()
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


def _set_lock(descriptor: int, kind: int, place: int) -> None:
    assert _SET_LOCK is not None  # noqa: S101  else nobody makes one
    fcntl.fcntl(descriptor, _SET_LOCK, _FLOCK.pack(kind, os.SEEK_SET, place, 1, 0))


class _ByteClaim:
    """One byte, perhaps locked by us."""

    def __init__(self, locks: _Bytes, place: int) -> None:
        self._locks = locks
        self._place = place
        self._held = False

    def take(self) -> bool:
        self._held = self._held or self._locks.lock(self._place)
        return self._held

    def release(self) -> None:
        if self._held:
            self._held = False
            self._locks.unlock(self._place)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


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
