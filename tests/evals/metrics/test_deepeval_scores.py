"""Our way to DeepEval against DeepEval used by hand, with the same judge and 64 cases at once."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from pydantic import BaseModel

from promptstudio.evals.metrics import deepeval_engine
from promptstudio.evals.metrics.deepeval_engine import DeepEvalEngine
from promptstudio.evals.metrics.deepeval_table import DEEPEVAL_METRICS
from promptstudio.evals.metrics.schema import Means, Measured
from tests.evals.metrics.deepeval_hand import HAND, HandJudge, dm, hand_case
from tests.evals.metrics.deepeval_script import ScriptedAsk, sample, scripted

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*now scores in the same direction as every other:DeprecationWarning"  # of the metrics made by hand
)
CASES = 64
KINDS = {kind.name.partition("/")[2]: kind for kind in DEEPEVAL_METRICS}
ENGINE = DeepEvalEngine()
EACH = [(name, number) for name in KINDS for number in range(len(HAND[name]))]


async def measured(name: str, ask: Any, number: int = 1, settings: dict[str, Any] | None = None) -> Measured:
    given = HAND[name][0][0] if settings is None else settings
    return await ENGINE.measure(KINDS[name], given, sample(number), Means(ask))


# -- the same scores --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "variant"), EACH)
async def test_64_cases_at_once_have_the_scores_they_have_one_by_one_by_hand(name: str, variant: int) -> None:
    kind, (settings, by_hand) = KINDS[name], HAND[name][variant]
    expected = []
    for number in range(CASES):
        metric = by_hand(HandJudge())
        case = hand_case(number, of_turns=kind.is_conversational)
        await metric.a_measure(case, _show_indicator=False)
        expected.append(float(metric.score))
    ask = ScriptedAsk()
    means = Means(ask)

    found = await asyncio.gather(*(ENGINE.measure(kind, settings, sample(number), means) for number in range(CASES)))

    assert [each.score for each in found] == pytest.approx(expected, abs=1e-12)
    assert len(set(expected)) > 1, "cases that all have one score would be equal however they were mixed up"
    if kind.calls(settings):
        assert ask.most_at_once >= CASES // 2
        assert all(each.reason for each in found)


def test_every_metric_is_compared_with_its_use_by_hand() -> None:
    assert set(HAND) == set(KINDS) == set(deepeval_engine._METRICS)


@pytest.mark.parametrize("name", KINDS)
def test_the_settings_the_comparison_uses_are_without_faults(name: str) -> None:
    for settings, _ in HAND[name]:
        assert list(KINDS[name].faults(settings)) == []
        assert set(settings) <= set(KINDS[name].settings)
        assert set(KINDS[name].required_settings) <= set(settings)


# -- the table and the engine -----------------------------------------------------------------------------------------

OURS = {
    *("self", "model", "threshold", "async_mode", "verbose_mode", "flaky", "evaluation_template", "template_class"),
    *("eval_mode", "system_one_model", "name", "top_logprobs", "_include_g_eval_suffix", "_include_dag_suffix"),
    *("_audio_model", "dag", "args", "settings"),
}
"""Parameters that are decided here: who judges, how to run, what is printed, and DeepEval's own hosted judge."""
NO_CALL_FOR_REASONS = {
    *("task_completion", "citation_faithfulness", "tool_correctness", "goal_accuracy", "tool_use", "tool_permission"),
    "json_correctness",  # the error of the validation is the reason
}
"""Metrics where `include_reason: false` saves nothing."""
ONLY_HERE = {"graph": {"dag", "conversational_dag"}, "chatbot_role": {"role_adherence"}}
"""Settings that reach the engine by another way."""


@pytest.mark.parametrize("name", KINDS)
def test_the_table_names_the_parameters_of_the_engine(name: str) -> None:
    known = set(inspect.signature(_theirs(name).__init__).parameters) - OURS
    if name in NO_CALL_FOR_REASONS:
        known -= {"include_reason"}
    assert set(KINDS[name].settings) - {key for key, names in ONLY_HERE.items() if name in names} == known


def _theirs(name: str) -> Any:
    """Return DeepEval's own class, also where we mended it."""
    made = deepeval_engine.class_of(name)
    return next(each for each in made.__mro__ if each.__module__.startswith("deepeval."))


_MAY_BE_EMPTY = {
    "exact_match": {"input"},
    "pattern_match": {"input"},
    "json_correctness": {"input"},
    "tool_correctness": {"input", "tools_called"},  # an answer that calls no tool lacks the expected ones
    "tool_permission": {"tools_called"},
}
_BY_TURN = {"role", "content"}


@pytest.mark.parametrize("name", [name for name in KINDS if not KINDS[name].needs_of or name == "tool_correctness"])
def test_the_table_names_the_fields_the_engine_requires(name: str) -> None:
    theirs = _theirs(name)
    required = getattr(theirs, "_required_params", None) or theirs._required_test_case_params
    fields = {param.value.replace("expected_outcome", "expected_output") for param in required}
    if KINDS[name].is_conversational:
        fields = fields - _BY_TURN | {"turns"}
    assert set(KINDS[name].needs) == fields - _MAY_BE_EMPTY.get(name, set())


