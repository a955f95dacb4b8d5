"""Many processes, one cache: each request is asked for once, whoever dies in the middle."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from promptstudio.cache.store import CacheStore

ASKER = Path(__file__).with_name("asker.py")


def start(tmp_path: Path, *, delay_s: float, prompts: int, times: int = 1) -> subprocess.Popen[str]:
    arguments = [tmp_path / "cache.db", tmp_path / "calls", delay_s, prompts, times]
    command = [sys.executable, ASKER, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def calls_of(tmp_path: Path) -> list[str]:
    path = tmp_path / "calls"
    return path.read_text().splitlines() if path.exists() else []


def ended(process: subprocess.Popen[str]) -> int:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return int(out)


def test_eight_processes_with_the_same_requests_make_one_call_each_and_then_none(tmp_path: Path) -> None:
    cached = [ended(one) for one in [start(tmp_path, delay_s=0.02, prompts=25, times=2) for _ in range(8)]]
    questions = [line.partition(" ")[2] for line in calls_of(tmp_path)]
    assert sorted(questions, key=int) == [str(number) for number in range(25)]
    assert sum(cached) == 8 * 50 - 25
    assert ended(start(tmp_path, delay_s=0, prompts=25)) == 25
    assert len(calls_of(tmp_path)) == 25
    total = CacheStore(tmp_path / "cache.db").stats().total
    assert (total.misses, total.hits) == (25, 8 * 50 - 25 + 25)
    assert list((tmp_path / "cache.db.locks").iterdir()) == []


def test_a_process_killed_in_mid_call_leaves_its_place_to_the_next(tmp_path: Path) -> None:
    owner = start(tmp_path, delay_s=60, prompts=1)
    while not calls_of(tmp_path):
        time.sleep(0.01)
    waiting = start(tmp_path, delay_s=0, prompts=1)
    while not waits_for_the_claim(waiting.pid, tmp_path):
        time.sleep(0.01)
    assert len(calls_of(tmp_path)) == 1
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    assert ended(waiting) == 0
    assert [line.split()[0] for line in calls_of(tmp_path)] == [str(owner.pid), str(waiting.pid)]


def waits_for_the_claim(pid: int, tmp_path: Path) -> bool:
    opened = Path(f"/proc/{pid}/fd")
    if not opened.is_dir():
        return True  # no such view on this system: the order of things then is likely, not certain
    try:
        return any(str(link.readlink()).startswith(str(tmp_path / "cache.db.locks")) for link in opened.iterdir())
    except OSError:
        return False  # a file was closed while we looked
