"""The commands as a table: enough for --help and --version without importing one of them, or an argument parser."""

from __future__ import annotations

from typing import NamedTuple

VERSION = "0.1.0"


class Row(NamedTuple):
    """A command: its name, where it lives, what it does, and the heading it is listed under.

    `target` is `module:name` of a function with Typer annotations, or of a Typer app with subcommands. `plain` is
    `module:name` of a function that takes only the context: a call without arguments goes there and loads no parser.
    `quick` takes the context and the words of the command; where it returns None, the parser has its turn.
    """

    name: str
    target: str
    help: str
    group: str
    plain: str | None = None
    quick: str | None = None


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
    Row("search", "promptstudio.cli.search:search", "Find prompts by what they say.", "Prompts"),
    Row("new", "promptstudio.cli.new:new", "Make a prompt to begin with.", "Prompts"),
    Row("edit", "promptstudio.cli.edit:edit", "Open a prompt in your editor, then check it.", "Prompts"),
    Row("cp", "promptstudio.cli.copy:copy", "Copy a prompt.", "Prompts"),
    Row("mv", "promptstudio.cli.copy:move", "Rename a prompt, with all that names it.", "Prompts"),
    Row("fmt", "promptstudio.cli.fmt:fmt", "Put prompt and suite files into the canonical layout.", "Prompts"),
    Row("lint", "promptstudio.cli.lint:lint", "Check prompt and suite files.", "Prompts"),
    Row("models", "promptstudio.cli.models:models", "Search models: context, price, capabilities.", "Prompts"),
    Row("import", "promptstudio.cli.import_:import_files", "Bring in prompts of other tools.", "Prompts"),
    Row("export", "promptstudio.cli.export:export_prompt", "Write a prompt in another tool's format.", "Prompts"),
    Row(
        "log",
        "promptstudio.cli.log:log",
        "Show the versions of a prompt: who made them, why, and how they did.",
        "Versions",
        quick="promptstudio.cli.log_view:quick",
    ),
    Row(
        "blame",
        "promptstudio.cli.blame:blame",
        "Show who last changed each field of a prompt, or what a label meant.",
        "Versions",
        quick="promptstudio.cli.blame_view:quick",
    ),
    Row(
        "diff",
        "promptstudio.cli.diff:app",
        "Say what changed between two versions, and what it means.",
        "Versions",
        quick="promptstudio.cli.diff_view:quick",
    ),
    Row(
        "changelog",
        "promptstudio.cli.changelog:changelog",
        "What changed between two revisions, for people.",
        "Versions",
    ),
    Row("bump", "promptstudio.cli.bump:bump", "Raise a prompt's version by what changed.", "Versions"),
    Row("tag", "promptstudio.cli.tag:tag", "Tag a version of a prompt in git.", "Versions"),
    Row("release", "promptstudio.cli.tag:release", "Tag the whole project, with what changed.", "Versions"),
    Row("promote", "promptstudio.cli.promote:promote", "Move a label to a version of a prompt.", "Versions"),
    Row("rollback", "promptstudio.cli.rollback:rollback", "Take a label back to where it was.", "Versions"),
    Row("label", "promptstudio.cli.label:app", "Labels of prompts: list, set, rm.", "Versions"),
    Row(
        "evidence",
        "promptstudio.cli.evidence:app",
        "Evaluations that promotions rest on: add, record, list.",
        "Versions",
    ),
    Row(
        "verify",
        "promptstudio.cli.verify:verify",
        "Compute again what promptstudio.lock says.",
        "Versions",
        plain="promptstudio.cli.verify_view:verify_all",
    ),
    Row("check", "promptstudio.cli.check:check", "Check what changed, for pre-commit and CI.", "Versions"),
    Row("note", "promptstudio.cli.note:app", "Notes on versions of prompts: add, list.", "Versions"),
    Row("bundle", "promptstudio.cli.bundle:bundle", "Write prompts into one checked file.", "Versions"),
    Row(
        "git",
        "promptstudio.cli.git:app",
        "Let git show prompts by meaning: install, uninstall, status.",
        "Versions",
        quick="promptstudio.cli.git_view:quick",
    ),
    Row(
        "eval", "promptstudio.cli.eval:eval_suites", "Run evaluation suites, with an exit code to trust.", "Evaluation"
    ),
    Row("ab", "promptstudio.cli.ab:compare_sides", "Compare prompts, versions, models or profiles.", "Evaluation"),
    Row("bisect", "promptstudio.cli.bisect:bisect", "Find the commit at which a suite broke.", "Evaluation"),
    Row("score", "promptstudio.cli.score:score", "Judge the answers of a run again.", "Evaluation"),
    Row("generate", "promptstudio.cli.generate:app", "Let a model propose cases or assertions.", "Evaluation"),
    Row(
        "mutate",
        "promptstudio.cli.mutate:mutate_suite",
        "Make answers wrong, to see which assertions would never notice.",
        "Evaluation",
    ),
    Row(
        "judge",
        "promptstudio.cli.judge:app",
        "Judges held against people: calibrate, disagreements, list, prompt.",
        "Evaluation",
    ),
    Row("test", "promptstudio.cli.prompt_tests:run_tests", "Run the tests inside prompt files.", "Evaluation"),
    Row("runs", "promptstudio.cli.runs:app", "Evaluation runs: list, show, compare, trend, rm, export.", "Evaluation"),
    Row(
        "history",
        "promptstudio.cli.history:app",
        "Look at what was run: list, show, search, rm, prune.",
        "History",
        plain="promptstudio.cli.history_view:print_recent",
    ),
    Row("cache", "promptstudio.cli.cache:app", "Kept answers: stats, ls, explain, prune, clear.", "History"),
    Row("cassette", "promptstudio.cli.cassette:app", "Recorded answers: ls, verify, prune.", "History"),
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
