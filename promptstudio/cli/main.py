"""Arguments → exit code. --help and --version are answered from the table alone; the rest is dispatched."""

from __future__ import annotations

import gc
import os
import sys

from promptstudio.cli.table import completion_variable, help_page, version_line

RARELY = (50_000, 20, 1000)
"""Thresholds of the garbage collector. Imports make a million objects that stay: at Python's own thresholds a quarter
of a run's time goes into looking through them. Memory of long batches stays bounded."""

_TYPED_ALL_DAY = frozenset(
    {f"promptstudio.cli.{name}" for name in ("run", "listing", "log_view", "blame_view", "diff_view")}
)


def main(argv: list[str], program: str = "promptstudio") -> int:
    """Run one command line and return its exit code. No exception leaves this function."""
    completing = completion_variable(program) in os.environ
    page = None if completing else _page(argv, program)
    if page is not None and _printed(page):
        return 0
    gc.set_threshold(*RARELY)
    code = None if completing or "run" not in argv else _warm(argv, program)
    if code is None:
        from promptstudio.cli.dispatch import dispatch  # weight: loads settings and the terminal

        code = dispatch(argv, program)
    return code


def leave(code: int) -> int:
    """Return the code to exit with; after a command that is typed all day, end the process here instead.

    Threads are joined, exit functions called and streams flushed as at any exit of Python's. What is left out is
    taking the libraries apart, object by object, which takes LiteLLM alone most of a second.
    """
    if not _TYPED_ALL_DAY.isdisjoint(sys.modules) and not _is_watched():
        from promptstudio.cli.ending import end_process

        end_process(code)
    return code


def _warm(argv: list[str], program: str) -> int | None:
    from promptstudio.cli.warm import run_warm  # weight: only `run` has a warm process

    return run_warm(argv, program)


def _is_watched() -> bool:
    """Whether a debugger or a profiler is at work: it wants to see the end."""
    return sys.gettrace() is not None or sys.getprofile() is not None or sys.flags.dev_mode


def _page(argv: list[str], program: str) -> str | None:
    if argv in ([], ["--help"]):
        return help_page(program)
    return version_line() if argv == ["--version"] else None


def _printed(page: str) -> bool:
    """Print a page; where that is not possible the long way says why."""
    try:
        sys.stdout.write(page + "\n")
        sys.stdout.flush()
    except (OSError, AttributeError, UnicodeError):
        return False
    return True
