"""Settings of RAGAS metrics as a suite has them. No engine is loaded for any of it."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from promptstudio.errors import SuiteFileError
from promptstudio.evals.assertions.assertion import Origin
from promptstudio.evals.assertions.score import case_outcome, metric_means
from promptstudio.evals.metrics.parse import parse_metrics
from promptstudio.evals.metrics.ragas_settings import levels
from promptstudio.evals.metrics.ragas_table import RAGAS, RAGAS_METRICS
from promptstudio.evals.metrics.schema import MetricKind
from promptstudio.evals.schema import Score
from tests.conftest import REPOSITORY

WRONG: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("factual_correctness", {"mode": "recal"}, "expected precision, recall or f1, found the text 'recal' did you mean"),
    ("factual_correctness", {"beta": 0}, "beta: expected a number from 0.01 to 100, found 0"),
    ("topic_adherence", {}, "needs the setting `reference_topics`"),
    ("topic_adherence", {"reference_topics": []}, "expected a list of texts"),
    ("topic_adherence", {"reference_topics": ["a", 1]}, "expected a list of texts"),
    ("topic_adherence", {"reference_topics": "a"}, "reference_topics is of another kind"),
    ("answer_correctness", {"weights": [0, 0]}, "expected two numbers from 0"),
    ("answer_correctness", {"weights": [1]}, "expected two numbers from 0"),
    ("answer_correctness", {"weights": [1, -1]}, "expected two numbers from 0"),
    ("answer_correctness", {"weights": [1, True]}, "expected two numbers from 0"),
    ("answer_relevancy", {"strictness": 0}, "strictness: expected a number from 1 to 20, found 0"),
    ("answer_relevancy", {"strictness": True}, "strictness is of another kind"),
    ("summary_score", {"coeff": 1.5}, "coeff: expected a number from 0 to 1, found 1.5"),
    ("instance_specific_rubrics", {}, "needs the setting `rubrics`"),
    (
        "domain_specific_rubrics",
        {"rubrics": {"good": "x"}},
        "expected a level, found the text 'good' the names are",
    ),
    ("domain_specific_rubrics", {"rubrics": {"score1_description": "x"}}, "expected at least two levels"),
    (
        "domain_specific_rubrics",
        {"rubrics": {"score1": 1, "score2": "b"}},
        "score1: expected what this level means, found",
    ),
    ("bleu_score", {"kwargs": {"tokenise": "13a"}}, "there is no 'tokenise' did you mean 'tokenize'?"),
    ("bleu_score", {"kwargs": {"tokenize": "flores200"}}, "tokenize: expected 13a, intl, zh, char or none"),
    ("bleu_score", {"kwargs": {"lowercase": "yes"}}, "lowercase: expected true or false, found the text 'yes'"),
    ("chrf_score", {"kwargs": {"word_order": True}}, "word_order: expected a whole number from 0 to 100, found true"),
    ("non_llm_string_similarity", {"distance_measure": "jarow"}, "did you mean 'jaro_winkler'?"),
    ("noise_sensitivity", {"mod": "relevant"}, "has no setting 'mod'"),
    ("faithfulness", {"model": "openai/x"}, "has no setting 'model'"),
)


@pytest.mark.parametrize(("name", "settings", "said"), WRONG, ids=[f"{name}-{given}"[:50] for name, given, _ in WRONG])
def test_a_setting_that_is_wrong_is_told_before_anything_is_asked(
    name: str, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(SuiteFileError) as caught:
        parse_metrics([{f"ragas/{name}": settings}], Origin("suite.yaml"))

    assert said in f"{caught.value.message} {caught.value.hint}"


def test_right_settings_are_taken() -> None:
    rubrics = {"score0_description": "bad", "score1_description": "good"}
    written: list[Any] = [
        {"ragas/factual_correctness": {"mode": "recall", "beta": 2, "threshold": 0.7, "weight": 0}},
        {"ragas/answer_correctness": {"weights": [1, 0], "model": "openai/text-embedding-3-small"}},
        {"ragas/instance_specific_rubrics": {"rubrics": rubrics}},
        {"ragas/bleu_score": {"kwargs": {"tokenize": "char", "smooth_value": 0.5, "lowercase": True}}},
        "ragas/exact_match",
    ]

    found = parse_metrics(written, Origin())

    assert [one.needs_judge for one in found] == [True, True, True, False, False]
    assert [one.threshold for one in found] == [0.7, 0.5, 0.5, 0.5, 0.5]
    assert levels(rubrics) == (0, 1)
    assert levels(None) == (1, 5)


def test_names_are_unique_and_described() -> None:
    assert len({kind.name for kind in RAGAS_METRICS}) == len(RAGAS) == len(RAGAS_METRICS)
    assert all(kind.description and kind.name.startswith("ragas/") for kind in RAGAS_METRICS)
    assert [kind.name for kind in RAGAS_METRICS if kind.lower_is_better] == ["ragas/noise_sensitivity"]


def test_the_docs_have_every_metric_with_what_it_needs_and_takes() -> None:
    page = (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8").partition("\n## RAGAS\n")[2]

    for kind in RAGAS_METRICS:
        (line,) = re.findall(rf"^\| `{kind.name.partition('/')[2]}` \|.*$", page, re.MULTILINE)
        _, _, description, needs, calls, settings, _ = line.split("|")
        assert needs.strip() == ", ".join(f"`{name}`" for name in kind.needs)
        assert settings.strip() == ", ".join(f"`{name}`" for name in kind.settings if name != "model")
        assert calls.strip().startswith(str(kind.judge_calls or "none"))
        assert ("embeddings" in calls) is kind.embeds
        assert description.replace("`", "").strip() == kind.description.replace("`", "")


def test_settings_change_what_a_metric_needs_and_asks() -> None:
    def kind(name: str) -> MetricKind:
        return RAGAS[f"ragas/{name}"].kind

    assert kind("answer_relevancy").calls({"strictness": 5}) == 5
    assert kind("factual_correctness").calls({"mode": "precision"}) == 2
    assert kind("context_precision").calls({}, contexts=4) == 4
    assert kind("domain_specific_rubrics").fields({}) == ("actual_output",)
    assert kind("domain_specific_rubrics").fields({"with_reference": True}) == ("actual_output", "expected_output")
    assert kind("tool_call_f1").fields({}) == ("expected_tools",)
    assert kind("exact_match").fields({}) == ("expected_output",)


def test_the_tables_load_no_engine() -> None:
    code = "import promptstudio.evals.metrics.parse, sys; print({'ragas', 'deepeval', 'numpy'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


def test_a_case_is_good_where_less_is_better_and_there_is_little() -> None:
    scores = [Score("ragas/noise_sensitivity", "pass", 0.1), Score("ragas/faithfulness", "pass", 0.8)]

    assert case_outcome(scores, threshold=0.85).outcome == "pass"
    assert case_outcome(scores).score == pytest.approx(0.85)
    assert metric_means([replace(one, metric=one.name) for one in scores])["ragas/noise_sensitivity"] == 0.1
