"""Assertions on tool calls, refusals and finish reasons; each row is also judged with `not-`."""

from __future__ import annotations

from typing import Any

import pytest

from promptstudio.evals.assertions import Setting
from promptstudio.evals.schema import Answer, Case
from promptstudio.types import ToolCall
from tests.evals.assertion_samples import calls, inverted, scored

WEATHER = {
    "type": "object",
    "required": ["city"],
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "additionalProperties": False,
}
TOOLS = {"weather": WEATHER, "book": {"type": "object"}}
CAIRO = ("weather", '{"city": "القاهرة", "days": 2}')
BOOK = ("book", "{}")
NONE = Answer("It is warm.")


def matched(item: Any) -> dict[str, Any]:
    return {"trajectory:tool-args-match": item}


ROWS: list[tuple[Any, Answer, str, float]] = [
    ({"tool-call-f1": ["weather", "book"]}, calls(CAIRO, BOOK), "pass", 1.0),
    ({"tool-call-f1": ["weather", "book"]}, calls(CAIRO), "fail", 2 / 3),
    ({"tool-call-f1": ["weather", "book"]}, calls(CAIRO, BOOK, ("search", "{}")), "fail", 0.8),
    ({"tool-call-f1": ["weather"]}, calls(BOOK), "fail", 0.0),
    ({"tool-call-f1": ["weather"]}, calls(CAIRO, CAIRO), "pass", 1.0),
    ({"tool-call-f1": "weather, book"}, calls(BOOK, CAIRO), "pass", 1.0),
    ({"tool-call-f1": [{"name": "weather", "args": {"city": "Oslo"}}]}, calls(CAIRO), "pass", 1.0),
    ({"type": "tool-call-f1", "value": ["weather", "book"], "threshold": 0.6}, calls(CAIRO), "pass", 2 / 3),
    ({"tool-call-f1": ["weather"]}, NONE, "fail", 0.0),
    ("is-valid-tool-call", calls(CAIRO, BOOK), "pass", 1.0),
    ("is-valid-tool-call", calls(("weather", '{"city": 3}')), "fail", 0.0),
    ("is-valid-tool-call", calls(("weather", '{"town": "Oslo"}')), "fail", 0.0),
    ("is-valid-tool-call", calls(("weather", "{city}")), "fail", 0.0),
    ("is-valid-tool-call", calls(CAIRO, ("delete", "{}")), "fail", 0.0),
    ("is-valid-tool-call", calls(("book", "")), "pass", 1.0),
    ("is-valid-tool-call", NONE, "fail", 0.0),
    ("is-valid-openai-tools-call", calls(CAIRO), "pass", 1.0),
    ("is-valid-function-call", calls(("weather", "{}")), "fail", 0.0),
    ({"is-valid-tool-call": {"book": {"required": ["seat"]}}}, calls(BOOK), "fail", 0.0),
    ({"trajectory:tool-used": ["book", "weather"]}, calls(CAIRO, BOOK), "pass", 1.0),
    ({"trajectory:tool-used": "delete"}, calls(CAIRO, BOOK), "fail", 0.0),
    ({"trajectory:tool-used": [{"name": "weather", "args": {"days": 2}}]}, calls(CAIRO), "pass", 1.0),
    ({"trajectory:tool-used": [{"name": "weather", "args": {"days": 3}}]}, calls(CAIRO), "fail", 0.0),
    ({"trajectory:tool-sequence": ["weather", "book"]}, calls(CAIRO, ("search", "{}"), BOOK), "pass", 1.0),
    ({"trajectory:tool-sequence": ["book", "weather"]}, calls(CAIRO, BOOK), "fail", 0.0),
    ({"trajectory:tool-sequence": {"steps": ["weather"], "mode": "exact"}}, calls(CAIRO, BOOK), "fail", 0.0),
    ({"trajectory:tool-sequence": {"steps": ["weather", "book"], "mode": "exact"}}, calls(CAIRO, BOOK), "pass", 1.0),
    (matched({"name": "weather", "args": {"city": "القاهرة"}}), calls(BOOK, CAIRO), "pass", 1.0),
    (matched({"name": "weather", "args": {"city": "القاهرة"}, "mode": "exact"}), calls(CAIRO), "fail", 0.0),
    (matched({"name": "weather", "args": {"city": "Oslo"}}), calls(CAIRO), "fail", 0.0),
    (matched({"name": "weather", "args": {}}), NONE, "fail", 0.0),
    ({"finish-reason": "stop"}, Answer("a", finish_reason="STOP"), "pass", 1.0),
    ({"finish-reason": "stop"}, Answer("a", finish_reason="length"), "fail", 0.0),
]


@pytest.mark.parametrize(("item", "answer", "outcome", "value"), ROWS, ids=[str(row[0])[:90] for row in ROWS])
def test_an_assertion_on_tool_calls_and_its_not_form(item: Any, answer: Answer, outcome: str, value: float) -> None:
    setting = Setting(tools=TOOLS)
    score, opposite = scored(item, answer, setting=setting), scored(inverted(item), answer, setting=setting)

    assert (score.outcome, score.score) == (outcome, pytest.approx(value)), score.reason
    assert opposite.outcome == {"pass": "fail", "fail": "pass"}[outcome]
    assert opposite.score == pytest.approx(1 - value)


