"""Settings of DeepEval's metrics as a suite has them: a fault is said with its place, no engine imported."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from promptstudio.errors import SuiteFileError
from promptstudio.evals.assertions.assertion import Origin
from promptstudio.evals.metrics.deepeval_graph import MAX_NODES, graph_of
from promptstudio.evals.metrics.deepeval_table import DEEPEVAL_METRICS
from promptstudio.evals.metrics.parse import parse_metrics
from promptstudio.evals.suite import load_suite
from tests.conftest import REPOSITORY

KINDS = {kind.name: kind for kind in DEEPEVAL_METRICS}
LOOK = {"evaluation_params": ["input"]}
LEAF = {"ask": "Is it good?", **LOOK, "yes": 10, "no": 0}


def faults(metric: str, settings: dict[str, Any]) -> list[str]:
    """Return what is wrong with a metric's settings, each with its hint."""
    try:
        parse_metrics([{f"deepeval/{metric}": settings}], Origin(path=("metrics",)))
    except SuiteFileError as error:
        return [f"{each.message.removeprefix(f'deepeval/{metric}: ')} | {each.hint or ''}" for each in error.problems]
    return []


# The metric, its settings → the beginning of what is wrong.
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("g_eval", {}, "it needs `criteria` or `evaluation_steps` | as in criteria:"),
    ("g_eval", {"criteria": " "}, "criteria is empty"),
    ("g_eval", {"criteria": 5}, "criteria is of another kind, found the number 5"),
    ("g_eval", {"evaluation_steps": []}, "evaluation_steps is an empty list"),
    ("g_eval", {"evaluation_steps": ["a", 5]}, "evaluation_steps[1]: expected text, found the number 5"),
    ("g_eval", {"criterion": "x"}, "deepeval/g_eval has no setting 'criterion' | did you mean 'criteria'?"),
    (
        "g_eval",
        {"criteria": "x", "evaluation_params": ["actual_outputs"]},
        "evaluation_params: there is no 'actual_out",
    ),
    ("g_eval", {"criteria": "x", "rubric": [{"score_range": [0, 5]}]}, "rubric[0]: expected score_range and expected_"),
    (
        "g_eval",
        {"criteria": "x", "rubric": [{"score_range": [0, 11], "expected_outcome": "a"}]},
        "rubric[0]: score_range is two whole numbers from 0 to 10, the smaller first",
    ),
    (
        "g_eval",
        {"criteria": "x", "rubric": [{"score_range": [n, n + 1], "expected_outcome": "a"} for n in (3, 4)]},
        "rubric[1]: 4 to 5 overlaps another row",
    ),
    ("g_eval", {"criteria": "x", "rubric": [{"score_range": [5, 5], "expected_outcome": "a"}]}, "rubric: it has one"),
    (
        "conversational_g_eval",
        {"criteria": "x", "evaluation_params": ["input"]},
        "evaluation_params: there is no 'input'",
    ),
    ("json_correctness", {}, "deepeval/json_correctness needs the setting `expected_schema`"),
    ("json_correctness", {"expected_schema": {"type": "objct"}}, "expected_schema: unknown type 'objct'"),
    ("json_correctness", {"expected_schema": {"type": "array"}}, "expected_schema: the root must be of type object"),
    ("pattern_match", {"pattern": "("}, "pattern: not a regular expression"),
    ("tool_permission", {}, "it needs `allowed_tools` or `denied_tools`"),
    ("tool_permission", {"denied_tools": []}, "denied_tools is an empty list"),
    ("tool_correctness", {"available_tools": [{"nme": "x"}]}, "available_tools[0]: expected a tool's name"),
    ("tool_correctness", {"available_tools": [{"name": "x", "y": 1}]}, "available_tools[0]: unknown key 'y'"),
    (
        "tool_correctness",
        {"available_tools": [{"name": "x", "parameters": 1}]},
        "available_tools[0]: parameters is a map",
    ),
    ("tool_correctness", {"evaluation_params": ["output"]}, "evaluation_params: there is no 'output' to look at"),
    ("summarization", {"n": 0}, "n: expected a whole number from 1, found 0"),
    ("misuse", {}, "deepeval/misuse needs the setting `domain`"),
    ("non_advice", {"advice_types": []}, "advice_types is an empty list"),
    ("turn_relevancy", {"window_size": True}, "window_size is of another kind, found true"),
    # graphs
    ("dag", {}, "deepeval/dag needs the setting `graph`"),
    ("dag", {"graph": {}}, "graph: a node has one of task, ask and choose"),
    ("dag", {"graph": {"ask": "x", "task": "y"}}, "graph: a node has one of task, ask and choose"),
    ("dag", {"graph": {**LEAF, "yess": 1}}, "graph.yess: unknown key 'yess' | did you mean 'yes'?"),
    ("dag", {"graph": {**LEAF, "yes": 11}}, "graph.yes: expected a whole number from 0 to 10, a node or a metric"),
    ("dag", {"graph": {**LEAF, "yes": True}}, "graph.yes: expected a whole number from 0 to 10, a node or a metric"),
    ("dag", {"graph": {**LEAF, "yes": "next"}}, "graph.yes: there is no node 'next'"),
    ("dag", {"graph": {"ask": "x", **LOOK, "yes": 1}}, "graph: a node with `ask` says where `yes` and `no` lead"),
    ("dag", {"graph": {"ask": "x", "yes": 1, "no": 0}}, "graph: it has nothing to look at | give it evaluation_params"),
    (
        "dag",
        {"graph": {**LEAF, "evaluation_params": ["inptu"]}},
        "graph.evaluation_params: there is no 'inptu' to look",
    ),
    ("dag", {"graph": {**LEAF, "turn_window": [0, 1]}}, "graph.turn_window: unknown key 'turn_window'"),
    ("dag", {"graph": {"choose": "x", **LOOK, "options": {"a": 1}}}, "graph: `options` are two or more answers"),
    ("dag", {"graph": {"choose": "x", **LOOK, "options": {1: 1, 2: 2}}}, "graph: `options` are two or more answers"),
    ("dag", {"graph": {"task": "x", **LOOK, "then": LEAF}}, "graph: a task has a `label`"),
    ("dag", {"graph": {"task": "x", "label": "y", **LOOK}}, "graph: a task leads to nodes in `then`"),
    (
        "dag",
        {"graph": {"task": "x", "label": "y", **LOOK, "then": [LEAF, LEAF]}},
        "graph: it leads to 2 judgments at once",
    ),
    ("dag", {"graph": {"nodes": {}, "start": "a"}}, "graph.nodes: expected nodes by name"),
    ("dag", {"graph": {"nodes": {"a": LEAF}}}, "graph: `start` names the node to begin with"),
    (
        "dag",
        {"graph": {"nodes": {"first": LEAF}, "start": "frist"}},
        "graph.start: there is no node 'frist' | did you mean",
    ),
    ("dag", {"graph": {"nodes": {"a": LEAF, "b": LEAF}, "start": "a"}}, "nothing leads to the node 'b'"),
    (
        "dag",
        {"graph": {"nodes": {"a": LEAF, "b": LEAF}, "start": ["a", "b"]}},
        "graph: it leads to 2 judgments at once",
    ),
    (
        "dag",
        {"graph": {"nodes": {"a": {**LEAF, "yes": "b"}, "b": {**LEAF, "no": "a"}}, "start": "a"}},
        "the node 'a' leads back to itself",
    ),
    (
        "dag",
        {
            "graph": {
                "nodes": {"a": {**LEAF, "yes": "c", "no": "b"}, "b": {**LEAF, "yes": "c"}, "c": LEAF},
                "start": "a",
            }
        },
        "the node 'c' follows two judgments, and waits for both where only one leads to it | write it out",
    ),
    (
        "dag",
        {"graph": {"nodes": {"a": {**LEAF, "yes": "b"}, "b": LEAF}, "start": ["a", "b"]}},
        "the node 'b' follows another one, and cannot be the start as well",
    ),
    (
        "dag",
        {"graph": {**LEAF, "no": {"metric": "deepeval/biass"}}},
        "graph.no.metric: there is no metric 'deepeval/biass'",
    ),
    ("dag", {"graph": {**LEAF, "no": {"metric": "deepeval/turn_relevancy"}}}, "graph.no.metric: there is no metric"),
    (
        "dag",
        {"graph": {**LEAF, "no": {"metric": "deepeval/dag"}}},
        "graph.no.metric: there is no metric 'deepeval/dag'",
    ),
    (
        "dag",
        {"graph": {**LEAF, "no": {"metric": "deepeval/misuse"}}},
        "graph.no.metric: deepeval/misuse: it needs the set",
    ),
    (
        "dag",
        {"graph": {**LEAF, "no": {"metric": {"deepeval/g_eval": {"criteria": "x", "rubric": []}}}}},
        "graph.no.metric.deepeval/g_eval.rubric: deepeval/g_eval: no setting 'rubric' here",
    ),
    (
        "conversational_dag",
        {"graph": {"ask": "x", "evaluation_params": ["content"], "turn_window": [3, 1], "yes": 1, "no": 0}},
        "graph.turn_window: expected the first and the last turn, counted from 0",
    ),
]


