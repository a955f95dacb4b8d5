"""Who is still alive: a process with open rows holds a lock on a file, which the system drops however it ends.

The file is made and locked before the first row names it, and removed only by whoever holds its lock. So a row whose
lock file is gone or can be locked has lost its process. POSIX only (flock).
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import threading
import time
from pathlib import Path

from promptstudio.history.ids import new_id

STALE_FILE_S = 3600.0
"""A lock file no row names is swept when it is this old: a younger one may belong to a row about to be written."""

_held: dict[Path, tuple[int, str]] = {}
_guard = threading.Lock()


def host_name() -> str:
    return os.uname().nodename.replace(":", "-") or "localhost"


def own_owner(locks_dir: Path) -> str:
    """Return `host:name` of this process for this folder, taking the lock at the first call."""
    locks_dir = locks_dir.absolute()
    with _guard:
        if locks_dir not in _held or not _still_there(locks_dir):
            _held[locks_dir] = _take_lock(locks_dir)
        return f"{host_name()}:{_held[locks_dir][1]}"


def is_own(owner: str | None) -> bool:
    """Whether an owner is this process, which does not ask for its own lock: on NFS it would get it again."""
    name = (owner or "").rpartition(":")[2]
    return any(name == own for _, own in _held.values())


def is_alive(owner: str | None, locks_dir: Path) -> bool:
    """Whether the process behind an owner still holds its lock. A dead one's file is removed."""
    name = (owner or "").rpartition(":")[2]
    if not name or "/" in name or name.startswith("."):
        return False
    return is_own(owner) or not _bury(locks_dir / name)


def sweep_files(locks_dir: Path) -> None:
    """Remove old lock files without a living owner: their processes ended before they had a row."""
    with contextlib.suppress(OSError):  # no folder, nothing to sweep; read-only, not ours to sweep
        for entry in os.scandir(locks_dir):
            if time.time() - entry.stat().st_mtime > STALE_FILE_S and not is_own(entry.name):
                _bury(Path(entry.path))


def release_all() -> None:
    """Give up the locks of this process; its open rows become `interrupted` to the next one that looks."""
    with _guard:
        for folder, (descriptor, name) in _held.items():
            with contextlib.suppress(OSError):  # the folder may have been removed under us
                (folder / name).unlink()
            os.close(descriptor)
        _held.clear()


def _take_lock(locks_dir: Path) -> tuple[int, str]:
    locks_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        name = new_id()
        descriptor = os.open(locks_dir / name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, name
        os.close(descriptor)  # someone took it for a dead one's between the two calls: make another


def _still_there(locks_dir: Path) -> bool:
    """Whether our file is still in its folder: someone may have removed the folder with the history."""
    descriptor, _ = _held[locks_dir]
    if os.fstat(descriptor).st_nlink:
        return True
    os.close(descriptor)
    return False


def _bury(path: Path) -> bool:
    """Remove the lock file of a dead process; False when its process lives."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # not ours to open: leave the row to its user
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(OSError):  # gone already, or the folder is read-only: dead all the same
            path.unlink()
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _forget_parent() -> None:
    """After a fork the lock is the parent's: the child closes its copy, else the lock outlives the parent."""
    global _guard  # noqa: PLW0603  another thread of the parent may have held it at the fork
    _guard = threading.Lock()
    for descriptor, _ in _held.values():
        os.close(descriptor)
    _held.clear()


atexit.register(release_all)
os.register_at_fork(after_in_child=_forget_parent)
