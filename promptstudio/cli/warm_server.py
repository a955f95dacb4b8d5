"""The warm process: imports what a run needs, then forks for each request that `warm` sends.

Three processes have a part. The one that waits never reads a request, so that no key is ever in it; it starts no
thread and no event loop. For each client it forks a keeper, which reads the request, passes signals on and says how the
run ended. The keeper forks the run, which takes over the client's files, folder and environment and is in all a `ps
run`. If the client goes the keeper kills the run; if the keeper goes the kernel does.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import importlib
import io
import os
import select
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, TextIO

from promptstudio.cli import warm_wire as wire
from promptstudio.cli.main import RARELY
from promptstudio.cli.warm import LOCK_NUMBER

TICK_S = 3.0
"""How often it looks whether it is still wanted."""

PR_SET_PDEATHSIG = 1
PIECE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Loaded:
    """What importing did with the environment: the variables it looked at, and those it set."""

    read: frozenset[str]
    added: Mapping[str, str]


def main() -> None:
    """Become the warm process. `argv` holds its name, its seconds and its folder; it was born with the lock."""
    name, seconds, path = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    given, folders = dict(os.environ), tuple(sys.path)
    folder = wire.open_folder(path)

    def is_current() -> bool:
        return wire.name_of(seconds, given, folders) == name

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        loaded = load()
        if is_current() and not _has_threads():
            _serve(folder, name, seconds, loaded, is_current)
    finally:
        with contextlib.suppress(FileNotFoundError):  # the folder was taken away
            os.unlink(f"{name}.lock", dir_fd=folder)


def _serve(folder: int, name: str, seconds: float, loaded: Loaded, is_current: Callable[[], bool]) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        own = _listen(listener, folder, name)
        try:
            server = Server(listener, (folder, LOCK_NUMBER), loaded, seconds)
            server.wait(lambda: _inode(name, folder) == own and is_current())
        finally:
            if _inode(name, folder) == own:
                os.unlink(name, dir_fd=folder)


def load() -> Loaded:
    """Import what runs need, and take note of the environment's part in it."""
    plain, before = type(os.environ), dict(os.environ)
    looked_at: set[str] = set()

    class Noted(plain):  # type: ignore[misc, valid-type]
        def __getitem__(self, name: str) -> str:
            looked_at.add(name)
            return str(super().__getitem__(name))

    gc.disable()
    os.environ.__class__ = Noted
    try:
        _import_all()
    finally:
        os.environ.__class__ = plain
    gc.collect()
    gc.freeze()  # what is here stays: looking through it again would also copy its memory in every run
    gc.set_threshold(*RARELY)
    gc.enable()
    added = {name: value for name, value in os.environ.items() if name not in before}
    return Loaded(frozenset(looked_at), added)


def _import_all() -> None:
    import rich.live
    import rich.progress  # noqa: F401

    import promptstudio.cli.dispatch
    import promptstudio.cli.ending
    import promptstudio.cli.parser
    import promptstudio.cli.run
    import promptstudio.output.model  # noqa: F401
    from promptstudio.history import preload
    from promptstudio.providers.call import load_everything

    load_everything()
    preload()


def _has_threads() -> bool:
    return len(os.listdir("/proc/self/task")) > 1  # noqa: PTH208


