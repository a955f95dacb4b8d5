"""The figures of a suite over the commits of its runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from promptstudio.cli.main import main
from promptstudio.evals.records import RunRecord
from promptstudio.evals.trend import points_of, sparkline
from tests.evals.sides_sample import prepare, prompt

if TYPE_CHECKING:
    from tests.conftest import Project


def run(number: int, **changes: object) -> RunRecord:
    values: dict[str, object] = {
        "id": f"{number:08}",
        "suite": "s",
        "suite_file": "evals/s.yaml",
        "suite_digest": "d",
        "created_at": datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=number),
        "user": "Ada",
        "status": "finished",
        "prompts": {"greet": f"p1:{number}"},
        "models": ("m",),
        "commit": f"{number:040}",
        "dirty": False,
        "totals": {"pass": 8, "fail": 2, "pass_rate": 0.8, "cost_usd": "0.5", "saved_usd": "0.25"},
    }
    return RunRecord(**{**values, **changes})  # type: ignore[arg-type]


def test_only_whole_runs_are_points_and_the_newest_of_a_state_stands_for_all() -> None:
    same = {"prompts": {"greet": "p1:x"}, "commit": "c"}
    runs = [
        run(7, **same),
        run(6, **same),
        run(5, status="interrupted"),
        run(4, options={"selection": {"first": 3}}),
        run(3, totals={}),
        run(2, **same, dirty=True),
        run(1),
    ]
    assert [point.run.id[-1] for point in points_of(runs, last=20)] == ["1", "2", "7"]
    assert [point.run.id[-1] for point in points_of(runs, last=1)] == ["7"]


def test_a_point_of_an_old_run_has_its_interval_from_the_counts_and_what_its_answers_cost_when_asked() -> None:
    [point] = points_of([run(1)], last=5)
    assert point.pass_rate["estimate"] == 0.8
    assert point.pass_rate["lower"] == pytest.approx(0.4902, abs=1e-4)
    assert point.cost_usd == 0.75


@pytest.mark.parametrize(
    ("values", "drawn"),
    [([0.0, 0.5, 1.0], "▁▅█"), ([0.7, 0.7], "▄▄"), ([None, 0.1, 0.2], " ▁█"), ([], "")],
)
def test_a_line_of_bars_has_one_for_each_value(values: list[float | None], drawn: str) -> None:
    assert sparkline(values) == drawn


def test_the_trend_marks_where_the_suite_surely_changed(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(project, cases=60)
    for until, version in ((50, "1.0.0"), (49, "1.0.1"), (20, "2.0.0")):
        prompt(project, until, more=f"version: {version}\n")
        project.commit(f"Good until {until}")
        main(["eval", "greet"], "ps")
    main(["eval", "greet", "--first", "3"], "ps")
    capsys.readouterr()
    assert main(["runs", "trend", "greet", "--json"], "ps") == 0
    found = json.loads(capsys.readouterr().out)
    assert [point["change"] for point in found["points"]] == [None, None, "regressed"]
    assert [point["versions"] for point in found["points"]] == [
        {"greet": "1.0.0"},
        {"greet": "1.0.1"},
        {"greet": "2.0.0"},
    ]
    assert main(["runs", "trend", "evals/greet.yaml"], "ps") == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split()[:4] == ["RUN", "COMMIT", "WHEN", "VERSION"]
    assert "▼ regressed" in out
    assert "pass rate █" in out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["gret"], 2, "did you mean 'greet'?"),
        (["greet", "--metric", "polite"], 2, "has no metric 'polite'"),
        (["greet", "--last", "0"], 2, "0 is not in the range"),
    ],
)
def test_a_suite_or_metric_without_runs_is_told(
    project: Project, capsys: pytest.CaptureFixture[str], words: list[str], code: int, says: str
) -> None:
    prepare(project, cases=3)
    main(["eval", "greet"], "ps")
    capsys.readouterr()
    assert main(["runs", "trend", *words], "ps") == code
    assert says in capsys.readouterr().err


def test_selections_alone_make_no_trend(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(project, cases=5)
    main(["eval", "greet", "--first", "2"], "ps")
    capsys.readouterr()
    assert main(["runs", "trend", "greet"], "ps") == 5
    assert "no whole run of greet is stored" in capsys.readouterr().err
