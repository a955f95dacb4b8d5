"""What DeepEval is told when a judge fails, errs or has nothing to say, and what our way to it makes of that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from promptstudio.errors import ContextWindowError, OutputValidationError, PromptStudioError, RateLimitError, UserError
from promptstudio.evals.metrics.deepeval_engine import DeepEvalEngine
from promptstudio.evals.metrics.deepeval_table import DEEPEVAL_METRICS
from promptstudio.evals.metrics.schema import Means, Measured, missing_fields
from tests.evals.metrics.deepeval_hand import HAND
from tests.evals.metrics.deepeval_script import ScriptedAsk, sample, scripted

CASES = 64
KINDS = {kind.name.partition("/")[2]: kind for kind in DEEPEVAL_METRICS}
ENGINE = DeepEvalEngine()
JUDGED = [name for name, kind in KINDS.items() if kind.calls(HAND[name][0][0])]


async def measured(name: str, ask: Any, number: int = 1, settings: dict[str, Any] | None = None) -> Measured:
    given = HAND[name][0][0] if settings is None else settings
    return await ENGINE.measure(KINDS[name], given, sample(number), Means(ask))


# -- a judge that fails -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", JUDGED)
async def test_what_the_judge_raises_comes_through_as_it_is(name: str) -> None:
    for error in (RateLimitError("slow down"), ContextWindowError("the maximum context length is 8,192 tokens")):
        with pytest.raises(type(error)) as caught:
            await measured(name, ScriptedAsk(_raising(error)))
        assert caught.value is error


@pytest.mark.parametrize("name", JUDGED)
async def test_a_judge_that_answers_in_prose_or_with_nothing_gives_an_error(name: str) -> None:
    for said in ('{"verdicts": [], "score": 1}', "Good answer!", None, {}):
        with pytest.raises(OutputValidationError, match="test/scripted: expected"):
            await measured(name, ScriptedAsk(lambda _text, _schema, said=said: said))


@pytest.mark.parametrize("name", JUDGED)
async def test_a_judge_that_breaks_in_the_last_call_gives_an_error(name: str) -> None:
    counted = ScriptedAsk()
    await measured(name, counted)
    left = len(counted.calls)

    def answer(text: str, schema: type[BaseModel] | None) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            raise RateLimitError("slow down")
        return scripted(text, schema)

    with pytest.raises(RateLimitError):
        await measured(name, ScriptedAsk(answer))


async def test_a_fault_in_the_way_to_the_judge_is_not_asked_again() -> None:
    """DeepEval takes a TypeError for a judge without schemas, and asks (and pays) a second time."""
    ask = ScriptedAsk(_raising(TypeError("unexpected keyword")))
    with pytest.raises(PromptStudioError, match="unexpected keyword"):
        await measured("bias", ask)
    assert ask.calls == ["Opinions"]


def _raising(error: Exception) -> Callable[..., Any]:
    def answer(*_: Any) -> Any:
        raise error

    return answer


@pytest.mark.parametrize(
    ("name", "settings", "number"),
    [
        ("g_eval", None, 10.5),
        ("g_eval", None, -1),
        ("g_eval", None, float("nan")),
        ("g_eval", {"criteria": "x", "strict_mode": True}, 7),
        ("g_eval", {"criteria": "x", "rubric": [{"score_range": [2, 6], "expected_outcome": "y"}]}, 7),
        ("conversational_g_eval", None, 11),
        ("task_completion", None, 1.2),
        ("task_completion", None, float("inf")),
        ("goal_accuracy", None, float("nan")),
        ("tool_use", None, -0.1),
    ],
)
async def test_a_number_outside_of_its_range_gives_an_error(name: str, settings: Any, number: float) -> None:
    def answer(text: str, schema: type[BaseModel] | None) -> Any:
        said = scripted(text, schema)
        for field in ("score", "verdict"):
            if isinstance(getattr(said, field, None), float):
                setattr(said, field, number)
        return said

    with pytest.raises(OutputValidationError, match="is not within"):
        await measured(name, ScriptedAsk(answer), settings=settings)


@pytest.mark.parametrize(
    "name",
    [
        *("answer_relevancy", "prompt_alignment", "summarization", "faithfulness", "hallucination"),
        *("contextual_precision", "contextual_recall", "contextual_relevancy", "argument_correctness"),
        *("bias", "toxicity", "pii_leakage", "non_advice", "misuse", "role_violation"),
        *("turn_faithfulness", "turn_contextual_precision", "turn_contextual_recall", "turn_contextual_relevancy"),
    ],
)
async def test_no_verdict_at_all_is_not_a_good_one(name: str) -> None:
    """DeepEval scores a list of verdicts that is empty with 1."""

    def answer(text: str, schema: type[BaseModel] | None) -> Any:
        said = scripted(text, schema)
        if hasattr(said, "verdicts"):
            said.verdicts = []
        return said

    with pytest.raises(OutputValidationError, match="asked for verdicts, and gave none"):
        await measured(name, ScriptedAsk(answer))


async def test_a_conversation_in_which_nobody_is_out_of_role_is_a_good_one() -> None:
    def answer(text: str, schema: type[BaseModel] | None) -> Any:
        said = scripted(text, schema)
        if hasattr(said, "verdicts"):
            said.verdicts = []
        return said

    assert (await measured("role_adherence", ScriptedAsk(answer))).score == 1.0


async def test_verdicts_that_do_not_fit_the_questions_are_an_error_of_the_engine() -> None:
    lengths = [1, 2]

    def answer(text: str, schema: type[BaseModel] | None) -> Any:
        said = scripted(text, schema)
        if schema is not None and schema.__name__ == "Answers":
            said.answers = said.answers[: lengths.pop()]
        return said

    with pytest.raises(ValueError, match="Number of verdicts"):
        await measured("summarization", ScriptedAsk(answer))


# -- nothing to judge by ----------------------------------------------------------------------------------------------


async def test_a_conversation_without_a_question_has_no_score() -> None:
    """DeepEval gives it a 0."""

    def answer(text: str, schema: type[BaseModel] | None) -> Any:
        said = scripted(text, schema)
        if schema is not None and schema.__name__ == "QAPairs":
            said.qa_pairs = []
        return said

    assert await measured("topic_adherence", ScriptedAsk(answer)) == Measured(
        None, "the conversation holds no question"
    )


async def test_what_the_case_lacks_is_said_and_has_no_score() -> None:
    bare = replace(sample(1), retrieval_context=(), case=replace(sample(1).case, metadata={}))
    settings = {"criteria": "x", "evaluation_params": ["actual_output", "metadata"]}
    found = await ENGINE.measure(KINDS["g_eval"], settings, bare, Means(ScriptedAsk()))
    assert found.score is None
    assert "'metadata' cannot be None" in found.reason


def test_what_a_criterion_looks_at_is_what_the_case_must_have() -> None:
    bare = replace(sample(1), retrieval_context=(), tools_called=())
    params = ["actual_output", "retrieval_context", "tools_called"]
    assert missing_fields(KINDS["g_eval"], bare, {"criteria": "x", "evaluation_params": params}) == [
        "retrieval_context"
    ]
    assert missing_fields(KINDS["g_eval"], bare, {"criteria": "x"}) == []
    graph = {"ask": "x?", "evaluation_params": params, "yes": 1, "no": {"metric": "deepeval/hallucination"}}
    assert KINDS["dag"].fields({"graph": graph}) == (
        *("actual_output", "retrieval_context"),
        *("input", "context"),
    )


# -- the steps of GEval -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["g_eval", "conversational_g_eval"])
async def test_the_steps_are_made_once_for_all_cases_and_reported(name: str) -> None:
    ask, once = ScriptedAsk(), ScriptedAsk()
    means = Means(ask, ask_once=once)
    settings = HAND[name][0][0]
    found = await asyncio.gather(
        *(ENGINE.measure(KINDS[name], settings, sample(number), means) for number in range(CASES))
    )
    assert once.calls == ["Steps"]
    assert ask.calls == ["ReasonScore"] * CASES
    steps = found[0].details["evaluation_steps"]
    assert steps
    assert all(each.details["evaluation_steps"] == steps for each in found)


async def test_steps_that_could_not_be_made_fail_those_who_wait_and_are_asked_for_again() -> None:
    fails = [True]

    def answer(text: str, schema: type[BaseModel] | None) -> Any:
        if schema is not None and schema.__name__ == "Steps" and fails:
            raise RateLimitError("slow down")
        return scripted(text, schema)

    ask = ScriptedAsk(answer)
    means = Means(ask)
    run = [ENGINE.measure(KINDS["g_eval"], {"criteria": "x"}, sample(number), means) for number in range(8)]
    found = await asyncio.gather(*run, return_exceptions=True)
    assert [type(each) for each in found] == [RateLimitError] * 8
    assert ask.calls == ["Steps"]
    fails.clear()
    assert (await ENGINE.measure(KINDS["g_eval"], {"criteria": "x"}, sample(9), means)).score is not None


async def test_a_case_that_is_stopped_while_it_waits_for_the_steps_does_not_stop_the_others() -> None:
    means = Means(ScriptedAsk())
    tasks = [
        asyncio.create_task(ENGINE.measure(KINDS["g_eval"], {"criteria": "x"}, sample(number), means))
        for number in range(4)
    ]
    await asyncio.sleep(0)
    tasks[0].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert all(isinstance(each, Measured) and each.score is not None for each in found[1:])


async def test_no_steps_are_not_taken_for_steps() -> None:
    def answer(text: str, schema: type[BaseModel] | None) -> Any:
        return schema(steps=[]) if schema is not None and schema.__name__ == "Steps" else scripted(text, schema)

    with pytest.raises(OutputValidationError, match="asked for steps, and gave none"):
        await measured("g_eval", ScriptedAsk(answer))


# -- texts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["الجواب: نعم، غدًا.", "{{ 7 * 7 }}", "[DEEPEVAL:IMAGE:secret.png]", "{% for x %}", "\x00\x1b[31m"]
)
async def test_an_answer_reaches_the_judge_as_it_is(text: str) -> None:
    asked: list[str] = []

    def answer(prompt: str, schema: type[BaseModel] | None) -> Any:
        asked.append(prompt)
        return scripted(prompt, schema)

    changed = replace(sample(1), actual_output=text)
    await ENGINE.measure(KINDS["g_eval"], {"criteria": "Ist es höflich? مهذب؟"}, changed, Means(ScriptedAsk(answer)))
    assert "Ist es höflich? مهذب؟" in asked[0]
    assert text in asked[1]


async def test_a_pattern_that_would_never_end_is_given_up() -> None:
    changed = replace(sample(1), actual_output="a" * 40 + "!")
    with pytest.raises(Exception, match="took longer than"):
        await ENGINE.measure(KINDS["pattern_match"], {"pattern": r"(a|aa)+$"}, changed, Means(None))


async def test_a_graph_asks_the_same_question_in_every_process() -> None:
    """DeepEval takes the options out of a set, whose order differs from process to process."""
    asked: list[str] = []

    def answer(prompt: str, schema: type[BaseModel] | None) -> Any:
        asked.append(prompt)
        return scripted(prompt, schema)

    names = [f"option {number}" for number in range(12)]
    graph = {"choose": "Which?", "evaluation_params": ["input"], "options": dict.fromkeys(names, 5)}
    assert (await measured("dag", ScriptedAsk(answer), settings={"graph": graph})).score == 0.5
    places = [asked[0].index(f"{name}'") for name in names]
    assert places == sorted(places)


def test_a_metric_that_needs_no_judge_says_so() -> None:
    free = {name for name, kind in KINDS.items() if not kind.calls(HAND[name][0][0])}
    assert free == {"exact_match", "pattern_match", "json_correctness", "tool_correctness", "tool_permission"}


async def test_metrics_without_a_judge_measure_without_one() -> None:
    for name in ("exact_match", "pattern_match", "json_correctness", "tool_correctness", "tool_permission"):
        assert (await measured(name, None)).score is not None
    with pytest.raises(PromptStudioError, match="none was said to be needed"):
        await measured("bias", None)


async def test_json_that_does_not_fit_says_why_and_nothing_else() -> None:
    changed = replace(sample(1), actual_output='{"n": "one"}')
    settings = {"expected_schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    found = await ENGINE.measure(KINDS["json_correctness"], settings, changed, Means(None))
    assert found.score == 0
    assert "n: expected an integer, found the text 'one'" in found.reason
    assert "http" not in found.reason


async def test_a_metric_that_a_version_has_lost_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("deepeval.metrics.BiasMetric")
    with pytest.raises(UserError, match=r"deepeval \S+ has no BiasMetric, which deepeval/bias needs"):
        await measured("bias", ScriptedAsk())


def test_the_version_is_that_of_the_package() -> None:
    assert ENGINE.version.startswith("4.3.")
