"""`ps mutate --judge`: a judge is asked about each wrong answer, through its own cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from promptstudio.evals.assertions.functions import Functions
from promptstudio.evals.judge.schema import Bill
from promptstudio.evals.mutate import MutateOptions, MutationReport, mutate
from promptstudio.evals.mutate_judge import judging
from promptstudio.evals.plan import Task, plan_suite
from promptstudio.evals.schema import Answer
from promptstudio.evals.selection import Selection
from promptstudio.evals.suite import load_suite

if TYPE_CHECKING:
    from conftest import Judged
    from judge_server import Question, Said

Make = Callable[[Callable[["Question"], "Said"]], "Judged"]
SUITE = """\
prompt: greet
judge: judge/strict
cases: [{id: ada, inputs: {name: Ada}}]
assert: [{llm-rubric: is kind}, {type: similar, value: hello Ada, threshold: 0.1}]
"""


async def mutated(case: Judged) -> tuple[MutationReport, Bill]:
    settings = case.project.settings()
    plan = plan_suite(load_suite(case.project.write("evals/judged.yaml", SUITE), settings), settings, Selection())

    def find(task: Task) -> tuple[Answer, ...]:
        return (Answer("Hello Ada, how are you?"),)

    with judging(plan, settings, {}, Functions(case.project.root), lambda _: None) as opened:
        return await mutate(plan, find, opened.setting, MutateOptions(judged=True)), opened.bill


async def test_a_judge_that_looks_only_for_a_name_does_not_notice_its_opposite(judged: Make) -> None:
    def say(question: Question) -> Said:
        is_named = "Ada" in question.between("answer")
        return {"reason": "so", "pass": is_named, "score": float(is_named)}

    case = judged(say)
    report, bill = await mutated(case)

    rubric = next(row for row in report.rows if row.label.startswith("llm-rubric"))
    assert rubric.found["negated"].survived == 1
    assert rubric.found["refusal"].killed == 1
    assert {row.label.partition(" ")[0] for row in report.rows} == {"llm-rubric", "similar"}
    assert report.skipped == {}
    assert bill.calls == len(case.asked) > 5

    again, known = await mutated(case)
    assert (again.killed, known.cached) == (report.killed, known.calls)
