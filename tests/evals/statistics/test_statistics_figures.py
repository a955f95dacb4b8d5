"""What every suite shows, held against scipy, published values and the properties a figure must have."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from promptstudio.evals.statistics.distributions import binomial_tail, t_distribution, t_quantile
from promptstudio.evals.statistics.families import holm
from promptstudio.evals.statistics.figures import (
    cluster_standard_error,
    figure,
    flake_rate,
    pass_at_k,
    pass_hat_k,
    repeat_variance,
    share,
)
from promptstudio.evals.statistics.gates import gate_one, gate_share
from promptstudio.evals.statistics.pareto import pareto_front
from promptstudio.evals.statistics.schema import Point
from promptstudio.evals.statistics.sequential import Sequential
from promptstudio.evals.statistics.spread import spread_of

LIGHT = ("figures", "gates", "families", "sequential", "pareto", "sentence", "schema", "spread")


def test_what_a_deterministic_suite_shows_imports_neither_scipy_nor_numpy() -> None:
    imports = "; ".join(f"import promptstudio.evals.statistics.{name}" for name in LIGHT)
    code = f"import sys; {imports}; print(sorted({{'scipy', 'numpy'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_scipy_is_one_line_with_the_command_that_installs_it() -> None:
    code = """
import sys
sys.modules["scipy"] = None
from promptstudio.errors import MissingExtraError
try:
    import promptstudio.evals.statistics.paired
except MissingExtraError as error:
    print(error.exit_code, error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2 pip install 'promptstudio[evals]'"


@pytest.mark.parametrize("df", [1, 2, 3, 7, 30, 399, 400, 401, 5_000])
@pytest.mark.parametrize("probability", [0.005, 0.5, 0.6, 0.975, 0.9999])
def test_t_is_that_of_scipy(df: int, probability: float) -> None:
    quantile = t_quantile(probability, df)
    assert quantile == pytest.approx(stats.t.ppf(probability, df), rel=1e-9, abs=1e-12)
    assert t_distribution(quantile, df) == pytest.approx(probability, abs=1e-9)


@pytest.mark.parametrize("n", [1, 20, 3_000])
@pytest.mark.parametrize("p", [0.0, 0.03, 0.5, 1.0])
def test_the_binomial_tail_is_that_of_scipy(n: int, p: float) -> None:
    for k in {0, 1, n // 2, n, n + 1}:
        assert binomial_tail(k, n, p) == pytest.approx(stats.binom.sf(k - 1, n, p), abs=1e-10)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (9, 10), (45, 50), (50, 50), (812, 1000)])
def test_the_interval_of_a_share_is_the_wilson_interval_of_scipy(k: int, n: int) -> None:
    expected = stats.binomtest(k, n).proportion_ci(method="wilson")
    found = share(k, n).interval
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert figure([1.0] * k + [0.0] * (n - k)).interval == found


def test_the_interval_of_a_mean_is_the_t_interval_of_scipy() -> None:
    values = [0.2, 0.9, 0.4, 0.75, 0.6]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = figure(values).interval
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high))


def test_the_clustered_standard_error_of_0_to_19_with_cluster_i_mod_4_rounds_to_0_645() -> None:
    error = cluster_standard_error(list(range(20)), [i % 4 for i in range(20)])
    assert error is not None
    assert round(error, 3) == 0.645


def test_clusters_of_one_are_no_clusters_and_equal_clusters_have_one_degree_of_freedom_less() -> None:
    values = [0.1, 0.5, 0.2, 0.9]
    assert spread_of(values, "abcd") == spread_of(values)
    assert spread_of(list(range(20)), [i % 4 for i in range(20)]).df == pytest.approx(3)
    unequal = spread_of(list(range(20)), [0] * 11 + [1] * 3 + [2] * 3 + [3] * 3).df
    assert unequal is not None
    assert unequal < 2.5


def test_one_case_equal_cases_one_cluster_and_no_case_say_what_is_not_known() -> None:
    assert figure([]).estimate is None
    assert not figure([0.5]).interval.is_known
    assert not figure([0.5] * 9).interval.is_known
    assert figure([1]).interval.lower == pytest.approx(0.2065, abs=1e-4)
    assert figure([1] * 20, clusters=[0] * 20).interval.lower == pytest.approx(0.2065, abs=1e-4)
    with pytest.raises(ValueError, match="finite"):
        figure([0.5, math.nan])


def test_pass_at_k_and_pass_hat_k_are_shares_of_all_draws_of_k() -> None:
    assert pass_at_k(5, 2, 3) == pytest.approx(9 / 10)
    assert pass_hat_k(5, 2, 2) == pytest.approx(1 / 10)
    assert pass_at_k(4, 1, 1) == pass_hat_k(4, 1, 1) == 0.25
    with pytest.raises(ValueError, match="k is 6"):
        pass_at_k(5, 2, 6)


