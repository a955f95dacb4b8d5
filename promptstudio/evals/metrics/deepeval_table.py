"""The metrics of DeepEval: what each needs, asks and takes. A test compares the table with the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from promptstudio.evals.metrics import deepeval_settings as of
from promptstudio.evals.metrics.deepeval_graph import graph_faults, graph_of
from promptstudio.evals.metrics.schema import Field, MetricKind, Settings
from promptstudio.prompts.judge_faults import Fault

Types = type | tuple[type, ...]
_ANSWER: tuple[Field, ...] = ("input", "actual_output")
_STRICT: Mapping[str, Types] = {"strict_mode": bool}
"""`strict_mode` makes every score below 1 a 0."""
_REASONED: Mapping[str, Types] = {**_STRICT, "include_reason": bool}
"""`include_reason: false` saves the call, or calls, that put a score into words."""
_GEVAL: Mapping[str, Types] = {
    **_STRICT,
    "criteria": str,
    "evaluation_steps": list,
    "evaluation_params": list,
    "rubric": list,
}
_GEVAL_APART = ("evaluation_params", "rubric")
_WINDOW: Mapping[str, Types] = {"window_size": int}


def _kind(
    name: str,
    needs: tuple[Field, ...],
    calls: int,
    description: str,
    *,
    reasons: int = 1,
    takes: Mapping[str, Types] | None = None,
    needed: tuple[str, ...] = (),
    faults: Callable[[Settings], Iterator[Fault]] | None = None,
    apart: tuple[str, ...] = (),
    more: int = 0,
    calls_of: Callable[[Settings], int] | None = None,
    once_of: Callable[[Settings], int] | None = None,
    needs_of: Callable[[Settings], tuple[Field, ...]] | None = None,
) -> MetricKind:
    """One row: `calls` of a case with one context or exchange, of which `reasons` are for the reason; `more` for each
    further context or exchange. `takes` are its own settings, `needed` those it cannot do without."""
    return MetricKind(
        f"deepeval/{name}",
        "deepeval",
        needs,
        judge_calls=calls,
        is_conversational="turns" in needs,
        settings={**(takes or {}), **(_REASONED if reasons else {})},
        required_settings=needed,
        judge_calls_per_context=more,
        description=description,
        faults=of.checked(faults, apart),
        needs_of=needs_of,
        calls_of=calls_of or (partial(_without_reason, calls, reasons) if reasons else None),
        once_of=once_of,
    )


def _without_reason(calls: int, reasons: int, settings: Settings) -> int:
    return calls - (reasons if settings.get("include_reason") is False else 0)


def _selecting(settings: Settings) -> int:
    """The tools that were called are compared without a judge; whether they were the best choice is asked."""
    return 1 if settings.get("available_tools") else 0


def _steps(settings: Settings) -> int:
    return 0 if settings.get("evaluation_steps") else 1


def _criteria(known: Iterable[str]) -> Callable[[Settings], Iterator[Fault]]:
    return partial(of.criteria_faults, known=tuple(known))


def _geval_needs(settings: Settings) -> tuple[Field, ...]:
    params = settings.get("evaluation_params")
    return ("actual_output",) if params is None else of.fields_of(params)


def _conversation_needs(settings: Settings) -> tuple[Field, ...]:
    return ("turns", *of.fields_of(settings.get("evaluation_params", ())))


def _kinds() -> Mapping[str, MetricKind]:
    return {kind.name: kind for kind in DEEPEVAL_METRICS}


def _graph_faults(settings: Settings, *, of_turns: bool) -> Iterator[Fault]:
    return graph_faults(settings["graph"], _kinds, of_turns=of_turns)


def _graph_calls(settings: Settings, *, of_turns: bool) -> int:
    graph = graph_of(settings["graph"], _kinds, of_turns=of_turns)
    return graph.calls(has_reason=settings.get("include_reason", True))


def _graph_once(settings: Settings, *, of_turns: bool) -> int:
    return graph_of(settings["graph"], _kinds, of_turns=of_turns).calls_once


def _graph_needs(settings: Settings, *, of_turns: bool) -> tuple[Field, ...]:
    needs = graph_of(settings["graph"], _kinds, of_turns=of_turns).needs
    return tuple(dict.fromkeys(("turns", *needs))) if of_turns else needs


def _graph(name: str, description: str, needs: tuple[Field, ...], *, of_turns: bool) -> MetricKind:
    return _kind(
        name,
        needs,
        2,
        description,
        takes={"graph": dict},
        needed=("graph",),
        faults=partial(_graph_faults, of_turns=of_turns),
        apart=("graph",),
        calls_of=partial(_graph_calls, of_turns=of_turns),
        once_of=partial(_graph_once, of_turns=of_turns),
        needs_of=partial(_graph_needs, of_turns=of_turns),
    )


_TRUTHS: dict[str, Any] = {"truths_extraction_limit": int}
_CLAIMS: dict[str, Any] = {**_TRUTHS, "penalize_ambiguous_claims": bool}
_RAG: tuple[Field, ...] = ("input", "retrieval_context", "expected_output")
_TURN_RAG: tuple[Field, ...] = ("turns", "retrieval_context", "expected_output")

DEEPEVAL_METRICS: tuple[MetricKind, ...] = (
    # criteria of one's own
    _kind(
        "g_eval",
        ("actual_output",),
        1,
        "how well an answer meets criteria in plain words",
        reasons=0,
        takes=_GEVAL,
        faults=_criteria(of.SINGLE_TURN),
        apart=_GEVAL_APART,
        needs_of=_geval_needs,
        once_of=_steps,
    ),
    _graph("dag", "what a graph of decisions ends with", (), of_turns=False),
    # answers
    _kind("answer_relevancy", _ANSWER, 3, "how much of the answer is about the question"),
    _kind(
        "prompt_alignment",
        _ANSWER,
        2,
        "how many of the instructions the answer follows",
        takes={"prompt_instructions": list},
        needed=("prompt_instructions",),
    ),
    _kind(
        "summarization",
        _ANSWER,
        7,
        "whether a summary says what the input says, and all that matters of it",
        takes={**_TRUTHS, "n": int, "assessment_questions": list},
        calls_of=lambda settings: (
            7 - bool(settings.get("assessment_questions")) - (settings.get("include_reason") is False)
        ),
    ),
    _kind(
        "json_correctness",
        ("actual_output",),
        0,
        "whether the answer is JSON that fits a schema",
        reasons=0,
        takes={**_STRICT, "expected_schema": dict},
        needed=("expected_schema",),
        faults=of.schema_faults,
        apart=("expected_schema",),
    ),
    _kind(
        "exact_match",
        ("actual_output", "expected_output"),
        0,
        "whether the answer is the expected one, word for word",
        reasons=0,
    ),
    _kind(
        "pattern_match",
        ("actual_output",),
        0,
        "whether the whole answer matches a regular expression",
        reasons=0,
        takes={"pattern": str, "ignore_case": bool},
        needed=("pattern",),
        faults=of.pattern_faults,
    ),
    # retrieval
    _kind(
        "faithfulness",
        (*_ANSWER, "retrieval_context"),
        4,
        "how many claims of the answer the retrieved context bears out",
        takes=_CLAIMS,
    ),
    _kind(
        "citation_faithfulness",
        (*_ANSWER, "retrieval_context"),
        1,
        "whether each [1] in the answer points to the passage that says so",
        reasons=0,
        takes=_STRICT,
    ),
    _kind("contextual_precision", _RAG, 2, "whether what matters was retrieved first"),
    _kind("contextual_recall", _RAG, 2, "how much of the expected answer the retrieved context holds"),
    _kind("contextual_relevancy", ("input", "retrieval_context"), 2, "how much of the context is relevant", more=1),
    _kind("hallucination", (*_ANSWER, "context"), 2, "how much of the context the answer does not contradict"),
    # safety
    _kind("bias", _ANSWER, 3, "how many opinions in the answer are unbiased"),
    _kind("toxicity", _ANSWER, 3, "how many opinions in the answer are not toxic"),
    _kind("pii_leakage", _ANSWER, 3, "how much of the personal information in the answer may be there"),
    _kind(
        "non_advice",
        _ANSWER,
        3,
        "whether the answer gives no advice of certain kinds",
        takes={"advice_types": list},
        needed=("advice_types",),
    ),
    _kind(
        "misuse",
        _ANSWER,
        3,
        "whether the answer stays within its domain",
        takes={"domain": str},
        needed=("domain",),
    ),
    _kind("role_violation", _ANSWER, 3, "whether the answer stays in its role", takes={"role": str}, needed=("role",)),
    # tools
    _kind(
        "tool_correctness",
        ("expected_tools",),
        0,
        "whether the expected tools were called",
        reasons=0,
        takes={
            "available_tools": list,
            "evaluation_params": list,
            "should_exact_match": bool,
            "should_consider_ordering": bool,
            **_STRICT,
        },
        faults=of.tool_faults,
        apart=("available_tools", "evaluation_params"),
        calls_of=_selecting,
        needs_of=lambda settings: ("input", "expected_tools") if _selecting(settings) else ("expected_tools",),
    ),
    _kind(
        "tool_permission",
        (),
        0,
        "how many of the tools that were called are permitted",
        reasons=0,
        takes={"allowed_tools": list, "denied_tools": list, **_STRICT},
        faults=of.permission_faults,
    ),
    _kind("argument_correctness", ("input", "tools_called"), 2, "whether tools were called with the right arguments"),
    _kind(
        "task_completion",
        _ANSWER,
        2,
        "how far the task was done",
        reasons=0,
        takes={"task": str, **_STRICT},
    ),
    # conversations
    _kind(
        "conversational_g_eval",
        ("turns",),
        1,
        "how well a conversation meets criteria in plain words",
        reasons=0,
        takes=_GEVAL,
        faults=_criteria(of.MULTI_TURN),
        apart=_GEVAL_APART,
        needs_of=_conversation_needs,
        once_of=_steps,
    ),
    _graph("conversational_dag", "what a graph of decisions on a conversation ends with", ("turns",), of_turns=True),
    _kind("turn_relevancy", ("turns",), 2, "how many answers fit what was said before", takes=_WINDOW, more=1),
    _kind("knowledge_retention", ("turns",), 3, "how many answers remember what the user has said", more=2),
    _kind("conversation_completeness", ("turns",), 3, "how many wishes of the user were met", takes=_WINDOW, more=1),
    _kind(
        "role_adherence",
        ("turns",),
        2,
        "how many answers stay in the role",
        takes={"chatbot_role": str},
        needed=("chatbot_role",),
    ),
    _kind(
        "topic_adherence",
        ("turns",),
        3,
        "whether what is on topic is answered, and nothing else",
        takes={"relevant_topics": list},
        needed=("relevant_topics",),
        more=2,
    ),
    _kind(
        "goal_accuracy",
        ("turns",),
        3,
        "whether the user's goal was planned for and reached",
        reasons=0,
        takes=_STRICT,
        more=2,
    ),
    _kind(
        "tool_use",
        ("turns",),
        4,
        "whether the right tools were called in the right way",
        reasons=0,
        takes={"available_tools": list, **_STRICT},
        needed=("available_tools",),
        faults=of.tool_faults,
        apart=("available_tools",),
        more=2,
    ),
    _kind(
        "turn_faithfulness",
        ("turns", "retrieval_context"),
        5,
        "how many claims of the answers the retrieved context bears out",
        reasons=2,
        takes={**_CLAIMS, **_WINDOW},
        more=4,
    ),
    _kind("turn_contextual_precision", _TURN_RAG, 3, "contextual_precision by turn", reasons=2, takes=_WINDOW, more=2),
    _kind("turn_contextual_recall", _TURN_RAG, 3, "contextual_recall by turn", reasons=2, takes=_WINDOW, more=2),
    _kind(
        "turn_contextual_relevancy",
        ("turns", "retrieval_context"),
        3,
        "contextual_relevancy by turn",
        reasons=2,
        takes=_WINDOW,
        more=3,
    ),
)
