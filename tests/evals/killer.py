"""`killer.py RUNS CONCURRENCY`: `ps eval` in the current project, started RUNS times and stopped at random moments.

Each run is a fork of this process, so that a start costs milliseconds. SIGINT, SIGTERM and SIGKILL take turns. The last
run is left alone. Prints the exit codes, when each run was over and how, and what the last run printed.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import promptstudio.cli.eval
import promptstudio.providers.litellm_wire
import promptstudio.providers.mirascope_bridge
import promptstudio.providers.typed  # noqa: F401  imported once, here
from promptstudio.cli.main import main

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


def forked(out: Path, concurrency: str) -> int:
    """Start a run in a process of its own; return its id."""
    child = os.fork()
    if child:
        return child
    code = 4
    try:
        text = io.StringIO()
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(io.StringIO()):
            code = main(["eval", "--json", "--no-cache", "--concurrency", concurrency], "ps")
        out.write_text(text.getvalue())
    finally:
        os._exit(code)


def killed(runs: int, concurrency: str, seed: int) -> dict[str, object]:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started us may have turned it off
    chance, codes, out = random.Random(seed), Counter[str](), Path(".promptstudio-killer.json")
    ended: list[tuple[float, int]] = []
    for number in range(runs):
        child = forked(out, concurrency)
        time.sleep(chance.uniform(0.2, 0.9))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, STOPS[number % 3])
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        ended.append((time.time(), code))
        codes[str(code)] += 1
    codes[f"last {os.waitstatus_to_exitcode(os.waitpid(forked(out, concurrency), 0)[1])}"] += 1
    return {"codes": codes, "ended": ended, **json.loads(out.read_text())}


if __name__ == "__main__":
    found = killed(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(10**6))
    print(json.dumps(found))
