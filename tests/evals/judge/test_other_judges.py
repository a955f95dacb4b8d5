"""Figures that other judges had a part in are not compared, unless that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Judged
    from judge_server import Question, Said

Make = Callable[[Callable[["Question"], "Said"]], "Judged"]
CASES = ", ".join(f"{{id: c{number}, inputs: {{name: N{number}}}}}" for number in range(4))
SUITE = """\
prompt: greet
judge: judge/{judge}
cases: [{cases}]
assert:
  - {{llm-rubric: is kind, weight: {weight}}}
  - contains: N
"""


@pytest.mark.parametrize(
    ("judge", "weight", "across", "reason"),
    [
        ("strict", 1, False, "judged by judge/mild, these are of"),
        ("strict", 1, True, None),
        ("strict", 0, False, None),
        ("mild", 1, False, None),
    ],
    ids=["another judge", "another judge, all the same", "another judge of no weight", "the same judge"],
)
async def test_a_pass_rate_that_another_judge_decides_is_not_compared_with_that_of_a_stored_run(
    judged: Make, judge: str, weight: int, *, across: bool, reason: str | None
) -> None:
    line = judged(lambda question: {"reason": "so", "pass": question.model == "mild", "score": 1})
    first = await line.run(SUITE.format(judge="mild", cases=CASES, weight=weight))

    finished = await line.run(
        SUITE.format(judge=judge, cases=CASES, weight=weight), baseline=first.run.id, across_engines=across
    )

    [target] = finished.run.totals["against"]["targets"]
    [check] = [check for check in finished.checks if "against" in check.name]
    assert ("pass rate" in target["figures"]) == (reason is None)
    assert check.is_met == (reason is None)
    if reason is not None:
        assert reason in target["refused"]["pass rate"]
        assert "llm-rubric decides who passes" in check.found
        assert finished.exit_code == 1
