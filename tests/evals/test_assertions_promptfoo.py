"""Suites with `compat: promptfoo`: values that refer to a case's inputs, and the figures of that tool."""

from __future__ import annotations

from typing import Any

import pytest

from promptstudio.errors import SuiteFileError
from promptstudio.evals.assertions import Origin, parse_assertions
from promptstudio.evals.assertions.promptfoo import bleu
from promptstudio.evals.schema import Answer, Case
from tests.evals.assertion_samples import inverted, scored

THEIRS = Origin(compat="promptfoo")
CASE = Case("c", inputs={"name": "آدا", "n": 2, "list": ["x", "y"], "evil": "{{ name }}", "pattern": "^(x|y)$"})


@pytest.mark.parametrize(
    ("item", "said", "outcome"),
    [
        ({"equals": "Hi {{ name }}"}, "Hi آدا", "pass"),
        ({"equals": "Hi {{name}}"}, "Hi {{name}}", "fail"),
        ({"contains-all": ["{{ name }}", "Hi"]}, "Hi آدا", "pass"),
        ({"equals": {"who": "{{ name }}"}}, '{"who": "آدا"}', "pass"),
        ({"regex": "{{ pattern }}"}, "x", "pass"),
        ({"word-count": "{{ n }}"}, "a b", "pass"),
        ({"contains": "{{ evil }}"}, "{{ name }}", "pass"),
        ({"contains-any": "{{ list | join(', ') }}"}, "y", "pass"),
        ({"contains": "{% if n > 1 %}many{% endif %}"}, "many", "pass"),
    ],
)
def test_a_value_may_refer_to_the_inputs_of_its_case(item: Any, said: str, outcome: str) -> None:
    score = scored(item, said, case=CASE, origin=THEIRS)
    assert score.outcome == outcome, score.reason
    assert scored(inverted(item), said, case=CASE, origin=THEIRS).outcome == {"pass": "fail", "fail": "pass"}[outcome]


def test_without_the_switch_braces_are_text() -> None:
    assert scored({"contains": "{{ name }}"}, "{{ name }}", case=CASE).outcome == "pass"
    assert scored({"contains": "{{ name }}"}, "آدا", case=CASE).outcome == "fail"


@pytest.mark.parametrize(
    "item",
    [
        {"contains": "{{ nobody }}"},
        {"regex": "({{ name }}"},
        {"word-count": "{{ name }}"},
        {"contains": "{{ '' }}"},
    ],
)
def test_what_a_value_becomes_is_checked_too(item: Any) -> None:
    for each in (item, inverted(item)):
        assert scored(each, "a", case=CASE, origin=THEIRS).outcome == "error"


def test_a_template_that_is_none_is_told_before_anything_is_called() -> None:
    for text in ("{{ name", "{{ ''.__class__ }}", "{% for %}"):
        with pytest.raises(SuiteFileError, match="assert"):
            parse_assertions([{"contains-any": ["a", text]}], THEIRS)


def test_the_metric_of_an_assertion_may_refer_to_the_case() -> None:
    assert scored({"contains": "a", "metric": "about {{ name }}"}, "a", case=CASE, origin=THEIRS).metric == "about آدا"


def test_a_distance_threshold_of_0_is_5_there_and_0_here() -> None:
    item = {"type": "levenshtein", "value": "abc", "threshold": 0}
    assert (scored(item, "abd").outcome, scored(item, "abd", origin=THEIRS).outcome) == ("fail", "pass")


def test_bleu_has_their_figures() -> None:
    said, wanted = "the cat sat on the mat", "the cat is on the mat"
    assert bleu(said, [wanted]) == pytest.approx((5 / 6 * 3 / 5 * 1 / 4 * 1e-7) ** 0.25)
    assert scored({"bleu": wanted}, said, origin=THEIRS).score == pytest.approx(bleu(said, [wanted]))
    assert bleu("the cat sat on", ["the cat sat on the mat"]) == 1.0  # their penalty rewards a short text
    assert bleu("", ["a"]) == 0.0


def test_gleu_and_meteor_split_at_spaces_there() -> None:
    for name in ("gleu", "meteor"):
        item = {name: "on the mat, Ada"}
        here, there = (scored(item, "on the mat Ada", origin=origin).score for origin in (Origin(), THEIRS))
        assert here is not None
        assert there is not None
        assert there < here


def test_texts_are_compared_as_they_come_there() -> None:
    assert scored({"equals": "caf\u00e9"}, "cafe\u0301").outcome == "pass"
    assert scored({"equals": "caf\u00e9"}, "cafe\u0301", origin=THEIRS).outcome == "fail"
    assert scored({"icontains": "STRASSE"}, "Straße", origin=THEIRS).outcome == "fail"


def test_a_threshold_that_means_nothing_is_ignored_there() -> None:
    item = {"contains": "a", "threshold": 0.5}
    assert scored(item, "a", origin=THEIRS).outcome == "pass"
    with pytest.raises(SuiteFileError, match="contains has no threshold"):
        parse_assertions([item], Origin())


def test_not_inverts_there_too() -> None:
    for item in ({"levenshtein": "abc"}, {"finish-reason": "stop"}, {"tool-call-f1": ["a"]}):
        answer = Answer("abc", finish_reason="stop")
        score, opposite = scored(item, answer, origin=THEIRS), scored(inverted(item), answer, origin=THEIRS)
        assert {score.outcome, opposite.outcome} == {"pass", "fail"}
