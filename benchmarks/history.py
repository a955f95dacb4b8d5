"""List and search in a long history: the commands against `llm --version`, and the queries by themselves."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.history_million import Settings, build, queries, timed
from benchmarks.measure import Bar, compared
from benchmarks.workspace import LLM, PS, Workspace
from promptstudio.history import History, open_history

LIMIT, SEARCH_LIMIT_MS = 0.25, 50.0
COMMANDS = (
    ("history",),
    ("history", "search", "refund"),
    ("history", "search", "فاتورة"),
    ("history", "search", "item4711"),
)
MILLION = Path(tempfile.gettempdir()) / "promptstudio-bench-million" / "history.db"


def measure(workspace: Workspace, options: argparse.Namespace) -> list[Bar]:
    return _measured(workspace, options, workspace.home / "history.db", 100_000)


def measure_million(workspace: Workspace, options: argparse.Namespace) -> list[Bar]:
    print(f"  {MILLION} is kept, and used again")
    return _measured(workspace, options, MILLION, 1_000_000)


def _measured(workspace: Workspace, options: argparse.Namespace, file: Path, rows: int) -> list[Bar]:
    with open_history(Settings(str(file))) as history:
        build(history, rows)
        print(f"  {history.count():,} rows, {file.stat().st_size / 1e6:,.0f} MB")
        took_ms = dict(_timed(history))
    env = {**workspace.env, "PROMPTSTUDIO_HISTORY_URL": str(file)}
    searches = [Bar(f"{name} in {rows:,} rows", took_ms[name], SEARCH_LIMIT_MS, " ms") for name in took_ms]
    bars = [bar for bar in searches if bar.name.startswith("search")]
    for words in COMMANDS:
        found = compared([PS, *words], [LLM, "--version"], env=env, cwd=workspace.project, pairs=options.pairs)
        name = f"ps {' '.join(words)}"
        found.show(name)
        bars.append(Bar(f"{name} in {rows:,} rows, CPU against llm --version", found.ratio("cpu_ms"), LIMIT))
    return bars


def _timed(history: History) -> Iterator[tuple[str, float]]:
    for name, act in queries(history).items():
        act()  # as any second command finds the page cache
        took_ms = timed(act)
        print(f"  {name:<34} {took_ms:8.2f} ms")
        yield name, took_ms
