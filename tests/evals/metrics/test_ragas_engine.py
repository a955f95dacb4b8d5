"""Metrics of RAGAS through our door, against RAGAS used by hand."""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from importlib import metadata
from typing import Any

import pytest
from judge_server import JudgeServer, Question

from promptstudio.errors import (
    BadAnswerError,
    OutputValidationError,
    PromptStudioError,
    RateLimitError,
    UserError,
)
from promptstudio.evals.assertions.assertion import Judging, Origin, Setting, Subject
from promptstudio.evals.assertions.embedding import OfflineEmbedder
from promptstudio.evals.embedding_models import with_embedder
from promptstudio.evals.evaluate import EvalOptions, evaluate
from promptstudio.evals.judge.schema import Bill, JudgeModel, Panel
from promptstudio.evals.metrics.measure import measure
from promptstudio.evals.metrics.parse import parse_metrics
from promptstudio.evals.metrics.ragas_quiet import _LaterDataset
from promptstudio.evals.metrics.ragas_table import RAGAS
from promptstudio.evals.metrics.schema import Means, Measured, Sample
from promptstudio.evals.metrics.table import METRICS, engine_of
from promptstudio.evals.schema import Answer
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import load_suite
from tests.conftest import Project
from tests.evals.metrics.ragas_hand import (
    ScriptedEmbedder,
    ScriptedJudge,
    by_hand,
    collections,
    fields,
    sample,
)

CASES = 64
RUBRICS = {f"score{level}_description": f"it is {word}" for level, word in ((1, "bad"), (3, "fair"), (5, "good"))}
GIVEN: Mapping[str, Mapping[str, Any]] = {
    "ragas/topic_adherence": {"reference_topics": ["Paris", "museum"]},
    "ragas/instance_specific_rubrics": {"rubrics": RUBRICS},
}
VARIANTS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("noise_sensitivity", {"mode": "irrelevant"}),
    ("answer_relevancy", {"strictness": 1}),
    ("answer_correctness", {"weights": [1, 0], "beta": 2}),
    ("factual_correctness", {"mode": "precision", "atomicity": "high"}),
    ("factual_correctness", {"mode": "recall", "coverage": "high"}),
    ("factual_correctness", {"beta": 0.5}),
    ("summary_score", {"length_penalty": False}),
    ("summary_score", {"coeff": 0.9}),
    ("topic_adherence", {"reference_topics": ["Paris"], "mode": "recall"}),
    ("domain_specific_rubrics", {"with_reference": True}),
    ("domain_specific_rubrics", {"rubrics": RUBRICS}),
    ("tool_call_accuracy", {"strict_order": False}),
    ("quoted_spans_alignment", {"min_span_words": 1, "casefold": False}),
    ("rouge_score", {"rouge_type": "rouge1", "mode": "recall"}),
    ("bleu_score", {"kwargs": {"tokenize": "char", "lowercase": True}}),
    ("chrf_score", {"kwargs": {"word_order": 2}}),
    ("non_llm_string_similarity", {"distance_measure": "jaro_winkler"}),
)
EXAMPLES = [
    *((name, GIVEN.get(name, {})) for name in RAGAS),
    *((f"ragas/{name}", given) for name, given in VARIANTS),
]
# What RAGAS by hand says to its user; through our door nothing of it is heard, and pytest would raise it.
BY_HAND = pytest.mark.filterwarnings("ignore::UserWarning:ragas.*", "ignore::RuntimeWarning")


def measured(name: str, case: Sample, judge: Any = None, **settings: Any) -> Measured:
    return asyncio.run(_measured(name, case, judge, settings))


async def _measured(name: str, case: Sample, judge: Any, settings: Mapping[str, Any]) -> Measured:
    means = Means(judge, ScriptedEmbedder())
    return await engine_of("ragas").measure(METRICS[name], settings, case, means)


async def _ours(name: str, case: Sample, settings: Mapping[str, Any]) -> float | str:
    class Slow(ScriptedJudge):
        async def __call__(self, text: str, schema: Any = None) -> Any:
            for _ in range(len(self.asked) * int(case.case.id) % 5):
                await asyncio.sleep(0)  # so that measurements overtake each other
            return await super().__call__(text, schema)

    try:
        found = await _measured(name, case, Slow(), settings)
    except PromptStudioError:
        return "error"
    if found.score is None:
        return "nothing"
    return found.details.get("value", found.score)


