"""The names that files are checked with are those that are evaluated."""

from __future__ import annotations

from promptstudio.evals.metrics.table import METRICS
from promptstudio.prompts.metric_names import METRIC_NAMES


def test_the_checker_of_files_knows_every_metric_and_no_other() -> None:
    assert sorted(METRICS) == list(METRIC_NAMES)
