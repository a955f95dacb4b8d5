"""The two console scripts. `ps` is also the system's `ps`: what is not ours goes to that one before anything loads.

Imports nothing but os and sys until it knows that the command is ours.
"""

# pathlib would cost every system `ps` more than all the rest of this file.
# ruff: noqa: PTH100, PTH113, PTH118, PTH120, PTH121, PTH123

import os
import sys

# The names of our commands, as a literal: looking at it must cost nothing. cli/table.py has the rest of each row.
COMMANDS = (
    "run", "list", "show", "search", "new", "edit", "cp", "mv", "fmt", "lint", "models", "import", "export",
    "log", "blame", "diff", "changelog", "bump", "tag", "release", "promote", "rollback", "label", "evidence",
    "verify", "check", "note", "bundle", "git", "eval", "ab", "bisect", "score", "mutate", "generate", "judge", "test",
    "runs", "history", "cache", "cassette", "init", "doctor", "schema", "completion",
)  # fmt: skip
LONG_OPTIONS = ("--help", "--version", "--project", "--no-color", "--debug")
_COMPLETION = "_PS_COMPLETE"
# This process's id and the scripts it has been, set while the next `ps` is a script too: a shim may lead back to us.
_HOPS = "_PS_HANDED_OVER"


def promptstudio() -> int:
    """Run the command line under its long name; everything is ours."""
    return _ours("promptstudio")


def ps() -> int:
    """Run our command, or become the system's `ps` with the same arguments."""
    args = sys.argv[1:]
    if is_ours(args) or _COMPLETION in os.environ:
        return _ours("ps")
    return hand_over(args)


def is_ours(args: list[str]) -> bool:
    """Say whether the first word is a command or a long option of ours. Single-dash options are always the system's."""
    return bool(args) and (args[0] in COMMANDS or args[0].partition("=")[0] in LONG_OPTIONS)


def hand_over(args: list[str]) -> int:
    """Replace this process by the next `ps` on PATH; return 127 where there is none."""
    environment = dict(os.environ)
    pid, *visited = environment.pop(_HOPS, "").split(os.pathsep)
    visited = visited if pid == str(os.getpid()) else []
    _restore_signals()
    for candidate in _candidates(sys.argv[0], environment.get("PATH", os.defpath)):
        if candidate in visited:
            continue
        environment.pop(_HOPS, None)
        if _is_script(candidate):
            environment[_HOPS] = os.pathsep.join([str(os.getpid()), *visited, candidate])
        try:
            os.execve(candidate, ["ps", *args], environment)  # noqa: S606 — becoming that program is the point
        except OSError:
            continue  # not a program after all: perhaps the next one is
    sys.stderr.write(
        "error: there is no system `ps` on PATH to hand this over to\n"
        "hint: `ps --help` lists the commands of PromptStudio; the system's `ps` is in the package procps\n"
    )
    return 127


def _ours(name: str) -> int:
    from promptstudio.cli.main import leave, main

    return leave(main(sys.argv[1:], name))


def _candidates(script: str, path: str) -> list[str]:
    """Return each other `ps` on PATH after the folder of our script, so that two environments cannot ping-pong."""
    folders = [folder or "." for folder in path.split(os.pathsep)]
    own = os.path.dirname(os.path.abspath(script))
    places = [index for index, folder in enumerate(folders) if _same(folder, own)]
    after = folders[places[-1] + 1 :] if places else folders
    found = [os.path.join(folder, "ps") for folder in after]
    return [one for one in found if os.access(one, os.X_OK) and os.path.isfile(one) and not _same(one, script)]


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _is_script(path: str) -> bool:
    try:
        with open(path, "rb") as program:
            return program.read(2) == b"#!"
    except OSError:
        return False


def _restore_signals() -> None:
    """Undo what Python changed at its start; an ignored SIGPIPE would outlive the exec and break `ps aux | head`."""
    import signal

    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
