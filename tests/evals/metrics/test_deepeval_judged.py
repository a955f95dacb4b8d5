"""Metrics of DeepEval in a suite, judged over HTTP: each shape it asks for comes back through the provider seam."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pytest
from judge_server import JudgeServer, Question, Said

from promptstudio.evals.evaluate import EvalOptions, Finished, evaluate
from promptstudio.evals.forecast import judge_calls
from promptstudio.evals.metrics.deepeval_table import DEEPEVAL_METRICS
from promptstudio.evals.records import CaseResult
from promptstudio.evals.schema import Case
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import load_suite
from promptstudio.prompts.jsonschemas import value_problems

if TYPE_CHECKING:
    from tests.conftest import Project

SUITE = """\
prompt: greet
judge: judge/strict
cases:
  - id: ada
    inputs: {name: Ada}
    expected_output: Say hello to Ada in a warm way.
    context: [Ada is kind.]
    retrieval_context: [Ada writes programs.]
    expected_tools: [{name: look, arguments: {}}]
    turns: [{inputs: {name: Ada}}, {inputs: {name: Grace}}]
    metadata: {scenario: A desk}
metrics:
  - deepeval/g_eval: {criteria: Is it kind?, weight: 0}
  - deepeval/dag:
      weight: 0
      graph:
        task: Name the person
        label: person
        evaluation_params: [actual_output]
        then:
          choose: Who is it?
          options: {Grace: 10, Ada: {ask: Is it warm?, evaluation_params: [actual_output], yes: 8, no: 1}}
  - deepeval/prompt_alignment: {prompt_instructions: [Be warm], weight: 0}
  - deepeval/json_correctness: {expected_schema: {type: object}, weight: 0}
  - deepeval/pattern_match: {pattern: "Say .*", weight: 0}
  - deepeval/non_advice: {advice_types: [legal], weight: 0}
  - deepeval/misuse: {domain: law, weight: 0}
  - deepeval/role_violation: {role: a clerk, weight: 0}
  - deepeval/tool_correctness: {available_tools: [look], weight: 0}
  - deepeval/tool_permission: {denied_tools: [send], weight: 0}
  - deepeval/conversational_g_eval: {criteria: Is it kind?, weight: 0}
  - deepeval/conversational_dag:
      weight: 0
      graph: {ask: Was it warm?, evaluation_params: [role, content], yes: 10, no: 0}
  - deepeval/role_adherence: {chatbot_role: a clerk, weight: 0}
  - deepeval/topic_adherence: {relevant_topics: [law], weight: 0}
  - deepeval/tool_use: {available_tools: [look], weight: 0}
