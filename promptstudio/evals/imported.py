"""Answers that another tool's file brought along → a run in the store, not judged yet. No model is asked.

They are found by case and repeat of the suite that was imported with them. They bear a mark of their own, so that a
later run that asks a provider never takes them for its own answers; `ps score RUN` judges them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice

from promptstudio.config import Settings
from promptstudio.evals.begun import begun_run
from promptstudio.evals.keeper import marked_key
from promptstudio.evals.plan import Plan, Task, plan_suite
from promptstudio.evals.records import CaseResult, RunRecord
from promptstudio.evals.schema import Answer
from promptstudio.evals.selection import Selection
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import Suite
from promptstudio.evals.totals import Totals, totals_data
from promptstudio.exchange.schema import AnswerSet, Said
from promptstudio.history.ids import utc_now

MARK = "import"
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class ImportedRun:
    """A run that was made of answers: its id, and to how many cases and repeats there was one."""

    run: str
    suite: str
    answers: int


def store_answers(suite: Suite, found: AnswerSet, settings: Settings) -> ImportedRun:
    """Store the answers as a run of the suite. Raises UserError where the suite or its prompt does not load."""
    plan = plan_suite(suite, settings, Selection())
    totals = Totals()
    run = _record(plan, found, settings)
    with EvalStore(store_path(settings), redacting=settings.redact) as store:
        number = store.begin(run)
        results = _results(plan, found)
        count = 0
        while batch := list(islice(results, _AT_ONCE)):
            for result in batch:
                totals.add(result.end)
            store.add(number, count, [(0, result) for result in batch])
            count += len(batch)
        note = f"{count:,} answers of {found.source}, not judged yet: `ps score {run.id[:18]}` judges them"
        ended = replace(
            run, status="finished", finished_at=utc_now(), totals=totals_data(totals), exit_code=5, note=note
        )
        store.finish(ended)
    return ImportedRun(run.id, suite.name, count)


def _results(plan: Plan, found: AnswerSet) -> Iterator[CaseResult]:
    said = {(one.case, one.repeat): one.said for one in found.answers}
    for task in plan.tasks():
        answers = said.get((task.example.case.id, task.repeat))
        if answers and task.target is plan.targets[0]:
            yield _result(task, answers)


def _result(task: Task, said: Sequence[Said]) -> CaseResult:
    answers: list[Answer] = []
    for one in said:
        answers.append(_answer(one, tuple(answers)))
    times = [one.latency_ms for one in said if one.latency_ms is not None]
    return CaseResult(
        key=marked_key(task.key, MARK),
        answer_key=marked_key(task.answer_key, MARK),
        case=task.example.case,
        prompt=task.target.address,
        model=task.target.model,
        repeat=task.repeat,
        outcome="unscored",
        reason="not judged yet",
        answer=answers[-1],
        answers=tuple(answers),
        cost_usd=Decimal(0),  # nothing was paid here
        latency_ms=sum(times) if len(times) == len(said) else None,
        behavior=task.target.prompt.identity.behavior,
    )


def _answer(one: Said, earlier: tuple[Answer, ...]) -> Answer:
    return Answer(
        text=one.text,
        tool_calls=one.tool_calls,
        finish_reason=one.finish_reason,
        latency_ms=one.latency_ms,
        cost_usd=None if one.cost_usd is None else Decimal(str(one.cost_usd)),
        usage=one.usage,
        model=one.model,
        history=earlier,
    )


def _record(plan: Plan, found: AnswerSet, settings: Settings) -> RunRecord:
    source = {"file": found.source, "format": found.format}
    return begun_run(plan, settings, {"selection": {}, "models": [], "mark": MARK, "imported": source})
