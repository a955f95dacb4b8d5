"""A suite without judges, metrics and baselines pays for none of their libraries: what a real `ps eval` has loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Project, Script
from tests.test_startup import modules_after

HEAVY = {"deepeval", "ragas", "scipy", "numpy", "pandas", "datasets", "langchain", "sklearn", "torch"}
SUITE = """\
prompt: greet
repeats: 2
cases:
  - {id: ada, inputs: {name: Ada}, expected_output: Say hello to Ada in a warm way., cluster: one}
  - {id: bob, inputs: {name: Bob}, cluster: two}
assert:
  - contains: hello
  - {type: rouge-n, value: Say hello in a warm way., threshold: 0.3, metric: likeness}
  - {type: levenshtein, value: Say hello., threshold: 30}
  - {type: similar, value: Say hello in a warm way., threshold: 0.1}
gate: {pass_rate: 0.9, metrics: {likeness: {mean: 0.3}}}
"""


@pytest.mark.parametrize(
    "args", [["eval", "plain"], ["eval", "plain", "--sequential"], ["eval", "--help"], ["runs", "list"]], ids=" ".join
)
def test_a_suite_that_no_model_judges_loads_no_engine_and_no_statistics(
    project: Project, ps: Script, tmp_path: Path, args: list[str]
) -> None:
    project.write("evals/plain.yaml", SUITE)
    assert not modules_after(args, ps, tmp_path) & HEAVY