LEFT_OUT = {
    "ArenaGEval": "no score",
    "JevEval": "a hosted judge",
    "ConversationalJevEval": "a hosted judge",
    "StepEfficiencyMetric": "a trace",
    "PlanAdherenceMetric": "a trace",
    "PlanQualityMetric": "a trace",
    "AgentLoopDetectionMetric": "a trace",
    "MCPUseMetric": "MCP servers",
    "MCPTaskCompletionMetric": "MCP servers",
    "MultiTurnMCPUseMetric": "MCP servers",
    **dict.fromkeys(
        (
            *("TextToImageMetric", "ImageEditingMetric", "ImageCoherenceMetric", "ImageHelpfulnessMetric"),
            "ImageReferenceMetric",
        ),
        "images",
    ),
    **dict.fromkeys(
        (
            *("TranscriptionAccuracyMetric", "AudioGlitchMetric", "VoiceNaturalnessMetric", "VoiceReliabilityMetric"),
            *("TurnTakingNaturalnessMetric", "SpeechIntelligibilityMetric", "VoiceConsistencyMetric"),
            *("AgentResponsivenessMetric", "AudioIntegrityMetric"),
        ),
        "audio",
    ),
}


def test_every_metric_of_the_engine_is_in_the_table_or_left_out_for_a_reason() -> None:
    bases = ("BaseMetric", "BaseConversationalMetric", "BaseArenaMetric")
    theirs = {
        name
        for name in dm.__all__
        if inspect.isclass(made := getattr(dm, name)) and any(base.__name__ in bases for base in made.__mro__[1:])
    }
    ours = {_theirs(name).__name__ for name in KINDS} - {"CitationFaithfulnessMetric"}
    assert theirs == ours | set(LEFT_OUT)


async def test_the_table_says_how_often_the_judge_is_asked() -> None:
    """A judge that lists one thing only, and a conversation of two exchanges."""
    for name, kind in KINDS.items():
        ask = ScriptedAsk(_with_one_item)
        settings = HAND[name][0][0]
        await ENGINE.measure(kind, settings, sample(1), Means(ask))
        asked = len([call for call in ask.calls if call != "Steps"])
        assert ask.calls.count("Steps") <= kind.calls_once(settings), name
        most = kind.calls(settings, 2 if kind.is_conversational else 1)
        if "graph" in kind.settings or name == "conversation_completeness":
            assert 3 <= asked <= most, name  # the longest way through the graph; a wish in each exchange
        else:
            assert asked == most, name


@pytest.mark.parametrize("name", [name for name in KINDS if "include_reason" in KINDS[name].settings])
async def test_a_metric_without_reasons_asks_less_and_scores_the_same(name: str) -> None:
    kind, settings = KINDS[name], HAND[name][0][0]
    bare = {**settings, "include_reason": False}
    with_reason, without = ScriptedAsk(), ScriptedAsk()
    for number in range(8):
        first = await ENGINE.measure(kind, settings, sample(number), Means(with_reason))
        second = await ENGINE.measure(kind, bare, sample(number), Means(without))
        assert first.score == second.score
        assert first.reason
    assert len(without.calls) < len(with_reason.calls)
    assert kind.calls(bare) <= kind.calls(settings)


def _with_one_item(text: str, schema: type[BaseModel] | None) -> Any:
    answer = scripted(text, schema)
    if schema is not None:
        for field in schema.model_fields:
            value = getattr(answer, field)
            if isinstance(value, list) and schema.__name__ not in ("Answers", "Questions"):
                setattr(answer, field, value[:1])
    return answer


# -- which way is good ------------------------------------------------------------------------------------------------

GOOD = {
    **dict.fromkeys(("answer_relevancy", "prompt_alignment", "faithfulness", "hallucination"), "yes"),
    **dict.fromkeys(("contextual_precision", "contextual_recall", "contextual_relevancy"), "yes"),
    **dict.fromkeys(("bias", "toxicity", "pii_leakage", "non_advice", "misuse", "knowledge_retention"), "no"),
    **dict.fromkeys(("argument_correctness", "turn_relevancy", "conversation_completeness"), "yes"),
    **dict.fromkeys(("turn_faithfulness", "turn_contextual_precision", "turn_contextual_recall"), "yes"),
    "turn_contextual_relevancy": "yes",
    "role_violation": "no",
    "citation_faithfulness": "faithful",
    "topic_adherence": "TP",
}
BAD = {"yes": "no", "no": "yes", "faithful": "unfaithful", "TP": "FP"}


@pytest.mark.parametrize("name", GOOD)
async def test_1_is_good_and_0_is_bad(name: str) -> None:
    for word, score in ((GOOD[name], 1.0), (BAD[GOOD[name]], 0.0)):
        found = await measured(name, ScriptedAsk(lambda text, schema, word=word: _saying(word, text, schema)))
        assert found.score == score


@pytest.mark.parametrize("name", ["g_eval", "task_completion", "conversational_g_eval", "goal_accuracy", "tool_use"])
async def test_a_judge_that_gives_the_highest_number_gives_a_1(name: str) -> None:
    for share in (1.0, 0.5, 0.0):
        assert (await measured(name, ScriptedAsk(lambda t, s, share=share: _giving(share, t, s)))).score == share


def _saying(word: str, text: str, schema: type[BaseModel] | None) -> Any:
    answer = scripted(text, schema)
    verdicts = getattr(answer, "verdicts", [answer])
    if any("verdict" in type(each).model_fields for each in verdicts if isinstance(each, BaseModel)):
        said = [type(each).model_validate({**each.model_dump(), "verdict": word}) for each in verdicts]
        return schema(verdicts=said) if schema and "verdicts" in schema.model_fields else said[0]
    return answer


def _giving(share: float, text: str, schema: type[BaseModel] | None) -> Any:
    answer = scripted(text, schema)
    for field in ("score", "verdict"):
        if isinstance(getattr(answer, field, None), float):
            setattr(answer, field, share * (10 if schema and schema.__name__ == "ReasonScore" else 1))
    return answer
