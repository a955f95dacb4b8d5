"""The generated parts of docs/: help of every command, keys of the settings, kinds of errors.

python -m promptstudio.cli.docs     writes them, and the schema of promptstudio.toml; a test compares
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from promptstudio import config, errors
from promptstudio.cli.parser import command_for
from promptstudio.cli.table import COMMANDS, help_page
from promptstudio.config.schema import ENV_VARIABLE, KEYS, Key
from promptstudio.config.schema_json import config_schema

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCHEMA = Path(config.__file__).parent / "config.schema.json"


def pages(docs: Path = DOCS) -> dict[Path, str]:
    """Return every generated file with the text it must have."""
    return {
        docs / "cli.md": _between(docs / "cli.md", {"help": cli_help()}),
        docs / "settings.md": _between(docs / "settings.md", {"keys": key_table(), "variables": variable_table()}),
        docs / "errors.md": _between(docs / "errors.md", {"kinds": kind_table()}),
        SCHEMA: json.dumps(config_schema(), ensure_ascii=False, indent=2) + "\n",
    }


def cli_help() -> str:
    """Return the help of the program and of each command as Markdown."""
    parts = ["## ps", "", _fenced("ps --help", help_page("ps"))]
    for row in COMMANDS:
        parts += ["", f"## ps {row.name}", "", *_command_help(command_for(row), f"ps {row.name}")]
    return "\n".join(parts)


def _command_help(command: Any, program: str) -> Iterator[str]:
    context = typer.Context(command, info_name=program, terminal_width=100)
    yield _fenced(f"{program} --help", command.get_help(context).rstrip())
    if isinstance(command, TyperGroup):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            yield from ("", f"### {program} {name}", "", *_command_help(child, f"{program} {name}"))


def _fenced(command: str, text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"```console\n$ {command}\n{lines}\n```"


def key_table() -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    rows += [f"| `{_name(key)}` | {_kind(key)} | {_default(key)} | {key.help} |" for key in KEYS]
    return "\n".join(rows)


def variable_table() -> str:
    rows = ["| variable | sets |", "|---|---|", f"| `{ENV_VARIABLE}` | the environment, `[environments.NAME]` |"]
    rows += [f"| `{key.variable}` | `{key.name}` |" for key in KEYS if key.variable]
    return "\n".join(rows)


def kind_table() -> str:
    """Return exit code, kind and meaning of every error class, in the order of the tree."""
    meanings = tree_meanings()
    rows = ["| exit code | `error.kind` | what it means |", "|---|---|---|"]
    rows += [f"| {found.exit_code} | `{found.kind}` | {meanings[found.__name__]} |" for found in error_classes()]
    return "\n".join(rows)


def error_classes() -> list[type[errors.PromptStudioError]]:
    """Return the base and all its subclasses, depth first, as they stand in the file."""
    found: list[type[errors.PromptStudioError]] = []
    waiting = [errors.PromptStudioError]
    while waiting:
        one = waiting.pop(0)
        found.append(one)
        waiting = one.__subclasses__() + waiting
    return [one for one in found if one.__module__ == errors.__name__]


def tree_meanings() -> dict[str, str]:
    """Read what each class means from the tree at the top of errors.py."""
    lines = (errors.__doc__ or "").splitlines()
    matches = (re.match(r"[\s│├└─]*([A-Z]\w+)\s+(?:\d+\s+)?(\S.*)", line) for line in lines)
    return {match[1]: match[2] for match in matches if match}


def _name(key: Key) -> str:
    placeholders = {"profiles": ["NAME", "PARAMETER"], "providers": ["NAME", "HEADER"]}.get(key.path[0], ["NAME"])
    return re.sub(r"\*", lambda _: placeholders.pop(0), key.name)


def _kind(key: Key) -> str:
    words = {
        "any": "anything",
        "age": "age",
        "parameter": "any value",
        "tool": "`module:function`",
        "variable": "a variable's name",
        "header": 'text or `{env = "NAME"}`',
        "judge": "model or table",
        "url": "address",
        "database": "path or URL",
    }
    limits = f", {key.minimum:g} or more" if key.minimum is not None else ""
    limits += f", more than {key.above:g}" if key.above is not None else ""
    return words.get(key.kind, key.kind) + limits


def _default(key: Key) -> str:
    return "" if key.default is None else f"`{json.dumps(key.default)}`"


def _between(path: Path, parts: Mapping[str, str]) -> str:
    """Replace what stands between `<!-- NAME: generated -->` and `<!-- NAME: end -->`."""
    text = path.read_text(encoding="utf-8")
    for name, part in parts.items():
        begin, end = f"<!-- {name}: generated -->\n", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}{part}\n{end}{after}"
    return text


def write_pages() -> None:
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_pages()