async def _theirs(name: str, case: Sample, settings: Mapping[str, Any]) -> float | str:
    metric, own = RAGAS[name], dict(settings)
    known = fields(case) | {one: own.pop(one) for one in metric.from_settings}
    if "distance_measure" in own:
        own["distance_measure"] = collections.DistanceMeasure(own["distance_measure"])
    if "beta" in own:
        own["beta"] = float(own["beta"])
    made = by_hand(metric.class_name, own, ScriptedJudge())
    names = (*metric.takes, *metric.may_take, *metric.from_settings)
    try:
        result = await made.ascore(**{"user_input" if one == "messages" else one: known[one] for one in names})
    except Exception:
        return "error"
    return "nothing" if math.isnan(result.value) else float(result.value)


@BY_HAND
@pytest.mark.parametrize(("name", "settings"), EXAMPLES, ids=[f"{name}-{dict(given)}"[:60] for name, given in EXAMPLES])
async def test_a_score_is_the_one_ragas_gives_by_hand_with_64_cases_at_once(
    name: str, settings: Mapping[str, Any]
) -> None:
    cases = [sample(number) for number in range(CASES)]

    ours = await asyncio.gather(*(_ours(name, case, settings) for case in cases))
    theirs = [await _theirs(name, case, settings) for case in cases]

    assert ours == theirs
    numbers = [value for value in ours if isinstance(value, float)]
    assert len(numbers) >= CASES // 2
    assert len(set(numbers)) > 1


def test_every_class_of_the_collections_is_wrapped_or_left_out_for_a_reason() -> None:
    left_out = {"BaseMetric", "DistanceMeasure", "MultiModalFaithfulness", "MultiModalRelevance", "DataCompyScore"}

    assert {metric.class_name for metric in RAGAS.values()} == set(collections.__all__) - left_out


@pytest.mark.parametrize("name", RAGAS)
def test_the_table_says_what_the_engine_takes(name: str) -> None:
    metric = RAGAS[name]
    made_by = getattr(collections, metric.class_name)
    scored = inspect.signature(made_by.ascore).parameters
    settings = {one for each in made_by.__mro__ if each.__module__.startswith("ragas.metrics.collections.")
                for one in inspect.signature(each.__init__).parameters}  # fmt: skip

    assert metric.arguments == set(scored) - {"self"}
    assert {one for one, each in scored.items() if each.default is each.empty} - {"self"} <= metric.arguments
    assert {*metric.kind.settings} - {*metric.from_settings, "model"} <= settings
    assert ("llm" in settings) is (metric.kind.judge_calls > 0)
    assert ("embeddings" in settings) is metric.kind.embeds


@pytest.mark.parametrize("name", [name for name, metric in RAGAS.items() if metric.kind.judge_calls])
def test_the_table_says_how_often_a_case_asks_the_judge(name: str) -> None:
    kind = RAGAS[name].kind
    asked = []
    for contexts in (1, 2):
        judge = ScriptedJudge(most=1, least=1)
        judge.answer = _without_odd_ratings(judge)  # type: ignore[method-assign]
        measured(name, sample(1, contexts), judge, **GIVEN.get(name, {}))
        asked.append(len(judge.asked))

    assert asked == [kind.calls({}, contexts) for contexts in (1, 2)]
    for settings in ({"strictness": 5}, {"mode": "precision"}):
        if settings.keys() <= kind.settings.keys() and kind.calls_of is not None:
            judge = ScriptedJudge(most=1, least=1)
            measured(name, sample(1), judge, **settings)
            assert len(judge.asked) == kind.calls(settings)


def _without_odd_ratings(judge: ScriptedJudge) -> Any:
    answer = judge.answer

    def even(text: str, schema: Any) -> Any:
        found = answer(text, schema)
        return found.model_copy(update={"rating": 2}) if "rating" in schema.model_fields else found

    return even


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bleu_score", 0.37992),
        ("rouge_score", 0.83333),
        ("non_llm_string_similarity", 0.86364),
        ("chrf_score", 0.61925),
    ],
)
def test_reference_values_come_through_our_door(name: str, value: float) -> None:
    case = replace(sample(0), expected_output="the cat sat on the mat", actual_output="the cat is on the mat")

    assert measured(f"ragas/{name}", case).score == pytest.approx(value, abs=5e-6)


def test_what_there_is_nothing_to_judge_by_has_no_score() -> None:
    judge = ScriptedJudge(most=0)

    assert measured("ragas/faithfulness", sample(1), judge).score is None
    assert measured("ragas/context_recall", sample(1), judge).score is None
    assert measured("ragas/semantic_similarity", replace(sample(1), actual_output="  ")).score is None