"""
FREE = ("exact_match", "pattern_match", "json_correctness", "tool_permission")
JUDGED = {kind.name for kind in DEEPEVAL_METRICS if kind.name.partition("/")[2] not in FREE}
PLAIN = [kind.name for kind in DEEPEVAL_METRICS if not kind.required_settings and f"{kind.name}:" not in SUITE]


def said_to(question: Question) -> Said:
    """Answer in the shape that is asked for; another question has another answer."""
    tools = question.body.get("tools")
    if not tools:
        return "It is so."
    schema = tools[0]["function"]["parameters"]
    said: Any = made(schema, schema, question.user)
    assert value_problems(schema, said) == []
    return said


def made(schema: Mapping[str, Any], root: Mapping[str, Any], seed: str, path: str = "") -> Any:
    """Return a value that fits a JSON Schema."""
    if "$ref" in schema:
        return made(root["$defs"][schema["$ref"].rpartition("/")[2]], root, seed, path)
    number = int(hashlib.sha256(f"{seed}{path}".encode()).hexdigest()[:12], 16)
    if "enum" in schema or "const" in schema:
        options = schema.get("enum", [schema.get("const")])
        return options[number % len(options)]
    if "anyOf" in schema:
        return made(schema["anyOf"][0], root, seed, path)
    if schema["type"] == "object":
        properties = schema.get("properties", {})
        return {name: made(part, root, seed, f"{path}.{name}") for name, part in properties.items()}
    if schema["type"] == "array":
        return [made(schema["items"], root, seed, f"{path}.{index}") for index in range(2)]
    return {"string": "text", "integer": number % 2, "number": number % 11 / 10, "boolean": number % 2 == 0}[
        schema["type"]
    ]


async def run(project: Project, server: JudgeServer, suite: str, **options: Any) -> tuple[Finished, list[CaseResult]]:
    toml = project.root / "promptstudio.toml"
    if "providers.judge" not in toml.read_text():
        toml.write_text(toml.read_text() + server.settings())
    path = project.write("evals/judged.yaml", suite)
    settings = project.settings()
    finished = await evaluate(load_suite(path, settings), settings, {}, EvalOptions(**options))
    with EvalStore(store_path(settings)) as store:
        return finished, list(store.results(store.run("last")))


async def test_every_metric_is_measured_through_the_judge_of_the_run(project: Project) -> None:
    suite = SUITE + "".join(f"  - {name}: {{weight: 0}}\n" for name in PLAIN)
    with JudgeServer(said_to) as server:
        _, [result] = await run(project, server, suite)
    scores = {score.name: score for score in result.scores}
    assert set(scores) == {kind.name for kind in DEEPEVAL_METRICS}
    arguments = scores.pop("deepeval/argument_correctness")
    assert arguments.outcome == "unscored"  # an answer without tool calls has no arguments
    for name, score in scores.items():
        assert score.outcome in ("pass", "fail"), (name, score.reason)
        assert (score.engine, score.engine_version, bool(score.settings_hash)) == (
            "deepeval",
            metadata.version("deepeval"),
            True,
        )
        assert score.judge == ("judge/strict" if name in JUDGED else None)


GEVAL = """\
prompt: greet
judge: judge/strict
cases: [{id: ada, inputs: {name: Ada}}, {id: eva, inputs: {name: Eva}}%s]
repeats: 2
metrics:
  - deepeval/g_eval: {criteria: Is it kind?}
"""


async def test_the_steps_of_a_criterion_are_paid_once_and_stay_when_the_run_goes_on(project: Project) -> None:
    with JudgeServer(said_to) as server:
        _, first = await run(project, server, GEVAL % "")
        asked = len(server.asked)
        _, later = await run(project, server, GEVAL % ", {id: zoe, inputs: {name: Zoe}}")
    assert asked == 1 + 4  # the steps, and two cases twice
    assert len(server.asked) == asked + 2  # the new case twice, by the steps there are
    steps = {tuple(score.details["evaluation_steps"]) for result in (*first, *later) for score in result.scores}
    assert len(steps) == 1


@pytest.mark.parametrize(
    ("metric", "parts", "calls"),
    [
        ("deepeval/g_eval: {criteria: x}", {}, (1, 1)),
        ("deepeval/g_eval: {evaluation_steps: [x]}", {}, (1, 0)),
        ("deepeval/contextual_relevancy", {"retrieval_context": ("a", "b", "c")}, (4, 0)),
        ("deepeval/turn_relevancy: {include_reason: false}", {"turns": ({}, {}, {})}, (3, 0)),
        ("deepeval/tool_correctness: {available_tools: [x]}", {}, (1, 0)),
        ("deepeval/exact_match", {}, (0, 0)),
    ],
)
def test_the_plan_knows_how_often_a_case_asks(
    metric: str, parts: Mapping[str, Any], calls: tuple[int, int], project: Project
) -> None:
    head = "prompt: greet\njudge: judge/strict\ncases: [{inputs: {name: Ada}}]\nmetrics:\n  - "
    suite = load_suite(project.write("evals/plan.yaml", head + metric), project.settings())
    assert judge_calls(suite.assertions[0], Case("a", **parts)) == calls


async def test_a_judge_that_leaves_a_field_out_gives_an_error_and_never_a_score(project: Project) -> None:
    suite = "prompt: greet\njudge: judge/strict\ncases: [{id: ada, inputs: {name: Ada}}]\nmetrics: [deepeval/bias]\n"
    with JudgeServer(lambda _: {"opinion": "I like it"}) as server:
        finished, results = await run(project, server, suite)
    [score] = results[0].scores
    assert (score.outcome, score.score) == ("error", None)
    assert finished.exit_code != 0
