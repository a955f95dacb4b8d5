"""The metrics of RAGAS: what each needs, asks and takes. A test compares the table with the engine.

A name is that of the class in `ragas.metrics.collections`, in small letters. The numbers of judge calls are those of
an answer with one context, of which the judge makes one statement, or finds one topic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from promptstudio.evals.metrics.ragas_settings import (
    TOKENIZERS,
    ValueCheck,
    checked,
    name_of_a_model,
    one_of,
    options,
    rubrics,
    share,
    texts,
    two_weights,
    whole_number,
    within,
    yes_or_no,
)
from promptstudio.evals.metrics.schema import Field, MetricKind, Settings

FED_BY: Mapping[str, Field] = {
    "user_input": "input",
    "messages": "input",
    "response": "actual_output",
    "reference": "expected_output",
    "retrieved_contexts": "retrieval_context",
    "reference_contexts": "context",
    "reference_tool_calls": "expected_tools",
}
"""What RAGAS calls it → what a case calls it. `messages` is the conversation, which it calls `user_input` as well."""
_NUMBER = (int, float)
_SHARES = one_of("precision", "recall", "f1")
_BLEU_OPTIONS = options(
    tokenize=one_of(*TOKENIZERS),
    smooth_method=one_of("exp", "floor", "add-k", "none"),
    smooth_value=share,
    lowercase=yes_or_no,
    use_effective_order=yes_or_no,
    force=yes_or_no,
)
_CHRF_OPTIONS = options(
    char_order=whole_number,
    word_order=whole_number,
    beta=whole_number,
    lowercase=yes_or_no,
    whitespace=yes_or_no,
    eps_smoothing=yes_or_no,
)


@dataclass(frozen=True, slots=True)
class RagasMetric:
    """A metric and how it is fed: arguments of its `ascore` that it needs, that it may have, and that are settings.

    `has_levels` says that its value is a level of rubrics.
    """

    kind: MetricKind
    class_name: str
    takes: tuple[str, ...]
    may_take: tuple[str, ...] = ()
    from_settings: tuple[str, ...] = ()
    has_levels: bool = False

    @property
    def arguments(self) -> frozenset[str]:
        """The names of the arguments, as RAGAS has them."""
        return frozenset(
            "user_input" if name == "messages" else name for name in (*self.takes, *self.may_take, *self.from_settings)
        )


def _metric(
    name: str,
    class_name: str,
    takes: str,
    description: str,
    *,
    may_take: str = "",
    from_settings: str = "",
    judge_calls: int = 0,
    per_context: int = 0,
    embeds: bool = False,
    settings: Mapping[str, type | tuple[type, ...]] | None = None,
    checks: Mapping[str, ValueCheck] | None = None,
    needs_of: Callable[[Settings], tuple[Field, ...]] | None = None,
    calls_of: Callable[[Settings], int] | None = None,
    has_levels: bool = False,
    lower_is_better: bool = False,
) -> RagasMetric:
    taken, given = tuple(takes.split()), tuple(from_settings.split())
    needs = [FED_BY[one] for one in taken if one != "messages" or "reference_tool_calls" not in taken]
    if not judge_calls and not embeds and "actual_output" in needs:
        needs.remove("actual_output")  # an empty answer is one that can be counted
    kind = MetricKind(
        f"ragas/{name}",
        "ragas",
        tuple(needs),
        judge_calls=judge_calls,
        judge_calls_per_context=per_context,
        embeds=embeds,
        settings={**(settings or {}), **({"model": str} if embeds else {})},
        required_settings=given,
        faults=checked(**(checks or {}), **({"model": name_of_a_model} if embeds else {})),
        needs_of=needs_of,
        calls_of=calls_of,
        lower_is_better=lower_is_better,
        description=description,
    )
    return RagasMetric(kind, class_name, taken, tuple(may_take.split()), given, has_levels)


_RUBRICS: dict[str, Any] = {
    "judge_calls": 1,
    "settings": {"rubrics": dict},
    "checks": {"rubrics": rubrics},
    "has_levels": True,
}


def _rubrics_need(settings: Settings) -> tuple[Field, ...]:
    return ("actual_output", "expected_output") if settings.get("with_reference") else ("actual_output",)


_CASE = "user_input response retrieved_contexts reference_contexts reference"


def _all_but(*names: str) -> str:
    return " ".join(name for name in _CASE.split() if name not in names)


_FOUND_DOCUMENTS = (
    _metric(
        "faithfulness",
        "Faithfulness",
        "user_input response retrieved_contexts",
        "the share of the answer's statements that the retrieved contexts support",
        judge_calls=2,
    ),
    _metric(
        "response_groundedness",
        "ResponseGroundedness",
        "response retrieved_contexts",
        "two ratings of how far the retrieved contexts carry the answer",
        judge_calls=2,
    ),
    _metric(
        "context_precision",
        "ContextPrecision",
        "user_input reference retrieved_contexts",
        "whether the contexts that lead to the expected answer come first",
        judge_calls=1,
        per_context=1,
    ),
    _metric(
        "context_precision_with_reference",
        "ContextPrecisionWithReference",
        "user_input reference retrieved_contexts",
        "the same as context_precision",
        judge_calls=1,
        per_context=1,
    ),
    _metric(
        "context_utilization",
        "ContextUtilization",
        "user_input response retrieved_contexts",
        "whether the contexts that led to the answer come first",
        judge_calls=1,
        per_context=1,
    ),
    _metric(
        "context_precision_without_reference",
        "ContextPrecisionWithoutReference",
        "user_input response retrieved_contexts",
        "the same as context_utilization",
        judge_calls=1,
        per_context=1,
    ),
    _metric(
        "context_recall",
        "ContextRecall",
        "user_input retrieved_contexts reference",
        "the share of the expected answer's statements that the retrieved contexts support",
        judge_calls=1,
    ),
    _metric(
        "context_entity_recall",
        "ContextEntityRecall",
        "reference retrieved_contexts",
        "the share of the expected answer's names and numbers that are in the retrieved contexts",
        judge_calls=2,
    ),
    _metric(
        "context_relevance",
        "ContextRelevance",
        "user_input retrieved_contexts",
        "two ratings of how far the retrieved contexts answer the question",
        judge_calls=2,
    ),
    _metric(
        "noise_sensitivity",
        "NoiseSensitivity",
        "user_input response reference retrieved_contexts",
        "the share of the answer's statements that are wrong and come from the retrieved contexts",
        judge_calls=5,
        per_context=2,
        settings={"mode": str},
        checks={"mode": one_of("relevant", "irrelevant")},
        lower_is_better=True,
    ),
    _metric(
        "quoted_spans_alignment",
        "QuotedSpansAlignment",
        "response retrieved_contexts",
        "the share of the answer's quotations that are in the retrieved contexts, word for word",
        settings={"casefold": bool, "min_span_words": int},
        checks={"min_span_words": within(1, 1000)},
    ),
)
_ANSWERS = (
    _metric(
        "answer_relevancy",
        "AnswerRelevancy",
        "user_input response",
        "how near questions that the answer would answer are to the one that was asked",
        judge_calls=3,
        embeds=True,
        settings={"strictness": int},
        calls_of=lambda settings: int(settings.get("strictness", 3)),
        checks={"strictness": within(1, 20)},
    ),
    _metric(
        "answer_accuracy",
        "AnswerAccuracy",
        "user_input response reference",
        "two ratings of how far the answer says what is expected",
        judge_calls=2,
    ),
    _metric(
        "answer_correctness",
        "AnswerCorrectness",
        "user_input response reference",
        "statements shared with the expected answer (F-beta), and likeness of embeddings",
        judge_calls=3,
        embeds=True,
        settings={"weights": list, "beta": _NUMBER},
        checks={"weights": two_weights, "beta": within(0.01, 100)},
    ),
    _metric(
        "factual_correctness",
        "FactualCorrectness",
        "response reference",
        "claims shared with the expected answer: precision, recall or F-beta",
        judge_calls=4,
        settings={"mode": str, "beta": _NUMBER, "atomicity": str, "coverage": str},
        calls_of=lambda settings: 2 if settings.get("mode") == "precision" else 4,
        checks={
            "mode": _SHARES,
            "beta": within(0.01, 100),
            "atomicity": one_of("low", "high"),
            "coverage": one_of("low", "high"),
        },
    ),
    _metric(
        "semantic_similarity",
        "SemanticSimilarity",
        "reference response",
        "cosine of the embeddings of the answer and the expected one",
        embeds=True,
    ),
    _metric(
        "summary_score",
        "SummaryScore",
        "reference_contexts response",
        "questions on the context that the summary answers, and how short it is",
        judge_calls=3,
        settings={"length_penalty": bool, "coeff": _NUMBER},
        checks={"coeff": within(0, 1)},
    ),
    _metric(
        "sql_semantic_equivalence",
        "SQLSemanticEquivalence",
        "response reference",
        "whether two queries ask the same; `context` is the database's schema",
        may_take="reference_contexts",
        judge_calls=1,
    ),
    _metric(
        "domain_specific_rubrics",
        "DomainSpecificRubrics",
        "response",
        "the level of rubrics that the answer reaches",
        may_take=_all_but("response"),
        **{
            **_RUBRICS,
            "settings": {"rubrics": dict, "with_reference": bool},
            "needs_of": _rubrics_need,
        },
    ),
    _metric(
        "rubrics_score_without_reference",
        "RubricsScoreWithoutReference",
        "response",
        "the same as domain_specific_rubrics",
        may_take=_all_but("response"),
        **_RUBRICS,
    ),
    _metric(
        "rubrics_score_with_reference",
        "RubricsScoreWithReference",
        "response reference",
        "the same, by levels that speak of the expected answer",
        may_take=_all_but("response", "reference"),
        **_RUBRICS,
    ),
    _metric(
        "instance_specific_rubrics",
        "InstanceSpecificRubrics",
        "response",
        "the level of rubrics that are written for one case",
        may_take=_all_but("response"),
        from_settings="rubrics",
        **_RUBRICS,
    ),
)
_AGENTS = (
    _metric(
        "agent_goal_accuracy",
        "AgentGoalAccuracy",
        "messages reference",
        "whether the conversation ended as expected",
        judge_calls=2,
    ),
    _metric(
        "agent_goal_accuracy_with_reference",
        "AgentGoalAccuracyWithReference",
        "messages reference",
        "the same as agent_goal_accuracy",
        judge_calls=2,
    ),
    _metric(
        "agent_goal_accuracy_without_reference",
        "AgentGoalAccuracyWithoutReference",
        "messages",
        "whether the conversation ended as its user wanted",
        judge_calls=2,
    ),
    _metric(
        "topic_adherence",
        "TopicAdherence",
        "messages",
        "whether what was answered belongs to the topics that are allowed, and they alone",
        from_settings="reference_topics",
        judge_calls=3,
        settings={"mode": str, "reference_topics": list},
        checks={"mode": _SHARES, "reference_topics": texts},
    ),
    _metric(
        "tool_call_accuracy",
        "ToolCallAccuracy",
        "messages reference_tool_calls",
        "the share of expected arguments of tool calls, where the calls come in the expected order",
        settings={"strict_order": bool},
    ),
    _metric(
        "tool_call_f1",
        "ToolCallF1",
        "messages reference_tool_calls",
        "F1 of tool calls, each with all of its arguments",
    ),
)
_TEXTS = (
    _metric(
        "bleu_score",
        "BleuScore",
        "reference response",
        "BLEU of sacrebleu",
        settings={"kwargs": dict},
        checks={"kwargs": _BLEU_OPTIONS},
    ),
    _metric(
        "rouge_score",
        "RougeScore",
        "reference response",
        "ROUGE of rouge_score, of letters a to z and digits, stemmed",
        settings={"rouge_type": str, "mode": str},
        checks={"rouge_type": one_of("rouge1", "rougeL"), "mode": one_of("fmeasure", "precision", "recall")},
    ),
    _metric(
        "chrf_score",
        "CHRFScore",
        "reference response",
        "chrF of sacrebleu",
        settings={"kwargs": dict},
        checks={"kwargs": _CHRF_OPTIONS},
    ),
    _metric(
        "non_llm_string_similarity",
        "NonLLMStringSimilarity",
        "reference response",
        "likeness of spelling, by rapidfuzz",
        settings={"distance_measure": str},
        checks={"distance_measure": one_of("levenshtein", "hamming", "jaro", "jaro_winkler")},
    ),
    _metric("exact_match", "ExactMatch", "reference response", "1 where the answer is the expected one"),
    _metric("string_presence", "StringPresence", "reference response", "1 where the expected text is in the answer"),
)
RAGAS: Mapping[str, RagasMetric] = {
    metric.kind.name: metric for metric in (*_FOUND_DOCUMENTS, *_ANSWERS, *_AGENTS, *_TEXTS)
}
"""By the name in a suite: ragas/faithfulness."""
RAGAS_METRICS: tuple[MetricKind, ...] = tuple(metric.kind for metric in RAGAS.values())
