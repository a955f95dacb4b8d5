"""Assertions on the words of an answer; each row is also judged with `not-`."""

from __future__ import annotations

from typing import Any

import pytest

from promptstudio.evals.schema import Answer, Case
from tests.evals.assertion_samples import Setting, inverted, scored

SORRY = "I am sorry, Ada."
ARABIC = "مرحبًا يا آدا، كيف حالك؟"
HEBREW = "שלום עדה, מה שלומך?"

ROWS: list[tuple[Any, str | dict[str, Any], str]] = [
    ({"equals": "billing"}, "billing", "pass"),
    ({"equals": "billing"}, "Billing", "fail"),
    ({"equals": "billing"}, "billing ", "fail"),
    ({"equals": ""}, "", "pass"),
    ({"equals": 5}, "5", "pass"),
    ({"equals": 5}, "5.0", "fail"),
    ({"equals": True}, "true", "pass"),
    ({"equals": {"a": 1, "b": [2]}}, '{"b": [2], "a": 1.0}', "pass"),
    ({"equals": {"a": 1}}, '{"a": 1, "b": 2}', "fail"),
    ({"equals": {"a": 1}}, '{"a": true}', "fail"),
    ({"equals": {"a": 1}}, "no JSON", "fail"),
    ({"equals": [1, 2]}, "[1, 2]", "pass"),
    ({"equals": [1, 2]}, "[2, 1]", "fail"),
    ({"equals": {"a": 1}}, {"a": 1}, "pass"),
    ({"equals": "caf\u00e9"}, "cafe\u0301", "pass"),
    ({"equals": ARABIC}, ARABIC, "pass"),
    ({"contains": "sorry"}, SORRY, "pass"),
    ({"contains": "Sorry"}, SORRY, "fail"),
    ({"contains": 0}, "10", "pass"),
    ({"contains": "كيف"}, ARABIC, "pass"),
    ({"contains": "עדה"}, HEBREW, "pass"),
    ({"contains": "\u0622"}, "\u0627\u0653", "pass"),
    ({"icontains": "SORRY"}, SORRY, "pass"),
    ({"icontains": "STRASSE"}, "Straße", "pass"),
    ({"icontains": "ada?"}, SORRY, "fail"),
    ({"contains-all": ["sorry", "Ada"]}, SORRY, "pass"),
    ({"contains-all": ["sorry", "Bob"]}, SORRY, "fail"),
    ({"contains-all": 'sorry, "sorry, Ada"'}, SORRY, "pass"),
    ({"contains-any": ["Bob", "Ada"]}, SORRY, "pass"),
    ({"contains-any": ["Bob", 7]}, SORRY, "fail"),
    ({"contains-any": "Bob, Ada"}, SORRY, "pass"),
    ({"icontains-all": ["SORRY", "ada"]}, SORRY, "pass"),
    ({"icontains-all": ["SORRY", "bob"]}, SORRY, "fail"),
    ({"icontains-any": ["BOB", "ADA"]}, SORRY, "pass"),
    ({"icontains-any": ["BOB"]}, SORRY, "fail"),
    ({"starts-with": "I am"}, SORRY, "pass"),
    ({"starts-with": "i am"}, SORRY, "fail"),
    ({"starts-with": "مرحب"}, ARABIC, "pass"),
    ({"ends-with": "Ada."}, SORRY, "pass"),
    ({"ends-with": "Ada"}, SORRY, "fail"),
    ({"ends-with": "?"}, HEBREW, "pass"),
    ({"regex": r"^I am \w+"}, SORRY, "pass"),
    ({"regex": r"^am"}, SORRY, "fail"),
    ({"regex": r"(?i)ADA"}, SORRY, "pass"),
    ({"regex": r"^(?!.*error).*$"}, SORRY, "pass"),
    ({"regex": r"^(?!.*sorry).*$"}, SORRY, "fail"),
    ({"regex": r"(\w)\1"}, SORRY, "pass"),
    ({"regex": r"حال\w"}, ARABIC, "pass"),
    ({"word-count": 4}, SORRY, "pass"),
    ({"word-count": 3}, SORRY, "fail"),
    ({"word-count": {"min": 2, "max": 5}}, SORRY, "pass"),
    ({"word-count": {"min": 5}}, SORRY, "fail"),
    ({"word-count": {"max": 3}}, SORRY, "fail"),
    ({"word-count": 5}, ARABIC, "pass"),
    ({"word-count": 0}, " \n ", "pass"),
]


