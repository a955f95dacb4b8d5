"""DeepEval used by hand, as its own documentation does: none of our code stands between it and the judge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from promptstudio.evals.metrics import deepeval_door  # first, so that DeepEval is quiet  # noqa: F401
from tests.evals.metrics.deepeval_script import scripted, texts

# isort: split
from deepeval import metrics as dm
from deepeval.metrics.community import CitationFaithfulnessMetric
from deepeval.metrics.conversational_dag import (
    ConversationalBinaryJudgementNode,
    ConversationalNonBinaryJudgementNode,
    ConversationalTaskNode,
)
from deepeval.metrics.dag import BinaryJudgementNode, DeepAcyclicGraph, NonBinaryJudgementNode, TaskNode
from deepeval.metrics.g_eval import Rubric
from deepeval.models import DeepEvalBaseLLM
from deepeval.test_case import (
    ConversationalTestCase,
    LLMTestCase,
    MultiTurnParams,
    SingleTurnParams,
    ToolCall,
    ToolCallParams,
    Turn,
)

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


class HandJudge(DeepEvalBaseLLM):
    """The scripted judge as one writes it for DeepEval."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        super().__init__("scripted")

    def load_model(self) -> Any:
        return self

    def get_model_name(self) -> str:
        return "scripted"

    def generate(self, prompt: str, schema: type[BaseModel] | None = None) -> Any:
        self.calls.append(schema.__name__ if schema else "")
        return scripted(prompt, schema)

    async def a_generate(self, prompt: str, schema: type[BaseModel] | None = None) -> Any:
        return self.generate(prompt, schema)


def hand_case(number: int, *, of_turns: bool) -> Any:
    """Return such a case as one writes it for DeepEval."""
    of = texts(number)
    called = [ToolCall(name=name, input_parameters=given) for name, given in of["called"]]
    if not of_turns:
        case = LLMTestCase(
            input=of["input"],
            actual_output=of["actual_output"],
            expected_output=of["expected_output"],
            context=of["context"],
            retrieval_context=of["retrieval_context"],
            tools_called=called,
            expected_tools=[ToolCall(name=name, input_parameters=given) for name, given in of["wanted"]],
            metadata={"scenario": "A desk"},
            tags=["x"],
        )
        case.multimodal = False
        return case
    user, first, again, last = of["said"]
    context = of["retrieval_context"]
    case = ConversationalTestCase(
        turns=[
            Turn(role="user", content=user),
            Turn(role="assistant", content=first, retrieval_context=context, tools_called=called),
            Turn(role="user", content=again),
            Turn(role="assistant", content=last, retrieval_context=context, tools_called=called),
        ],
        scenario="A desk",
        context=of["context"],
        expected_outcome=of["expected_output"],
        chatbot_role="a clerk",
        metadata={"scenario": "A desk"},
        tags=["x"],
    )
    case.multimodal = False
    return case


# -- metrics ----------------------------------------------------------------------------------------------------------


def _graph(_: Any) -> DeepAcyclicGraph:
    both = [SingleTurnParams.INPUT, SingleTurnParams.ACTUAL_OUTPUT]
    task = TaskNode(instructions="List the days", output_label="days")
    more = TaskNode(instructions="Sort them", output_label="sorted", label="sorted")
    task.evaluation_params, task.label = both, "days"
    ask = BinaryJudgementNode(criteria="Is a day named?")
    choose = NonBinaryJudgementNode(criteria="How well?", evaluation_params=both, label="how")
    inner = dm.GEval(name="g_eval", criteria="Is it short?", evaluation_params=both, model=HandJudge())
    task.add_node(ask)
    task.add_node(more)
    more.add_node(ask)
    ask.add_verdict(True, then=choose)
    ask.add_verdict(False, then=inner)
    choose.add_verdict("well", score=10)
    choose.add_verdict("so so", score=4)
    choose.add_verdict("badly", then=dm.BiasMetric(model=_))
    return DeepAcyclicGraph([task])


GRAPH = {
    "start": "days",
    "nodes": {
        "days": {
            "task": "List the days",
            "label": "days",
            "evaluation_params": ["input", "actual_output"],
            "then": ["named", {"task": "Sort them", "label": "sorted", "then": "named"}],
        },
        "named": {
            "ask": "Is a day named?",
            "yes": "how",
            "no": {"metric": {"deepeval/g_eval": {"criteria": "Is it short?"}}},
        },
        "how": {
            "choose": "How well?",
            "label": "how",
            "evaluation_params": ["input", "actual_output"],
            "options": {"well": 10, "so so": 4, "badly": {"metric": "deepeval/bias"}},
        },
    },
}


def _waiting(_: Any) -> DeepAcyclicGraph:
    """A question that waits for what a task made and for the verdict of another question."""
    task = TaskNode(instructions="List the days", output_label="days", evaluation_params=[SingleTurnParams.INPUT])
    complete = BinaryJudgementNode(criteria="Is any named?")
    order = NonBinaryJudgementNode(criteria="In order?")
    task.label = "days"
    task.add_node(complete)
    task.add_node(order)
    complete.add_verdict(True, then=order)
    complete.add_verdict(False, score=1)
    order.add_verdict("all", score=10)
    order.add_verdict("some", score=6)
    return DeepAcyclicGraph([task])


