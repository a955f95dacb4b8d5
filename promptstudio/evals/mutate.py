"""Stored answers, made wrong in known ways and judged again: which assertions would never notice. Asks no model.

tasks → stored answer → passes? → mutants → scored by the suite's assertions → who noticed what

Only answers that pass are mutated: what fails already cannot be noticed. A mutant is killed where its case would not
pass any more. Equivalent mutants are counted apart: there, noticing is what an assertion should not do.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from promptstudio.evals.assertions.assertion import Assertion, Setting
from promptstudio.evals.assertions.reasons import path_text, quoted
from promptstudio.evals.assertions.score import case_outcome, score_answer
from promptstudio.evals.mutations import MUTATIONS, Mutation, mutants_of
from promptstudio.evals.plan import COMPARING, Plan, Task
from promptstudio.evals.schema import Answer, Case, Score

MAX_SURVIVORS = 200
_POOL = 64
_NOT_ABOUT_WHAT_IS_SAID = frozenset({"cost", "latency"})
Find = Callable[[Task], tuple[Answer, ...]]
"""A task → its stored answers, one for each turn; nothing where there are none."""


@dataclass(frozen=True, slots=True)
class MutateOptions:
    """`judged` asks the setting's judge and embedder too. `most` is how many answers are mutated at most."""

    seed: int = 0
    most: int | None = None
    judged: bool = False


@dataclass(slots=True)
class Noticed:
    """How often an assertion that had passed noticed a mutation, and how often not."""

    killed: int = 0
    survived: int = 0

    @property
    def total(self) -> int:
        return self.killed + self.survived


@dataclass(slots=True)
class AssertionRow:
    """One assertion of the suite, or all of one name that cases have of their own."""

    label: str
    place: str
    of_suite: bool
    found: dict[str, Noticed] = field(default_factory=dict)

    def count(self, mutation: str, *, is_killed: bool) -> None:
        noticed = self.found.setdefault(mutation, Noticed())
        noticed.killed += is_killed
        noticed.survived += not is_killed

    @property
    def killed(self) -> int:
        return sum(self.found[name].killed for name in self.found if name not in EQUIVALENT)

    @property
    def total(self) -> int:
        return sum(self.found[name].total for name in self.found if name not in EQUIVALENT)

    @property
    def notices_nothing(self) -> bool:
        return self.total > 0 and self.killed == 0

    @property
    def is_too_strict(self) -> bool:
        return any(self.found[name].killed for name in EQUIVALENT if name in self.found)


EQUIVALENT = frozenset(mutation.name for mutation in MUTATIONS if mutation.is_equivalent)


@dataclass(frozen=True, slots=True)
class Survivor:
    """A wrong answer that every assertion let pass."""

    case: str
    prompt: str
    model: str
    repeat: int
    mutation: str
    text: str


@dataclass(slots=True)
class MutationReport:
    """What came of it. `skipped` says of assertions that were not asked why; `cut` that there were more answers."""

    rows: list[AssertionRow] = field(default_factory=list)
    mutants: dict[str, Noticed] = field(default_factory=dict)
    survivors: list[Survivor] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    answers: int = 0
    failing: int = 0
    unanswered: int = 0
    is_cut: bool = False

    @property
    def killed(self) -> int:
        return sum(noticed.killed for name, noticed in self.mutants.items() if name not in EQUIVALENT)

    @property
    def total(self) -> int:
        return sum(noticed.total for name, noticed in self.mutants.items() if name not in EQUIVALENT)

    @property
    def score(self) -> float | None:
        """The share of wrong answers that were noticed; None where there was none."""
        return self.killed / self.total if self.total else None


