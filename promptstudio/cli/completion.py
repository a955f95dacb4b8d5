"""Shell completion: the script a shell loads, and the answer to what that script asks."""

from __future__ import annotations

import contextlib
import os
import re
from enum import StrEnum
from typing import Annotated, Any

import typer
from typer._click.shell_completion import CompletionItem, add_completion_class, get_completion_class
from typer._completion_classes import BashComplete, completion_init
from typer._completion_shared import get_completion_script
from typer.core import TyperOption

from promptstudio.cli.context import Context
from promptstudio.cli.parser import Commands
from promptstudio.cli.table import COMMANDS, completion_variable


class Shell(StrEnum):
    """The shells there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    ctx: typer.Context,
    shell: Annotated[
        Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish: the shell to print the script for.")
    ],
) -> int:
    """Print the completion script of a shell. Nothing is installed.

    bash: eval "$(ps completion bash)" in ~/.bashrc

    zsh: eval "$(ps completion zsh)" in ~/.zshrc, after compinit

    fish: ps completion fish > ~/.config/fish/completions/ps.fish
    """
    context: Context = ctx.obj
    script = get_completion_script(
        prog_name=context.program, complete_var=completion_variable(context.program), shell=shell.value
    )
    if shell is Shell.BASH:
        # After `name=` the value follows: no space.
        no_space = "    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n    return 0"
        script = script.replace("    return 0", no_space)
    context.output.write(script + "\n")
    return 0


def complete(context: Context) -> int:
    """Answer a shell. Whatever goes wrong, nothing is printed over a half-typed line."""
    with contextlib.suppress(Exception):
        name = completion_variable(context.program)
        action, _, shell = context.env[name].partition("_")
        completion_init()
        add_completion_class(_Bash, "bash")
        found = get_completion_class(shell)
        if action == "complete" and found is not None:
            answer = found(_group(), {"obj": context}, context.program, name).complete()
            context.output.write(answer + "\n" if answer else "")
    return 0


class _Words(Commands):
    """The commands for a shell: their names come from the table, so that no module is imported for them."""

    def shell_complete(self, ctx: Any, incomplete: str) -> list[CompletionItem]:
        if incomplete.startswith("-"):
            return [*super(Commands, self).shell_complete(ctx, incomplete)]
        return [CompletionItem(row.name, help=row.help) for row in COMMANDS if row.name.startswith(incomplete)]


def _group() -> _Words:
    switches = [
        TyperOption(param_decls=[name], is_flag=True, type=bool) for name in ("--no-color", "--debug", "--version")
    ]
    return _Words(name=None, params=[TyperOption(param_decls=["--project"], type=str), *switches])


class _Bash(BashComplete):
    """bash splits words at `:` and `=`, which are part of `greet:short` and `name=Ada`; they are joined again here."""

    def get_completion_args(self) -> tuple[list[str], str]:
        words = os.environ["COMP_WORDS"].split("\n")[: int(os.environ["COMP_CWORD"]) + 1]
        joined: list[str] = []
        for word in words:
            is_break = bool(re.fullmatch(r"[:=]+", word))
            after_break = bool(joined) and joined[-1][-1:] in (":", "=") and joined[-1] not in (":", "=")
            if joined and (is_break or after_break):
                joined[-1] += word
            else:
                joined.append(word)
        *before, incomplete = joined
        return before[1:], incomplete.strip("\"'")

    def complete(self) -> str:
        _, incomplete = self.get_completion_args()
        known = re.match(r".*[:=]", incomplete)
        cut = len(known[0]) if known else 0
        return "\n".join(line[cut:] for line in super().complete().splitlines())
