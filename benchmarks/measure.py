"""Commands → their cost. Ours and the peer's run in turns, so that a slow minute of the machine is slow for both.

CPU is what a process and those it waited for used, user and system: the figure that holds on a busy machine. Wall time
is beside it. A ratio is taken within each pair; its median is the result.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What one process cost."""

    cpu_ms: float
    wall_ms: float


@dataclass(frozen=True)
class Bar:
    """A figure and the most it may be."""

    name: str
    value: float
    limit: float
    unit: str = ""

    @property
    def is_met(self) -> bool:
        return self.value <= self.limit

    def __str__(self) -> str:
        return f"{self.name}: {self.value:.2f}{self.unit} (bar {self.limit:g}{self.unit})"


@dataclass(frozen=True)
class Comparison:
    """Pairs of our cost and theirs."""

    ours: tuple[Cost, ...]
    theirs: tuple[Cost, ...]

    def ratios(self, kind: str) -> list[float]:
        return [getattr(a, kind) / getattr(b, kind) for a, b in zip(self.ours, self.theirs, strict=True)]

    def ratio(self, kind: str) -> float:
        return statistics.median(self.ratios(kind))

    def show(self, name: str, peer: str = "llm") -> None:
        for kind, label in (("cpu_ms", "CPU"), ("wall_ms", "wall")):
            ours, theirs = ([getattr(cost, kind) for cost in costs] for costs in (self.ours, self.theirs))
            ratio = ratios(self.ratios(kind))
            print(f"  {name:<26} {label:<4} {spread(ours)} ms   {peer} {spread(theirs)} ms   ratio {ratio}")


def spread(values: Sequence[float]) -> str:
    """The median, and the smallest and largest value."""
    return f"{statistics.median(values):7.1f} ({min(values):.1f}–{max(values):.1f})"


def ratios(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f}–{max(values):.3f})"


def cost_of(command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path) -> Cost:
    """Run a command to its end, with nothing to read and nobody to read it; one that fails ends the benchmark."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.stderr.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed with {process.returncode}: {said.decode()}")
    return Cost((usage.ru_utime + usage.ru_stime) * 1000, wall_s * 1000)


def compared(
    ours: Sequence[str | Path],
    theirs: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    pairs: int,
) -> Comparison:
    """Run both in turns, `pairs` times, after one of each that does not count."""
    costs: tuple[list[Cost], list[Cost]] = ([], [])
    for number in range(pairs + 1):
        for command, kept in zip((ours, theirs), costs, strict=True):
            cost = cost_of(command, env=env, cwd=cwd)
            if number:
                kept.append(cost)
    return Comparison(tuple(costs[0]), tuple(costs[1]))
