"""A full disk, a damaged file, one that somebody holds: `evaluate` says so, exits 2, and what was stored stays."""

from __future__ import annotations

import asyncio
import json
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from promptstudio.errors import HistoryError
from promptstudio.evals import store as store_module
from promptstudio.evals import storefile
from promptstudio.evals.evaluate import EvalOptions, Finished, Watcher, evaluate
from promptstudio.evals.records import CaseResult
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import load_suite
from tests.conftest import Project

KEY = "sk-proj-" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z"
CASES = 60


@pytest.fixture
def path(project: Project) -> Path:
    """The file of results of a project whose suite has many cases; it is not there yet."""
    project.write("evals/greet.yaml", "prompt: greet\ncases: many.jsonl\nassert: [{contains: hello}]\n")
    names = (f"N{number} {noise(number)}" for number in range(CASES))
    lines = (json.dumps({"id": f"c{at}", "inputs": {"name": name}}) for at, name in enumerate(names))
    project.write("evals/many.jsonl", "\n".join(lines) + "\n")
    return store_path(project.settings())


def noise(number: int) -> str:
    """Return letters that do not pack well, so that cases need room."""
    state = number * 7919 + 13
    letters = []
    for _ in range(1_500):
        state = (state * 1103515245 + 12345) % 2**31
        letters.append(chr(97 + (state >> 16) % 26))
    return "".join(letters)


async def run(project: Project, **options: Any) -> Finished:
    settings = project.settings()
    suite = load_suite(project.root / "evals/greet.yaml", settings)
    return await evaluate(suite, settings, {}, EvalOptions(**options), Watcher())


def kept(path: Path) -> list[CaseResult]:
    with EvalStore(path) as store:
        return [one for run in store.runs() for one in store.results(run)]


def small_disk(monkeypatch: pytest.MonkeyPatch, pages: int) -> None:
    """Let SQLite itself find no more room than so many pages."""
    real = storefile.made_file

    def made(*arguments: Any) -> sqlite3.Connection:
        connection = real(*arguments)
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    monkeypatch.setattr(store_module, "made_file", made)


async def test_a_disk_that_fills_up_in_the_middle_keeps_what_ended_and_the_next_run_goes_on(
    project: Project, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        small_disk(patch, 30)
        with pytest.raises(HistoryError, match="full") as caught:
            await run(project, concurrency=4)
        assert caught.value.exit_code == 2
        assert "free some space" in (caught.value.hint or "")
        assert "goes on from there" in (caught.value.hint or "")
    stored = kept(path)
    assert 0 < len(stored) < CASES  # how many fit depends on how many were written at once
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)

    finished = await run(project)
    assert finished.totals.counts["pass"] == CASES
    assert sum(one.reused for one in kept(path)) == len(stored)


def smaller_files(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_ps_eval_on_a_full_disk_exits_2_with_one_error_and_goes_on_later(project: Project, path: Path) -> None:
    def ps_eval(**options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "promptstudio", "eval", "--no-cache", "--concurrency", "4"]
        return subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False, **options)

    full = ps_eval(preexec_fn=smaller_files(150_000))
    assert full.returncode == 2, full.stderr
    assert "Traceback" not in full.stderr
    assert [line for line in full.stderr.splitlines() if line.startswith("error:")]
    assert "hint:" in full.stderr
    before = len(kept(path))
    assert before < CASES

    later = ps_eval()
    assert later.returncode == 0, later.stderr
    assert sum(one.reused for one in kept(path)) == before


def damage(path: Path) -> None:
    """Overwrite the beginning of each page but the first two."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    data = bytearray(path.read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(data)


def set_aside(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


async def test_a_damaged_file_says_how_to_put_it_aside_and_then_a_new_one_begins(project: Project, path: Path) -> None:
    await run(project)
    damage(path)
    with pytest.raises(HistoryError, match="damaged") as caught:
        await run(project)
    assert caught.value.exit_code == 2
    assert (caught.value.hint or "").endswith(f"mv {path} {path}.damaged")
    set_aside(path)
    assert (await run(project)).totals.counts["pass"] == CASES


@pytest.mark.parametrize("made", [b"no database, but long enough to be one " * 400, b"half"])
def test_a_file_that_is_no_database_is_an_error_and_stays_as_it_is(project: Project, path: Path, made: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(made)
    with pytest.raises(HistoryError, match="damaged") as caught:
        asyncio.run(run(project))
    assert caught.value.exit_code == 2
    assert path.read_bytes() == made


async def test_a_file_that_somebody_holds_is_an_error_that_says_so_and_nothing_is_lost(
    project: Project, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run(project)
    monkeypatch.setattr(storefile, "BUSY_TIMEOUT_S", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HistoryError, match="locked") as caught:
            await run(project)
        assert "another program holds the file" in (caught.value.hint or "")
    assert (await run(project)).exit_code == 0


def test_a_folder_in_the_place_of_the_file_is_an_error(project: Project, path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(HistoryError, match="cannot be read or written") as caught:
        asyncio.run(run(project))
    assert caught.value.exit_code == 2
    assert caught.value.hint


async def test_a_key_in_a_case_reaches_no_file_of_the_project_and_is_not_asked_again(
    project: Project, path: Path
) -> None:
    line = json.dumps({"id": "k", "inputs": {"name": KEY}})
    project.write("evals/many.jsonl", line + "\n")
    assert (await run(project)).exit_code == 0
    state = [file.read_bytes() for file in path.parent.rglob("*") if file.is_file()]
    assert KEY.encode() not in b"".join(state)
    again = await run(project)
    assert (again.exit_code, [one.reused for one in kept(path)].count(True)) == (0, 1)
    graded = await run(project, regrade=True, grading=again.run)
    assert graded.totals.counts["pass"] == 1


async def test_a_conversation_that_was_stored_has_its_turns_and_all_that_was_said(project: Project, path: Path) -> None:
    turns = "{id: talk, turns: [{inputs: {name: One}, assert: [{contains: One}]}, {inputs: {name: Two}}]}"
    project.write("evals/greet.yaml", f"prompt: greet\ncases:\n  - {turns}\nassert: [{{contains: hello}}]\n")
    await run(project)
    [stored] = kept(path)
    assert [turn["inputs"] for turn in stored.case.turns] == [{"name": "One"}, {"name": "Two"}]
    assert [answer.messages[-1].text for answer in stored.answers] == [
        "Say hello to One in a warm way.",
        "Say hello to Two in a warm way.",
    ]
    assert [score.actual for score in stored.scores] == [stored.answers[0].text, stored.answers[1].text]
    assert all(score.reason for score in stored.scores)
    assert (await run(project)).exit_code == 0
    assert kept(path)[0].answers == stored.answers
