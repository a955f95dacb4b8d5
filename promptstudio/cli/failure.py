"""An exception → what the user reads, and the exit code. The only place where errors become text."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promptstudio.cli.context import Context
from promptstudio.cli.table import VERSION
from promptstudio.errors import Problem, PromptStudioError

MAX_SHOWN = 50
_SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "URL")


def report(error: PromptStudioError, context: Context, *, as_json: bool) -> int:
    """Tell the user what is wrong: JSON on standard output where --json was asked for, else text on standard error."""
    if context.debug:
        context.output.note(_redacted_trace(error, context.env))
    if as_json:
        context.output.json(error_object(error))
    else:
        _print_problems(error.problems, context)
    return error.exit_code


def error_object(error: PromptStudioError) -> dict[str, Any]:
    """Return `{"error": …}`; the first problem is the headline, all of them are listed where there are several."""
    first = error.problems[0] if error.problems else Problem(str(error))
    headline = {"kind": error.kind, **_problem_object(first), "hint": error.hint}
    if len(error.problems) > 1:
        headline["problems"] = [_problem_object(problem) for problem in error.problems]
    return {"error": headline}


def _problem_object(problem: Problem) -> dict[str, Any]:
    return {
        "message": problem.message,
        "hint": problem.hint,
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
    }


def _print_problems(problems: tuple[Problem, ...], context: Context) -> None:
    for index, problem in enumerate(problems[:MAX_SHOWN]):
        context.output.labeled("error", str(problem), "red")
        following = problems[index + 1].hint if index + 1 < len(problems) else None
        # The same advice is given once, after the last problem in a row it is for.
        if problem.hint and problem.hint != following:
            context.output.labeled("hint", problem.hint, "green")
    if len(problems) > MAX_SHOWN:
        context.output.note(f"… and {len(problems) - MAX_SHOWN} more")


def report_crash(error: BaseException, context: Context, command: str, *, as_json: bool) -> int:
    """Our bug: write a crash log that can be pasted into a report, and say where it is. Returns 4."""
    text = crash_text(error, context.env, command)
    path = _write_log(text, context.env)
    fact = f"a bug in PromptStudio: {type(error).__name__}"
    place = f"please report it with the log {path}" if path else "please report it with the text above"
    if context.debug or path is None:
        context.output.note(text)
    if as_json:
        context.output.json({"error": {"kind": "bug", "message": fact, "hint": place, "file": None, "line": None}})
    else:
        context.output.labeled("error", fact, "red")
        context.output.labeled("hint", place, "green")
    return 4


def crash_text(error: BaseException, env: Mapping[str, str], command: str) -> str:
    """Return the log: versions, the command's name and the traceback. No arguments, values, locals or secrets."""
    import platform  # weight: only a crash needs it

    system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    return f"promptstudio {VERSION}, {system}\ncommand: {command}\n\n{_redacted_trace(error, env)}"


def _redacted_trace(error: BaseException, env: Mapping[str, str]) -> str:
    import traceback  # weight: only a crash needs it

    text = "".join(traceback.format_exception(error))
    for name, value in env.items():
        if len(value) >= 8 and any(word in name.upper() for word in _SECRET_WORDS):
            text = text.replace(value, f"<{name}>")
    try:
        from promptstudio.prompts.secrets import redact  # weight: only a crash needs it

        return redact(text)
    except Exception:  # noqa: BLE001 — what broke the command may break this: then the places alone, without any text
        frames = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
        return f"{frames}{type(error).__name__}\n"


def _write_log(text: str, env: Mapping[str, str]) -> Path | None:
    home = Path(env.get("HOME") or Path.home())
    folder = Path(env.get("XDG_CACHE_HOME") or home / ".cache") / "promptstudio"
    path = folder / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as log:
            log.write(text)
    except OSError:
        return None  # the disk may be what is broken: the text is printed instead
    return path


def silence_stdout() -> None:
    """Point standard output at nothing, so that Python's own flush at exit cannot fail again."""
    if sys.stdout is None:
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, sys.stdout.fileno())
    finally:
        os.close(nothing)
