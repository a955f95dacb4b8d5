"""Comparisons, plans and agreement, held against scipy, published tables and each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from promptstudio.evals.statistics import scipy_door
from promptstudio.evals.statistics.agreement import accuracy, cohen_kappa, krippendorff_alpha
from promptstudio.evals.statistics.bias import bias_by, position_bias, trend
from promptstudio.evals.statistics.families import settle_family
from promptstudio.evals.statistics.matched import difference_interval, mid_p_mcnemar, score_tails, tails
from promptstudio.evals.statistics.paired import compare_paired
from promptstudio.evals.statistics.plan import discordance, plan_gate, plan_means, plan_shares
from promptstudio.evals.statistics.sentence import conclusion, figure_text, plan_text, sentence
from promptstudio.evals.statistics.spread import spread_of


def sides(gained: int, lost: int, n: int) -> tuple[dict[str, float], dict[str, float]]:
    old = {f"c{i}": 0.0 if i < gained else 1.0 for i in range(n)}
    new = {f"c{i}": 0.0 if gained <= i < gained + lost else 1.0 for i in range(n)}
    return old, new


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    [(1, 7, 0.0391), (16, 6, 0.0347), (0, 5, 0.03125), (0, 0, 1.0), (3, 3, 1.0)],
)
def test_mid_p_mcnemar_gives_the_published_values(gained: int, lost: int, p: float) -> None:
    # 1 and 7: Bentur et al. 2009, in Fagerland, Lydersen & Laake 2013, table 4; the others by hand from the binomial
    assert mid_p_mcnemar(gained, lost) == pytest.approx(p, abs=6e-4)


def test_the_score_test_is_that_of_tango() -> None:
    # Without a difference it is McNemar's; a 95 % interval ends where it reaches 1.96: −.517 and −.026 for 1, 7 of 21
    assert score_tails(7, 1, 21, 0.0)[0] == pytest.approx(stats.norm.sf(6 / np.sqrt(8)))
    assert score_tails(1, 7, 21, -0.517)[0] == pytest.approx(0.025, abs=5e-4)
    assert score_tails(1, 7, 21, -0.026)[1] == pytest.approx(0.025, abs=5e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.data())
def test_the_interval_excludes_a_margin_exactly_where_the_test_does_and_mirrors(n: int, data: st.DataObject) -> None:
    gained = data.draw(st.integers(0, n))
    lost = data.draw(st.integers(0, n - gained))
    margin = data.draw(st.sampled_from([0.0, 0.02, 0.1]))
    lower, upper = difference_interval(gained, lost, n, 0.95, (0.0, -margin))
    assert -1 <= lower <= (gained - lost) / n <= upper <= 1
    marks = (0.0, -margin)
    for point in marks:  # of a handful of pairs the exact test may refuse 0 and keep a margin beyond it
        above = [tails(gained, lost, n, mark)[0] for mark in marks if mark <= point]
        below = [tails(gained, lost, n, mark)[1] for mark in marks if mark >= point]
        assert (lower > point) == all(p <= 0.025 for p in above)
        assert (upper < point) == all(p <= 0.025 for p in below)
    turned = difference_interval(lost, gained, n, 0.95, (0.0, margin))
    assert turned == pytest.approx((-upper, -lower), abs=1e-5)


@pytest.mark.parametrize("margin", [0.0, 0.05])
@pytest.mark.parametrize("n", [20, 50])
def test_no_chance_of_a_change_makes_a_claim_err_in_more_than_three_percent(n: int, margin: float) -> None:
    """Exact: every outcome of n pairs, weighed by its chance, where the truth is on the boundary of the claim."""
    counts = [(g, lo) for g in range(n + 1) for lo in range(n + 1 - g)]
    found = np.array([tails(g, lo, n, -margin) for g, lo in counts])
    splits = np.array([(g, lo, n - g - lo) for g, lo in counts])
    for changed in (max(0.01, margin), 0.08, 0.15, 0.3, 0.41, 0.6):
        if changed < margin:
            continue
        shares = [(changed - margin) / 2, (changed + margin) / 2, 1 - changed]
        chance = stats.multinomial.pmf(splits, n, shares)
        errors = chance @ (found <= 0.025)
        assert (errors <= 0.03).all(), (changed, errors)


@pytest.mark.parametrize(
    ("gained", "lost", "n", "margin", "verdict"),
    [
        (12, 1, 60, 0.0, "improved"),
        (1, 12, 60, 0.0, "regressed"),
        (5, 4, 60, 0.0, "inconclusive"),
        (0, 0, 200, 0.02, "no worse"),
        (0, 0, 50, 0.02, "inconclusive"),
        (2, 30, 200, 0.02, "regressed"),
        (1, 6, 200, 0.02, "inconclusive"),
        (0, 1, 1, 0.02, "inconclusive"),
    ],
)
def test_verdicts_of_binary_outcomes(gained: int, lost: int, n: int, margin: float, verdict: str) -> None:
    found = compare_paired(*sides(gained, lost, n), margin=margin)
    assert found.verdict == verdict
    assert (len(found.broke), len(found.mended)) == (lost, gained)
    assert found.difference == pytest.approx((gained - lost) / n)


def test_means_are_compared_by_the_paired_t_test_of_scipy_and_the_wider_of_two_intervals() -> None:
    chance = np.random.default_rng(4)
    old = chance.gamma(2, 200, 40)
    new = old + chance.gamma(1, 40, 40) - 25
    found = compare_paired(
        {str(i): v for i, v in enumerate(old)}, {str(i): v for i, v in enumerate(new)}, kind="mean", better="lower"
    )
    expected = stats.ttest_rel(new, old)
    assert found.p_value == pytest.approx(expected.pvalue)
    t = expected.confidence_interval(0.95)
    bca = stats.bootstrap(
        (new - old,),
        np.mean,
        n_resamples=scipy_door.RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(scipy_door.SEED),
    ).confidence_interval
    assert found.interval.lower == pytest.approx(min(t.low, bca.low))
    assert found.interval.upper == pytest.approx(max(t.high, bca.high))


def test_the_same_values_give_the_same_interval() -> None:
    one = {str(i): i % 7 / 7 for i in range(30)}
    other = {str(i): i % 5 / 5 for i in range(30)}
    assert compare_paired(one, other, kind="mean") == compare_paired(one, other, kind="mean")


def test_repeats_are_averaged_within_the_case() -> None:
    old = {str(i): [1, 0, 1] for i in range(12)}
    new = {str(i): [1, 1, i % 2] for i in range(12)}
    found = compare_paired(old, new)
    assert found.baseline_mean == pytest.approx(2 / 3)
    assert found.difference == pytest.approx(1 / 6)
    assert found.method.startswith("paired t")


def test_clusters_widen_the_interval_and_their_standard_error_is_the_one_of_a_mean() -> None:
    old = {str(i): 0.0 for i in range(20)}
    new = {str(i): float(i) for i in range(20)}
    clusters = {str(i): i % 4 for i in range(20)}
    found = compare_paired(old, new, kind="mean", clusters=clusters)
    half = stats.t.ppf(0.975, 3) * 0.6454972
    assert found.clusters == 4
    assert found.interval.half_width == pytest.approx(half, rel=1e-6)
    assert spread_of(list(new.values()), list(clusters.values())).df == pytest.approx(3)


def test_unmatched_cases_are_listed_and_one_two_or_equal_pairs_conclude_nothing() -> None:
    found = compare_paired({"a": 1, "old": 1}, {"a": 0, "new": 1})
    assert (found.n_pairs, found.only_baseline, found.only_candidate) == (1, ("old",), ("new",))
    assert found.verdict == "inconclusive"
    assert compare_paired({}, {}).verdict == "inconclusive"
    assert compare_paired({"a": 5.0}, {"a": 7.0}, kind="mean").verdict == "inconclusive"
    same = compare_paired({str(i): 9.0 for i in range(9)}, {str(i): 7.0 for i in range(9)}, kind="mean")
    assert (same.verdict, same.interval.is_known) == ("inconclusive", False)


@pytest.mark.parametrize(
    ("baseline", "candidate", "options", "said"),
    [
        ({"a": 0.5}, {"a": 1}, {}, "neither 0 nor 1"),
        ({"a": float("nan")}, {"a": 1}, {"kind": "mean"}, "finite"),
        ({"a": []}, {"a": 1}, {}, "no score"),
        ({"a": 1}, {"a": 1}, {"margin": -0.1}, "negative"),
        ({"a": 1}, {"a": 1}, {"clusters": {}}, "no cluster is given for case 'a'"),
    ],
)
def test_scores_that_cannot_be_are_refused(baseline, candidate, options, said) -> None:
    with pytest.raises(ValueError, match=said):
        compare_paired(baseline, candidate, **options)


def test_differences_that_are_equal_but_for_rounding_are_equal() -> None:
    found = compare_paired({"a": 1 / 3, "b": 1.0}, {"a": 0.0, "b": 2 / 3}, kind="mean")
    assert "all differences equal" in found.method
    assert found.verdict == "inconclusive"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 1 / 3, 2 / 3, 1]), st.sampled_from([0, 1 / 3, 2 / 3, 1])), min_size=2))
def test_swapping_the_sides_mirrors_the_difference_and_the_p_value(pairs: list[tuple[float, float]]) -> None:
    one = {str(i): pair[0] for i, pair in enumerate(pairs)}
    other = {str(i): pair[1] for i, pair in enumerate(pairs)}
    there = compare_paired(one, other, kind="mean", resamples=0)
    back = compare_paired(other, one, kind="mean", resamples=0)
    assert there.p_value == pytest.approx(back.p_value)
    assert there.interval.lower == pytest.approx(-back.interval.upper, abs=1e-6)
    mirror = {"improved": "regressed", "regressed": "improved", "inconclusive": "inconclusive"}
    assert back.verdict == mirror[there.verdict]


def test_a_family_of_metrics_takes_back_what_only_luck_of_many_looks_found() -> None:
    weak = compare_paired(*sides(7, 1, 60))
    family = {"weak": weak, **{f"m{i}": compare_paired(*sides(3, 3, 60)) for i in range(4)}}
    strong = compare_paired(*sides(20, 0, 60))
    settled = settle_family({**family, "strong": strong})
    assert weak.verdict == "improved"
    assert settled["weak"].verdict == "inconclusive"
    assert settled["strong"].verdict == "improved"
    assert "Holm" in (settled["weak"].note or "")


def test_the_sentence_says_what_could_be_seen_and_what_it_would_take() -> None:
    found = compare_paired(*sides(4, 5, 100), margin=0.05)
    assert sentence(found) == "inconclusive (could detect 9 points; needs about 310 cases)"
    better = compare_paired(*sides(12, 1, 60))
    assert sentence(better).startswith("improved (+18 points, 95% interval +")
    assert conclusion(better, "pass rate").startswith("pass rate: better than the baseline on 60 cases, +18 points")
    assert "no case is in both runs" in conclusion(compare_paired({}, {}), "pass rate")


@pytest.mark.parametrize("rate", [0.6, 0.8, 0.9])
def test_so_many_cases_as_planned_have_the_power_that_was_wanted(rate: float) -> None:
    chosen = plan_shares(0.1, rate, correlation=0.4).chosen
    assert chosen is not None
    changed = discordance(rate, rate - 0.1, 0.4)
    draws = np.random.default_rng(1).multinomial(
        chosen.cases, [(changed - 0.1) / 2, (changed + 0.1) / 2, 1 - changed], 4_000
    )
    power = np.mean([lo > g and mid_p_mcnemar(int(g), int(lo)) < 0.05 for g, lo, _ in draws])
    assert power == pytest.approx(0.8, abs=0.03)


def test_a_plan_for_means_is_that_of_the_noncentral_t() -> None:
    # Cohen 1988: d = 0.5, two-sided 5 %, power 80 %: 34 pairs
    chosen = plan_means(0.5, 1.0, correlation=0.5).chosen
    assert chosen is not None
    assert chosen.cases == 34


def test_repeats_pay_only_where_cases_are_scarce() -> None:
    free = plan_gate(0.05, 0.9, flake=0.6)
    scarce = plan_gate(0.05, 0.9, flake=0.6, cases=200)
    assert free.chosen is not None
    assert free.chosen.repeats == 1
    assert scarce.chosen is not None
    assert scarce.chosen.repeats > 1
    assert scarce.chosen.cases <= 200
    assert plan_gate(0.05, 0.9, cases=50).chosen is None
    assert "each asked once" in plan_text(free)


def test_kappa_is_that_of_the_textbook() -> None:
    # 50 applications, two readers: 20 both yes, 5 and 10 disagree, 15 both no: accuracy .70, kappa .40
    judge = ["yes"] * 25 + ["no"] * 25
    human = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert accuracy(judge, human).estimate == pytest.approx(0.7)
    found = cohen_kappa(judge, human)
    assert found.estimate == pytest.approx(0.4)
    assert found.interval.lower is not None
    assert 0.05 < found.interval.lower < 0.25
    assert cohen_kappa(judge, human, weights="quadratic").estimate == pytest.approx(0.4)
    assert cohen_kappa(["yes"] * 9, ["yes"] * 9).estimate is None
    near = cohen_kappa([1, 2, 3, 4], [2, 2, 3, 4], weights="linear").estimate
    far = cohen_kappa([1, 2, 3, 4], [4, 2, 3, 4], weights="linear").estimate
    assert near is not None
    assert far is not None
    assert near > far


def test_krippendorffs_alpha_is_that_of_his_example_with_missing_values() -> None:
    # Krippendorff 2011, section C and D: nominal .743, interval .849
    rows = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    ratings = [[None if one == "." else float(one) for one in row] for row in rows]
    assert krippendorff_alpha(ratings).estimate == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(ratings, level="interval").estimate == pytest.approx(0.849, abs=5e-4)
    assert krippendorff_alpha([[1, 1], [1, 1]]).estimate is None


def test_a_bias_against_one_language_is_found_and_named() -> None:
    fair = [0.1, -0.1, 0.0, 0.05, -0.05] * 6
    found = {one.group: one for one in bias_by({"en": fair, "de": fair, "ar": [one - 0.3 for one in fair], "x": [0.0]})}
    assert found["ar"].difference == pytest.approx(-0.3, abs=0.01)
    assert found["ar"].adjusted is not None
    assert found["ar"].adjusted < 0.001
    assert found["x"].p_value is None
    figure, p_value = position_bias(70, 100)
    assert figure_text(figure) == "70% (60.4% to 78.1%)"
    assert p_value == pytest.approx(stats.binomtest(70, 100, 0.5).pvalue)
    lengths = [float(i) for i in range(40)]
    assert trend("length", lengths, lengths).correlation == pytest.approx(1)
    assert trend("length", lengths, [0.0] * 40).correlation is None
