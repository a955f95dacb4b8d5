"""DeepEval as an engine of metrics: a fresh metric for each answer, asked through our judge, and what it found.

    settings → metric        sample → test case        metric + judge → score, reason, details

A metric of DeepEval holds its result, so one that is shared gives the score of another case. All its scores have 1 for
good, also those of hallucination, bias, toxicity and misuse, which were turned around in version 4.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import metadata
from typing import Any

from promptstudio.errors import UserError
from promptstudio.evals.metrics import deepeval_door as deepeval
from promptstudio.evals.metrics import deepeval_fixes as mended
from promptstudio.evals.metrics.deepeval_cases import conversation, single_case, tools_offered
from promptstudio.evals.metrics.deepeval_dag import built
from promptstudio.evals.metrics.deepeval_graph import Inner, graph_of
from promptstudio.evals.metrics.deepeval_judge import AskingJudge
from promptstudio.evals.metrics.deepeval_settings import DEFAULT_PARAMS, DEFAULT_TURN_PARAMS
from promptstudio.evals.metrics.deepeval_table import DEEPEVAL_METRICS
from promptstudio.evals.metrics.schema import Means, Measured, MetricKind, Sample, Settings
from promptstudio.output.model import model_from_schema

_UNJUDGED = ("exact_match", "pattern_match", "tool_permission")
"""Metrics that take no judge at all."""
_STRICT_RUBRIC = (0.0, 1.0)


class DeepEvalEngine:
    """The engine `deepeval`."""

    @property
    def version(self) -> str:
        return metadata.version("deepeval")

    async def measure(self, kind: MetricKind, settings: Mapping[str, Any], sample: Sample, means: Means) -> Measured:
        """Measure one answer. Raises what the judge raised, and what the metric did."""
        judge = AskingJudge(means)
        metric = made(kind, settings, judge)
        case = conversation(sample, settings) if kind.is_conversational else single_case(sample)
        try:
            await metric.a_measure(case, _show_indicator=False)
        except deepeval.MissingTestCaseParamsError as error:
            return Measured(None, str(error))
        except Exception as error:
            if judge.failure is not None and judge.failure is not error:
                raise judge.failure from error  # what the judge says, not what DeepEval made of it
            raise
        if judge.failure is not None:
            raise judge.failure
        return _measured(kind, metric, judge)


def _measured(kind: MetricKind, metric: Any, judge: AskingJudge) -> Measured:
    if kind.name == "deepeval/topic_adherence" and "RelevancyVerdict" not in judge.asked:
        return Measured(None, "the conversation holds no question")  # DeepEval makes a 0 of that
    if metric.score is None:
        return Measured(None, "nothing in the graph gave a score" if "graph" in kind.settings else "")
    return Measured(float(metric.score), _reason(metric), _details(kind, metric))


def _reason(metric: Any) -> str:
    """Return why. Of what did not fit a schema, the error says why; the address it ends with does not."""
    if metric.reason:
        return str(metric.reason)
    lines = (getattr(metric, "_validation_error", None) or "").splitlines()
    return "\n".join(line for line in lines if not line.strip().startswith("For further information"))


def _details(kind: MetricKind, metric: Any) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if isinstance(metric.score_breakdown, dict):
        details["parts"] = {str(name): value for name, value in metric.score_breakdown.items()}
    if "evaluation_steps" in kind.settings:
        details["evaluation_steps"] = list(metric.evaluation_steps)
    return details


def made(kind: MetricKind, settings: Settings, judge: AskingJudge) -> Any:
    """Return a new metric with its settings, and with the judge where it takes one."""
    name = kind.name.partition("/")[2]
    _, convert = _METRICS[name]
    given = {key: value for key, value in settings.items() if key in kind.settings}
    if convert is not None:
        given = convert(given, judge)
    if name not in _UNJUDGED:
        given["model"] = judge
    if "eval_mode" in _parameters(name):
        given["eval_mode"] = "llm"  # whatever the settings of a program say that imported DeepEval before us
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that 1 is good now, said of each metric that is made
        return class_of(name)(**given)


@cache
def _parameters(name: str) -> frozenset[str]:
    return frozenset(inspect.signature(class_of(name).__init__).parameters)


def class_of(name: str) -> Any:
    """Return the class of a metric. Raises UserError where this version of DeepEval has none."""
    named, _ = _METRICS[name]
    found = deepeval.metric_class(named) if isinstance(named, str) else named
    if found is None:
        raise UserError(f"deepeval {metadata.version('deepeval')} has no {named}, which deepeval/{name} needs")
    return found


Convert = Callable[[dict[str, Any], AskingJudge], dict[str, Any]]


def _geval(given: dict[str, Any], judge: AskingJudge, *, of_turns: bool) -> dict[str, Any]:
    params = deepeval.MultiTurnParams if of_turns else deepeval.SingleTurnParams
    looked_at = given.pop("evaluation_params", DEFAULT_TURN_PARAMS if of_turns else DEFAULT_PARAMS)
    rows = [
        deepeval.Rubric(score_range=tuple(row["score_range"]), expected_outcome=row["expected_outcome"])
        for row in given.pop("rubric", ())
    ]
    if rows:
        judge.rubric = (min(row.score_range[0] for row in rows), max(row.score_range[1] for row in rows))
    if given.get("strict_mode"):
        judge.rubric = _STRICT_RUBRIC
    return {
        **given,
        "name": "g_eval",
        "evaluation_params": [params(name) for name in looked_at],
        **({"rubric": rows} if rows else {}),
    }


def _graph(given: dict[str, Any], judge: AskingJudge, *, of_turns: bool) -> dict[str, Any]:
    graph = graph_of(given.pop("graph"), _kinds, of_turns=of_turns)
    return {**given, "name": "dag", "dag": built(graph, partial(_inner, judge=judge), of_turns=of_turns)}


def _inner(end: Inner, judge: AskingJudge) -> Any:
    return made(end.kind, end.settings, judge)


def _kinds() -> Mapping[str, MetricKind]:
    return {kind.name: kind for kind in DEEPEVAL_METRICS}


def _tools(given: dict[str, Any], _judge: AskingJudge) -> dict[str, Any]:
    if "available_tools" in given:
        given["available_tools"] = tools_offered(given["available_tools"])
    if "evaluation_params" in given:
        given["evaluation_params"] = [deepeval.ToolCallParams(name) for name in given["evaluation_params"]]
    return given


def _schema(given: dict[str, Any], _judge: AskingJudge) -> dict[str, Any]:
    """The error of the validation is the reason: a judge would only put it into other words."""
    model = model_from_schema("Expected", given["expected_schema"])
    return {**given, "expected_schema": model, "include_reason": False}


def _of_case(given: dict[str, Any], _judge: AskingJudge) -> dict[str, Any]:
    """The role of a conversation stands in the test case."""
    return {key: value for key, value in given.items() if key != "chatbot_role"}


# The name of a metric → its class, and how settings of a suite become those of the class where they differ.
_METRICS: Mapping[str, tuple[str | type[Any], Convert | None]] = {
    "g_eval": ("GEval", partial(_geval, of_turns=False)),
    "dag": ("DAGMetric", partial(_graph, of_turns=False)),
    "answer_relevancy": ("AnswerRelevancyMetric", None),
    "prompt_alignment": ("PromptAlignmentMetric", None),
    "summarization": ("SummarizationMetric", None),
    "json_correctness": ("JsonCorrectnessMetric", _schema),
    "exact_match": ("ExactMatchMetric", None),
    "pattern_match": (mended.PatternMatchMetric, None),
    "faithfulness": ("FaithfulnessMetric", None),
    "citation_faithfulness": ("CitationFaithfulnessMetric", None),
    "contextual_precision": ("ContextualPrecisionMetric", None),
    "contextual_recall": ("ContextualRecallMetric", None),
    "contextual_relevancy": ("ContextualRelevancyMetric", None),
    "hallucination": ("HallucinationMetric", None),
    "bias": ("BiasMetric", None),
    "toxicity": ("ToxicityMetric", None),
    "pii_leakage": ("PIILeakageMetric", None),
    "non_advice": ("NonAdviceMetric", None),
    "misuse": ("MisuseMetric", None),
    "role_violation": ("RoleViolationMetric", None),
    "tool_correctness": ("ToolCorrectnessMetric", _tools),
    "tool_permission": ("ToolPermissionMetric", None),
    "argument_correctness": ("ArgumentCorrectnessMetric", None),
    "task_completion": ("TaskCompletionMetric", None),
    "conversational_g_eval": ("ConversationalGEval", partial(_geval, of_turns=True)),
    "conversational_dag": ("ConversationalDAGMetric", partial(_graph, of_turns=True)),
    "turn_relevancy": ("TurnRelevancyMetric", None),
    "knowledge_retention": ("KnowledgeRetentionMetric", None),
    "conversation_completeness": ("ConversationCompletenessMetric", None),
    "role_adherence": ("RoleAdherenceMetric", _of_case),
    "topic_adherence": ("TopicAdherenceMetric", None),
    "goal_accuracy": ("GoalAccuracyMetric", None),
    "tool_use": ("ToolUseMetric", _tools),
    "turn_faithfulness": (mended.TurnFaithfulnessMetric, None),
    "turn_contextual_precision": ("TurnContextualPrecisionMetric", None),
    "turn_contextual_recall": ("TurnContextualRecallMetric", None),
    "turn_contextual_relevancy": ("TurnContextualRelevancyMetric", None),
}
"""Each row stands in `deepeval_table` as well, which imports no engine. A name is looked up when it is used: a version
we do not know may have lost one."""
