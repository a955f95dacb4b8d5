"""Many processes on one new history, again and again, some of them killed in the middle; prints counts.

    python benchmarks/soak_history.py [--rounds 20] [--processes 16] [--runs 20]

Each round starts all processes at once on no database. Every fourth is killed (-9) after a random number of runs. Then
the file must be sound, every run a process reported must be `completed`, and nothing may still be `running`.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

from promptstudio.history import History, open_history

WORKER = """
import sys
from pathlib import Path
from types import SimpleNamespace
from promptstudio.history import RequestRow, ResponseRow, open_history, preload
from promptstudio.types import Message

root = Path(sys.argv[1])
state_dir = root / ".promptstudio"
settings = SimpleNamespace(history_url=None, root=root, state_dir=state_dir, retention_days=None, redact=True)
preload()
sys.stdin.readline()
history = open_history(settings)
for number in range(int(sys.argv[2])):
    text = f"run {number} مرحبا " * 20
    row_id = history.begin(RequestRow("soak", "offline/echo", "me", "b", "i", messages=(Message.of("user", text),)))
    history.finish(row_id, ResponseRow(text))
    print(row_id, flush=True)
"""


def start(root: Path, runs: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(root), str(runs)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )


def one_round(root: Path, processes: int, runs: int, chance: random.Random) -> Counter[str]:
    children = [start(root, runs) for _ in range(processes)]
    for child in children:
        assert child.stdin
        child.stdin.write("go\n")
    reported: set[str] = set()
    errors = 0
    # Those to be killed come first: while the others are waited for, they would come to their end.
    for number, child in sorted(enumerate(children), key=lambda pair: pair[0] % 4 != 3):
        killed = number % 4 == 3
        if killed:
            assert child.stdout
            reported |= {child.stdout.readline().strip() for _ in range(chance.randrange(1, runs))}
            child.kill()
        out, err = child.communicate()
        reported |= set(out.split())
        errors += bool(err) or (child.returncode != 0 and not killed)
        if err:
            print(err, file=sys.stderr)
    return counts(root, reported, errors)


def counts(root: Path, reported: set[str], errors: int) -> Counter[str]:
    with open_history(settings_of(root)) as history:
        rows = {row.id: row.status for row in history.rows(limit=10**6)}
        found = len(history.search("مرحبا", limit=10**6).rows)
        lost = sum(rows.get(row_id) != "completed" for row_id in reported if len(row_id) == 36)
        return Counter(
            rounds=1,
            rows=len(rows),
            lost=lost,
            errors=errors,
            still_running=sum(status in ("pending", "running") for status in rows.values()),
            interrupted=sum(status == "interrupted" for status in rows.values()),
            not_found=len(rows) - found,
            damaged=integrity(history) != "ok",
        )


def integrity(history: History) -> str:
    return history.health(deep=True).integrity


def settings_of(root: Path) -> SimpleNamespace:
    state_dir = root / ".promptstudio"
    return SimpleNamespace(history_url=None, root=root, state_dir=state_dir, retention_days=None, redact=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    chance, total = random.Random(), Counter[str]()
    for number in range(options.rounds):
        root = Path(tempfile.mkdtemp(prefix="soak-"))
        total += one_round(root, options.processes, options.runs, chance)
        shutil.rmtree(root)
        print(f"round {number + 1}: {dict(total)}", flush=True)
    bad = total["lost"] + total["errors"] + total["still_running"] + total["not_found"] + total["damaged"]
    print("sound" if not bad else "NOT SOUND")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
