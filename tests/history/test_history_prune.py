"""Old runs go when they should, and only those."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from history_samples import project_settings, request, response, stored

from promptstudio.errors import UsageError
from promptstudio.history import History, Pruned, open_history, store
from promptstudio.history.ids import utc_now


def day(number: int) -> datetime:
    return datetime(2026, 3, number, tzinfo=UTC)


def days_left(history: History) -> list[int]:
    return [row.created_at.day for row in history.rows(limit=100)][::-1]


CASES = [
    # arguments, days that stay of the 1st to the 6th; the 2nd still runs
    ({"before": day(4)}, [2, 4, 5, 6]),
    ({"keep": 2}, [2, 5, 6]),
    ({"keep": 0}, [2]),
    ({"keep": 6}, [1, 2, 3, 4, 5, 6]),
    ({"keep": 100}, [1, 2, 3, 4, 5, 6]),
    ({"before": day(4), "keep": 5}, [2, 3, 4, 5, 6]),
    ({"before": day(4), "keep": 1}, [2, 4, 5, 6]),
    ({"before": day(1)}, [1, 2, 3, 4, 5, 6]),
]


@pytest.mark.parametrize(("arguments", "left"), CASES)
def test_a_prune_removes_what_it_announced(any_history: History, arguments: dict[str, object], left: list[int]) -> None:
    for number in range(1, 7):
        if number == 2:
            any_history.begin(request(created_at=day(number)))
        else:
            stored(any_history, created_at=day(number))

    announced = any_history.prune(dry_run=True, **arguments)  # type: ignore[arg-type]
    assert days_left(any_history) == [1, 2, 3, 4, 5, 6]
    done = any_history.prune(**arguments)  # type: ignore[arg-type]

    assert days_left(any_history) == left
    gone = [number for number in range(1, 7) if number not in left]
    oldest, newest = (day(gone[0]), day(gone[-1])) if gone else (None, None)
    assert done == Pruned(6 - len(left), len(left), oldest, newest, False)
    assert announced == Pruned(6 - len(left), len(left), oldest, newest, True)


def test_a_prune_of_nothing_named_is_an_error(history: History) -> None:
    with pytest.raises(UsageError, match="nothing says what to prune") as caught:
        history.prune()
    assert "--keep" in str(caught.value.hint)


def test_pruning_an_empty_history_makes_no_file(history: History, root: Path) -> None:
    assert history.prune(keep=0) == Pruned(0, 0, None, None, False)
    assert list(root.iterdir()) == []


def test_a_prune_takes_many_rows_and_gives_the_space_back(history: History, path: Path) -> None:
    with history.store.writing() as run:  # 1,300 rows in a moment: more than one batch
        run(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1300)"
            " INSERT INTO prompt_requests (id, created_at, status, prompt, prompt_type, behavior, interface, model,"
            " \"user\", tags, parameters, overrides, inputs, messages) SELECT i, '2026-01-01 00:00:00.000000',"
            " 'completed', 'p', 'chat', 'b', 'i', 'm', 'u', '[]', '{}', '{}', '{\"a\": \"' || hex(randomblob(500))"
            " || ' secretword\"}', '[]' FROM n",
            {},
        )
    kept = stored(history)
    history.store.compact(thorough=False)
    before = path.stat().st_size

    assert history.prune(before=utc_now() - timedelta(days=1)).removed == 1300

    assert path.stat().st_size < before / 5
    assert b"secretword" not in path.read_bytes()
    assert [row.id for row in history.rows()] == [kept]
    assert history.health(deep=True).integrity == "ok"


def test_removing_names_takes_answers_and_attempts_along(any_history: History) -> None:
    gone, kept = stored(any_history), stored(any_history)

    assert any_history.remove([gone, "unknown"]) == 1

    for table in ("prompt_requests", "prompt_responses", "attempts"):
        assert any_history.store.read(f"SELECT count(*) FROM {table}")[0][0] == 1
    assert [row.id for row in any_history.rows()] == [kept]


def test_a_finished_run_takes_along_rows_past_their_retention(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "RETIRED_AT_ONCE", 3)
    with open_history(project_settings(root)) as history:
        old = [stored(history, created_at=utc_now() - timedelta(days=31, minutes=-number)) for number in range(4)]
        young = stored(history, created_at=utc_now() - timedelta(days=29))
    with open_history(project_settings(root, retention_days=30)) as history:
        row_id = history.begin(request())
        assert history.count() == 6

        history.finish(row_id, response())

        assert {row.id for row in history.rows()} == {old[3], young, row_id}