def test_a_flaky_case_is_one_whose_repeats_differ() -> None:
    assert flake_rate({"a": [1, 1], "b": [1, 0], "c": [0, 0, 0], "d": [1]}) == pytest.approx(1 / 3)
    assert flake_rate({"a": [1]}) is None
    assert repeat_variance({"a": [1.0, 3.0], "b": [5.0, 5.0, 5.0]}) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("passed", "n", "threshold", "is_met", "certainty"),
    [
        (45, 50, 0.8, True, "uncertain"),
        (47, 50, 0.8, True, "met"),
        (40, 50, 0.8, True, "uncertain"),
        (30, 50, 0.8, False, "missed"),
        (17, 20, 0.95, False, "uncertain"),  # Wilson alone would say missed, and err in 7.5 % of the runs
        (50, 50, 0.95, True, "uncertain"),
        (50, 50, 1.0, True, "uncertain"),
        (49, 50, 1.0, False, "missed"),
        (0, 0, 0.8, False, "uncertain"),
    ],
)
def test_a_threshold_is_certain_only_where_luck_cannot_explain_it(
    passed: int, n: int, threshold: float, is_met: bool, certainty: str
) -> None:
    found = gate_share(passed, n, threshold)
    assert (found.is_met, found.certainty) == (is_met, certainty)


def test_a_bare_threshold_of_80_percent_on_50_cases_errs_as_often_as_the_page_says() -> None:
    fails = sum(stats.binom.pmf(k, 50, 0.82) for k in range(51) if not gate_share(k, 50, 0.8).is_met)
    passes = sum(stats.binom.pmf(k, 50, 0.78) for k in range(51) if gate_share(k, 50, 0.8).is_met)
    assert (round(fails, 2), round(passes, 2)) == (0.28, 0.44)


def test_five_clusters_that_all_pass_prove_less_than_twenty_cases() -> None:
    assert gate_one([1] * 20, 0.8).certainty == "met"
    assert gate_one([1] * 20, 0.8, clusters=[i % 5 for i in range(20)]).certainty == "uncertain"


def test_a_threshold_near_the_end_needs_as_many_cases_for_means_as_for_shares() -> None:
    assert gate_one([1.0] * 49 + [2 / 3], 0.95).certainty == "uncertain"
    assert gate_one([1.0] * 98 + [2 / 3] * 2, 0.95).certainty == "met"


def test_at_most_is_at_least_in_a_mirror() -> None:
    values = [1] * 3 + [0] * 47
    assert gate_one(values, 0.2, at_least=False).certainty == gate_share(47, 50, 0.8).certainty == "met"
    assert gate_one([310, 290, 305, 330], 500, at_least=False).certainty == "met"
    assert gate_one([310, 290, 305, 330], 200, at_least=False).certainty == "missed"


def test_holm_steps_down_as_in_the_textbook() -> None:
    found = holm([0.01, 0.04, 0.03, 0.005])
    assert [one.adjusted for one in found] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert [one.is_claimed for one in found] == [True, False, False, True]


@given(st.lists(st.floats(0, 1), max_size=9))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p_values: list[float]) -> None:
    found = holm(p_values)
    assert all(one.adjusted >= one.p_value for one in found)
    ordered = sorted(found, key=lambda one: one.p_value)
    assert [one.adjusted for one in ordered] == sorted(one.adjusted for one in found)


@settings(max_examples=60)
@given(st.integers(1, 200), st.data())
def test_more_passes_never_lower_the_interval(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n - 1))
    fewer, more = share(k, n).interval, share(k + 1, n).interval
    assert fewer.lower is not None
    assert more.lower is not None
    assert fewer.lower <= more.lower
    mirrored = share(n - k, n).interval
    assert mirrored.upper == pytest.approx(1 - fewer.lower, abs=1e-12)


def test_a_sequential_test_stops_early_where_things_are_clear_and_keeps_its_decision() -> None:
    good, bad = Sequential(0.8), Sequential(0.8)
    said = [good.feed(1) for _ in range(60)]
    assert "met" in said
    assert said.index("met") < 30
    assert good.feed(0) == "met" == good.decided()
    assert [bad.feed(0) for _ in range(5)][-1] == "missed"
    lower = good.interval().lower
    assert lower is not None
    assert lower > 0.8
    with pytest.raises(ValueError, match="not between"):
        good.feed(1.5)


def test_a_sequential_test_of_pairs_shows_that_nothing_got_worse() -> None:
    test = Sequential(-0.1, lowest=-1, highest=1)
    for n in range(400):
        test.feed([0, 0, 0, 0, 0, 1, 0, -1, 0, 0][n % 10])
        if test.decided():
            break
    assert test.decided() == "met"
    assert 100 < test.n < 300


@settings(max_examples=30, deadline=None)
@given(st.permutations([1.0] * 12 + [0.0] * 4))
def test_the_interval_of_a_sequential_test_does_not_depend_on_the_order(values: list[float]) -> None:
    test, other = Sequential(0.5), Sequential(0.5)
    for value, earlier in zip(values, sorted(values), strict=True):
        test.feed(value)
        other.feed(earlier)
    assert test.interval().lower == pytest.approx(other.interval().lower)
    low, high = test.interval().lower, test.interval().upper
    assert low is not None
    assert high is not None
    assert low < 0.75 < high


def test_the_pareto_front_is_what_no_other_beats() -> None:
    points = [
        Point("good", 0.9, 0.02, 900),
        Point("cheap", 0.8, 0.01, 500),
        Point("beaten", 0.8, 0.02, 900),
        Point("unpriced", 0.7, None, 400),
    ]
    assert [point.name for point in pareto_front(points)] == ["good", "cheap", "unpriced"]