def _listen(listener: socket.socket, folder: int, name: str) -> int | None:
    """Open the socket under our name, and return its inode. Whoever had the name was killed: the lock is ours."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
    os.umask(0o177)
    listener.bind(wire.address_in(folder, name))
    listener.listen(128)
    return _inode(name, folder)


def _inode(name: str, folder: int) -> int | None:
    try:
        return os.stat(name, dir_fd=folder).st_ino
    except OSError:
        return None


class Server:
    """Forks a keeper for each client. `own` are the open files that belong to the waiting process alone."""

    def __init__(self, listener: socket.socket, own: Sequence[int], loaded: Loaded, seconds: float) -> None:
        self._listener = listener
        self._own = own
        self._loaded = loaded
        self._seconds = seconds
        self._keepers = 0

    def wait(self, is_wanted: Callable[[], bool]) -> None:
        """Serve until nobody came for `seconds`, or it is no longer wanted. Keepers go on by themselves."""
        until = time.monotonic() + self._seconds
        while is_wanted() and (self._keepers or time.monotonic() < until):
            left_s = TICK_S if self._keepers else max(0.0, until - time.monotonic())
            ready, _, _ = select.select([self._listener], [], [], min(TICK_S, left_s))
            if ready and is_wanted():
                self._accept()
            if ready or self._bury():
                until = time.monotonic() + self._seconds

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it is gone already
            connection, _ = self._listener.accept()
            with connection:
                if not wire.peer_is_us(connection):
                    return
                if os.fork() == 0:
                    self._listener.close()
                    _keep(connection, self._own, self._loaded)
                self._keepers += 1

    def _bury(self) -> bool:
        """Take leave of keepers that have ended; True if there were any."""
        before = self._keepers
        with contextlib.suppress(ChildProcessError):
            while self._keepers and os.waitpid(-1, os.WNOHANG)[0]:
                self._keepers -= 1
        return self._keepers < before


def _keep(connection: socket.socket, own: Sequence[int], loaded: Loaded) -> NoReturn:
    """The keeper, from its fork to its end. Where it gives up the client runs the usual way."""
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number in own:
            os.close(number)  # the lock among them: the next process may start while this run goes on
        connection.settimeout(wire.HANDSHAKE_S)
        request, files = _received(connection)
        if _can_serve(request, files, connection, loaded):
            _run_for(connection, request, files, loaded)
    except (OSError, ValueError, StopIteration, EOFError):
        pass  # said to the client by the end of the connection
    finally:
        os._exit(0)


def _received(connection: socket.socket) -> tuple[wire.Request, list[int]]:
    size, files, _, _ = socket.recv_fds(connection, 8, wire.MAX_FILES + 1, socket.MSG_CMSG_CLOEXEC)
    left = int.from_bytes(size, "big")
    if len(size) != 8 or left > wire.MAX_BYTES:
        raise ValueError("not a request")
    data = bytearray()
    while len(data) < left:
        piece = connection.recv(PIECE_BYTES)
        if not piece:
            raise EOFError
        data += piece
    return wire.decoded(bytes(data)), files


def _can_serve(request: wire.Request, files: list[int], connection: socket.socket, loaded: Loaded) -> bool:
    """Whether the run would be what it is when it begins at the beginning."""
    names = {os.fsdecode(entry.partition(b"=")[0]) for entry in request.environment}
    if any(not wire.is_given(name) for name in names & loaded.read):
        return False  # a library looked for it when it was imported here, and did not find it
    ours = set(wire.open_files()) - {0, 1, 2, *files}
    return len(files) == len(request.files) + 1 and not (ours - {connection.fileno()}) & set(request.files)


def _run_for(connection: socket.socket, request: wire.Request, files: list[int], loaded: Loaded) -> None:
    """Fork the run, let it go when the client says so, and stay until it has ended."""
    gate, opener = os.pipe()
    keeper = os.getpid()
    run = os.fork()
    if run == 0:
        os.close(opener)
        connection.close()
        _become(request, files, loaded, gate, keeper)
    ended = os.pidfd_open(run)
    for number in (*files, gate):
        os.close(number)
    connection.sendall(wire.ACCEPTED)
    if connection.recv(1) != wire.GO:
        return  # with us goes the run
    os.write(opener, wire.GO)
    connection.settimeout(None)
    _attend(connection, run, ended)


def _attend(connection: socket.socket, run: int, ended: int) -> None:
    """Pass signals on, say how the run ended, and kill it when the client is gone."""
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(connection, select.POLLIN)
    while ended not in {number for number, _ in poll.poll()}:
        numbers = connection.recv(64)
        if not numbers:
            os.killpg(run, signal.SIGKILL)
            return
        for number in numbers:
            _pass_on(number, run)
    code = os.waitstatus_to_exitcode(os.waitpid(run, 0)[1])
    connection.sendall(bytes([wire.EXITED, code] if code >= 0 else [wire.KILLED, -code]))


def _pass_on(number: int, run: int) -> None:
    if number == signal.SIGTSTP:
        os.killpg(run, signal.SIGSTOP)  # nobody's foreground, where SIGTSTP would do nothing
    elif number == signal.SIGCONT:
        os.killpg(run, signal.SIGCONT)
    elif number in wire.NOTICED:
        os.kill(run, number)


def _become(request: wire.Request, files: list[int], loaded: Loaded, gate: int, keeper: int) -> NoReturn:
    """The run: wait for the word, take over what the client sent, and be `ps run` until the end."""
    code = 1
    try:
        os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.read(gate, 1) != wire.GO or os.getppid() != keeper:
            os._exit(0)
        os.close(gate)
        _take_over(request, files, loaded.added)
        from promptstudio.cli.dispatch import dispatch
        from promptstudio.cli.ending import end_process

        code = dispatch(list(request.argv[1:]), request.program)
        end_process(code)
    except KeyboardInterrupt:
        code = 130
    except BaseException:  # noqa: BLE001  nothing is above this frame to print it
        traceback.print_exc()
    finally:
        os._exit(code)


def _take_over(request: wire.Request, files: list[int], added: Mapping[str, str]) -> None:
    os.fchdir(files[-1])
    _adopt(files, request.files)
    os.umask(request.umask)
    os.environ.clear()
    os.environb.update(entry.partition(b"=")[::2] for entry in request.environment)
    for name, value in added.items():
        os.environ.setdefault(name, value)
    sys.argv[:], sys.path[:] = request.argv, request.path
    importlib.invalidate_caches()
    tempfile.tempdir = None
    time.tzset()
    sys.stdin, sys.stdout, sys.stderr = (
        _opened(number, request.streams[4 * number : 4 * number + 4]) for number in range(3)
    )
    for ignored in request.ignored:
        signal.signal(ignored, signal.SIG_IGN)


def _adopt(files: list[int], numbers: Sequence[int]) -> None:
    """Give the client's files the numbers they have there. First out of the way: one may have the number of another."""
    above = max(*files, *numbers) + 1
    moved = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, above) for one in files[:-1]]
    for one in files:
        os.close(one)
    for one, number in zip(moved, numbers, strict=True):
        os.dup2(one, number)
        os.close(one)


def _opened(number: int, facts: Sequence[str]) -> TextIO:
    """Open a standard stream the way Python does at its start."""
    encoding, errors, by_line, through = facts
    mode = "rb" if number == 0 else "wb"
    unbuffered = number > 0 and through == "1"
    binary = open(number, mode, buffering=0 if unbuffered else -1, closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(binary, encoding, errors, "\n", line_buffering=by_line == "1", write_through=through == "1")
