"""16 runs at once on one database, again and again: every run must be there, completed, and none may have an error."""

from __future__ import annotations

import argparse
import random
import shutil
import sqlite3
import subprocess
import time
from collections import Counter

from benchmarks import soak_history
from benchmarks.measure import Bar
from benchmarks.workspace import PS, Workspace

AT_ONCE = 16


def measure(workspace: Workspace, options: argparse.Namespace) -> list[Bar]:
    """Start with no database in the first half of the rounds, and go on with the last one in the second half."""
    rows = wrong = 0
    started = time.monotonic()
    for number in range(options.rounds):
        if number <= options.rounds // 2:
            shutil.rmtree(workspace.project / ".promptstudio", ignore_errors=True)
            rows = 0
        wrong += _round(workspace)
        rows += AT_ONCE
        wrong += rows != _completed(workspace)
    seconds = time.monotonic() - started
    runs = options.rounds * AT_ONCE
    print(f"  {runs} runs in {options.rounds} rounds of {AT_ONCE}, {runs / seconds:.1f} a second; {wrong} errors")
    return [Bar(f"errors in {runs} runs, {AT_ONCE} at once", wrong, 0)]


def measure_killed(workspace: Workspace, options: argparse.Namespace) -> list[Bar]:
    """The history by itself, with processes that are killed at any moment; see `soak_history`."""
    chance, total = random.Random(), Counter[str]()
    for number in range(options.rounds):
        total += soak_history.one_round(workspace.home / f"killed-{number}", AT_ONCE, 20, chance)
    print(f"  {', '.join(f'{count} {name}' for name, count in total.items())}")
    wrong = sum(total[name] for name in ("lost", "errors", "still_running", "not_found", "damaged"))
    return [Bar(f"rows lost or wrong of {total['rows']}", wrong, 0)]


def _round(workspace: Workspace) -> int:
    """Run all at once; return how many failed or said anything but their answer."""
    started = [
        subprocess.Popen(
            [PS, "run", "echo", "-v", f"name=n{number}"],
            env=workspace.env,
            cwd=workspace.project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(AT_ONCE)
    ]
    wrong = 0
    for number, process in enumerate(started):
        out, err = process.communicate()
        if (process.returncode, out, err) != (0, f"Say hello to n{number}.\n", ""):
            wrong += 1
            print(f"  exit code {process.returncode}: {err}")
    return wrong


def _completed(workspace: Workspace) -> int:
    with sqlite3.connect(workspace.project / ".promptstudio/history.db") as database:
        ok = database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        (found,) = database.execute("SELECT count(*) FROM prompt_requests WHERE status = 'completed'").fetchone()
    database.close()
    return int(found) if ok else -1
