"""A command line → the command, run; every exception → an exit code. A call without arguments loads no parser."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any, NamedTuple

from promptstudio.cli import failure
from promptstudio.cli.context import Context
from promptstudio.cli.table import COMMANDS, Row, completion_variable, help_page, row_for, version_line
from promptstudio.errors import PromptStudioError, UsageError
from promptstudio.output.terminal import open_output

BROKEN_PIPE = 141  # what a shell reports for a program that SIGPIPE ended


class CommandLine(NamedTuple):
    """The words before the command, understood; `rest` is the command and what belongs to it."""

    rest: tuple[str, ...]
    project: Path | None = None
    no_color: bool = False
    debug: bool = False
    help: bool = False
    version: bool = False


def dispatch(argv: list[str], program: str) -> int:
    """Run one command line and return its exit code. No exception leaves this function."""
    _open_closed_streams()
    env = os.environ
    output = open_output(env, no_color="--no-color" in argv)
    context = Context(program, env, output, debug="--debug" in argv)
    as_json = "--json" in argv
    command = next((word for word in argv if row_for(word)), "")
    try:
        if completion_variable(program) in env:
            return _complete(context)
        line = read_global_options(argv, program)
        context = Context(program, env, output, line.project, line.debug)
        code = _command(line, context)
        output.flush()
    except PromptStudioError as error:
        code = failure.report(error, context, as_json=as_json)
    except BrokenPipeError:
        failure.silence_stdout()
        return BROKEN_PIPE
    except KeyboardInterrupt:
        output.note("interrupted")
        code = 130
    except Exception as error:  # noqa: BLE001 — the last resort: a bug becomes a log and exit code 4
        code = _unexpected(error, context, command, as_json=as_json)
    return _flushed(code, context)


def read_global_options(argv: list[str], program: str) -> CommandLine:
    """Read the options that stand before the command."""
    words = list(argv)
    found: dict[str, Any] = {}
    switches = {"--no-color": "no_color", "--debug": "debug", "--help": "help", "--version": "version"}
    while words and words[0].startswith("-"):
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if word in switches:
            found[switches[word]] = True
        elif name == "--project" and (equals or words):
            found["project"] = Path(value if equals else words.pop(0)).expanduser()
        elif name == "--project":
            raise UsageError("--project needs a folder", hint=f"{program} --project DIR COMMAND")
        else:
            raise UsageError(f"unknown option {name!r}", hint=_near_option(name, program))
    return CommandLine(tuple(words), **found)


def _near_option(name: str, program: str) -> str:
    import difflib  # weight: only a mistake needs it

    close = difflib.get_close_matches(name, ["--project", "--no-color", "--debug", "--help", "--version"], n=1)
    return f"did you mean {close[0]!r}?" if close else f"`{program} --help` lists the options and commands"


def _command(line: CommandLine, context: Context) -> int:
    if line.version:
        context.output.line(version_line())
        return 0
    if line.help or not line.rest:
        context.output.line(help_page(context.program))
        return 0
    name, *arguments = line.rest
    row = row_for(name)
    if row is None:
        raise UsageError(f"unknown command {name!r}", hint=_near_command(name, context.program))
    if row.plain and not arguments:
        return int(_imported(row.plain)(context) or 0)
    if row.quick and (code := _imported(row.quick)(context, arguments)) is not None:
        return int(code)
    return _parse_and_run(row, arguments, context)


def _near_command(name: str, program: str) -> str:
    import difflib  # weight: only a mistake needs it

    close = difflib.get_close_matches(name, [row.name for row in COMMANDS], n=1)
    return f"did you mean `{program} {close[0]}`?" if close else f"`{program} --help` lists the commands"


def _parse_and_run(row: Row, arguments: list[str], context: Context) -> int:
    from promptstudio.cli.parser import run_command  # weight: loads typer

    return run_command(row, arguments, context)


def _complete(context: Context) -> int:
    from promptstudio.cli.completion import complete  # weight: loads typer

    return complete(context)


def _imported(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def _unexpected(error: Exception, context: Context, command: str, *, as_json: bool) -> int:
    if isinstance(error, OSError) and _is_stdout_error(error):
        fact = f"cannot write to standard output: {error.strerror}"
        failure.silence_stdout()
        return failure.report(UsageError(fact), context, as_json=False)
    return failure.report_crash(error, context, command, as_json=as_json)


def _is_stdout_error(error: OSError) -> bool:
    """A write to a stream names no file; a full disk under standard output and a closed one look like this."""
    return error.filename is None and error.errno in (5, 9, 27, 28, 32)


def _flushed(code: int, context: Context) -> int:
    """Flush what an error message may have left, so that Python's flush at exit has nothing to complain about."""
    try:
        context.output.flush()
    except BrokenPipeError:
        failure.silence_stdout()
        return BROKEN_PIPE
    except OSError as error:
        failure.silence_stdout()
        context.output.labeled("error", f"cannot write to standard output: {error.strerror}", "red")
        return 2
    return code


def _open_closed_streams() -> None:
    """Fill file descriptors 0 to 2: else the next file we open, perhaps the history, would become standard output."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
