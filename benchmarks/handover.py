"""What the system's `ps` costs more when it is reached through ours."""

from __future__ import annotations

import argparse
import os
import statistics

from benchmarks.measure import Bar, compared, spread
from benchmarks.workspace import PS, Workspace

LIMIT_MS = 30.0
SYSTEM = ("/bin/ps", "/usr/bin/ps")


def measure(workspace: Workspace, options: argparse.Namespace) -> list[Bar]:
    system = next((path for path in SYSTEM if os.access(path, os.X_OK)), None)
    if system is None:
        print("  this machine has no ps")
        return []
    words = ["-p", "1", "-o", "pid="]
    pairs = max(20, options.pairs)
    found = compared([PS, *words], [system, *words], env=workspace.env, cwd=workspace.project, pairs=pairs)
    more = [ours.wall_ms - theirs.wall_ms for ours, theirs in zip(found.ours, found.theirs, strict=True)]
    print(f"  through ours {spread([cost.wall_ms for cost in found.ours])} ms")
    print(f"  {system} itself {spread([cost.wall_ms for cost in found.theirs])} ms")
    print(f"  more, wall {spread(more)} ms")
    return [Bar("ps -p 1 -o pid=, wall time more than the system's", statistics.median(more), LIMIT_MS, " ms")]
