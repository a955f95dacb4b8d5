"""The commands as a table: enough for --help and --version without importing one of them, or an argument parser."""

from __future__ import annotations

from typing import NamedTuple

VERSION = "0.1.0"


class Row(NamedTuple):
    """A command: its name, where it lives, what it does, and the heading it is listed under.

    `target` is `module:name` of a function with Typer annotations, or of a Typer app with subcommands. `plain` is
    `module:name` of a function that takes only the context: a call without arguments goes there and loads no parser.
    """

    name: str
    target: str
    help: str
    group: str
    plain: str | None = None


COMMANDS: tuple[Row, ...] = (
    Row("run", "promptstudio.cli.run:run", "Run a prompt and print the answer.", "Prompts"),
    Row(
        "list",
        "promptstudio.cli.list:list_prompts",
        "List the prompts of the project.",
        "Prompts",
        plain="promptstudio.cli.listing:print_prompts",
    ),
    Row("show", "promptstudio.cli.show:show", "Show a prompt: its file, resolved, or rendered.", "Prompts"),
    Row("lint", "promptstudio.cli.lint:lint", "Check prompt and suite files.", "Prompts"),
    Row("models", "promptstudio.cli.models:models", "Search models: context, price, capabilities.", "Prompts"),
    Row(
        "history",
        "promptstudio.cli.history:app",
        "Look at what was run: list, show, search, rm, prune.",
        "History",
        plain="promptstudio.cli.history_view:print_recent",
    ),
    Row("init", "promptstudio.cli.init:init", "Make a project that runs at once.", "Project"),
    Row("doctor", "promptstudio.cli.doctor:doctor", "Check versions, settings, keys and the history.", "Project"),
    Row("schema", "promptstudio.cli.schema:schema", "Print the JSON Schema of a file format.", "Project"),
    Row("completion", "promptstudio.cli.completion:completion", "Print a shell's completion script.", "Project"),
)

GLOBAL_OPTIONS = (
    ("--project DIR", "Work in the project in or above DIR instead of the current folder."),
    ("--no-color", "No color; the NO_COLOR variable does the same."),
    ("--debug", "Show the traceback of an error."),
    ("--version", "Print the version."),
    ("--help", "Print this page."),
)


def row_for(name: str) -> Row | None:
    return next((row for row in COMMANDS if row.name == name), None)


def completion_variable(program: str) -> str:
    """Return the variable that a shell's completion script asks through."""
    return f"_{program.upper()}_COMPLETE"


def version_line() -> str:
    return f"PromptStudio {VERSION}"


def help_page(program: str) -> str:
    """Return what `--help` prints."""
    width = max(len(name) for name, _ in GLOBAL_OPTIONS) + 2
    lines = [f"Usage: {program} [OPTIONS] COMMAND [ARGS]...", "", "  Prompts as code: typed, versioned, remembered."]
    for group in dict.fromkeys(row.group for row in COMMANDS):
        lines += ["", f"{group}:"]
        lines += [f"  {row.name:<{width}}{row.help}" for row in COMMANDS if row.group == group]
    lines += ["", "Options:", *(f"  {name:<{width}}{text}" for name, text in GLOBAL_OPTIONS)]
    return "\n".join([*lines, "", f"`{program} COMMAND --help` explains a command."])