def test_a_level_of_rubrics_is_a_share_of_the_way_from_the_lowest_to_the_highest() -> None:
    for rubrics, low, high in ((None, 1, 5), ({"score0_description": "bad", "score10_description": "good"}, 0, 10)):
        found = measured("ragas/domain_specific_rubrics", sample(1), ScriptedJudge(), rubrics=rubrics)

        assert found.score == pytest.approx((found.details["value"] - low) / (high - low))
        assert (found.details["from"], found.details["to"]) == (low, high)
        assert found.reason


def test_opposite_meanings_are_as_unlike_as_can_be() -> None:
    found = [measured("ragas/semantic_similarity", sample(number)) for number in range(20)]
    below = [one for one in found if "value" in one.details]

    assert below
    assert all(one.score == 0 and one.details["value"] < 0 for one in below)


async def test_the_offline_embedder_does_for_likeness() -> None:
    case = replace(sample(0), expected_output="the cat sat on the mat", actual_output="the cat is on the mat")

    found = await engine_of("ragas").measure(
        METRICS["ragas/semantic_similarity"], {}, case, Means(None, OfflineEmbedder())
    )

    assert found.score is not None
    assert 0.5 < found.score < 1


# -- what goes wrong ------------------------------------------------------------------------------------------------


class Failing:
    """A judge that is out of reach."""

    model = "scripted/judge"

    def __init__(self) -> None:
        self.tries = 0

    async def __call__(self, text: str, schema: Any = None) -> Any:
        self.tries += 1
        raise RateLimitError(f"refused for the {self.tries}. time")


@pytest.mark.parametrize("name", [name for name, metric in RAGAS.items() if metric.kind.judge_calls])
def test_a_provider_s_error_comes_through_as_it_is_and_the_judge_is_not_asked_again(name: str) -> None:
    judge = Failing()

    with pytest.raises(RateLimitError, match=r"refused for the 1\. time"):
        measured(name, sample(1), judge, **GIVEN.get(name, {}))
    assert judge.tries == 1


class Prose(ScriptedJudge):
    async def __call__(self, text: str, schema: Any = None) -> Any:
        return "I think it is rather good."


class Undecided(ScriptedJudge):
    """Says what no yes and no no is."""

    def answer(self, text: str, schema: Any) -> Any:
        found = super().answer(text, schema)
        for one in (found, *getattr(found, "statements", ()), *getattr(found, "classifications", ())):
            for name in ("verdict", "attributed", "noncommittal"):
                if isinstance(getattr(one, name, None), int):
                    setattr(one, name, 7)
        if "score" in schema.model_fields:
            found.score = 6
        if "answers" in schema.model_fields:
            found.answers = ["perhaps"]
        return found


@pytest.mark.parametrize("name", [name for name, metric in RAGAS.items() if metric.kind.judge_calls])
def test_prose_is_an_error(name: str) -> None:
    with pytest.raises(OutputValidationError, match="str instead of"):
        measured(name, sample(1), Prose(), **GIVEN.get(name, {}))


@pytest.mark.parametrize(
    "name",
    ["faithfulness", "context_recall", "context_precision", "answer_relevancy", "factual_correctness",
     "noise_sensitivity", "summary_score", "domain_specific_rubrics", "instance_specific_rubrics"],
)  # fmt: skip
def test_an_answer_out_of_range_is_an_error(name: str) -> None:
    with pytest.raises(OutputValidationError, match=r"7, and only 0 and 1|'perhaps'|score is 6"):
        measured(f"ragas/{name}", sample(1), Undecided(least=1), **GIVEN.get(f"ragas/{name}", {}))


def test_a_rating_that_is_none_is_unscored_where_both_judges_give_one() -> None:
    judge = ScriptedJudge()
    judge.answer = lambda _, schema: schema(rating=9)  # type: ignore[method-assign]

    assert measured("ragas/answer_accuracy", sample(1), judge).score is None


def test_answers_that_ragas_cannot_use_are_the_judge_s_fault_and_never_a_zero() -> None:
    with pytest.raises(BadAnswerError, match="ZeroDivisionError"):
        measured("ragas/summary_score", sample(1), ScriptedJudge(most=0))


