"""`ps run` through the warm process: arguments → exit code, or None where the run is to go the usual way.

Opt-in: PROMPTSTUDIO_WARM=SECONDS, or `warm` under [run]. The first run starts the process in the background and goes
its own way; later ones hand it their arguments, environment, folder and open files, and wait. Whatever is not as
expected means None. `warm_server` is the other side, docs/warm.md the whole picture.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from types import FrameType

from promptstudio.cli import warm_wire as wire

INTERRUPTED_CODE = 130
KILLED_CODE = 137  # what a shell reports for a program that SIGKILL ended
LOCK_NUMBER = 3
SERVER = "import sys; sys.path[:] = sys.argv[4:]; from promptstudio.cli.warm_server import main; main()"


def run_warm(argv: list[str], program: str) -> int | None:
    """Have the warm process run this command line; start one where there is none."""
    command, project = _command(argv)
    if sys.platform != "linux" or command != "run":
        return None
    try:
        seconds = _seconds(project, os.environ)
        return _ask(argv, program, seconds) if seconds and _is_plain() else None
    except OSError:
        return None  # no folder, no socket, a process that is gone or too busy: the usual way needs none of it
    except KeyboardInterrupt:
        return INTERRUPTED_CODE


def _command(argv: list[str]) -> tuple[str | None, str | None]:
    """Return the command, and the folder that --project names before it."""
    words, project = iter(argv), None
    for word in words:
        if not word.startswith("-"):
            return word, project
        name, equals, value = word.partition("=")
        if name == "--project":
            project = value if equals else next(words, None)
    return None, project


def _seconds(project: str | None, environment: Mapping[str, str]) -> float | None:
    """How long the process is to wait for more; None where there is to be none, or something is wrong with it."""
    text = environment.get("PROMPTSTUDIO_WARM")
    try:
        seconds = float(text) if text else _from_settings(project, environment)
    except Exception:  # noqa: BLE001  the usual way meets the same problem, and says what it is
        return None
    if seconds is None or not 0 < seconds < float("inf"):
        return None
    return min(float(seconds), wire.LONGEST_WAIT_S)


def _from_settings(project: str | None, environment: Mapping[str, str]) -> float | None:
    from pathlib import Path  # weight: only where no variable says it

    from promptstudio.config import load_settings

    start = Path(project).expanduser() if project else Path.cwd()
    return load_settings(start, env=environment).run_warm_s


def _is_plain() -> bool:
    """Whether this is a program like any other: our script with its own streams, in front, and nobody debugs it."""
    words = sys.orig_argv[1:3]
    is_script = bool(words) and words[0].rpartition("/")[2] in ("ps", "promptstudio")
    is_watched = sys.gettrace() or sys.getprofile() or sys.flags.verbose or sys.flags.inspect or sys.flags.dev_mode
    if not (is_script or words == ["-m", "promptstudio"]) or is_watched or not sys.executable:
        return False
    if "PYTHONPROFILEIMPORTTIME" in os.environ:
        return False
    try:
        streams = (sys.stdin, sys.stdout, sys.stderr)
        are_own = all(isinstance(one, io.TextIOWrapper) and one.fileno() == at for at, one in enumerate(streams))
        return are_own and (not os.isatty(0) or os.tcgetpgrp(0) == os.getpgrp())
    except (OSError, ValueError):
        return False  # a closed stream, or the terminal of another session


def _ask(argv: list[str], program: str, seconds: float) -> int | None:
    name = wire.name_of(seconds, os.environ, sys.path)
    inherited = [number for number in wire.open_files() if number < 3 or os.get_inheritable(number)]
    path = wire.folder_of(os.environ)
    folder = wire.open_folder(path)
    try:
        with socket.socket(socket.AF_UNIX) as connection, _signals_held() as held:
            connection.settimeout(wire.HANDSHAKE_S)
            try:
                connection.connect(wire.address_in(folder, name))
            except (FileNotFoundError, ConnectionRefusedError):
                _start(path, folder, name, seconds)
                return None
            if held or not wire.peer_is_us(connection) or not _handed_over(connection, argv, program, inherited):
                return None
            connection.settimeout(None)
            return _result(connection)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _signals_held() -> Iterator[set[int]]:
    """Keep signals until it is known whose they are; yields those that were held before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, wire.NOTICED)
    try:
        yield {int(number) for number in before}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _handed_over(connection: socket.socket, argv: list[str], program: str, files: list[int]) -> bool:
    """Send the request and the open files; True when the other side has agreed and knows that we know.

    Nothing has run before that, so that a run is never made twice.
    """
    if len(files) > wire.MAX_FILES or files[:3] != [0, 1, 2]:
        return False
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        data = wire.encoded(_request(program, argv, files))
        socket.send_fds(connection, [len(data).to_bytes(8, "big")], [*files, here])
        connection.sendall(data)
        if connection.recv(1) != wire.ACCEPTED:
            return False
        connection.sendall(wire.GO)
    finally:
        os.close(here)
    return True


