"""What holds for any text: nothing raises, `not-` inverts, the same comes out twice, and reasons are safe to show."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptstudio.errors import Problem, SuiteFileError
from promptstudio.evals.assertions import Origin, Setting, case_outcome, parse_assertions, score_assertion
from promptstudio.evals.assertions.overlap import levenshtein_distance
from promptstudio.evals.schema import Answer, Case, Outcome, Score
from promptstudio.types import ToolCall
from tests.conftest import REPOSITORY
from tests.evals.assertion_samples import finished, inverted

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
ITEMS: list[Any] = [
    *("is-json", "contains-json", "is-xml", "contains-xml", "is-refusal", "is-valid-tool-call", "tool-call-f1"),
    *({name: "ab"} for name in ("equals", "contains", "icontains", "starts-with", "ends-with")),
    *({name: ["ab", "ا"]} for name in ("contains-all", "contains-any", "icontains-all", "icontains-any")),
    *({name: "the cat ab"} for name in ("levenshtein", "rouge-n", "rouge-l", "bleu", "gleu", "meteor", "similar")),
    {"equals": {"a": 1}},
    {"regex": r"^\w+(?!x)$"},
    {"word-count": {"min": 1, "max": 3}},
    {"is-json": SCHEMA},
    {"contains-json": SCHEMA},
    {"json-schema": SCHEMA},
    {"gt": 3},
    {"cost": 1},
    {"latency": 1},
    {"path": "a", "equals": 1},
    {"path": "a[0].b", "contains": "x"},
    {"finish-reason": "stop"},
    {"trajectory:tool-used": "ab"},
    {"trajectory:tool-sequence": ["ab", "b"]},
    {"trajectory:tool-args-match": {"name": "ab", "args": {"a": 1}}},
    {"assert-set": ["is-json", {"contains": "a"}]},
    {"llm-rubric": "kind"},
]
PAIRS = [(parse_assertions([item], Origin())[0], parse_assertions([inverted(item)], Origin())[0]) for item in ITEMS]
TEXTS = st.one_of(
    st.text(max_size=80),
    st.text(alphabet='{}[]<>/"\\:,ab1 \n&;!', max_size=80),
    st.text(alphabet="ابتثجحخ \u064b\u0651\u200f،؟שלום\u05b0\u202e", max_size=60),
    st.sampled_from(["\ud800", "\x00", "{" * 2000, '{"a": 1}', "<a>" * 500, "NaN", "1e999", "-0", "9" * 5000]),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=8,
)
ANSWERS = st.builds(
    Answer,
    text=TEXTS,
    output=st.none() | VALUES,
    tool_calls=st.lists(st.builds(ToolCall, st.just("1"), st.sampled_from(["ab", "b", ""]), TEXTS), max_size=2).map(
        tuple
    ),
    finish_reason=st.none() | st.text(max_size=5),
    cost_usd=st.none() | st.floats(),
    latency_ms=st.none() | st.floats(),
)
SETTING = Setting(tools={"ab": SCHEMA})
INVERSE = {"pass": "fail", "fail": "pass"}


def judged(assertion: Any, answer: Answer) -> Score:
    score = finished(score_assertion(assertion, answer, Case("c"), SETTING))
    assert isinstance(score, Score)
    return score


@pytest.mark.parametrize(("assertion", "opposite"), PAIRS, ids=[str(item)[:50] for item in ITEMS])
@given(answer=ANSWERS)
@settings(max_examples=40, deadline=None)
def test_on_any_answer_nothing_raises_and_not_inverts(assertion: Any, opposite: Any, answer: Answer) -> None:
    score, again, other = judged(assertion, answer), judged(assertion, answer), judged(opposite, answer)

    assert repr(score) == repr(again)
    assert "could not be judged" not in score.reason
    assert score.reason
    assert not any(ord(character) < 32 or character in "\u202e\x7f\u2028" for character in score.reason)
    assert (score.score is None) == (score.outcome not in INVERSE)
    assert score.score is None or 0 <= score.score <= 1
    if assertion.path or assertion.name == "gt":  # a field that is not there fails either way
        assert other.outcome in (INVERSE.get(score.outcome, score.outcome), "fail")
    else:
        assert other.outcome == INVERSE.get(score.outcome, score.outcome)
        assert other.score == (None if score.score is None else 1 - score.score)


SCORES = st.lists(
    st.builds(
        lambda outcome, value, weight: Score("x", outcome, value if outcome in INVERSE else None, "r", weight=weight),
        st.sampled_from(["pass", "fail", "error", "unscored", "skipped"]),
        st.floats(0, 1),
        st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    ),
    max_size=6,
)


@given(scores=SCORES, threshold=st.none() | st.floats(0, 1))
def test_a_case_never_passes_by_accident(scores: list[Score], threshold: float | None) -> None:
    end = case_outcome(scores, threshold)
    counted = [score for score in scores if score.weight and score.outcome != "skipped"]

    assert end.score is None or 0 <= end.score <= 1
    if any(score.outcome == "error" for score in scores):
        assert end.outcome == "error"
    if not counted:
        assert end.outcome != "pass"
    if end.outcome == "pass" and threshold is None:
        assert {score.outcome for score in counted} == {"pass"}
    if end.outcome == "pass" and threshold:
        assert end.score is not None
        assert end.score >= threshold - 1e-6


@given(one=st.text(max_size=20), other=st.text(max_size=20), third=st.text(max_size=20))
def test_an_edit_distance_is_a_distance(one: str, other: str, third: str) -> None:
    distance = levenshtein_distance(one, other)
    assert distance == levenshtein_distance(other, one)
    assert (distance == 0) == (one == other)
    assert distance <= levenshtein_distance(one, third) + levenshtein_distance(third, other)
    assert abs(len(one) - len(other)) <= distance <= max(len(one), len(other))


@given(items=st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3), max_leaves=6))
def test_any_data_as_assertions_is_read_or_refused_with_a_place(items: Any) -> None:
    found: list[Problem] = []
    try:
        parse_assertions(items, Origin("s.yaml"))
    except SuiteFileError as error:
        found += error.problems
    assert [problem for problem in found if problem.file != "s.yaml"] == []


def test_nothing_heavy_is_loaded_with_the_package_or_by_plain_assertions() -> None:
    code = (
        "import sys, asyncio\n"
        "from promptstudio.evals.assertions import *\n"
        "from promptstudio.evals.schema import Answer, Case\n"
        "light = set(sys.modules)\n"
        "found = parse_assertions(['is-json', {'contains': 'a'}, {'path': 'u', 'gte': 1}, {'bleu': 'a'}], Origin())\n"
        "asyncio.run(score_answer(found, Answer('{}'), Case('c'), Setting()))\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
        "print(*sorted(name for name in light if name.startswith('promptstudio.evals.assertions.')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    loaded, own = done.stdout.splitlines()
    heavy = {"pydantic", "pydantic_core", "jsonschema", "jinja2", "regex", "yaml", "rich", "litellm", "openai", "numpy"}
    assert not heavy & set(loaded.split())
    assert "promptstudio.evals.assertions.functions" not in own.split()


def test_five_outcomes_are_what_a_score_may_have() -> None:
    assert set(Outcome.__args__) == {"pass", "fail", "error", "unscored", "skipped"}  # type: ignore[attr-defined]
