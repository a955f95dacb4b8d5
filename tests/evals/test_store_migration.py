"""A file of results that version 1 made, by the program of then, is read and gone on with by the program of now."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from promptstudio.errors import HistoryError
from promptstudio.evals import storefile
from promptstudio.evals.report.data import line_of, result_object
from promptstudio.evals.store import EvalStore
from tests.evals.report_samples import case_result, record

SAMPLES = Path(__file__).parent / "stored"
KEY = "sk-proj-" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z"
RUNS = 3


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "evals.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript((SAMPLES / "evals-1.sql").read_text(encoding="utf-8").replace("A-KEY-WAS-HERE", KEY))
        database.execute("PRAGMA journal_mode = WAL")
    return path


def reported_then(key: str) -> list[dict[str, Any]]:
    """What the program of then reported of the first and the last run."""
    text = (SAMPLES / "evals-1.jsonl").read_text(encoding="utf-8").replace("A-KEY-WAS-HERE", key)
    return [json.loads(line) for line in text.splitlines()]


def reported_now(store: EvalStore) -> list[dict[str, Any]]:
    runs = store.runs()[::-1]
    assert len(runs) == RUNS
    found = [{"run": run.id, **result_object(one)} for run in runs[::2] for one in store.results(run)]
    return [json.loads(line_of(one)) for one in found]


def assert_holds(found: Any, wanted: Any) -> None:
    """Whatever was known then is known now; there may be more."""
    if isinstance(wanted, dict):
        for name, value in wanted.items():
            assert_holds(found[name], value)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_holds(one, other)
    else:
        assert found == wanted


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("PRAGMA user_version").fetchone()[0])


def test_results_of_an_old_file_are_what_they_were(old: Path) -> None:
    with EvalStore(old, redacting=False) as store:
        assert_holds(reported_now(store), reported_then(KEY))
    assert version_of(old) == storefile.VERSION


def test_an_old_file_is_written_to_at_once_and_its_results_are_found(old: Path) -> None:
    with closing(sqlite3.connect(old)) as database:
        query = "SELECT r.key, a.key FROM results r JOIN answers a ON a.number = r.answer WHERE outcome = 0"
        keys = [(key.hex(), answer.hex()) for key, answer in database.execute(query)]
    assert keys
    with EvalStore(old) as store:
        number = store.begin(record([], id="new"))
        store.add(number, 0, [(0, case_result("new"))])
        assert [one.case.id for one in store.results(store.run("new"))] == ["new"]
        for key, answer in keys:
            found = store.find(key, answer, ("greet", "offline/echo", 0))
            assert found is not None
            assert found.result is not None
            assert found.result.outcome == "pass"
        assert store.remove([run.id for run in store.runs()]) == RUNS + 1


def test_a_key_in_an_old_file_is_blanked_out(old: Path) -> None:
    assert KEY.encode() in old.read_bytes()
    with EvalStore(old) as store:
        assert_holds(reported_now(store), reported_then("[redacted: OpenAI key]"))
    with closing(sqlite3.connect(old)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert KEY.encode() not in old.read_bytes()


def test_an_old_file_that_cannot_be_written_is_read_all_the_same(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = old.read_bytes()
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and real(path, mode))
    with EvalStore(old, redacting=False) as store:  # root may write everything
        assert_holds(reported_now(store), reported_then(KEY))
    assert old.read_bytes() == before


def test_an_old_file_that_is_damaged_stays_as_it_was(old: Path) -> None:
    with closing(sqlite3.connect(old, isolation_level=None)) as database:
        database.execute("UPDATE results SET data = 'no JSON' WHERE run = 3")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    with EvalStore(old) as store, pytest.raises(HistoryError, match="damaged"):
        store.runs()
    assert version_of(old) == 1


def test_two_programs_that_meet_an_old_file_bring_it_up_to_date_once(old: Path) -> None:
    with EvalStore(old) as one, EvalStore(old) as other:
        assert len(one.runs()) == len(other.runs()) == RUNS
        one.begin(record([], id="one"))
        other.begin(record([], id="other"))
        assert len(one.runs()) == RUNS + 2
