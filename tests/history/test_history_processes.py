"""Many processes on one history, and processes that end in the middle of a run."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from history_samples import project_settings, request, response, run_python, start_python, stored

from promptstudio.history import Filters, History, open_history, owners
from promptstudio.history.ids import utc_now

PROCESSES = 16


def test_sixteen_processes_at_once_on_no_database_lose_no_row(history: History, root: Path) -> None:
    # Forked from one process, because importing SQLModel 16 times is what would take long.
    script = f"""
from promptstudio.history import owners
preload()
start, go = os.pipe()
children = []
for _ in range({PROCESSES}):
    if child := os.fork():
        children.append(child)
        continue
    os.close(go)
    os.read(start, 1)  # returns when the parent closes its end: all begin at the same moment
    for _ in range(4):
        os.write(1, (stored(open_history(project_settings(root))) + "\\n").encode())
    owners.release_all()
    os._exit(0)  # tearing down all modules in 16 processes would take ten times as long as their work
os.close(go)
os.write(2, b"failed\\n" * sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""
    child = start_python(root, script)
    out, err = child.communicate(timeout=60)

    assert (child.returncode, err) == (0, "")
    ids = set(out.split())
    rows = history.rows(limit=1000)
    assert len(ids) == PROCESSES * 4 == len(rows) == len(history.search("charged", limit=1000).rows)
    assert {row.id for row in rows} == ids
    assert {row.status for row in rows} == {"completed"}
    assert history.health().integrity == "ok"
    assert list(history.store.place.locks_dir.iterdir()) == []


@pytest.fixture
def running(root: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process in the middle of a run, and the id of its row."""
    child = start_python(root, "print(history.begin(request()), flush=True); sys.stdin.read()")
    assert child.stdout
    row_id = child.stdout.readline().strip()
    yield child, row_id
    child.kill()
    child.communicate()


def test_a_row_of_a_living_process_runs(history: History, running: tuple[subprocess.Popen[str], str]) -> None:
    _, row_id = running

    assert history.row(row_id).status == "running"
    assert history.rows()[0].status == "running"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, None], ids=["kill -9", "kill", "normal end"])
def test_a_process_that_ended_in_a_run_leaves_a_row_that_says_interrupted(
    history: History, running: tuple[subprocess.Popen[str], str], how: signal.Signals | None
) -> None:
    child, row_id = running
    if how:
        child.send_signal(how)
    child.communicate("", timeout=30)

    assert history.row(row_id).status == "interrupted"
    assert history.health().integrity == "ok"
    assert [found.id for found in history.search("charged").rows] == [row_id]
    assert list(history.store.place.locks_dir.iterdir()) == []


def test_whoever_writes_next_also_finds_the_interrupted_row(
    settings: object, root: Path, running: tuple[subprocess.Popen[str], str]
) -> None:
    child, row_id = running
    child.kill()
    child.communicate()

    with open_history(project_settings(root)) as history:
        stored(history)
        assert [row.id for row in history.rows(Filters(status="interrupted"))] == [row_id]


@pytest.mark.parametrize("lines", [1, 7, 20])
def test_kill_9_in_the_middle_of_many_runs_corrupts_nothing(history: History, root: Path, lines: int) -> None:
    child = start_python(root, "while True: print(stored(history), flush=True)")
    assert child.stdout
    finished = [child.stdout.readline().strip() for _ in range(lines)]
    child.kill()
    finished += child.communicate()[0].split()

    rows = {row.id: row.status for row in history.rows(limit=100_000)}

    assert all(rows[row_id] == "completed" for row_id in finished[:-1])  # the last line may be cut
    assert set(rows.values()) <= {"completed", "interrupted"}
    assert list(rows.values()).count("interrupted") <= 1
    assert history.health(deep=True).integrity == "ok"


def test_a_crash_while_the_tables_are_made_leaves_a_file_the_next_process_can_use(history: History, root: Path) -> None:
    script = """
import sqlite3, signal
from promptstudio.history import sqlite
count = iter(range({at}, -1, -1))
def statements(search):
    for statement in original(search=search):
        if next(count) == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        yield statement
original, sqlite.schema_statements = sqlite.schema_statements, statements
stored(history)
"""
    for at in (0, 1, 8, 20):
        child = start_python(root, script.format(at=at))
        child.communicate(timeout=30)
        assert child.returncode == -signal.SIGKILL

    stored(history)

    assert [row.status for row in history.rows()] == ["completed"]


def test_a_row_may_finish_after_it_was_taken_for_interrupted(history: History) -> None:
    row_id = history.begin(request())
    with sqlite3.connect(str(history.store.place.path)) as connection:
        connection.execute("UPDATE prompt_requests SET status = 'interrupted'")
    connection.close()

    history.finish(row_id, response())

    assert history.row(row_id).status == "completed"


def test_a_child_of_a_dead_process_does_not_keep_its_row_alive(history: History, root: Path) -> None:
    child = start_python(
        root,
        """
row_id = history.begin(request())
parent = os.getpid()
if os.fork() == 0:
    os.kill(parent, 9)
    print(row_id, flush=True)
sys.stdin.read()
""",
    )
    assert child.stdout
    row_id = child.stdout.readline().strip()
    child.wait(30)

    status = history.row(row_id).status
    child.communicate("")

    assert status == "interrupted"


def test_own_rows_stay_running_for_a_second_history_in_the_process(history: History, root: Path) -> None:
    row_id = history.begin(request())

    with open_history(project_settings(root)) as other:
        assert other.row(row_id).status == "running"


def test_a_process_whose_lock_folder_was_removed_takes_a_new_lock(history: History) -> None:
    history.begin(request())
    for file in history.store.place.locks_dir.iterdir():
        file.unlink()
    history.store.place.locks_dir.rmdir()

    row_id = history.begin(request())

    detail = history.row(row_id).detail
    assert detail
    assert detail.owner == owners.own_owner(history.store.place.locks_dir)
    assert len(list(history.store.place.locks_dir.iterdir())) == 1


def test_lock_files_without_rows_are_swept_when_they_are_old(history: History) -> None:
    locks = history.store.place.locks_dir
    row_id = history.begin(request())
    old, young = locks / "old", locks / "young"
    for file in (old, young):
        file.touch()
    os.utime(old, (0, 0))
    with sqlite3.connect(str(history.store.place.path)) as connection:
        connection.execute("UPDATE prompt_requests SET owner = 'here:gone'")
    connection.close()

    history._swept = False
    assert history.sweep() == 1

    assert history.row(row_id).status == "interrupted"
    assert not old.exists()
    assert young.exists()


@pytest.mark.parametrize("owner", [None, "", "x", "host:", "host:../../etc/passwd", "host:.", "host:gone"])
def test_a_row_without_a_lock_is_dead_whatever_its_owner_says(tmp_path: Path, owner: str | None) -> None:
    assert not owners.is_alive(owner, tmp_path)


def test_an_owner_that_is_a_path_removes_no_file(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    precious = tmp_path / "precious"
    precious.touch()

    assert not owners.is_alive("host:../precious", tmp_path / "locks")
    assert precious.exists()


def test_a_process_that_ends_takes_its_lock_file_along(history: History, root: Path) -> None:
    run_python(root, "stored(history); assert list(history.store.place.locks_dir.iterdir())")

    assert list(history.store.place.locks_dir.iterdir()) == []


def test_rows_of_another_machine_count_as_interrupted_after_a_day(any_history: History) -> None:
    if any_history.store.place.path:
        pytest.skip("a file is on this machine: its locks tell")
    young = any_history.begin(request())
    old = any_history.begin(request(created_at=utc_now() - timedelta(hours=25)))
    with any_history.store.writing() as run:
        run("UPDATE prompt_requests SET owner = :owner", {"owner": "elsewhere:x"})

    any_history._swept = False
    any_history.sweep()

    assert [any_history.row(row_id).status for row_id in (young, old)] == ["running", "interrupted"]


def test_rows_of_this_machine_in_a_server_are_told_by_their_locks(any_history: History) -> None:
    own, lost = any_history.begin(request()), any_history.begin(request())
    with any_history.store.writing() as run:
        run(
            "UPDATE prompt_requests SET owner = :owner WHERE id = :id", {"owner": f"{owners.host_name()}:x", "id": lost}
        )

    any_history._swept = False
    any_history.sweep()

    assert [any_history.row(row_id).status for row_id in (own, lost)] == ["running", "interrupted"]


LIGHT = {
    "list": "history.rows()",
    "search": "history.search('charged')",
    "show": "history.row('last')",
    "count": "history.count()",
    "health": "history.health()",
    "begin": "history.begin(request())",
}
HEAVY = [
    "sqlmodel",
    "sqlalchemy",
    "alembic",
    "pydantic",
    "rich",
    "jinja2",
    "litellm",
    "mirascope",
    "openai",
    "instructor",
]


@pytest.mark.parametrize("action", LIGHT)
def test_reading_and_beginning_load_no_heavy_library(history: History, root: Path, action: str) -> None:
    stored(history)
    script = f"""
from history_samples import project_settings
from promptstudio.history import *
from promptstudio.types import Message
history = open_history(project_settings(root))
request = lambda: RequestRow("p", "m", "u", "b", "i", messages=(Message.of("user", "x"),))
{LIGHT[action]}
print(*(name for name in {HEAVY!r} if name in sys.modules))
"""

    assert run_python(root, script, samples=False).split() == []


def test_a_new_file_is_made_without_any_heavy_library(root: Path, path: Path) -> None:
    loaded = run_python(root, f"history.begin(request()); print(*(n for n in {HEAVY!r} if n in sys.modules))")

    assert loaded.split() == []
    assert path.exists()


def test_preloading_leaves_nothing_to_load_for_the_end_of_a_run(root: Path) -> None:
    script = """
row_id = history.begin(request())
preload()
before = set(sys.modules)
history.finish(row_id, response(), [attempt()])
ours = ("promptstudio", "sqlmodel", "alembic")
print(*(name for name in set(sys.modules) - before if name.partition(".")[0] in ours))
"""

    assert run_python(root, script).split() == []