@pytest.mark.parametrize(("item", "said", "outcome"), ROWS)
def test_an_assertion_on_words_holds_or_not_and_its_not_form_is_the_opposite(
    item: Any, said: str | dict[str, Any], outcome: str
) -> None:
    score, opposite = scored(item, said), scored(inverted(item), said)

    assert (score.outcome, score.score) == (outcome, 1.0 if outcome == "pass" else 0.0), score.reason
    assert opposite.outcome == {"pass": "fail", "fail": "pass"}[outcome]
    assert opposite.score == 1 - score.score


def test_a_field_of_the_typed_output_is_what_a_path_leads_to() -> None:
    said = {"a": {"b c": [{"name": "Ada"}, {"name": 7}]}, "null": None, "text": "5"}
    for path, value in (("a['b c'][0].name", "Ada"), ("a['b c'].1.name", 7), ("null", None), ("text", "5")):
        assert scored({"path": path, "equals": value}, said).outcome == "pass"
    assert scored({"path": "text", "equals": 5}, said).outcome == "fail"
    assert scored({"path": "a", "contains": '"name":"Ada"'}, said).outcome == "pass"


@pytest.mark.parametrize("said", ["I cannot help with that.", '{"other": 1}', '{"category": {}}', "[1]", ""])
def test_a_field_that_is_not_there_fails_with_not_as_well(said: str) -> None:
    for name in ("equals", "not-equals", "not-contains", "not-regex"):
        score = scored({"path": "category.name", name: "billing"}, said)
        assert (score.outcome, score.score) == ("fail", 0.0)
        assert "expected the field category.name" in score.reason


def test_a_reason_shows_expected_beside_actual() -> None:
    assert scored({"equals": "a"}, "b").reason == "expected 'a', found 'b'"
    assert scored({"not-contains": "b"}, "abc").reason == "expected anything but text that contains 'b', found 'abc'"
    assert scored({"path": "n", "equals": 1}, {"n": 2}).reason == "n: expected 1, found 2"
    assert "without 'Bob'" in scored({"contains-all": ["Ada", "Bob"]}, "Ada").reason


def test_long_texts_are_shown_where_they_part_and_kept_whole_beside_the_reason() -> None:
    expected, actual = "word " * 5000 + "\nend here", "word " * 5000 + "\nend there"

    score = scored({"equals": expected}, actual)

    assert len(score.reason) < 300
    assert "'…" in score.reason
    assert "end here'" in score.reason
    assert "end there'" in score.reason
    assert "line 2, column 5" in score.reason
    assert (score.expected, score.actual) == (expected, actual)


@pytest.mark.parametrize("said", ["\x1b[31mred\x07", "a\u202eb", "a\r\nb", "\x00", "[/bold] <script>"])
def test_a_reason_is_one_line_without_control_characters(said: str) -> None:
    for item in ({"equals": "x"}, {"regex": "x"}, "is-json", {"contains": "x"}, {"levenshtein": "x"}):
        reason = scored(item, said).reason
        assert not any(ord(character) < 32 or character in "\u202e\x7f" for character in reason), reason
        assert scored(item, said).actual == said


def test_equals_without_a_value_compares_with_the_expected_output_of_the_case() -> None:
    case = Case("c", expected_output="Hello")
    assert scored("equals", "Hello", case=case).outcome == "pass"
    assert scored("equals", "Bye", case=case).outcome == "fail"
    assert scored("not-equals", "Bye", case=case).outcome == "pass"
    assert scored("equals", "Hello").outcome == "error"
    assert scored("not-equals", "Hello").outcome == "error"


@pytest.mark.parametrize("pattern", [r"(a|a)*$", r"(?:(?:a|aa)+)+b", r"(a+a+)+y", r"^(.*?a,?){20}P"])
@pytest.mark.parametrize("name", ["regex", "not-regex"])
def test_a_pattern_that_never_ends_is_an_error_after_its_time(name: str, pattern: str) -> None:
    score = scored({name: pattern}, "a" * 4000 + "!", setting=Setting(time_limit_s=0.05))

    assert (score.outcome, score.score) == ("error", None)
    assert score.reason == "the pattern took longer than 0.05 s on this text"


def test_the_text_of_a_typed_answer_is_its_json() -> None:
    assert scored({"contains": '"n":1'}, Answer("", output={"n": 1})).outcome == "pass"
    assert scored({"contains": "said"}, Answer("as it was said", output={"n": 1})).outcome == "pass"
