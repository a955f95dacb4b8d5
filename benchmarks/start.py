"""What is typed all day, against `llm --version`."""

from __future__ import annotations

import argparse

from benchmarks.measure import Bar, compared
from benchmarks.workspace import LLM, PS, Workspace

LIMIT = 0.10


def measure(workspace: Workspace, options: argparse.Namespace) -> list[Bar]:
    bars = []
    for word in ("--help", "--version", "list"):
        found = compared([PS, word], [LLM, "--version"], env=workspace.env, cwd=workspace.project, pairs=options.pairs)
        found.show(f"ps {word}")
        bars.append(Bar(f"ps {word}, CPU against llm --version", found.ratio("cpu_ms"), LIMIT))
    return bars
