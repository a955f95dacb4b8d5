"""What a command loads, looked up in sys.modules of a real process: a stopwatch would only sometimes be right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from promptstudio.cli.table import COMMANDS, VERSION, help_page
from tests.conftest import REPOSITORY, Project, Script

# Heavy for every command that sends nothing.
SENDING = {"litellm", "mirascope", "openai", "instructor", "deepeval", "ragas", "langchain", "httpx", "aiohttp"}
# Heavy for what is typed all day.
PARSING = {
    "typer",
    "click",
    "rich",
    "pydantic",
    "jinja2",
    "jsonschema",
    "sqlmodel",
    "sqlalchemy",
    "alembic",
    "tiktoken",
}

PROBE = """\
import atexit, sys
def note():
    with open({path!r}, "w") as file:
        file.write(" ".join(sys.modules))
atexit.register(note)
"""

LIGHT = [["--help"], ["--version"], [], ["list"], ["history"]]
WITH_ARGUMENTS = [
    ["list", "--json"],
    ["list", "--tag", "demo"],
    ["history", "list", "--limit", "5"],
    ["history", "search", "Ada"],
    ["history", "show", "--help"],
]
UNSENT = [
    ["show", "greet"],
    ["show", "greet", "--render", "-v", "name=Ada"],
    ["show", "support/triage", "--json"],
    ["lint"],
    ["schema", "prompt"],
    ["models", "gpt-4.1"],
    ["doctor"],
    ["init", "fresh"],
    ["completion", "bash"],
    ["run", "--help"],
]


def modules_after(args: list[str], ps: Script, tmp_path: Path) -> set[str]:
    """Return the top-level names of all modules that are loaded when the command ends."""
    probe = tmp_path / "probe"
    probe.mkdir()
    found = tmp_path / "modules"
    (probe / "sitecustomize.py").write_text(PROBE.format(path=str(found)))
    done = subprocess.run(
        [sys.executable, "-m", "promptstudio", *args],
        env=ps.environment({"PYTHONPATH": str(probe)}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in found.read_text().split()}


@pytest.mark.parametrize("args", LIGHT, ids=" ".join)
def test_what_is_typed_all_day_loads_no_parser_and_no_library(
    project: Project, ps: Script, tmp_path: Path, args: list[str]
) -> None:
    assert not modules_after(args, ps, tmp_path) & (SENDING | PARSING)


@pytest.mark.parametrize("args", WITH_ARGUMENTS, ids=" ".join)
def test_list_and_history_load_only_a_parser(project: Project, ps: Script, tmp_path: Path, args: list[str]) -> None:
    assert not modules_after(args, ps, tmp_path) & (SENDING | PARSING - {"typer"})


@pytest.mark.parametrize("args", UNSENT, ids=" ".join)
def test_what_sends_nothing_loads_nothing_that_sends(
    project: Project, ps: Script, tmp_path: Path, args: list[str]
) -> None:
    assert not modules_after(args, ps, tmp_path) & SENDING


def test_help_and_version_load_neither_settings_nor_yaml(ps: Script, tmp_path: Path) -> None:
    for number, args in enumerate((["--help"], ["--version"])):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert not modules_after(args, ps, folder) & {"yaml", "sqlite3", "json", "subprocess", "tomllib", "dataclasses"}


def test_the_package_itself_loads_nothing() -> None:
    code = "import sys; before = set(sys.modules); import promptstudio; print(*set(sys.modules) - before)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)

    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & (SENDING | PARSING | {"yaml"})


def test_help_and_version_print_the_table(ps: Script, promptstudio: Script) -> None:
    assert ps("--version").out == f"PromptStudio {VERSION}\n"
    assert ps("--help").out == help_page("ps") + "\n"
    assert promptstudio().out == help_page("promptstudio") + "\n"
    assert all(f"  {row.name} " in help_page("ps") for row in COMMANDS)


def test_the_version_is_the_packages() -> None:
    import importlib.metadata

    assert importlib.metadata.version("promptstudio") == VERSION
