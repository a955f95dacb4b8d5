"""A row of the table + arguments → the command, run. The only module that drives typer's parser."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

import typer
from typer._click import exceptions as click_errors
from typer._click.core import Command
from typer.core import TyperGroup

from promptstudio.cli.context import Context
from promptstudio.cli.table import COMMANDS, Row, row_for
from promptstudio.errors import Interrupted, UsageError


def run_command(row: Row, arguments: list[str], context: Context) -> int:
    """Parse and run; what the parser has to say becomes a UsageError of ours."""
    command = command_for(row)
    program = f"{context.program} {row.name}"
    try:
        with command.make_context(program, arguments, obj=context) as parsed:
            return int(command.invoke(parsed) or 0)
    except click_errors.UsageError as error:
        raise usage_error(error, program) from error
    except click_errors.ClickException as error:
        raise UsageError(error.format_message()) from error
    except typer.Exit as done:
        return done.exit_code
    except (typer.Abort, EOFError) as error:
        raise Interrupted("nothing was answered; stopped") from error


def command_for(row: Row) -> Command:
    """Import a command's module and build its parser."""
    module, _, name = row.target.partition(":")
    target = getattr(importlib.import_module(module), name)
    if isinstance(target, typer.Typer):
        return typer.main.get_command(target)
    app = new_app()
    app.command(row.name, help=target.__doc__)(target)
    return typer.main.get_command(app)


def new_app(**options: Any) -> typer.Typer:
    """Return an app in our dress: plain help, no completion options, exceptions left alone."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, **options)


class Commands(TyperGroup):
    """All commands as one group that imports a module only when its command is asked for. For completion."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 — the base class passes it
        return [row.name for row in COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Command | None:  # noqa: ARG002
        row = row_for(cmd_name)
        return command_for(row) if row else None


def usage_error(error: click_errors.UsageError, program: str) -> UsageError:
    """Say what the parser found in our words, with the nearest option or command."""
    known = _known_words(error)
    page = f"`{program} --help` explains the command"
    if isinstance(error, click_errors.NoSuchOption):
        return UsageError(f"unknown option {error.option_name!r}", hint=_option_hint(error.option_name, known) or page)
    if isinstance(error, click_errors.NoArgsIsHelpError):
        return UsageError("a subcommand is missing", hint=page)
    message = error.format_message().rstrip(".")
    if message.startswith("No such command "):
        # typer adds a suggestion of its own behind the word
        word = message.removeprefix("No such command ").partition(". ")[0].strip("'\"")
        return UsageError(f"unknown command {word!r}", hint=_near(word, known) or page)
    return UsageError(f"{message[:1].lower()}{message[1:]}", hint=page)


def _known_words(error: click_errors.UsageError) -> list[str]:
    if error.ctx is None:
        return []
    command = error.ctx.command
    options = [word for param in command.get_params(error.ctx) for word in param.opts if word.startswith("--")]
    names = command.list_commands(error.ctx) if isinstance(command, TyperGroup) else []
    return options + names


def _option_hint(option: str, known: list[str]) -> str | None:
    if option in ("--project", "--no-color", "--debug", "--version"):
        return f"{option} goes before the command"
    return _near(option, known)


def _near(word: str, known: list[str]) -> str | None:
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]!r}?" if close else None
