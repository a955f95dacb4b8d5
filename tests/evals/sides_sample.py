"""Sides to compare: numbers, and a suite whose outcomes are in the prompt: "good until 70" passes cases below 70."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from promptstudio.evals.series import Series

if TYPE_CHECKING:
    from tests.conftest import Project

CHECKS = """\
def grade(text, context):
    number, until = int(context.case.id[1:]), int(text.rsplit(" ", 1)[1])
    return number < until
"""


def prepare(project: Project, *, cases: int = 100, extra: str = "") -> None:
    """Write the suite `greet` and commit it with a prompt that is good until 70."""
    project.write("evals/checks.py", CHECKS)
    rows = [{"id": f"c{number}", "inputs": {"name": f"n{number}"}} for number in range(cases)]
    project.write("evals/data/cases.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    project.write(
        "evals/greet.yaml", f"prompt: greet\ncases: data/cases.jsonl\nassert: [python: checks.py:grade]\n{extra}"
    )
    prompt(project, 70)
    project.commit("Good until 70")


def prompt(project: Project, until: int, *, more: str = "") -> None:
    project.write(
        "prompts/greet.yaml",
        f'model: offline/echo\nprompt: "Hello {{{{ name }}}}, good until {until}"\n'
        f'variants:\n  better: {{prompt: "Hi {{{{ name }}}}, good until 90"}}\n'
        f'  worse: {{prompt: "Hi {{{{ name }}}}, good until 40"}}\n{more}',
    )


def series(
    passed: int, *, cost: float = 0.0, latency: float = 100.0, metric: Mapping[str, float] | None = None
) -> Series:
    """A side that passes the first cases; costs and latencies differ a little from case to case."""
    one = Series("p", "m")
    for number in range(100):
        case = f"c{number}"
        one.passed[case] = [float(number < passed)]
        one.cost_usd[case] = [cost * (1 + number % 7 / 50)]
        one.latency_ms[case] = [latency * (1 + number % 5 / 40)]
        for name, value in (metric or {}).items():
            one.metrics.setdefault(name, {})[case] = [value - (number % 3) / 50]
    return one
