"""A judged suite against the judge's own time: 500 cases, three judged assertions each, a judge that takes 300 ms."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time

from benchmarks.measure import Bar
from benchmarks.workspace import PS, Workspace

CASES = 500
ASSERTIONS = 3
DELAY_MS = 300
AT_ONCE = 16
IDEAL_S = CASES * ASSERTIONS * DELAY_MS / 1000 / AT_ONCE
ROUNDS = 3
SUITE = """\
prompt: echo
judge: loopback/judge
cases: data/judged-{cases}.jsonl
assert:
  - {{llm-rubric: it greets}}
  - {{llm-rubric: it is polite}}
  - {{llm-rubric: it names the person}}
"""


def measure(workspace: Workspace, _options: argparse.Namespace) -> list[Bar]:
    _write_suites(workspace)
    ratios = []
    with workspace.provider("benchmarks.slow_judge", str(DELAY_MS)):
        for _ in range(ROUNDS):
            start_s = _eval_s(workspace, "judged-1") - DELAY_MS / 1000
            whole_s = _eval_s(workspace, f"judged-{CASES}")
            ratios.append((whole_s - start_s) / IDEAL_S)
            print(f"  {CASES} cases × {ASSERTIONS}, {AT_ONCE} at once: {whole_s:.2f} s, start-up {start_s:.2f} s")
    print(f"  after start-up, against the ideal {IDEAL_S:.1f} s: {min(ratios):.3f} to {max(ratios):.3f}")
    return [Bar("judged suite against the ideal", statistics.median(ratios), 1.2)]


def _write_suites(workspace: Workspace) -> None:
    folder = workspace.project / "evals"
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for count in (1, CASES):
        lines = (json.dumps({"id": f"c{number}", "inputs": {"name": f"Name{number}"}}) for number in range(count))
        (folder / f"data/judged-{count}.jsonl").write_text("\n".join(lines) + "\n")
        (folder / f"judged-{count}.yaml").write_text(SUITE.format(cases=count))


def _eval_s(workspace: Workspace, suite: str) -> float:
    started = time.monotonic()
    subprocess.run(
        [PS, "eval", suite, "--fresh", "--concurrency", str(AT_ONCE)],
        cwd=workspace.project,
        env=workspace.env,
        check=True,
        capture_output=True,
    )
    return time.monotonic() - started