@pytest.mark.parametrize(("metric", "settings", "said"), WRONG)
def test_what_is_wrong_with_a_setting_is_said(metric: str, settings: dict[str, Any], said: str) -> None:
    found = faults(metric, settings)
    assert found
    assert found[0].startswith(said), found


def test_a_graph_is_bounded_however_deep_and_wide_it_is() -> None:
    deep: Any = LEAF
    for _ in range(5_000):
        deep = {**LEAF, "yes": deep}
    assert faults("dag", {"graph": deep}) == [f"a graph has at most {MAX_NODES} nodes | "]
    task = {"task": "t", "label": "l", **LOOK}
    wide = {f"n{number}": {**task, "then": [f"n{number + 1}", f"n{number + 2}"]} for number in range(MAX_NODES - 2)}
    last = {f"n{MAX_NODES - 2}": {**task, "then": f"n{MAX_NODES - 1}"}, f"n{MAX_NODES - 1}": LEAF}
    assert faults("dag", {"graph": {"nodes": {**wide, **last}, "start": "n0"}}) == []  # 2**98 ways lead through it


def test_a_node_may_wait_for_a_task_and_for_a_verdict() -> None:
    """The way DeepEval's documentation has it: what a verdict leads to looks at what a task made."""
    nodes = {
        "list": {"task": "List", "label": "list", **LOOK, "then": ["complete", "order"]},
        "complete": {"ask": "All?", "yes": "order", "no": 0},
        "order": {"choose": "In order?", "options": {"yes": 10, "no": 4}},
    }
    assert faults("dag", {"graph": {"nodes": nodes, "start": "list"}}) == []