WAITING = {
    "start": "days",
    "nodes": {
        "days": {
            "task": "List the days",
            "label": "days",
            "evaluation_params": ["input"],
            "then": ["complete", "order"],
        },
        "complete": {"ask": "Is any named?", "yes": "order", "no": 1},
        "order": {"choose": "In order?", "options": {"all": 10, "some": 6}},
    },
}


def _turn_graph(_: Any) -> DeepAcyclicGraph:
    said = [MultiTurnParams.ROLE, MultiTurnParams.CONTENT]
    task = ConversationalTaskNode(instructions="Sum it up", output_label="sum", evaluation_params=said, label="sum")
    choose = ConversationalNonBinaryJudgementNode(criteria="How was it?", turn_window=(0, 1), evaluation_params=said)
    ask = ConversationalBinaryJudgementNode(criteria="Was it polite?", evaluation_params=said)
    task.add_node(choose)
    choose.add_verdict("good", score=9)
    choose.add_verdict("bad", then=ask)
    ask.add_verdict(True, score=5)
    ask.add_verdict(False, score=0)
    return DeepAcyclicGraph([task])


TURN_GRAPH = {
    "task": "Sum it up",
    "label": "sum",
    "evaluation_params": ["role", "content"],
    "then": {
        "choose": "How was it?",
        "evaluation_params": ["role", "content"],
        "turn_window": [0, 1],
        "options": {
            "good": 9,
            "bad": {"ask": "Was it polite?", "evaluation_params": ["role", "content"], "yes": 5, "no": 0},
        },
    },
}
_RUBRIC = [Rubric(score_range=(0, 4), expected_outcome="bad"), Rubric(score_range=(5, 10), expected_outcome="good")]
_SEEN = [SingleTurnParams.INPUT, SingleTurnParams.ACTUAL_OUTPUT]
_TOOLS = [ToolCall(name="look", description="Looks"), ToolCall(name="send")]
_OUR_TOOLS = [{"name": "look", "description": "Looks"}, "send"]

