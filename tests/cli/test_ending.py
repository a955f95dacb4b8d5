"""The quick end of a process leaves nothing out that anybody could miss."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from promptstudio.cli.ending import FLUSH_FAILED
from tests.conftest import Project, Script

PROGRAM = """\
import atexit, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from promptstudio.cli.ending import end_process
atexit.register(print, "exit function")
threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
pool = ThreadPoolExecutor()
pool.submit(lambda: (time.sleep(0.3), print("executor")))
print("unflushed")
end_process(7)
"""


def run(code: str, stdout: int | IO[str] = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env={}, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )


def test_threads_exit_functions_and_streams_come_first() -> None:
    done = run(PROGRAM)

    assert done.stdout.splitlines() == ["unflushed", "thread", "executor", "exit function"]
    assert (done.returncode, done.stderr) == (7, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_last_flush_that_fails_is_pythons_own_exit_code() -> None:
    with Path("/dev/full").open("w") as full:
        done = run("from promptstudio.cli.ending import end_process; print('x'); end_process(0)", full)

    assert done.returncode == FLUSH_FAILED


def test_a_run_gives_the_history_file_back_in_one_piece(project: Project, ps: Script) -> None:
    ps("run", "greet", "-v", "name=Ada")

    assert sorted(path.name for path in (project.root / ".promptstudio").glob("history.db*")) == [
        "history.db",
        "history.db.locks",
    ]
