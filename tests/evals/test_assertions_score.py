"""Scores put together: weights, thresholds, sets, and what is never a pass."""

from __future__ import annotations

from typing import Any

import pytest

from promptstudio.evals.assertions import Assertion, Setting, Subject, Verdict, case_outcome, metric_means
from promptstudio.evals.schema import Outcome, Score
from tests.evals.assertion_samples import inverted, scored


def score(outcome: Outcome, value: float | None = None, weight: float = 1.0, **rest: Any) -> Score:
    plain = {"pass": 1.0, "fail": 0.0}.get(outcome)
    return Score("x", outcome, plain if value is None else value, "said", weight=weight, **rest)


PASS, FAIL, ERROR, UNSCORED, SKIPPED = (score(outcome) for outcome in ("pass", "fail", "error", "unscored", "skipped"))  # type: ignore[arg-type]
ROWS: list[tuple[list[Score], float | None, str, float | None]] = [
    ([], None, "unscored", None),
    ([], 0.0, "unscored", None),
    ([PASS], None, "pass", 1.0),
    ([FAIL], None, "fail", 0.0),
    ([PASS, FAIL], None, "fail", 0.5),
    ([PASS, score("fail", 0.5, weight=3)], None, "fail", 0.625),
    ([PASS, FAIL], 0.5, "pass", 0.5),
    ([PASS, FAIL], 0.51, "fail", 0.5),
    ([PASS, FAIL], 0.0, "pass", 0.5),
    ([FAIL], 0.0, "pass", 0.0),
    ([score("pass", 0.1)] * 3, 0.1, "pass", 0.1),
    ([PASS, ERROR], None, "error", None),
    ([PASS, ERROR], 0.0, "error", None),
    ([PASS, score("error", weight=0.0)], None, "error", None),
    ([FAIL, ERROR], None, "error", None),
    ([PASS, UNSCORED], None, "unscored", 1.0),
    ([FAIL, UNSCORED], None, "fail", 0.0),
    ([PASS, UNSCORED], 0.5, "pass", 1.0),
    ([PASS, UNSCORED], 0.6, "unscored", 1.0),
    ([FAIL, UNSCORED], 0.6, "fail", 0.0),
    ([UNSCORED], 0.0, "unscored", None),
    ([PASS, SKIPPED], None, "pass", 1.0),
    ([SKIPPED], None, "skipped", None),
    ([SKIPPED, ERROR], None, "error", None),
    ([PASS, score("fail", weight=0.0)], None, "pass", 1.0),
    ([score("pass", weight=0.0)], None, "unscored", None),
    ([score("fail", weight=0.0)], 0.0, "unscored", None),
    ([score("pass", weight=1e-300), score("fail", weight=1e-300)], None, "fail", 0.5),
]


@pytest.mark.parametrize(("scores", "threshold", "outcome", "mean"), ROWS)
def test_a_case_ends_as_its_scores_say_and_fails_closed(
    scores: list[Score], threshold: float | None, outcome: str, mean: float | None
) -> None:
    end = case_outcome(scores, threshold)
    assert (end.outcome, end.score) == (outcome, None if mean is None else pytest.approx(mean))
    assert end.reason


def test_the_reason_of_a_case_is_that_of_what_failed_first() -> None:
    failed = Score("equals", "fail", 0.0, "expected 'a', found 'b'", metric="answer")
    assert case_outcome([PASS, failed, FAIL]).reason == "answer: expected 'a', found 'b' (and 1 more)"
    assert "expected a mean of at least 0.9, found 0.3333" in case_outcome([PASS, failed, FAIL], 0.9).reason


SETS: list[tuple[Any, str, float | None]] = [
    ({"assert-set": [{"contains": "a"}, {"contains": "b"}]}, "pass", 1.0),
    ({"assert-set": [{"contains": "a"}, {"contains": "z"}]}, "fail", 0.5),
    ({"type": "assert-set", "threshold": 0.5, "assert": [{"contains": "a"}, {"contains": "z"}]}, "pass", 0.5),
    (
        {"type": "assert-set", "threshold": 0.7, "assert": [{"contains": "a", "weight": 3}, {"contains": "z"}]},
        "pass",
        0.75,
    ),
    ({"assert-set": [{"assert-set": [{"assert-set": [{"not-contains": "z"}]}]}, {"contains": "a"}]}, "pass", 1.0),
    ({"assert-set": [{"not-assert-set": [{"contains": "a"}]}]}, "fail", 0.0),
    ({"assert-set": [{"contains": "a"}, {"llm-rubric": "kind"}]}, "error", None),
    ({"assert-set": [{"contains": "a"}, {"cost": 1}]}, "unscored", None),
    ({"assert-set": [{"contains": "a", "weight": 0}]}, "unscored", None),
]


@pytest.mark.parametrize(("item", "outcome", "value"), SETS)
def test_a_set_is_judged_as_a_case_is_to_any_depth(item: Any, outcome: str, value: float | None) -> None:
    result, opposite = scored(item, "ab"), scored(inverted(item), "ab")

    assert (result.outcome, result.score) == (outcome, value)
    assert opposite.outcome == {"pass": "fail", "fail": "pass"}.get(outcome, outcome)
    assert opposite.score == (None if value is None else 1 - value)
    assert len(result.children) == len(item.get("assert", item.get("assert-set", ())))


def test_what_needs_a_judge_is_an_error_without_one_and_the_judges_verdict_with_one() -> None:
    class Kind:
        async def verdict(self, subject: Subject, assertion: Assertion, _: Setting) -> Verdict:
            said = f"{assertion.value} {subject.text} {subject.case.id}"
            return Verdict("pass", 0.8, "a kind reply", said, threshold=0.5)

        def asking(self, *_: Any) -> Any:
            raise AssertionError("no engine asks here")

    for item in ({"llm-rubric": "kind"}, {"not-llm-rubric": "kind"}, {"select-best": "short"}, {"factuality": "x"}):
        assert scored(item, "a").outcome == "error"
    judged = scored({"llm-rubric": "kind"}, "a", setting=Setting(judge=Kind()))
    assert (judged.outcome, judged.score, judged.reason) == ("pass", 0.8, "expected a kind reply, found kind a c")
    assert scored({"not-llm-rubric": "kind"}, "a", setting=Setting(judge=Kind())).score == pytest.approx(0.2)


def test_the_name_weight_metric_and_threshold_of_a_score_are_the_assertions() -> None:
    result = scored({"type": "not-bleu", "value": "b", "weight": 2, "metric": "overlap", "threshold": 0.3}, "a")
    assert (result.name, result.weight, result.metric, result.threshold) == ("not-bleu", 2.0, "overlap", 0.3)
    assert scored({"bleu": "b"}, "a").threshold == 0.5


def test_named_metrics_are_weighted_means_over_sets_too() -> None:
    inner = score("pass", 1.0, weight=3, metric="tone")
    scores = [
        score("fail", 0.0, metric="tone"),
        score("pass", 0.5, metric="facts"),
        Score("s", "pass", 1.0, children=(inner,)),
    ]
    alone = score("pass", 0.4, weight=0.0, metric="seen")
    assert metric_means([*scores, alone, ERROR]) == {"tone": 0.75, "facts": 0.5, "seen": 0.4}
