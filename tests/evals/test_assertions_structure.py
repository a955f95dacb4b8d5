"""Assertions on JSON, XML, numbers and what a case expects; each row is also judged with `not-`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from promptstudio.evals.assertions import implied_assertions, parse_assertions
from promptstudio.evals.assertions.parse import Origin
from promptstudio.evals.assertions.score import score_assertion
from promptstudio.evals.assertions.table import EXPECTED_OUTPUT
from promptstudio.evals.assertions.values import json_values
from promptstudio.evals.assertions.xmltext import fragments
from promptstudio.evals.schema import Answer, Case, Score
from tests.evals.assertion_samples import Setting, finished, inverted, scored

POINT = {"type": "object", "required": ["lat"], "properties": {"lat": {"type": "number", "maximum": 90}}}
ARABIC_XML = "<رد><اسم>آدا</اسم></رد>"

ROWS: list[tuple[Any, Any, str]] = [
    ("is-json", '{"a": 1}', "pass"),
    ("is-json", " [1, 2]\n", "pass"),
    ("is-json", "3", "pass"),
    ("is-json", '{"a": 1} and more', "fail"),
    ("is-json", "```json\n{}\n```", "fail"),
    ("is-json", '{"a": NaN}', "fail"),
    ("is-json", "", "fail"),
    ("is-json", '{"اسم": "آدا"}', "pass"),
    ("is-json", {"a": 1}, "pass"),
    ("is-json", "1" * 5000, "pass"),
    ("is-json", "[" * 100_000, "fail"),
    ({"is-json": POINT}, '{"lat": 30}', "pass"),
    ({"is-json": POINT}, '{"lat": 300}', "fail"),
    ({"is-json": POINT}, '{"lon": 3}', "fail"),
    ({"is-json": POINT}, "no", "fail"),
    ({"is-json": True}, "1", "pass"),
    ({"is-json": False}, "1", "fail"),
    ("contains-json", 'Here: {"a": {"b": 1}}.', "pass"),
    ("contains-json", "Here: [1].", "pass"),
    ("contains-json", "Here: {a: 1}", "fail"),
    ("contains-json", "nothing", "fail"),
    ({"contains-json": POINT}, 'first {"x": 1}, then {"lat": 5}', "pass"),
    ({"contains-json": POINT}, 'only {"x": 1}', "fail"),
    ({"json-schema": POINT}, '{"lat": 30}', "pass"),
    ({"json-schema": POINT}, {"lat": 30}, "pass"),
    ({"json-schema": POINT}, {"lat": "30"}, "fail"),
    ({"json-schema": POINT}, "no JSON", "fail"),
    ({"path": "p", "json-schema": POINT}, {"p": {"lat": 1}}, "pass"),
    ({"path": "p", "json-schema": {"type": "string"}}, {"p": 1}, "fail"),
    ("is-xml", "<a><b>1</b></a>", "pass"),
    ("is-xml", "\n<?xml version='1.0'?><a/> ", "pass"),
    ("is-xml", ARABIC_XML, "pass"),
    ("is-xml", "<a><b></a>", "fail"),
    ("is-xml", "text <a/>", "fail"),
    ("is-xml", "", "fail"),
    ("is-xml", "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "fail"),
    ({"is-xml": {"requiredElements": ["a.b"]}}, "<a><b/></a>", "pass"),
    ({"is-xml": ["a.b", "a.c"]}, "<a><b/></a>", "fail"),
    ({"is-xml": ["رد.اسم"]}, ARABIC_XML, "pass"),
    ("contains-xml", "Sure: <a><b>1</b></a> bye", "pass"),
    ("contains-xml", f"هنا: {ARABIC_XML}", "pass"),
    ("contains-xml", "a < b and c > d", "fail"),
    ("contains-xml", "<br> <p>open", "fail"),
    ("contains-xml", "<p> <a>1</a>", "pass"),
    ({"contains-xml": ["a.b"]}, "<x/> and <a><b/></a>", "pass"),
    ({"contains-xml": ["a.b"]}, "<x/>", "fail"),
    ({"path": "urgency", "gte": 2}, {"urgency": 2}, "pass"),
    ({"path": "urgency", "gt": 2}, {"urgency": 2}, "fail"),
    ({"path": "urgency", "lt": 2.5}, {"urgency": 2}, "pass"),
    ({"path": "urgency", "lte": 1}, {"urgency": 2}, "fail"),
    ({"gt": 40}, " 42\n", "pass"),
    ({"gt": 40}, "٤٢", "pass"),
    ({"lt": 40}, "-1e3", "pass"),
]


@pytest.mark.parametrize(("item", "said", "outcome"), ROWS, ids=[str(row)[:70] for row in ROWS])
def test_an_assertion_on_structure_holds_or_not_and_its_not_form_is_the_opposite(
    item: Any, said: Any, outcome: str
) -> None:
    score, opposite = scored(item, said), scored(inverted(item), said)

    assert (score.outcome, score.score) == (outcome, 1.0 if outcome == "pass" else 0.0), score.reason
    assert opposite.outcome == {"pass": "fail", "fail": "pass"}[outcome]
    assert opposite.score == 1 - score.score


@pytest.mark.parametrize("said", [{"n": "3"}, {"n": True}, {"n": None}, {"n": [3]}])
def test_what_is_no_number_is_neither_above_nor_below(said: dict[str, Any]) -> None:
    for name in ("gt", "not-gt", "lte", "not-lte"):
        score = scored({"path": "n", name: 1}, said)
        assert score.outcome == "fail"
        assert "which is not a number" in score.reason


def test_a_schema_says_what_does_not_fit_and_where() -> None:
    score = scored({"json-schema": POINT}, {"lat": 300})
    assert "lat: must be at most 90, found the number 300" in score.reason
    assert score.details["problems"] == ["lat: must be at most 90, found the number 300"]


@pytest.mark.parametrize("said", ["[" * 50_000, '{"a":' * 50_000, "{[" * 50_000, '["' * 50_000])
def test_json_that_leads_nowhere_is_given_up_and_never_passes(said: str) -> None:
    assert scored("contains-json", said).outcome in ("error", "fail")
    assert scored("not-contains-json", said).outcome != "fail"


def test_a_search_for_json_or_xml_says_when_it_did_not_see_everything() -> None:
    assert json_values("[" * 50_000)[1] is False
    assert json_values("[a](b) {c} " * 5_000 + "[1]") == ([[1]], True)
    assert scored("not-contains-json", "[" * 50_000).outcome == "error"
    nested = "<a>" * 600 + "</a>" * 600  # each is too deep, or has a part that is
    assert fragments(nested)[1] is False
    assert scored("contains-xml", "<b>&nope;" * 400 + "</b>" * 400).outcome in ("error", "fail")


def test_an_element_within_an_element_is_not_counted_again() -> None:
    found, complete = fragments("one <a><b/></a> two <c/> <d>&nope;<e/></d>")
    assert ([sorted(fragment.paths) for fragment in found], complete) == ([["a", "a.b"], ["c"], ["e"]], True)


def test_json_that_is_longer_than_a_piece_is_found() -> None:
    for long in ('{"text": "' + "x" * 50_000 + '"}', "[" + "1, " * 20_000 + "2]", '{"a": [' + "[1]," * 9_000 + "[2]]}"):
        assert scored("contains-json", f"see {{this}}: {long} end").outcome == "pass"
        assert scored({"contains-json": {"minItems": 20_001}}, f"see {long[:-1]}").outcome == "fail"


def test_json_after_much_that_is_none_is_still_found() -> None:
    assert scored("contains-json", "{a} [b " * 2000 + '{"ok": [1]}').outcome == "pass"


@pytest.mark.parametrize("said", ["<a>" * 100_000, "<a><b>" * 50_000 + "</c>" * 50_000, "<a " * 100_000, "<" * 200_000])
def test_xml_that_leads_nowhere_ends(said: str) -> None:
    assert scored("contains-xml", said).outcome in ("error", "fail")
    assert scored("is-xml", said).outcome == "fail"


@pytest.mark.parametrize(
    ("item", "answer", "outcome"),
    [
        ({"cost": 0.01}, Answer("a", cost_usd=Decimal("0.01")), "pass"),
        ({"type": "cost", "threshold": 0.01}, Answer("a", cost_usd=0.011), "fail"),
        ({"not-cost": 0.01}, Answer("a", cost_usd=0.011), "pass"),
        ({"cost": 0}, Answer("a", cost_usd=0.0), "pass"),
        ({"cost": 0.01}, Answer("a"), "unscored"),
        ({"not-cost": 0.01}, Answer("a"), "unscored"),
        ({"cost": 0.01}, Answer("a", cost_usd=float("nan")), "unscored"),
        ({"latency": 2000}, Answer("a", latency_ms=1999.5), "pass"),
        ({"type": "latency", "threshold": 2000}, Answer("a", latency_ms=2001), "fail"),
        ({"not-latency": 2000}, Answer("a", latency_ms=2001), "pass"),
        ({"latency": 2000}, Answer("a"), "unscored"),
    ],
)
def test_what_an_answer_cost_and_how_long_it_took(item: Any, answer: Answer, outcome: str) -> None:
    assert scored(item, answer).outcome == outcome


def test_without_a_limit_a_figure_is_recorded_and_not_counted() -> None:
    score = scored({"type": "latency", "metric": "speed"}, Answer("a", latency_ms=12.5))
    assert (score.outcome, score.score, score.weight, score.details["value"]) == ("pass", None, 0.0, 12.5)


def expected(case_output: Any, said: Any) -> Score:
    case = Case("c", expected_output=case_output)
    (assertion,) = implied_assertions((), case_output, has_metrics=False)
    answer = said if isinstance(said, Answer) else Answer(said) if isinstance(said, str) else Answer("", output=said)
    score = finished(score_assertion(assertion, answer, case, Setting()))
    assert isinstance(score, Score)
    return score


@pytest.mark.parametrize(
    ("wanted", "said", "outcome", "share"),
    [
        ({"category": "billing"}, {"category": "billing", "urgency": 3}, "pass", 1.0),
        ({"category": "billing"}, '{"category": "billing"}', "pass", 1.0),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, "fail", 0.5),
        ({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1}, "d": 3}, "fail", 2 / 3),
        ({"a": []}, {"a": [1]}, "fail", 0.0),
        ({"tags": [{"n": 1}]}, {"tags": [{"n": 1, "m": 2}]}, "pass", 1.0),
        ({}, {"a": 1}, "pass", 1.0),
        ({"a": None}, {}, "fail", 0.0),
        ({"a": 1}, "I cannot", "fail", 0.0),
        ("Hello", "Hello", "pass", 1.0),
        ("Hello", "hello", "fail", 0.0),
        (3, "3", "pass", 1.0),
    ],
)
def test_an_expected_output_is_compared_key_by_key(wanted: Any, said: Any, outcome: str, share: float) -> None:
    score = expected(wanted, said)
    assert (score.outcome, score.score) == (outcome, pytest.approx(share))


def test_the_first_field_that_differs_is_named() -> None:
    score = expected({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}})
    assert score.reason == "expected a.b[1]: 2, found a.b[1]: 3"
    assert "found a.c: nothing" in expected({"a": {"c": 1}}, {"a": {}}).reason


def test_an_expected_text_is_the_reference_of_other_assertions_where_there_are_any() -> None:
    given = parse_assertions(["bleu"], Origin())
    names = [each.name for each in implied_assertions((), "text", has_metrics=False)]
    assert names == [EXPECTED_OUTPUT]
    assert implied_assertions(given, "text", has_metrics=False) == given
    assert implied_assertions((), "text", has_metrics=True) == ()
    assert [each.name for each in implied_assertions(given, {"a": 1}, has_metrics=True)] == [EXPECTED_OUTPUT, "bleu"]
    assert implied_assertions(given, None, has_metrics=False) == given
    assert len(implied_assertions(parse_assertions(["equals"], Origin()), {"a": 1}, has_metrics=False)) == 1
