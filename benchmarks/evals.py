"""`ps eval`: how near to the provider's own time it comes, and what a case costs in CPU, memory and bytes."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from benchmarks.measure import Bar
from benchmarks.workspace import PS, Workspace

CASES = 1_000
MANY = 20_000
DELAY_MS = 200
AT_ONCE = 32
IDEAL_S = CASES * DELAY_MS / 1000 / AT_ONCE
ROUNDS = 3
SUITE = """\
prompt: {prompt}
cases: data/{cases}.jsonl
assert:
  - {{contains: Hello}}
  - {{regex: "[Nn]ame[0-9]+"}}
gate: {{pass_rate: 0}}
"""


@dataclass(frozen=True)
class Took:
    """What one `ps eval` took, its start-up included."""

    cpu_s: float
    wall_s: float
    memory_mb: float


def measure(workspace: Workspace, _options: argparse.Namespace) -> list[Bar]:
    write_suites(workspace, MANY)
    return [
        *_beside_the_ideal(workspace),
        *_per_case(workspace),
        *_memory(workspace),
    ]


def write_suites(workspace: Workspace, many: int) -> None:
    folder = workspace.project / "evals"
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for count in {1, CASES, many} - {0}:
        lines = (json.dumps({"id": f"c{number}", "inputs": {"name": f"Name{number}"}}) for number in range(count))
        (folder / f"data/{count}.jsonl").write_text("\n".join(lines) + "\n")
        for prompt in ("greet", "echo"):
            (folder / f"{prompt}-{count}.yaml").write_text(SUITE.format(prompt=prompt, cases=count))


def _beside_the_ideal(workspace: Workspace) -> list[Bar]:
    """1,000 cases on a provider that takes 200 ms, 32 at once; start-up is what one case takes, less its 200 ms."""
    ratios = []
    with workspace.provider("benchmarks.slow_provider", str(DELAY_MS)):
        for _ in range(ROUNDS):
            start_s = _eval(workspace, "greet-1").wall_s - DELAY_MS / 1000
            whole_s = _eval(workspace, f"greet-{CASES}", "--concurrency", str(AT_ONCE)).wall_s
            ratios.append((whole_s - start_s) / IDEAL_S)
            print(f"  {CASES} cases of {DELAY_MS} ms, {AT_ONCE} at once: {whole_s:.2f} s, start-up {start_s:.2f} s")
    print(f"  after start-up, against the ideal {IDEAL_S} s: {_spread(ratios)}")
    return [Bar("eval after start-up against the ideal", statistics.median(ratios), 1.15)]


def _per_case(workspace: Workspace) -> list[Bar]:
    """CPU of a case that is asked, and of one that is stored; bytes of the databases beyond the text."""
    asked, stored, bytes_each = [], [], 0.0
    with workspace.provider("benchmarks.slow_provider", "0"):
        for _ in range(ROUNDS):
            one = _eval(workspace, "greet-1")
            many = _eval(workspace, f"greet-{CASES}", "--concurrency", str(AT_ONCE))
            asked.append((many.cpu_s - one.cpu_s) / (CASES - 1) * 1000)
            bytes_each = _bytes_per_case(workspace)
            again = _eval(workspace, f"greet-{CASES}", keep=True)
            _eval(workspace, "greet-1")
            one_again = _eval(workspace, "greet-1", keep=True)
            stored.append((again.cpu_s - one_again.cpu_s) / (CASES - 1) * 1000)
    print(f"  CPU of an uncached case: {_spread(asked)} ms; of a stored one: {_spread(stored)} ms")
    print(f"  bytes of the databases for each case, beyond its text: {bytes_each:.0f}")
    return [
        Bar("CPU of an uncached case, stored", statistics.median(asked), 3.0, " ms"),
        Bar("CPU of a case that is stored already", statistics.median(stored), 0.3, " ms"),
        Bar("bytes a case beyond its text", bytes_each, 1_500, " B"),
    ]


def _memory(workspace: Workspace) -> list[Bar]:
    few = _eval(workspace, f"echo-{CASES}", "--concurrency", str(AT_ONCE)).memory_mb
    many = _eval(workspace, f"echo-{MANY}", "--concurrency", str(AT_ONCE)).memory_mb
    print(f"  peak memory: {few:.0f} MB for {CASES} cases, {many:.0f} MB for {MANY}")
    return [Bar(f"peak memory of {MANY} cases against {CASES}", many / few, 1.2)]


def _eval(workspace: Workspace, suite: str, *options: str, keep: bool = False) -> Took:
    if not keep:
        shutil.rmtree(workspace.project / ".promptstudio", ignore_errors=True)
    return timed((PS, "eval", f"evals/{suite}.yaml", *options), workspace.env, workspace.project)


def timed(command: Sequence[str | Path], env: Mapping[str, str], cwd: Path, printed: str | None = None) -> Took:
    """Run a command that is to succeed, and perhaps to print just this."""
    with TemporaryFile() as out:
        started = time.perf_counter()
        with subprocess.Popen(command, env=env, cwd=cwd, stdout=out, stderr=subprocess.STDOUT) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read().decode(errors="replace")
    if process.returncode or printed not in (None, said):
        raise SystemExit(f"{' '.join(map(str, command))} failed with {process.returncode}:\n{said[-2000:]}")
    return Took(usage.ru_utime + usage.ru_stime, time.perf_counter() - started, usage.ru_maxrss / 1024)


def _bytes_per_case(workspace: Workspace) -> float:
    """Return what the databases of results and history grew by for each case, less its question and answer, once."""
    state = workspace.project / ".promptstudio"
    size = 0
    for name in ("evals.db", "history.db"):
        with contextlib.closing(sqlite3.connect(state / name)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            size += database.execute(
                "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
            ).fetchone()[0]
    with contextlib.closing(sqlite3.connect(state / "history.db")) as database:
        sql = "SELECT sum(length(r.inputs) + length(r.messages) + length(p.response_text)) FROM prompt_requests r"
        text = database.execute(f"{sql} JOIN prompt_responses p ON p.prompt_id = r.id").fetchone()[0]
    return float((size - text) / CASES)


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f}–{max(values):.3f})"
