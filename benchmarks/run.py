"""One run against a provider on loopback that answers at once, beside `llm` asking the same provider."""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Bar, Cost, compared
from benchmarks.workspace import LLM, PS, Workspace

COLD_LIMIT, WARM_LIMIT = 3.5, 0.20
OURS = (PS, "run", "greet", "-v", "name=Ada")
THEIRS = (LLM, "-m", "bench", "--no-stream", "--key", "none", "Say hello to Ada.")
READY_S = 60.0
REAPED_S = 4.0  # the waiting process looks after those that have ended every three seconds


def measure_cold(workspace: Workspace, options: argparse.Namespace) -> list[Bar]:
    with workspace.provider():
        found = compared(OURS, THEIRS, env=workspace.env, cwd=workspace.project, pairs=options.pairs)
    found.show("ps run, cold")
    return [Bar("ps run, cold, CPU against llm", found.ratio("cpu_ms"), COLD_LIMIT)]


def measure_warm(workspace: Workspace, options: argparse.Namespace) -> list[Bar]:
    if sys.platform != "linux":
        print("  there is a warm process on Linux only")
        return []
    env = {**workspace.env, "PROMPTSTUDIO_WARM": "600"}
    with workspace.provider(), _warm_process(workspace, env) as pid:
        before = _cpu_ms(pid)
        found = compared(OURS, THEIRS, env=env, cwd=workspace.project, pairs=options.pairs)
        time.sleep(REAPED_S)
        behind_ms = (_cpu_ms(pid) - before) / (options.pairs + 1)
        memory_mb = _memory_mb(pid)
    whole = type(found)(tuple(Cost(cost.cpu_ms + behind_ms, cost.wall_ms) for cost in found.ours), found.theirs)
    whole.show("ps run, warm")
    client = statistics.median(cost.cpu_ms for cost in found.ours)
    print(f"  of the CPU {client:.1f} ms are the client's and {behind_ms:.1f} ms the warm process's (mean)")
    print(f"  the waiting process holds {memory_mb:.0f} MB")
    return [
        Bar("ps run, warm, CPU of all its processes against llm", whole.ratio("cpu_ms"), WARM_LIMIT),
        Bar("ps run, warm, wall time against llm", whole.ratio("wall_ms"), WARM_LIMIT),
    ]


@contextmanager
def _warm_process(workspace: Workspace, env: dict[str, str]) -> Iterator[int]:
    folder = workspace.home / ".cache/promptstudio/warm"
    subprocess.run(OURS, env=env, cwd=workspace.project, check=True, stdout=subprocess.DEVNULL)
    until = time.monotonic() + READY_S
    while not any(path.is_socket() for path in folder.iterdir()):
        if time.monotonic() > until:
            raise SystemExit("the warm process did not start")
        time.sleep(0.05)
    pid = _started_for(folder)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGTERM)


def _started_for(folder: Path) -> int:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and os.fsencode(folder) in _words(entry):
            return int(entry.name)
    raise SystemExit("the warm process is gone")


def _words(entry: Path) -> list[bytes]:
    try:
        return (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _cpu_ms(pid: int) -> float:
    """What a process and all those it has waited for have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) * 1000 / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    fields = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()
    return int(fields[0]) / 1024