Hand = Callable[[Any], Any]
# The settings as a suite has them, and the same metric as one makes it by hand.
HAND: dict[str, list[tuple[dict[str, Any], Hand]]] = {
    "g_eval": [
        (
            {"criteria": "Is it polite?"},
            lambda judge: dm.GEval(name="g_eval", criteria="Is it polite?", evaluation_params=_SEEN, model=judge),
        ),
        (
            {
                "evaluation_steps": ["Read it", "Weigh it"],
                "evaluation_params": ["actual_output", "expected_output", "tools_called", "metadata", "tags"],
                "rubric": [
                    {"score_range": [5, 10], "expected_outcome": "good"},
                    {"score_range": [0, 4], "expected_outcome": "bad"},
                ],
            },
            lambda judge: dm.GEval(
                name="g_eval",
                evaluation_steps=["Read it", "Weigh it"],
                evaluation_params=[
                    SingleTurnParams.ACTUAL_OUTPUT,
                    SingleTurnParams.EXPECTED_OUTPUT,
                    SingleTurnParams.TOOLS_CALLED,
                    SingleTurnParams.METADATA,
                    SingleTurnParams.TAGS,
                ],
                rubric=_RUBRIC,
                model=judge,
            ),
        ),
    ],
    "dag": [
        ({"graph": GRAPH}, lambda judge: dm.DAGMetric(name="dag", dag=_graph(judge), model=judge)),
        ({"graph": WAITING}, lambda judge: dm.DAGMetric(name="dag", dag=_waiting(judge), model=judge)),
    ],
    "answer_relevancy": [
        ({}, lambda judge: dm.AnswerRelevancyMetric(model=judge)),
        ({"strict_mode": True}, lambda judge: dm.AnswerRelevancyMetric(model=judge, strict_mode=True)),
    ],
    "prompt_alignment": [
        (
            {"prompt_instructions": ["Be short", "Be kind"]},
            lambda judge: dm.PromptAlignmentMetric(prompt_instructions=["Be short", "Be kind"], model=judge),
        )
    ],
    "summarization": [
        ({}, lambda judge: dm.SummarizationMetric(model=judge)),
        (
            {"assessment_questions": ["Who?", "When?", "Why?"], "truths_extraction_limit": 4},
            lambda judge: dm.SummarizationMetric(
                model=judge, assessment_questions=["Who?", "When?", "Why?"], truths_extraction_limit=4
            ),
        ),
    ],
    "json_correctness": [({"expected_schema": SCHEMA}, lambda judge: dm.JsonCorrectnessMetric(_Numbered, judge))],
    "exact_match": [({}, lambda _: dm.ExactMatchMetric())],
    "pattern_match": [
        (
            {"pattern": r"it is \w+ of .*\.", "ignore_case": True},
            lambda _: dm.PatternMatchMetric(pattern=r"it is \w+ of .*\.", ignore_case=True),
        )
    ],
    "faithfulness": [
        ({}, lambda judge: dm.FaithfulnessMetric(model=judge)),
        (
            {"penalize_ambiguous_claims": True, "truths_extraction_limit": 2},
            lambda judge: dm.FaithfulnessMetric(model=judge, penalize_ambiguous_claims=True, truths_extraction_limit=2),
        ),
    ],
    "citation_faithfulness": [({}, lambda judge: CitationFaithfulnessMetric(model=judge))],
    "contextual_precision": [({}, lambda judge: dm.ContextualPrecisionMetric(model=judge))],
    "contextual_recall": [({}, lambda judge: dm.ContextualRecallMetric(model=judge))],
    "contextual_relevancy": [({}, lambda judge: dm.ContextualRelevancyMetric(model=judge))],
    "hallucination": [({}, lambda judge: dm.HallucinationMetric(model=judge))],
    "bias": [({}, lambda judge: dm.BiasMetric(model=judge))],
    "toxicity": [({}, lambda judge: dm.ToxicityMetric(model=judge))],
    "pii_leakage": [({}, lambda judge: dm.PIILeakageMetric(model=judge))],
    "non_advice": [
        ({"advice_types": ["legal"]}, lambda judge: dm.NonAdviceMetric(advice_types=["legal"], model=judge))
    ],
    "misuse": [({"domain": "law"}, lambda judge: dm.MisuseMetric(domain="law", model=judge))],
    "role_violation": [({"role": "a clerk"}, lambda judge: dm.RoleViolationMetric(role="a clerk", model=judge))],
    "tool_correctness": [
        ({}, lambda judge: dm.ToolCorrectnessMetric(model=judge)),
        (
            {
                "available_tools": _OUR_TOOLS,
                "evaluation_params": ["input_parameters"],
                "should_consider_ordering": True,
            },
            lambda judge: dm.ToolCorrectnessMetric(
                model=judge,
                available_tools=_TOOLS,
                evaluation_params=[ToolCallParams.INPUT_PARAMETERS],
                should_consider_ordering=True,
            ),
        ),
    ],
    "tool_permission": [({"denied_tools": ["send"]}, lambda _: dm.ToolPermissionMetric(denied_tools=["send"]))],
    "argument_correctness": [({}, lambda judge: dm.ArgumentCorrectnessMetric(model=judge))],
    "task_completion": [
        ({}, lambda judge: dm.TaskCompletionMetric(model=judge)),
        ({"task": "Find it"}, lambda judge: dm.TaskCompletionMetric(model=judge, task="Find it")),
    ],
    "conversational_g_eval": [
        (
            {"criteria": "Was it kind?", "evaluation_params": ["content", "scenario", "expected_outcome"]},
            lambda judge: dm.ConversationalGEval(
                name="g_eval",
                criteria="Was it kind?",
                evaluation_params=[
                    MultiTurnParams.CONTENT,
                    MultiTurnParams.SCENARIO,
                    MultiTurnParams.EXPECTED_OUTCOME,
                ],
                model=judge,
            ),
        )
    ],
    "conversational_dag": [
        (
            {"graph": TURN_GRAPH},
            lambda judge: dm.ConversationalDAGMetric(name="dag", dag=_turn_graph(judge), model=judge),
        )
    ],
    "turn_relevancy": [({}, lambda judge: dm.TurnRelevancyMetric(model=judge))],
    "knowledge_retention": [({}, lambda judge: dm.KnowledgeRetentionMetric(model=judge))],
    "conversation_completeness": [({}, lambda judge: dm.ConversationCompletenessMetric(model=judge))],
    "role_adherence": [({"chatbot_role": "a clerk"}, lambda judge: dm.RoleAdherenceMetric(model=judge))],
    "topic_adherence": [
        ({"relevant_topics": ["law"]}, lambda judge: dm.TopicAdherenceMetric(relevant_topics=["law"], model=judge))
    ],
    "goal_accuracy": [({}, lambda judge: dm.GoalAccuracyMetric(model=judge))],
    "tool_use": [
        ({"available_tools": _OUR_TOOLS}, lambda judge: dm.ToolUseMetric(available_tools=_TOOLS, model=judge))
    ],
    "turn_faithfulness": [({}, lambda judge: dm.TurnFaithfulnessMetric(model=judge))],
    "turn_contextual_precision": [({}, lambda judge: dm.TurnContextualPrecisionMetric(model=judge))],
    "turn_contextual_recall": [
        ({"window_size": 1}, lambda judge: dm.TurnContextualRecallMetric(model=judge, window_size=1))
    ],
    "turn_contextual_relevancy": [({}, lambda judge: dm.TurnContextualRelevancyMetric(model=judge))],
}


class _Numbered(BaseModel):
    n: int