@dataclass(slots=True)
class _Mutating:
    plan: Plan
    find: Find
    setting: Setting
    options: MutateOptions
    report: MutationReport = field(default_factory=MutationReport)
    rows: dict[tuple[Any, ...], AssertionRow] = field(default_factory=dict)

    async def run(self) -> MutationReport:
        pool = self._pool()
        for task in self.plan.tasks():
            if self.options.most is not None and self.report.answers >= self.options.most:
                self.report.is_cut = True
                break
            answers = self.find(task)
            if not answers:
                self.report.unanswered += 1
                continue
            for assertions, answer, case, turn in _units(self.plan, task, answers):
                await self._unit(task, self._asked(assertions), answer, case, turn, pool)
            await asyncio.sleep(0)  # so that an interrupt is heard
        self.report.rows = list(self.rows.values())
        return self.report

    def _pool(self) -> list[tuple[str, Answer]]:
        """Choose answers that others may be swapped with: as many of all as fit, each with the same chance."""
        random = Random(f"{self.options.seed}:pool")  # noqa: S311 - no secret
        pool: list[tuple[str, Answer]] = []
        for seen, task in enumerate(self.plan.tasks()):
            if answers := self.find(task):
                if len(pool) < _POOL:
                    pool.append((task.example.case.id, answers[-1]))
                elif (place := random.randrange(seen + 1)) < _POOL:
                    pool[place] = (task.example.case.id, answers[-1])
        return pool

    def _asked(self, assertions: Sequence[Assertion]) -> tuple[Assertion, ...]:
        """Return the assertions that can be asked here; of the others it is said why not."""
        asked = []
        for assertion in assertions:
            why = self._why_not(assertion)
            if why is None:
                asked.append(assertion)
            else:
                self.report.skipped.setdefault(label_of(assertion, of_suite=self._of_suite(assertion)), why)
        return tuple(asked)

    def _why_not(self, assertion: Assertion) -> str | None:
        if assertion.name in _NOT_ABOUT_WHAT_IS_SAID:
            return "it is not about what is said"
        if assertion.name in COMPARING:
            return "it compares the answers of several prompts or models"
        if self.options.judged:
            return None
        if assertion.needs_judge:
            return "it needs a judge (--judge asks one)"
        return "it needs an embedding model (--judge asks one)" if _embeds(assertion) else None

    def _of_suite(self, assertion: Assertion) -> bool:
        return any(assertion is one for one in self.plan.suite.assertions)

    async def _unit(
        self,
        task: Task,
        assertions: tuple[Assertion, ...],
        answer: Answer,
        case: Case,
        turn: int,
        pool: Sequence[tuple[str, Answer]],
    ) -> None:
        if not assertions:
            return
        threshold = self.plan.threshold_of(task.example) if not turn else None
        before = await score_answer(assertions, answer, case, self.setting)
        if case_outcome(before, threshold).outcome != "pass":
            self.report.failing += 1
            return
        self.report.answers += 1
        seed = f"{self.options.seed}:{case.id}:{task.target.address}:{task.target.model}:{task.repeat}:{turn}"
        others = [other for name, other in pool if name != case.id]
        mutants = list(mutants_of(answer, others, seed))
        scores = [score_answer(assertions, mutant, case, self.setting) for _, mutant in mutants]
        for (mutation, mutant), after in zip(mutants, await asyncio.gather(*scores), strict=True):
            is_killed = case_outcome(after, threshold).outcome != "pass"
            self._count(assertions, before, after, mutation)
            noticed = self.report.mutants.setdefault(mutation.name, Noticed())
            noticed.killed += is_killed
            noticed.survived += not is_killed
            if not is_killed and not mutation.is_equivalent:
                self._survived(task, mutation, mutant)

    def _count(
        self, assertions: Sequence[Assertion], before: Sequence[Score], after: Sequence[Score], mutation: Mutation
    ) -> None:
        for assertion, was, now in zip(assertions, before, after, strict=True):
            row = self._row(assertion)
            if was.outcome == "pass":
                row.count(mutation.name, is_killed=now.outcome != "pass")

    def _survived(self, task: Task, mutation: Mutation, mutant: Answer) -> None:
        if len(self.report.survivors) < MAX_SURVIVORS:
            case, target = task.example.case, task.target
            text = quoted(mutant.text, 100)
            self.report.survivors.append(
                Survivor(case.id, target.address, target.model, task.repeat, mutation.name, text)
            )

    def _row(self, assertion: Assertion) -> AssertionRow:
        number = next((number for number, one in enumerate(self.plan.suite.assertions) if one is assertion), None)
        key = ("suite", number) if number is not None else ("case", assertion.written, assertion.path)
        if key not in self.rows:
            place = f"{assertion.file}:{assertion.line}" if number is not None and assertion.line else "cases"
            self.rows[key] = AssertionRow(label_of(assertion, of_suite=number is not None), place, number is not None)
        return self.rows[key]


async def mutate(plan: Plan, find: Find, setting: Setting, options: MutateOptions = MutateOptions()) -> MutationReport:
    """Mutate the stored answers of a plan's tasks, and say who noticed. The same seed gives the same report."""
    return await _Mutating(plan, find, setting, options).run()


def label_of(assertion: Assertion, *, of_suite: bool) -> str:
    """Name an assertion on one line; those of cases share a line, so their values are left out."""
    name = assertion.written if not assertion.path else f"{path_text(assertion.path)}: {assertion.written}"
    if not of_suite or assertion.value is None:
        return (
            name
            if assertion.metric is None or assertion.metric == assertion.written
            else f"{name} ({assertion.metric})"
        )
    return f"{name} {quoted(assertion.value, 40)}"


def _embeds(assertion: Assertion) -> bool:
    if "/" in assertion.name:
        from promptstudio.evals.metrics.table import METRICS  # for suites with metrics only

        return METRICS[assertion.name].embeds
    return assertion.name.startswith("similar") or any(_embeds(member) for member in assertion.members)


def _units(
    plan: Plan, task: Task, answers: Sequence[Answer]
) -> Iterator[tuple[tuple[Assertion, ...], Answer, Case, int]]:
    """Yield each answer with the assertions that judge it: those of its turn, and those of the case for the last."""
    case = task.example.case
    for number, (turn, answer) in enumerate(zip(task.example.turns, answers, strict=False), 1):
        own = plan.parsed(turn.get("assert", []), task.example, ("turns", number - 1, "assert"))
        yield own, answer, _case_at(case, turn), number
    yield task.assertions, answers[-1], case, 0


def _case_at(case: Case, turn: Mapping[str, Any]) -> Case:
    return replace(
        case,
        inputs={**case.inputs, **turn.get("inputs", {})},
        expected_output=turn.get("expected_output"),
        expected_tools=tuple(turn.get("expected_tools", case.expected_tools)),
    )


def by_mutation(report: MutationReport) -> Counter[str]:
    """Return how many wrong answers of each kind nobody noticed."""
    return Counter({name: each.survived for name, each in report.mutants.items() if name not in EQUIVALENT})
