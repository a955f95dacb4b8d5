"""What is told of judges and metrics before a call: who asks how often, what is missing, and what it may cost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project, Script

PANEL = "[openai/gpt-4.1-mini, anthropic/claude-haiku-4-5]"
SUITE = """\
prompt: greet
repeats: 2
judge: [openai/gpt-4.1-mini, anthropic/claude-haiku-4-5]
cases:
  - {id: a, inputs: {name: Ada}, retrieval_context: [one, two, three]}
  - {id: b, inputs: {name: Bo}, retrieval_context: [one]}
assert:
  - llm-rubric: is kind
  - {pairwise: warmer, weight: 0}
metrics:
  - deepeval/faithfulness
  - deepeval/contextual_relevancy: {judge: openai/gpt-4.1}
  - ragas/bleu_score
"""


def rows(project: Project, ps: Script, text: str) -> dict[tuple[str, str], dict[str, Any]]:
    project.write("evals/judged.yaml", text)
    done = ps("eval", "evals/judged.yaml", "--plan", "--json")
    assert done.code == 0, done.err
    return {(row["prompt"], row["model"]): row for row in done.json[0]["targets"]}


def test_a_plan_counts_the_calls_of_each_judge_and_prices_them(project: Project, ps: Script) -> None:
    found = rows(project, ps, SUITE.replace("retrieval_context:", "expected_output: hello, retrieval_context:"))
    mini, haiku = "openai/gpt-4.1-mini", "anthropic/claude-haiku-4-5"
    assert {key: row["calls"] for key, row in found.items()} == {
        ("greet", "offline/echo"): 4,
        ("(llm-rubric)", mini): 4,
        ("(llm-rubric)", haiku): 4,
        ("(pairwise)", mini): 8,
        ("(pairwise)", haiku): 8,
        ("(deepeval/faithfulness)", mini): 16,
        ("(deepeval/faithfulness)", haiku): 16,
        ("(deepeval/contextual_relevancy)", "openai/gpt-4.1"): 2 * (2 + 2) + 2 * 2,
    }
    judged = [row for (prompt, _), row in found.items() if prompt != "greet"]
    assert all(row["judges"] and float(row["cost_usd"]) > 0 for row in judged)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SUITE, "ragas/bleu_score needs `expected_output`, which no case has"),
        (SUITE.replace("Bo}, retrieval_context: [one]", "Bo}, expected_output: x"),
         "deepeval/faithfulness needs `retrieval_context`, and 1 of 2 cases do not have it (the first is 'b')"),
        (SUITE.replace("deepeval/faithfulness", "deepeval/faithfullness"), "did you mean 'deepeval/faithfulness'?"),
        (SUITE.replace("deepeval/faithfulness", "deepeval/faithfulness: {treshold: 1}"), "did you mean 'threshold'?"),
        (SUITE.replace("deepeval/faithfulness", "deepeval/faithfulness: {threshold: 1.5}"), "from 0 to 1"),
        (SUITE.replace("- ragas/bleu_score", "- deepeval/faithfulness"), "two metrics are named"),
        (SUITE.replace(f"judge: {PANEL}\n", ""), "needs a judge, and none is named"),
        (SUITE.replace(PANEL, "[a/b, a/b]"), "the same judge twice"),
        (SUITE.replace(PANEL, "[]"), "the list of judges is empty"),
        (SUITE.replace(PANEL, "{modle: a/b}"), "did you mean 'model'?"),
        (SUITE.replace(PANEL, "{panel: [a/b], vote: loudest}"),
         "expected majority or mean"),
        (SUITE.replace("  - llm-rubric: is kind", "  - {equals: x, judge: a/b}"), "equals needs no judge"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_judges_and_metrics_is_told_before_a_call(
    project: Project, ps: Script, text: str, message: str
) -> None:
    project.write("evals/judged.yaml", text)
    done = ps("eval", "evals/judged.yaml", "--check")
    assert done.code == 2
    assert message in done.err
    assert "evals/judged.yaml:" in done.err


@pytest.mark.parametrize(
    "words", [("eval", "evals/plain.yaml"), ("eval", "evals/plain.yaml", "--check"), ("runs", "list")]
)
def test_a_deterministic_suite_loads_no_engine_and_no_statistics(project: Project, ps: Script, words: str) -> None:
    project.write(
        "evals/plain.yaml", "prompt: greet\nrepeats: 2\ncases: [{inputs: {name: Ada}}]\nassert: [{contains: Ada}]\n"
    )
    done = ps(*words, env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.code == 0
    loaded = {
        line.rpartition("|")[2].strip().split(".")[0]
        for line in done.err.splitlines()
        if line.startswith("import time:")
    }
    assert "promptstudio" in loaded
    assert loaded.isdisjoint({"deepeval", "ragas", "scipy", "numpy", "pandas", "langchain_core"})


def test_a_metric_that_needs_no_judge_runs_offline(project: Project, ps: Script) -> None:
    project.write(
        "evals/overlap.yaml",
        "prompt: greet\ncases: [{inputs: {name: Ada}, expected_output: Say hello to Ada in a warm way.}]\n"
        "metrics: [ragas/rouge_score: {threshold: 0.9}]\ngate: {metrics: {ragas/rouge_score: {mean: 0.99}}}\n",
    )
    done = ps("eval", "evals/overlap.yaml", "--json")
    assert done.code == 0, done.err
    assert done.json["suites"][0]["totals"]["metrics"] == {"ragas/rouge_score": 1.0}
    assert json.dumps(done.json).count("ragas/rouge_score") >= 2
