"""`ps eval` beside promptfoo and pydantic-evals: the same cases, assertions and provider, 32 at once, in turns.

A round asks everything of each program before the next round begins, so that a slow minute is slow for all; ratios are
taken within a round. A suite of one case is start-up, and is left out of what a case costs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sqlite3
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.eval_programs import AT_ONCE, Program, programs, text_bytes
from benchmarks.evals import CASES, DELAY_MS, IDEAL_S, Took, timed, write_suites
from benchmarks.measure import Bar
from benchmarks.workspace import Workspace

ROUNDS = 3


@dataclass
class Figures:
    """What was measured of one program, a value for each round; what it does not do stays empty."""

    start_s: list[float] = field(default_factory=list)
    quick_s: list[float] = field(default_factory=list)
    slow_s: list[float] = field(default_factory=list)
    over_ideal: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    again_s: list[float] = field(default_factory=list)
    again_ms: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    many_mb: list[float] = field(default_factory=list)
    bytes_each: list[float] = field(default_factory=list)


# the column's heading, the figures in it, its format
COLUMNS: tuple[tuple[str, Callable[[Figures], list[float]], str], ...] = (
    ("start-up, s", lambda each: each.start_s, ".2f"),
    (f"{CASES} cases of 0 ms, s", lambda each: each.quick_s, ".2f"),
    (f"{CASES} cases of {DELAY_MS} ms, s", lambda each: each.slow_s, ".2f"),
    (f"the same after start-up, against {IDEAL_S} s", lambda each: each.over_ideal, ".2f"),
    ("CPU of a case that is asked, ms", lambda each: each.cpu_ms, ".2f"),
    ("all again, answered from the store, s", lambda each: each.again_s, ".2f"),
    ("CPU of a case in it, ms", lambda each: each.again_ms, ".2f"),
    (f"peak memory, {CASES} cases, MB", lambda each: each.memory_mb, ".0f"),
    ("peak memory, --many cases, MB", lambda each: each.many_mb, ".0f"),
    ("bytes a case beyond its text", lambda each: each.bytes_each, ".0f"),
)


def measure(workspace: Workspace, options: argparse.Namespace) -> list[Bar]:
    write_suites(workspace, options.many)
    compared = programs(workspace, options.peers or _default_folder())
    print(f"  {', '.join(f'{each.name} {each.version}' for each in compared)}", flush=True)
    found = {each.name: Figures() for each in compared}
    for number in range(ROUNDS):
        _round(workspace, compared, found)
        print(f"  round {number + 1} of {ROUNDS}; load {os.getloadavg()[0]:.1f}", flush=True)
    if options.many:
        with workspace.provider("benchmarks.slow_provider", "0"):
            for each in compared:
                took = _asked(each, options.many)
                found[each.name].many_mb.append(took.memory_mb)
                print(f"  {each.name}: {options.many} cases: {took.wall_s:.0f} s, {took.memory_mb:.0f} MB", flush=True)
    _show(found, options.many)
    return []


def _default_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "promptstudio-bench"


def _round(workspace: Workspace, compared: Sequence[Program], found: dict[str, Figures]) -> None:
    with workspace.provider("benchmarks.slow_provider", str(DELAY_MS)):
        for each in compared:
            start_s = _asked(each, 1).wall_s - DELAY_MS / 1000
            slow_s = _asked(each, CASES).wall_s
            found[each.name].start_s.append(start_s)
            found[each.name].slow_s.append(slow_s)
            found[each.name].over_ideal.append((slow_s - start_s) / IDEAL_S)
            print(
                f"  {each.name}: {CASES} cases of {DELAY_MS} ms: {slow_s:.2f} s, start-up {start_s:.2f} s", flush=True
            )
    with workspace.provider("benchmarks.slow_provider", "0"):
        for each in compared:
            figures = found[each.name]
            _at_once(each, figures)
            print(
                f"  {each.name}: of 0 ms: {figures.quick_s[-1]:.2f} s, {figures.cpu_ms[-1]:.2f} ms CPU each", flush=True
            )


def _at_once(program: Program, figures: Figures) -> None:
    """Measure on a provider that answers at once: what a case costs, what it leaves, and what it costs again."""
    one = _asked(program, 1)
    one_again = _run(program, 1) if program.remembers else None
    many = _asked(program, CASES)
    figures.quick_s.append(many.wall_s)
    figures.cpu_ms.append(_each_ms(many, one))
    figures.memory_mb.append(many.memory_mb)
    if one_again is not None:
        figures.bytes_each.append((_size(program.databases) - text_bytes(CASES)) / CASES)
        again = _run(program, CASES)
        figures.again_s.append(again.wall_s)
        figures.again_ms.append(_each_ms(again, one_again))


def _each_ms(many: Took, one: Took) -> float:
    return (many.cpu_s - one.cpu_s) / (CASES - 1) * 1000


def _asked(program: Program, cases: int) -> Took:
    """Run a program that remembers nothing."""
    if program.state is not None:
        shutil.rmtree(program.state, ignore_errors=True)
    return _run(program, cases)


def _run(program: Program, cases: int) -> Took:
    return timed(program.command(cases), program.env, program.cwd, program.printed and program.printed(cases))


def _size(databases: Sequence[Path]) -> int:
    size = 0
    for path in databases:
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        size += path.stat().st_size
    return size


def _show(found: dict[str, Figures], many: int) -> None:
    ours = next(iter(found))
    width = max(len(heading) for heading, *_ in COLUMNS) + 4
    print("\n  " + " " * width + "".join(f"{name:<26}" for name in found))
    for heading, figures_of, form in COLUMNS:
        shown = heading.replace("--many", str(many))
        print(f"  {shown:<{width}}" + "".join(f"{_cell(figures_of(each), form):<26}" for each in found.values()))
    for name in [name for name in found if name != ours]:
        print(f"\n  {ours} against {name}, within each round:")
        for heading, figures_of, _ in COLUMNS:
            pairs = list(zip(figures_of(found[ours]), figures_of(found[name]), strict=False))
            if pairs:
                shown = heading.replace("--many", str(many))
                print(f"  {shown:<{width}}{_cell([mine / theirs for mine, theirs in pairs], '.2f')}")
    print(f"\n  {AT_ONCE} at once, {ROUNDS} rounds; the memory of {many} cases is measured once")


def _cell(values: Sequence[float], form: str) -> str:
    if not values:
        return "–"
    if len(values) == 1:
        return f"{values[0]:{form}}"
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"
