"""python -m benchmarks [NAME…]: measure, print, and say which bars are missed; the exit code is 0 all the same."""

from __future__ import annotations

import argparse
import compileall
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import eval_peers, evals, handover, history, judge, run, soak, soak_evals, start, statistics, versions
from benchmarks.measure import Bar
from benchmarks.workspace import Workspace, make_workspace

Benchmark = Callable[[Workspace, argparse.Namespace], list[Bar]]

# name, what it measures, the function, whether `make bench` runs it
BENCHMARKS: tuple[tuple[str, str, Benchmark, bool], ...] = (
    ("start", "--help, --version and list", start.measure, True),
    ("handover", "the system's ps through our script", handover.measure, True),
    ("run", "one run on a loopback provider", run.measure_cold, True),
    ("warm", "the same through the warm process", run.measure_warm, True),
    ("history", "100,000 runs: list and search", history.measure, True),
    ("versions", "1,000 prompts and 2,000 commits: log, diff, blame, verify, list", versions.measure, True),
    ("evals", "evaluations: 1,000 and 20,000 cases", evals.measure, True),
    ("eval-peers", "the same beside promptfoo and pydantic-evals", eval_peers.measure, True),
    ("judge", "a judged suite: 500 cases, three verdicts each", judge.measure, True),
    ("statistics", "gates on made-up suites: how often they err, and how often they find", statistics.measure, True),
    ("soak", "16 runs at once on one database, 20 times", soak.measure, True),
    ("soak-evals", "200 evaluations killed and gone on with; 3 at once; 64 requests alike", soak_evals.measure, False),
    ("killed", "16 writers on a new history, each fourth killed, 20 times", soak.measure_killed, False),
    ("million", "1,000,000 runs: list and search; some minutes to build, once", history.measure_million, False),
)


def main() -> None:
    options = arguments()
    chosen = [row for row in BENCHMARKS if (row[0] in options.names if options.names else row[3])]
    print(machine(), flush=True)
    compileall.compile_dir(Path(__file__).parent.parent / "promptstudio", quiet=2)
    bars: list[Bar] = []
    with TemporaryDirectory(prefix="promptstudio-bench-") as folder:
        workspace = make_workspace(Path(folder))
        for name, title, measure, _ in chosen:
            print(f"\n{name}: {title}", flush=True)
            started = time.monotonic()
            bars += measure(workspace, options)
            print(f"  ({time.monotonic() - started:.0f} s)", flush=True)
    missed = [bar for bar in bars if not bar.is_met]
    print(f"\n{len(bars) - len(missed)} of {len(bars)} bars met")
    for bar in missed:
        print(f"missed: {bar}")


def arguments() -> argparse.Namespace:
    names = [row[0] for row in BENCHMARKS]
    listed = "\n".join(
        f"  {name:<12}{title}{'' if by_default else '  (only by name)'}" for name, title, _, by_default in BENCHMARKS
    )
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=listed, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="all but those only by name")
    parser.add_argument("--pairs", type=int, default=10, help="measured pairs of ours and theirs (default 10)")
    parser.add_argument("--rounds", type=int, default=20, help="rounds of the soak (default 20)")
    parser.add_argument(
        "--peers", type=Path, metavar="DIR", help="where promptfoo and pydantic-evals are (~/.cache/promptstudio-bench)"
    )
    parser.add_argument(
        "--many",
        type=int,
        default=evals.MANY,
        help="cases for the memory of the peers; 0 leaves it out (default 20000)",
    )
    options = parser.parse_args()
    for name in options.names:
        if name not in names:
            parser.error(f"there is no benchmark '{name}'; there are {', '.join(names)}")
    return options


def machine() -> str:
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}, "
        f"llm {version('llm')}, litellm {version('litellm')}; load before: {load}"
    )


if __name__ == "__main__":
    main()
