"""Evaluations that are killed, that meet, and that ask the same: what is asked for twice is counted at the provider.

200 runs stopped at random moments   nothing that was answered is asked again, but what was under way at a SIGKILL
3 processes with the same 200 cases  200 calls in all; once more, and once more with the cache alone: none
64 cases with the same request       one call
an exact lookup                      its time, in a cache of 20,000 answers
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Bar
from benchmarks.workspace import PS, Workspace, make_workspace
from promptstudio.cache.request import cache_key, content_of, key_parts
from promptstudio.cache.schema import NewEntry
from promptstudio.cache.store import CacheStore
from promptstudio.providers.schema import Connection
from promptstudio.types import Saved

KILLER = Path(__file__).parent.parent / "tests/evals/killer.py"
CASES = 2_000
RUNS = 200
AT_ONCE = 4
DELAY_MS = 200
ON_ITS_WAY_S = 0.5
"""An answer that was given so shortly before a SIGKILL may not have reached the disk yet."""
ENTRIES = 20_000
LOOKUPS = 2_000
SUITE = """\
prompt: greet
cases: data/{name}.jsonl
assert:
  - {{contains: Hello}}
  - {{regex: "Name[0-9]*[02468]!"}}
gate: {{pass_rate: 0}}
"""


@dataclass(frozen=True)
class Call:
    """One request as the provider saw it."""

    asked_at: float
    answered_at: float
    question: str


def measure(workspace: Workspace, _options: argparse.Namespace) -> list[Bar]:
    folder = workspace.home / "soak-evals"
    return [*_killed(folder / "killed"), *_together(folder / "together"), _same(folder / "same"), _lookup(folder)]


def _killed(folder: Path) -> list[Bar]:
    workspace = _project(folder, [f"Name{number}" for number in range(CASES)])
    log = folder / "calls"
    with workspace.provider("benchmarks.slow_provider", str(DELAY_MS), str(log)):
        command = [sys.executable, str(KILLER), str(RUNS), str(AT_ONCE)]
        told = json.loads(_said(workspace, command))
        calls = _calls(log)
        shutil.rmtree(workspace.project / ".promptstudio")
        whole = json.loads(_said(workspace, [PS, "eval", "--json", "--no-cache", "--concurrency", "32"]))
    lost = CASES - len({call.question for call in calls})
    killed, wrongly = _repeated(calls, [(moment, code) for moment, code in told["ended"]])
    codes = ", ".join(f"{count} × {code}" for code, count in sorted(told["codes"].items()))
    found, wanted = (_outcomes(each) for each in (told, whole))
    print(f"  {RUNS} runs stopped at random moments, exit codes {codes}")
    print(f"  {len(calls)} calls for {CASES} cases: {killed} asked again after a SIGKILL, {wrongly} for no such reason")
    print(f"  outcomes {dict(found)}; of an uninterrupted run {dict(wanted)}")
    return [
        Bar("answered calls repeated, or never made", wrongly + lost, 0),
        Bar("outcomes that differ from an uninterrupted run", sum(((found - wanted) + (wanted - found)).values()), 0),
    ]


def _repeated(calls: Sequence[Call], ended: Sequence[tuple[float, int]]) -> tuple[int, int]:
    """Count what was asked again because it was under way when a run was killed, and what was for no such reason."""
    by_question = defaultdict(list)
    for call in sorted(calls, key=lambda each: each.asked_at):
        by_question[call.question].append(call)
    killed = wrongly = 0
    for each in by_question.values():
        for call in each[:-1]:
            moment, code = next(one for one in [*ended, (float("inf"), 0)] if one[0] >= call.asked_at)
            if code == -9 and call.answered_at >= moment - ON_ITS_WAY_S:
                killed += 1
            else:
                wrongly += 1
    return killed, wrongly


def _together(folder: Path) -> list[Bar]:
    """Three processes at the same moment, three times; the third time their results are gone, and the cache is left."""
    workspace = _project(folder, [f"Name{number}" for number in range(200)])
    log = folder / "calls"
    counts = []
    with workspace.provider("benchmarks.slow_provider", "20", str(log)):
        for number in range(3):
            if number == 2:
                _forget_results(workspace)
            before = len(_calls(log))
            started = [_started(workspace, [PS, "eval", "--json"]) for _ in range(3)]
            outs = [process.communicate()[0] for process in started]
            if any(sum(_outcomes(json.loads(out)).values()) != 200 for out in outs):
                raise SystemExit(f"a run of three has not judged its 200 cases: {outs}")
            counts.append(len(_calls(log)) - before)
    first, again, cached = counts
    print(f"  3 processes with the same 200 cases: {first} calls; once more: {again}; from the cache: {cached}")
    return [
        Bar("calls of 3 processes for 200 cases, more or less", abs(first - 200), 0),
        Bar("calls when they go again", again + cached, 0),
    ]


def _forget_results(workspace: Workspace) -> None:
    for path in (workspace.project / ".promptstudio").glob("evals.db*"):
        path.unlink()


def _same(folder: Path) -> Bar:
    workspace = _project(folder, ["Name0"] * 64)
    with workspace.provider("benchmarks.slow_provider", str(DELAY_MS), str(folder / "calls")):
        told = json.loads(_said(workspace, [PS, "eval", "--json", "--concurrency", "64"]))
    calls = len(_calls(folder / "calls"))
    print(f"  64 identical requests in flight: {calls} call; outcomes {dict(_outcomes(told))}")
    return Bar("calls for 64 identical requests", calls, 1)


def _lookup(folder: Path) -> Bar:
    """Look answers up as a wire does: from the request to its key to the answer."""
    connection = Connection("loopback/bench", "loopback", "openai/bench", "127.0.0.1", api_base="http://127.0.0.1/v1")
    store = CacheStore(folder / "cache.db")
    entries = []
    for number in range(ENTRIES):
        content = content_of(_arguments(number), connection.model)
        reply = json.dumps({"choices": [{"message": {"content": f"Hello, Name{number}! " * 20}}]})
        parts = key_parts(content, connection, 0)
        entries.append(NewEntry(cache_key(content, connection, 0), "greet", "m", parts, reply, Saved(None, 200)))
    store.keep_all(entries)
    times = []
    for number in range(0, ENTRIES, ENTRIES // LOOKUPS):
        started = time.perf_counter()
        kept = store.find(cache_key(content_of(_arguments(number), connection.model), connection, 0))
        times.append((time.perf_counter() - started) * 1000)
        assert kept is not None
    store.close()
    share = statistics.quantiles(times, n=100)
    print(f"  an exact lookup among {ENTRIES}: {statistics.median(times):.3f} ms, 99 % within {share[98]:.3f} ms")
    return Bar("an exact lookup", statistics.median(times), 0.3, " ms")


def _arguments(number: int) -> dict[str, Any]:
    asked = [{"role": "system", "content": "You greet. " * 100}, {"role": "user", "content": f"Say hello to {number}."}]
    return {"model": "bench", "messages": asked, "temperature": 0.2}


def _project(folder: Path, names: Sequence[str]) -> Workspace:
    folder.mkdir(parents=True)
    workspace = make_workspace(folder)
    data = workspace.project / "evals/data"
    data.mkdir(parents=True)
    lines = (json.dumps({"id": f"c{number}", "inputs": {"name": name}}) for number, name in enumerate(names))
    (data / "cases.jsonl").write_text("\n".join(lines) + "\n")
    (workspace.project / "evals/soak.yaml").write_text(SUITE.format(name="cases"))
    return workspace


def _calls(log: Path) -> list[Call]:
    return [Call(*json.loads(line)) for line in log.read_text().splitlines()] if log.exists() else []


def _outcomes(told: dict[str, Any]) -> Counter[str]:
    totals = told["suites"][0]["totals"]
    return Counter({name: totals[name] for name in ("pass", "fail", "error", "unscored", "skipped") if totals[name]})


def _started(workspace: Workspace, command: Sequence[str | Path]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, env=workspace.env, cwd=workspace.project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _said(workspace: Workspace, command: Sequence[str | Path]) -> str:
    process = _started(workspace, command)
    out, err = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed with {process.returncode}:\n{err}")
    return out
