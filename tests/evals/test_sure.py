"""How sure the figures of a gate are: what broke counts as not passed, and luck is judged by an exact test."""

from __future__ import annotations

import pytest

from promptstudio.evals.figures import figures_of
from promptstudio.evals.gate import Check
from promptstudio.evals.records import CaseResult
from promptstudio.evals.schema import Case, Outcome
from promptstudio.evals.series import series_of
from promptstudio.evals.sure import run_figures, sure_check
from promptstudio.evals.totals import totals_of


def result(case: str, outcome: Outcome, repeat: int = 0) -> CaseResult:
    return CaseResult("", "", Case(case), "greet", "offline/echo", repeat, outcome, "")


def test_a_repeat_that_ended_in_an_error_has_not_passed() -> None:
    results = [result("a", "pass"), result("a", "pass", 1), result("a", "error", 2), result("b", "pass")]
    [series] = series_of(results).values()
    assert figures_of(series)["pass_rate"]["estimate"] == pytest.approx((2 / 3 + 1) / 2)


@pytest.mark.parametrize(
    ("passed", "n", "limit", "is_luck"),
    [(17, 20, 0.95, True), (10, 20, 0.95, False), (20, 20, 0.95, True), (100, 100, 0.95, False), (41, 50, 0.8, True)],
)
@pytest.mark.parametrize("from_counts", [True, False])
def test_a_figure_that_luck_could_explain_says_so(
    passed: int, n: int, limit: float, is_luck: bool, from_counts: bool
) -> None:
    results = [result(f"c{number}", "pass" if number < passed else "fail") for number in range(n)]
    totals = totals_of(one.end for one in results)
    series = None if from_counts else series_of(results)
    check = Check("pass_rate", "", "", "", is_met=passed / n >= limit)
    note = sure_check(check, run_figures(totals, series, 0.95), limit, totals, series).note
    assert note.endswith("may be luck") == is_luck