def test_what_is_wrong_with_a_call_is_said() -> None:
    said = calls(("weather", '{"city": 3}'), ("delete", "{}"), ("weather", "{city}"))
    problems = scored("is-valid-tool-call", said, setting=Setting(tools=TOOLS)).details["problems"]
    assert problems[0] == "'weather': city: expected text, found the number 3"
    assert problems[1] == "a call of 'delete', which is not among 'book', 'weather'"
    assert problems[2].startswith("'weather' with arguments that are not JSON")


def test_the_expected_tools_of_the_case_stand_in_for_a_value() -> None:
    case = Case("c", expected_tools=("weather", {"name": "book"}))
    for name in ("tool-call-f1", "trajectory:tool-used", "trajectory:tool-sequence"):
        assert scored(name, calls(CAIRO, BOOK), case=case).outcome == "pass"
        assert scored(name, calls(BOOK), case=case).outcome == "fail"
        assert scored(name, calls(BOOK)).outcome == "error"
        assert scored(f"not-{name}", calls(BOOK)).outcome == "error"


def test_without_schemas_a_call_cannot_be_judged() -> None:
    assert scored("is-valid-tool-call", calls(CAIRO)).outcome == "error"
    assert scored("not-is-valid-tool-call", calls(CAIRO)).outcome == "error"


def test_the_order_of_tools_goes_over_the_turns_of_a_conversation() -> None:
    earlier = Answer("", tool_calls=(ToolCall("1", *CAIRO),))
    answer = Answer("", tool_calls=(ToolCall("2", *BOOK),), history=(earlier,))
    assert scored({"trajectory:tool-sequence": ["weather", "book"]}, answer).outcome == "pass"
    assert scored({"tool-call-f1": ["book"]}, answer).outcome == "pass"


def test_a_path_leads_into_the_calls_as_data() -> None:
    said = calls(CAIRO, ("book", "not JSON"))
    for item in (
        {"path": "tool_calls[0].name", "equals": "weather"},
        {"path": "tool_calls[0].arguments.city", "contains": "القاهرة"},
        {"path": "tool_calls[0].arguments", "json-schema": WEATHER},
        {"path": "tool_calls[0].arguments.days", "lte": 2},
        {"path": "tool_calls[1].arguments", "equals": "not JSON"},
    ):
        assert scored(item, said).outcome == "pass", item
    assert scored({"path": "tool_calls[2].name", "not-equals": "x"}, said).outcome == "fail"
    assert scored({"path": "tool_calls[0].name", "equals": "weather"}, NONE).outcome == "fail"
    own = Answer("", output={"tool_calls": ["mine"]}, tool_calls=said.tool_calls)
    assert scored({"path": "tool_calls[0]", "equals": "mine"}, own).outcome == "pass"


def test_an_unknown_finish_reason_is_unscored_also_with_not() -> None:
    assert scored({"finish-reason": "stop"}, "a").outcome == "unscored"
    assert scored({"not-finish-reason": "length"}, "a").outcome == "unscored"


REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m sorry, I cannot assist with this request.",
    "**I am unable to provide** medical advice.",
    "Sorry. As an AI language model, I cannot answer.",
    "I must respectfully decline.",
    "Your request cannot be fulfilled.",
    "عذرًا، لا أستطيع مساعدتك في ذلك.",
    "لَا يُمْكِنُنِي الإجابة عن هذا السؤال.",
    "أعتذر عن عدم قدرتي على المساعدة",
    "מצטער, אני לא יכול לעזור בזה.",
    "אין באפשרותי לענות על כך.",
    "Je ne peux pas vous aider avec cela.",
    "Dabei kann ich Ihnen leider nicht helfen.",
    "Lo siento, no puedo ayudar con eso.",
    "",
    " \n",
]
ANSWERS = [
    "Sorry for the delay, your parcel is on its way.",
    "I can't find any mistake in your code.",
    "You cannot return it after 30 days.",
    "The answer is 42.",
    "آسف على التأخير، طلبك في الطريق.",
    "סליחה על העיכוב, החבילה בדרך.",
    "x " * 500 + "I can't help with that",
    "x " * 220 + "I can't help with that",
]


@pytest.mark.parametrize("said", REFUSALS)
def test_a_refusal_is_recognized(said: str) -> None:
    assert scored("is-refusal", said).outcome == "pass"
    assert scored("not-is-refusal", said).outcome == "fail"


@pytest.mark.parametrize("said", ANSWERS)
def test_an_answer_is_no_refusal(said: str) -> None:
    assert scored("is-refusal", said).outcome == "fail"
    assert scored("not-is-refusal", said).outcome == "pass"


def test_what_the_provider_says_counts_first() -> None:
    assert scored("is-refusal", Answer("Fine.", refusal="policy")).outcome == "pass"
    assert scored("is-refusal", Answer("Fine.", finish_reason="content_filter")).outcome == "pass"
    assert scored("is-refusal", calls(BOOK)).outcome == "fail"
    assert scored("is-refusal", Answer("", output={"a": 1})).outcome == "fail"
    assert scored({"path": "reply", "type": "is-refusal"}, {"reply": "I can't help you"}).outcome == "pass"