def test_an_embedder_s_error_comes_through_as_it_is() -> None:
    class Refusing(ScriptedEmbedder):
        async def embed(self, *_: Any, **__: Any) -> Any:
            raise RateLimitError("no vectors today")

    for name in ("semantic_similarity", "answer_relevancy", "answer_correctness"):
        kind = METRICS[f"ragas/{name}"]
        means = Means(ScriptedJudge(least=1), Refusing())
        with pytest.raises(RateLimitError, match="no vectors today"):
            asyncio.run(engine_of("ragas").measure(kind, {}, sample(1), means))
        with pytest.raises(UserError, match="needs an embedder"):
            asyncio.run(engine_of("ragas").measure(kind, {}, sample(1), replace(means, embedder=None)))


async def test_the_embedder_of_the_settings_is_the_one_that_is_asked() -> None:
    asked: list[str | None] = []

    class Noting(ScriptedEmbedder):
        async def embed(self, texts: Any, model: str | None = None, dimensions: int | None = None) -> Any:
            asked.append(model)
            return await super().embed(texts, model)

    kind = METRICS["ragas/semantic_similarity"]
    for settings in ({}, {"model": "openai/text-embedding-3-small"}):
        await engine_of("ragas").measure(kind, settings, sample(1), Means(None, Noting()))

    assert asked == [None, "openai/text-embedding-3-small"]


async def test_a_measurement_that_is_cancelled_ends() -> None:
    class Endless(ScriptedJudge):
        async def __call__(self, text: str, schema: Any = None) -> Any:
            await asyncio.Event().wait()

    for name in ("ragas/faithfulness", "ragas/answer_accuracy"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await _measured(name, sample(1), Endless(), {})


def test_texts_that_would_take_minutes_are_refused() -> None:
    long = replace(sample(1), actual_output="word " * 6_000, expected_output="other " * 6_000)

    with pytest.raises(UserError, match="6,000 words and 6,000 words are too many"):
        measured("ragas/rouge_score", long)
    with pytest.raises(UserError, match="characters are too many"):
        measured("ragas/non_llm_string_similarity", replace(long, expected_output="x" * 1_000_000))


def test_expected_calls_without_arguments_are_not_taken_for_calls_with_none() -> None:
    case = replace(sample(1), expected_tools=({"name": "search", "arguments": None},))

    found = measured("ragas/tool_call_accuracy", case)

    assert found.score is None
    assert "'search' without" in found.reason


def test_calls_that_are_no_json_match_nothing() -> None:
    case = replace(
        sample(1),
        tools_called=({"name": "search", "arguments": "{oops"},),
        expected_tools=({"name": "search", "arguments": {"city": "Paris"}},),
    )

    assert measured("ragas/tool_call_accuracy", case).score == 0
    assert measured("ragas/tool_call_f1", case).score == 0


def test_right_to_left_texts_are_measured_where_the_metric_reads_them() -> None:
    case = replace(sample(1), expected_output="مرحبا بالعالم", actual_output="مرحبا بالعالم")

    for name in ("chrf_score", "non_llm_string_similarity", "exact_match", "string_presence"):
        assert measured(f"ragas/{name}", case).score == 1
    blind = measured("ragas/rouge_score", case)
    assert blind.score is None
    assert "letters a to z" in blind.reason


def test_a_bleu_of_several_sentences_says_which_it_compares() -> None:
    case = replace(
        sample(1), expected_output="The cat sat on the mat.", actual_output="The cat sat on the mat. It ran."
    )

    assert measured("ragas/bleu_score", case).reason == "RAGAS compares the first of 2 sentences"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("faithfulness", "of .* statements are not supported"),
        ("context_entity_recall", "names are missing"),
        ("answer_correctness", "statements shared"),
        ("summary_score", "questions are answered"),
        ("answer_relevancy", "it would answer"),
        ("quoted_spans_alignment", "Matched"),
        ("sql_semantic_equivalence", "Response: "),
        ("agent_goal_accuracy", "[a-zA-Z]+ [a-zA-Z]+"),
    ],
)
def test_a_score_has_a_reason_where_the_judge_gave_one(name: str, reason: str) -> None:
    found = [measured(f"ragas/{name}", sample(number), ScriptedJudge(least=3)).reason for number in range(8)]

    assert any(re.search(reason, one) for one in found), found


def test_ragas_sets_up_no_logging(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])

    with pytest.raises(BadAnswerError):
        measured("ragas/summary_score", sample(1), ScriptedJudge(most=0))

    assert root.handlers == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore")
def test_what_stands_for_a_class_while_ragas_loads_is_as_good_as_the_class() -> None:
    import datasets

    rows = _LaterDataset.from_dict({"answer": ["yes"]})

    assert type(rows) is datasets.Dataset
    assert isinstance(rows, _LaterDataset)
    assert not isinstance("yes", _LaterDataset)


