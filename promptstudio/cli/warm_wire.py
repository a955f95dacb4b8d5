"""What the client of the warm process and the warm process agree on: its name, its folder, and the bytes between them.

A request is numbers and texts separated by zero bytes, which neither arguments nor variables can hold, beside the open
files themselves. Imports next to nothing: the client's start is what a warm run costs.
"""

# pathlib, json and dataclasses would cost the client more than what they are for here.
# ruff: noqa: PTH100, PTH102, PTH103, PTH111, PTH112, PTH117, PTH118, PTH120, PTH208

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import signal
import socket
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from promptstudio.cli.table import VERSION

# Variables that matter while libraries are imported or before; the process is started with these alone, and another
# value of one of them is another process. Never a secret: see `start_environment`.
NAMES = frozenset(
    {
        "AZURE_OPENAI_ENDPOINT",
        "DISABLE_AIOHTTP_TRANSPORT",
        "HOME",
        "LANG",
        "LANGUAGE",
        "LD_LIBRARY_PATH",
        "LITELLM_LOG",
        "NO_COLOR",
        "OPENAI_API_TYPE",
        "OPENAI_API_VERSION",
        "OPENAI_LOG",
        "SSL_CERTIFICATE",
        "TMPDIR",
        "TZ",
        "USE_DDTRACE",
    }
)
PREFIXES = ("AIOHTTP_", "LC_", "LITELLM_", "PYTHON", "SSL_")
SECRETS = ("KEY", "TOKEN", "SECRET", "PASSW", "CREDENTIAL", "AUTH")

NAMESPACES = ("mnt", "net", "pid", "user", "uts")
"""A process in a container with the same files is still not ours to serve."""

HANDSHAKE_S = 5.0
LONGEST_WAIT_S = 7 * 86400.0
MAX_FILES = 64
MAX_BYTES = 64 * 1024 * 1024
NOTICED = tuple(
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGTSTP", "SIGCONT", "SIGUSR1", "SIGUSR2")
)
"""Signals that a client passes on to its run."""

ACCEPTED, GO = b"A", b"G"
EXITED, KILLED = ord("E"), ord("K")


class Request(NamedTuple):
    """A command line and all that a process inherits. `files` are the numbers the sent files have at the client.

    `streams` are encoding, errors, line buffering and write-through of standard input, output and error.
    """

    program: str
    umask: int
    ignored: tuple[int, ...]
    files: tuple[int, ...]
    streams: tuple[str, ...]
    argv: tuple[str, ...]
    path: tuple[str, ...]
    environment: tuple[bytes, ...]


def encoded(request: Request) -> bytes:
    numbers = [request.umask, *_counted(request.ignored), *_counted(request.files)]
    texts = [request.program, *request.streams, *_counted(request.argv), *_counted(request.path)]
    return b"\0".join([*(os.fsencode(str(one)) for one in [*numbers, *texts]), *request.environment])


def decoded(data: bytes) -> Request:
    """Read a request; raises ValueError or StopIteration where it is none."""
    fields = iter(data.split(b"\0"))
    umask = int(next(fields))
    ignored = tuple(int(one) for one in _taken(fields))
    files = tuple(int(one) for one in _taken(fields))
    program, *streams = [os.fsdecode(next(fields)) for _ in range(1 + 3 * 4)]
    argv = tuple(os.fsdecode(one) for one in _taken(fields))
    path = tuple(os.fsdecode(one) for one in _taken(fields))
    return Request(program, umask, ignored, files, tuple(streams), argv, path, tuple(fields))


def _counted(items: tuple[object, ...]) -> list[object]:
    return [len(items), *items]


def _taken(fields: Iterator[bytes]) -> list[bytes]:
    return [next(fields) for _ in range(int(next(fields)))]


def start_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables the process is started with."""
    return {name: value for name, value in environment.items() if is_given(name)}


def is_given(name: str) -> bool:
    chosen = name in NAMES or name.startswith(PREFIXES)
    return chosen and not any(word in name for word in SECRETS)


def name_of(seconds: float, environment: Mapping[str, str], path: Iterable[str]) -> str:
    """Return the name of the process that may serve us: the same user, machine, interpreter, installation and limits.

    The files of this package are part of it, and the folders others are installed in: after an update or an edit the
    name is another one, and nobody finds the old process any more.
    """
    folders = tuple(path)
    facts = (
        VERSION,
        seconds,
        (os.getresuid(), os.getresgid(), sorted(os.getgroups())),
        os.uname().nodename,
        [_link(f"/proc/self/ns/{name}") for name in NAMESPACES],
        (sys.executable, sys.version, sys.prefix, tuple(sys.flags)),
        folders,
        [_changed_ns(folder) for folder in folders if folder.endswith(("site-packages", "dist-packages"))],
        sorted(_files(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))),
        sorted(start_environment(environment).items()),
        [resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")],
    )
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _files(folder: str) -> Iterator[tuple[str, int, int]]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            if entry.name != "__pycache__":
                yield from _files(entry.path)
        else:
            facts = entry.stat()
            yield entry.path, facts.st_mtime_ns, facts.st_size


def _changed_ns(folder: str) -> int | None:
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116
    except OSError:
        return None


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115
    except OSError:
        return None


def folder_of(environment: Mapping[str, str]) -> str:
    """Return where sockets lie: in the folder the system makes for this session, else in the user's cache."""
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and os.path.isdir(runtime):
        return os.path.join(runtime, "promptstudio")
    cache = environment.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):
        cache = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "promptstudio", "warm")


def open_folder(path: str) -> int:
    """Make and open the folder; raises PermissionError where another user could have a hand in it."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    facts = os.fstat(folder)
    if facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) & 0o077:
        os.close(folder)
        raise PermissionError(f"{path} is not this user's alone")
    return folder


def address_in(folder: int, name: str) -> str:
    """Return a socket's address through the open folder: short enough at any depth, and in this very folder."""
    return f"/proc/self/fd/{folder}/{name}"


def peer_is_us(connection: socket.socket) -> bool:
    """Ask the system, not the peer, whose process is at the other end."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[4:8], sys.byteorder, signed=True) == os.geteuid()


def open_files() -> list[int]:
    """Return the numbers of all open files of this process, but not the one that lists them."""
    numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    return [number for number in numbers if _is_open(number)]


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
