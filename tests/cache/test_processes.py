"""Many processes, one cache: each request is asked for once, whoever dies in the middle."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from promptstudio.cache import locks
from promptstudio.cache.store import CacheStore

ASKER = Path(__file__).with_name("asker.py")
KINDS_OF_LOCKS = ["bytes", "files"] if locks._SET_LOCK is not None else ["files"]


@pytest.fixture(params=KINDS_OF_LOCKS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the processes of a test lock: bytes of one file, as on Linux, or a file for each request."""
    monkeypatch.setenv("LOCKS", request.param)
    return str(request.param)


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


@pytest.mark.usefixtures("kind")
def test_eight_processes_with_the_same_requests_make_one_call_each_and_then_none(tmp_path: Path) -> None:
    cached = [ended(one) for one in [start(tmp_path, delay_s=0.02, prompts=25, times=2) for _ in range(8)]]
    questions = [line.partition(" ")[2] for line in calls_of(tmp_path)]
    assert sorted(questions, key=int) == [str(number) for number in range(25)]
    assert sum(cached) == 8 * 50 - 25
    assert ended(start(tmp_path, delay_s=0, prompts=25)) == 25
    assert len(calls_of(tmp_path)) == 25
    total = CacheStore(tmp_path / "cache.db").stats().total
    assert (total.misses, total.hits) == (25, 8 * 50 - 25 + 25)
    assert not any(claim_files(tmp_path))


@pytest.mark.usefixtures("kind")
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


def claim_files(tmp_path: Path) -> list[Path]:
    """Return what claims have left, but for the one file whose bytes are locked, which stays and is empty."""
    return [*tmp_path.glob("cache.db.locks/*"), *(path for path in tmp_path.glob("*.claims") if path.stat().st_size)]


def waits_for_the_claim(pid: int, tmp_path: Path) -> bool:
    opened, places = Path(f"/proc/{pid}/fd"), (f"{tmp_path}/cache.db.locks/", f"{tmp_path}/cache.db.claims")
    if not opened.is_dir():
        return True  # no such view on this system: the order of things then is likely, not certain
    try:
        return any(str(link.readlink()).startswith(places) for link in opened.iterdir())
    except OSError:
        return False  # a file was closed while we looked


def test_the_bytes_of_requests_are_locked_apart_and_survive_what_others_do(tmp_path: Path) -> None:
    ours, theirs = locks.Rights(tmp_path / "cache.db"), locks.Rights(tmp_path / "cache.db")
    one, other = bytes(32), bytes([0] * 6 + [1] * 26)
    with ours.right(one) as held:
        assert held.take()
        assert held.take()
        assert not ours.right(one).take()  # another event loop of this process
        assert not theirs.right(one).take()  # as another process would see it
        with theirs.right(other) as apart:
            assert apart.take()
    with theirs.right(one) as free:
        assert free.take()
        theirs.close()
        with ours.right(one) as after:
            assert after.take()
    ours.close()


def test_a_lock_file_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    rights = locks.Rights(tmp_path / "cache.db")
    with rights.right(bytes(32)) as before:
        assert before.take()
        shutil.rmtree(tmp_path)
    with rights.right(bytes(32)) as after, locks.Rights(tmp_path / "cache.db").right(bytes(32)) as other:
        assert after.take()
        assert not other.take()
    rights.close()


@pytest.mark.skipif(locks._SET_LOCK is None, reason="a fork shares no locks where each request has a file")
def test_a_fork_does_not_take_the_locks_of_its_parent_for_its_own(tmp_path: Path) -> None:
    rights = locks.Rights(tmp_path / "cache.db")
    with rights.right(bytes(32)) as held:
        assert held.take()
        child = os.fork()
        if not child:
            os._exit(int(rights.right(bytes(32)).take()))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    rights.close()
