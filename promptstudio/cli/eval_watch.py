"""`ps eval --watch`: run suites again whenever a file they depend on is saved."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from promptstudio.cli.context import Context
from promptstudio.cli.failure import report
from promptstudio.config import Settings
from promptstudio.errors import Interrupted, PromptStudioError

EVERY_S = 0.4
SETTLED_S = 0.2
_LEFT_OUT = frozenset({"__pycache__", ".git", ".promptstudio", "node_modules", ".venv"})
_SUFFIXES = (".yaml", ".yml", ".md", ".txt", ".json", ".jsonl", ".csv", ".tsv", ".py", ".toml", ".j2", ".parquet")
Marks = dict[Path, tuple[int, int]]


def watch_suites(context: Context, suites: Sequence[Path], settings: Settings, run: Callable[[], int]) -> int:
    """Run, wait for a save, run again, until Ctrl-C. What is stored is not asked again, so only what a file touches is.

    Files are looked at twice a second: that sees saves on every file system, network ones too.
    """
    while True:
        before = _marks(suites, settings)
        _run_once(context, run)
        context.output.note("waiting for a file to be saved; Ctrl-C leaves")
        try:
            changed = _wait(before, suites, settings)
        except KeyboardInterrupt as stop:
            raise Interrupted("stopped watching") from stop
        context.output.note(f"changed: {', '.join(_shown(path, settings) for path in changed[:3])}")


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