def test_the_version_is_the_installed_one() -> None:
    assert engine_of("ragas").version == metadata.version("ragas")


# -- as an assertion ------------------------------------------------------------------------------------------------


class Judges:
    """`assertions.Judge` with the scripted one behind it."""

    async def verdict(self, *_: Any) -> Any:
        raise NotImplementedError

    def asking(self, judge: JudgeModel, bill: Bill, repeat: int) -> Any:
        return ScriptedJudge(least=1)


async def verdict_of(written: Any, number: int, embedder: Any = None) -> Any:
    (assertion,) = parse_metrics([written], Origin())
    kind, case = METRICS[assertion.name], sample(number)
    panel = Panel((JudgeModel("scripted/judge"),)) if kind.judge_calls else None
    ready = replace(assertion, judging=Judging(panel, None, "ragas", "0.4.3", "digest"))
    full = replace(case.case, inputs={"question": case.input}, expected_output=case.expected_output,
                   context=case.context, retrieval_context=case.retrieval_context)  # fmt: skip
    subject = Subject(Answer(case.actual_output), full)
    return await measure(subject, ready, Setting(judge=Judges(), embedder=embedder or ScriptedEmbedder()))


async def test_a_threshold_is_the_largest_score_that_passes_where_less_is_better() -> None:
    name = "ragas/noise_sensitivity"
    found = [await verdict_of({name: {"threshold": 0.2}}, number) for number in range(12)]
    outcomes = {(verdict.outcome, verdict.score <= 0.2) for verdict in found if verdict.score is not None}

    assert outcomes == {("pass", True), ("fail", False)}
    assert all("expected at most 0.2" in verdict.reason for verdict in found if verdict.score is not None)


async def test_a_metric_without_a_judge_is_an_assertion_like_any_other() -> None:
    verdict = await verdict_of("ragas/chrf_score", 1)

    assert verdict.outcome in ("pass", "fail")
    assert verdict.made_by.engine == "ragas"
    assert verdict.made_by.judge is None
    assert verdict.made_by.bill.calls == 0


async def test_a_judge_over_the_wire_is_asked_in_ragas_s_own_shapes(project: Project) -> None:
    def say(question: Question) -> Any:
        if question.body["tools"][0]["function"]["name"] == "StatementGeneratorOutput":
            return {"statements": ["Ada is greeted.", "It is noon."]}
        both = (("Ada is greeted.", "she is named", 1), ("It is noon.", "no time is told", 0))
        return {"statements": [{"statement": one, "reason": why, "verdict": yes} for one, why, yes in both]}

    suite = """
prompt: greet
cases: [{id: ada, inputs: {name: Ada}, retrieval_context: [Somebody is named Ada.]}]
metrics: [ragas/faithfulness]
judge: judge/one
"""
    with JudgeServer(say) as server:
        toml = project.root / "promptstudio.toml"
        toml.write_text(toml.read_text(encoding="utf-8") + server.settings(), encoding="utf-8")
        settings = project.settings()
        await evaluate(load_suite(project.write("evals/judged.yaml", suite), settings), settings, {}, EvalOptions())
    with EvalStore(store_path(settings)) as store:
        (result,) = store.results(store.run("last"))
    (score,) = result.scores

    assert (score.outcome, score.score, score.judge) == ("pass", 0.5, "judge/one")
    assert "1 of 2 statements are not supported: 'It is noon.' (no time is told)" in score.reason
    assert len(server.asked) == METRICS["ragas/faithfulness"].calls({}) == 2


async def test_embeddings_are_on_the_bill_of_the_score() -> None:
    class Priced(ScriptedEmbedder):
        async def embed(self, texts: Any, model: str | None = None, dimensions: int | None = None) -> Any:
            return replace(await super().embed(texts, model), cost_usd=Decimal("0.001"))

    verdict = await verdict_of("ragas/semantic_similarity", 1, Priced())

    assert verdict.made_by.bill.cost_usd == Decimal("0.001")


def test_the_embedder_of_the_settings_is_a_part_of_what_decides_a_score() -> None:
    found = parse_metrics(["ragas/semantic_similarity", "ragas/exact_match"], Origin())

    likeness, exact = with_embedder(found, "openai/text-embedding-3-small")

    assert likeness.options == {"model": "openai/text-embedding-3-small"}
    assert exact.options == {}
