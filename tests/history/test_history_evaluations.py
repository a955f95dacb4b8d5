"""Evaluations are found by the behavior they are about, in every kind of database."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from history_samples import HASH, project_settings

from promptstudio.history import EvaluationRow, History, migrate, open_history
from promptstudio.history.schema import APPLICATION_ID
from promptstudio.history.sql import engine_over, transaction

ROW = EvaluationRow(
    suite="evals/triage.yaml", prompt="support/triage", behavior=HASH, cases=40, passed=38, failed=1, errors=1,
    gate="missed", user="Ada", model="offline/echo", created_at=datetime(2026, 11, 1, 9, tzinfo=UTC),
)  # fmt: skip


def test_an_evaluation_comes_back_as_it_was_recorded(any_history: History) -> None:
    any_history.record_evaluation(ROW)

    assert any_history.evaluations(behavior=HASH) == [ROW]


def test_evaluations_are_found_by_behavior_and_by_prompt_the_newest_first(any_history: History) -> None:
    later = replace(ROW, id="b", gate="met", created_at=datetime(2026, 11, 2, tzinfo=UTC))
    other = replace(ROW, id="c", behavior="p1:" + "b" * 64, created_at=datetime(2026, 11, 3, tzinfo=UTC))
    elsewhere = replace(ROW, id="d", prompt="دعم/رد")
    for row in (ROW, later, other, elsewhere):
        any_history.record_evaluation(row)

    assert any_history.evaluations(behavior=HASH, prompt="support/triage") == [later, ROW]
    assert any_history.evaluations(prompt="دعم/رد") == [elsewhere]
    assert any_history.evaluations(limit=1) == [other]


def test_looking_for_evaluations_makes_no_history(history: History, path: Path) -> None:
    assert history.evaluations(behavior=HASH) == []
    assert not path.exists()


def test_a_history_from_before_there_were_evaluations_gets_their_table(root: Path, path: Path) -> None:
    path.parent.mkdir()
    old = sqlite3.connect(path, isolation_level=None)
    with transaction(engine_over(old)) as connection:
        config = migrate._config(migrate.FOLDER)
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.exec_driver_sql("PRAGMA user_version = 1")
    old.close()

    with open_history(project_settings(root)) as history:
        history.record_evaluation(ROW)
        assert history.evaluations() == [ROW]

    assert path.with_name("history.db.bak-1").is_file()