def _request(program: str, argv: list[str], files: list[int]) -> wire.Request:
    umask = os.umask(0o077)
    os.umask(umask)
    ours = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores these itself
    ignored = [one for one in signal.valid_signals() if one not in ours and signal.getsignal(one) == signal.SIG_IGN]
    streams = [(one.encoding, one.errors, one.line_buffering, one.write_through) for one in _streams()]
    return wire.Request(
        program=program,
        umask=umask,
        ignored=tuple(int(number) for number in ignored),
        files=tuple(files),
        streams=tuple(str(int(fact) if isinstance(fact, bool) else fact) for facts in streams for fact in facts),
        argv=(sys.argv[0], *argv),
        path=tuple(sys.path),
        environment=tuple(name + b"=" + value for name, value in os.environb.items()),
    )


def _streams() -> list[io.TextIOWrapper]:
    return [one for one in (sys.stdin, sys.stdout, sys.stderr) if isinstance(one, io.TextIOWrapper)]


def _result(connection: socket.socket) -> int:
    """Pass signals on until the run has ended, and end as it did: by its exit code, or by its signal."""

    def forward(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):  # it has just ended
            connection.send(bytes([number]))
        if number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)

    heeded = [number for number in wire.NOTICED if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, forward) for number in heeded}
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, wire.NOTICED)
        how = connection.recv(2, socket.MSG_WAITALL)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if len(how) < 2:
        sys.stderr.write(
            "error: the process that ran this was killed\n"
            "hint: `ps history` shows how far it came; PROMPTSTUDIO_WARM=0 runs without the warm process\n"
        )
        return KILLED_CODE
    return how[1] if how[0] == wire.EXITED else _die_of(how[1])


def _die_of(number: int) -> int:
    """End by the same signal, so that a shell sees what it would have seen; one core file is enough."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


def _start(path: str, folder: int, name: str, seconds: float) -> None:
    """Start the process in the background, unless another run is about to; whoever holds the lock is the one."""
    lock = os.open(f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_nlink:  # else the last holder has just removed it
            _spawn(lock, [name, repr(seconds), path, *sys.path], wire.start_environment(os.environ))
    finally:
        os.close(lock)


def _spawn(lock: int, words: list[str], environment: dict[str, str]) -> None:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:  # twice, so that it is nobody's child and leaves no zombie
            _shed(lock)
            os.execve(sys.executable, [sys.executable, "-c", SERVER, *words], environment)  # noqa: S606
    finally:
        os._exit(0)


def _shed(lock: int) -> None:
    """Let go of all that belongs to this run: files, folder, signals; keep the lock."""
    nothing = os.open(os.devnull, os.O_RDWR)
    if lock == LOCK_NUMBER:
        os.set_inheritable(lock, True)  # noqa: FBT003
    else:
        os.dup2(lock, LOCK_NUMBER)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.closerange(LOCK_NUMBER + 1, os.sysconf("SC_OPEN_MAX"))
    os.chdir("/")
    os.umask(0o077)
    for one in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(one, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
