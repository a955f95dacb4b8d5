"""`ps eval --watch`: run suites again whenever a file they depend on is saved."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from promptstudio.cli.context import Context
from promptstudio.cli.failure import report
from promptstudio.config import Settings
from promptstudio.errors import Interrupted, PromptStudioError
from promptstudio.evals.suite import load_suite
from promptstudio.prompts.address import parse_address
from promptstudio.prompts.library import default_name

EVERY_S = 0.4
SETTLED_S = 0.2
_LEFT_OUT = frozenset({"__pycache__", ".git", ".promptstudio", "node_modules", ".venv"})
_SUFFIXES = (".yaml", ".yml", ".md", ".txt", ".json", ".jsonl", ".csv", ".tsv", ".py", ".toml", ".j2", ".parquet")
Marks = dict[Path, tuple[int, int]]


def watch_suites(
    context: Context, suites: Sequence[Path], settings: Settings, run: Callable[[Sequence[Path]], int]
) -> int:
    """Run, wait for a save, run what it touches again, until Ctrl-C. What is stored is not asked again.

    Files are looked at twice a second: that sees saves on every file system, network ones too.
    """
    touched = suites
    while True:
        before = _marks(suites, settings)
        _run_once(context, partial(run, touched))
        context.output.note("waiting for a file to be saved; Ctrl-C leaves")
        try:
            changed = _wait(before, suites, settings)
        except KeyboardInterrupt as stop:
            raise Interrupted("stopped watching") from stop
        context.output.note(f"changed: {', '.join(_shown(path, settings) for path in changed[:3])}")
        touched = touched_by(changed, suites, settings)


def touched_by(changed: Sequence[Path], suites: Sequence[Path], settings: Settings) -> Sequence[Path]:
    """Return the suites that files count for: a suite itself, those with a prompt; for any other file all of them."""
    found = [suite for suite in suites if suite in changed]
    names = {_prompt_name(path, settings) for path in changed if path not in found}
    if not names:
        return found
    asked = {suite: _prompts_of(suite, settings) for suite in suites}
    if not names <= {name for prompts in asked.values() for name in prompts}:
        return suites  # a partial, a dataset, a function, or a prompt under another name
    return [suite for suite in suites if suite in found or names & asked[suite]]


def _prompt_name(path: Path, settings: Settings) -> str | None:
    root = settings.prompts_dir
    if root is None or not path.is_relative_to(root) or path.name.startswith("_"):
        return None
    return default_name(path, root)


def _prompts_of(suite: Path, settings: Settings) -> frozenset[str]:
    try:
        return frozenset(parse_address(address).target for address in load_suite(suite, settings).prompts)
    except PromptStudioError:  # told when it runs
        return frozenset()


def _run_once(context: Context, run: Callable[[], int]) -> None:
    """Run; a mistake in a file is told, and the next save may mend it."""
    try:
        run()
    except Interrupted:
        raise
    except PromptStudioError as error:
        report(error, context, as_json=False)


def _wait(before: Marks, suites: Sequence[Path], settings: Settings) -> list[Path]:
    while True:
        time.sleep(EVERY_S)
        now = _marks(suites, settings)
        changed = [path for path in {**before, **now} if before.get(path) != now.get(path)]
        if changed:
            time.sleep(SETTLED_S)  # editors write in several steps
            return sorted(changed)


def _marks(suites: Sequence[Path], settings: Settings) -> Marks:
    """Return size and time of every file that may count: suites, prompts, data, functions, settings."""
    folders = {*(suite.parent for suite in suites), settings.prompts_dir, settings.evals_dir}
    marks: Marks = {}
    for path in [*(path for folder in folders if folder is not None for path in _files(folder)), settings.path]:
        try:
            if path is not None:
                status = path.stat()
                marks[path] = (status.st_size, status.st_mtime_ns)
        except OSError:  # it is being replaced right now
            continue
    return marks


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        yield from (Path(folder, name) for name in files if name.endswith(_SUFFIXES))


def _shown(path: Path, settings: Settings) -> str:
    root = settings.root
    return path.relative_to(root).as_posix() if root is not None and path.is_relative_to(root) else path.as_posix()