def test_steps_are_counted_once_for_all_cases() -> None:
    once = KINDS["deepeval/g_eval"].calls_once
    assert (once({"criteria": "x"}), once({"evaluation_steps": ["x"]})) == (1, 0)
    graph = {**LEAF, "no": {"metric": {"deepeval/g_eval": {"criteria": "x"}}}}
    assert KINDS["deepeval/dag"].calls_once({"graph": graph}) == 1
    assert KINDS["deepeval/bias"].calls_once({}) == 0


def test_a_graph_asks_as_often_as_its_longest_way() -> None:
    kinds = lambda: KINDS  # noqa: E731
    graph = {
        "task": "List",
        "label": "list",
        **LOOK,
        "then": {**LEAF, "yes": {**LEAF, "no": {"metric": "deepeval/bias"}}, "no": 0},
    }
    read = graph_of(graph, kinds, of_turns=False)
    assert read.calls(has_reason=True) == 1 + 2 + 3  # the task, two judgments, and the three calls of bias
    assert graph_of(LEAF, kinds, of_turns=False).calls(has_reason=True) == 2
    assert graph_of(LEAF, kinds, of_turns=False).calls(has_reason=False) == 1
    assert read.needs == ("input", "actual_output")


SUITE = """\
prompt: greet
cases:
  - {id: a, inputs: {name: Ada}}
metrics:
  - deepeval/dag:
      graph:
        ask: Is it polite?
        evaluation_params: [actual_output]
        yes: 10
        no:
          ask: Is it at least short?
          evaluation_params: [actual_outptu]
          yes: 5
          no: 0
judge: {model: openai/gpt-4.1}
"""


def test_a_fault_deep_in_a_graph_has_its_line(project: Any) -> None:
    path = project.write("evals/greet.yaml", SUITE)
    with pytest.raises(SuiteFileError) as caught:
        load_suite(path, project.settings())
    (problem,) = caught.value.problems
    assert (problem.line, problem.hint) == (12, "did you mean 'actual_output'?")


def test_reading_the_table_imports_no_engine() -> None:
    program = (
        "import sys\n"
        "from promptstudio.evals.metrics.table import METRICS\n"
        "assert METRICS['deepeval/dag'].calls({'graph': {'ask': 'x', 'yes': 1, 'no': 0}})\n"
        "print([name for name in ('deepeval', 'ragas', 'openai', 'litellm', 'numpy', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# -- the page ---------------------------------------------------------------------------------------------------------

SECTION = (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8").split("\n## DeepEval\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", KINDS)
def test_the_page_has_a_row_for_each_metric(name: str) -> None:
    kind = KINDS[name]
    [row] = [line for line in SECTION.splitlines() if line.startswith(f"| `{name.partition('/')[2]}` |")]
    _, _, description, needs, calls, settings, _ = (cell.strip() for cell in row.split("|"))
    own = [key for key in kind.settings if key not in ("strict_mode", "include_reason")]
    assert description == kind.description
    assert needs.split("`")[1::2] == list(kind.needs)
    assert settings == ", ".join(f"**`{key}`**" if key in kind.required_settings else f"`{key}`" for key in own)
    if "graph" not in kind.settings:
        assert calls.startswith(str(kind.judge_calls or "none"))
        assert (f"+ {kind.judge_calls_per_context} per further" in calls) == (kind.judge_calls_per_context > 0)


@pytest.mark.parametrize("block", [part.split("```")[0] for part in SECTION.split("```yaml\n")[1:]])
def test_the_examples_of_the_page_are_without_faults(block: str, project: Any) -> None:
    head = "prompt: greet\njudge: {model: openai/gpt-4.1}\ncases: [{inputs: {name: Ada}}]\n"
    assert len(load_suite(project.write("evals/page.yaml", head + block), project.settings()).metrics) == 1
