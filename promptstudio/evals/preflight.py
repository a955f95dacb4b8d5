"""A plan → everything that is wrong with it, found without a call: inputs, assertions, and that there are any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from promptstudio.errors import NothingSelected, Problem, SuiteFileError, UserError
from promptstudio.evals.assertions.assertion import Assertion
from promptstudio.evals.assertions.functions import Functions
from promptstudio.evals.assertions.parse import load_functions
from promptstudio.evals.datasets import Example
from promptstudio.evals.plan import Plan, input_problems

MAX_PROBLEMS = 20
LARGE_BYTES = 32 << 20
LOOKED_AT = 2_000


@dataclass(slots=True)
class Preflight:
    """What was looked at. `is_whole` is False where a dataset was too large, or is code, and only its beginning was.

    `tasks` are cases × prompts and models × repeats. `not_checked` says in words what was left out.
    """

    cases: int = 0
    tasks: int = 0
    unasserted: int = 0
    is_whole: bool = True
    not_checked: list[str] = field(default_factory=list)


def check_plan(plan: Plan, *, functions: Functions | None) -> Preflight:
    """Look at every case. Raises SuiteFileError with what is wrong, NothingSelected where nothing would be judged.

    `functions` loads the suite's Python assertions; None, as for --check, leaves code alone.
    """
    found = Preflight()
    problems: list[Problem] = []
    _check_assertions(plan.suite.assertions, functions)
    for example in _looked_at(plan, found, runs_code=functions is not None):
        found.cases += 1
        found.tasks += (example.repeats or plan.suite.repeats) * len(plan.targets)
        problems += _problems(plan, example, functions, found)
        if len(problems) >= MAX_PROBLEMS:
            break
    if problems:
        raise SuiteFileError(problems[:MAX_PROBLEMS])
    if found.is_whole:
        _check_something(plan, found)
    return found


def _looked_at(plan: Plan, found: Preflight, *, runs_code: bool) -> Iterator[Example]:
    dataset = plan.suite.dataset
    if dataset.runs_code and not runs_code:
        found.is_whole = False
        found.not_checked.append(f"the cases of {dataset.shown}: they come from code, which was not run")
        return
    is_large = dataset.size_bytes > LARGE_BYTES
    for number, example in enumerate(plan.examples()):
        if is_large and number >= LOOKED_AT:
            found.is_whole = False
            found.not_checked.append(f"the cases of {dataset.shown} after the first {LOOKED_AT:,}: it is large")
            return
        yield example


def _check_something(plan: Plan, found: Preflight) -> None:
    suite = plan.suite
    if not found.cases and plan.selection.is_everything:
        raise NothingSelected(f"{suite.shown}: there is no case in {suite.dataset.shown}")
    if not found.cases:
        raise NothingSelected(f"{suite.shown}: no case is selected", hint="look at -k, --tag, --case and the like")
    if found.unasserted == found.cases and not suite.metrics:
        hint = "add `assert:` to the suite, or expected_output to its cases"
        raise NothingSelected(f"{suite.shown}: nothing is asserted of any case", hint=hint)


def _problems(plan: Plan, example: Example, functions: Functions | None, found: Preflight) -> list[Problem]:
    problems: list[Problem] = []
    try:
        assertions = plan.assertions_of(example)
        for number, turn in enumerate(example.turns):
            own = plan.parsed(turn.get("assert", []), example, ("turns", number, "assert"))
            _check_assertions(own, functions)
            found.unasserted -= bool(own and not assertions)
        _check_assertions(assertions, functions)
        found.unasserted += not assertions and not example.metrics
    except UserError as error:
        problems += error.problems
    for prompt in {target.prompt.identity.behavior: target for target in plan.targets}.values():
        problems += input_problems(example, prompt, plan.suite.path.parent)
    return problems


def _check_assertions(assertions: tuple[Assertion, ...], functions: Functions | None) -> None:
    for assertion in _flat(assertions):
        if assertion.needs_judge:
            raise SuiteFileError(
                f"{assertion.written} needs a judge, and this version has none yet",
                file=assertion.file,
                line=assertion.line,
                column=assertion.column,
                hint="take it out, or write a python assertion",
            )
    if functions is not None:
        load_functions(assertions, functions)


def _flat(assertions: tuple[Assertion, ...]) -> Iterator[Assertion]:
    for assertion in assertions:
        yield assertion
        yield from _flat(assertion.members)
