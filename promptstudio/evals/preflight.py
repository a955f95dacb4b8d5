"""A plan → everything that is wrong with it, found without a call: inputs, assertions, and that there are any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from promptstudio.errors import NothingSelected, Problem, SuiteFileError, UserError
from promptstudio.evals.assertions.assertion import Assertion
from promptstudio.evals.assertions.functions import Functions
from promptstudio.evals.assertions.parse import load_functions
from promptstudio.evals.datasets import Example
from promptstudio.evals.embedding_models import check_embedders, embedding_models
from promptstudio.evals.gate import Gate
from promptstudio.evals.judge.pinned import is_judged
from promptstudio.evals.plan import Plan, flat_assertions, input_problems
from promptstudio.evals.selection import NoneTaken
from promptstudio.prompts.wording import nearest, shown

if TYPE_CHECKING:
    from promptstudio.evals.metrics.check import MetricCheck

MAX_PROBLEMS = 20
LARGE_BYTES = 32 << 20
LOOKED_AT = 2_000


@dataclass(slots=True)
class Preflight:
    """What was looked at. `is_whole` is False where a dataset is code, or too large to look at all of it before a run.

    `tasks` are cases × prompts and models × repeats. `comparisons` are those by embeddings, at most, by their model.
    `not_checked` says in words what was left out, `warnings` what whoever runs it should know.
    """

    cases: int = 0
    tasks: int = 0
    unasserted: int = 0
    is_whole: bool = True
    comparisons: Counter[str] = field(default_factory=Counter)
    embedders: set[str] = field(default_factory=set)
    metrics: MetricCheck | None = None
    labels: set[str] = field(default_factory=set)
    not_checked: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check_plan(plan: Plan, *, functions: Functions | None) -> Preflight:
    """Look at every case. Raises SuiteFileError with what is wrong, NothingSelected where nothing would be judged.

    `functions` loads the suite's Python assertions; None, as for --check, leaves code alone.
    """
    found = Preflight()
    problems: list[Problem] = []
    _check_assertions(plan, plan.suite.assertions, functions, found)
    for example in _looked_at(plan, found, runs_code=functions is not None):
        found.cases += 1
        found.tasks += _tasks(plan, example)
        problems += _problems(plan, example, functions, found)
        if len(problems) >= MAX_PROBLEMS:
            break
    if found.metrics is not None:
        problems += found.metrics.problems(found.cases)
        found.warnings += found.metrics.warnings
    if problems:
        raise SuiteFileError(problems[:MAX_PROBLEMS])
    if found.is_whole:
        _check_something(plan, found)
        if plan.selection.is_everything and (problems := list(_unmeasured(plan, found.labels))):
            raise SuiteFileError(problems)
    return found


def _unmeasured(plan: Plan, labels: set[str]) -> Iterator[Problem]:
    """Yield the metrics a gate names and nothing measures: such a gate could never be met."""
    suite = plan.suite
    gates: list[tuple[tuple[str, ...], Gate]] = [((), suite.gate)]
    gates += [(("tags", name), inner) for name, inner in suite.gate.tags.items()]
    gates += [(("models", name), inner) for name, inner in suite.gate.models.items()]
    for path, gate in gates:
        for metric in gate.metrics:
            if metric in labels or "{{" in "".join(labels):
                continue
            line, column = suite.source.place(("gate", *path, "metrics", metric)) if suite.source else (None, None)
            close = nearest(metric, labels)
            known = ", ".join(sorted(labels)) or "none"
            hint = f"did you mean {close!r}?" if close else f"the metrics here are: {known}"
            said = f"the gate wants {shown(metric)}, and nothing measures it"
            yield Problem(said, file=suite.shown, line=line, column=column, hint=hint)


def _looked_at(plan: Plan, found: Preflight, *, runs_code: bool) -> Iterator[Example]:
    dataset = plan.suite.dataset
    if dataset.runs_code and not runs_code:
        found.is_whole = False
        found.not_checked.append(f"the cases of {dataset.shown}: they come from code, which was not run")
        return
    is_large = runs_code and dataset.size_bytes > LARGE_BYTES  # a run looks at the others as it comes to them
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
        raise NoneTaken(f"{suite.shown}: no case is selected", hint="look at -k, --tag, --case and the like")
    if found.unasserted == found.cases:
        hint = "add `assert:` to the suite, or expected_output to its cases"
        raise NothingSelected(f"{suite.shown}: nothing is asserted of any case", hint=hint)


def _tasks(plan: Plan, example: Example) -> int:
    return (example.repeats or plan.suite.repeats) * len(plan.targets)


def _problems(plan: Plan, example: Example, functions: Functions | None, found: Preflight) -> list[Problem]:
    problems: list[Problem] = []
    try:
        assertions = plan.assertions_of(example)
        for number, turn in enumerate(example.turns):
            own = plan.parsed(turn.get("assert", []), example, ("turns", number, "assert"))
            _check_assertions(plan, own, functions, found)
            _count_comparisons(found, own, _tasks(plan, example))
            found.unasserted -= bool(own and not assertions)
            found.labels.update(each.metric for each in flat_assertions(own) if each.metric)
        _check_assertions(plan, assertions, functions, found)
        _count_comparisons(found, assertions, _tasks(plan, example))
        _look_at_metrics(found, assertions, example, _tasks(plan, example))
        found.labels.update(each.metric for each in flat_assertions(assertions) if each.metric)
        found.unasserted += not assertions
    except UserError as error:
        problems += error.problems
    for prompt in {target.prompt.identity.behavior: target for target in plan.targets}.values():
        problems += input_problems(example, prompt, plan.suite.path.parent)
    return problems


def _check_assertions(
    plan: Plan, assertions: tuple[Assertion, ...], functions: Functions | None, found: Preflight
) -> None:
    if plan.resolver is not None:
        check_embedders(assertions, plan.resolver.settings, found.embedders)
    if functions is not None:
        load_functions(assertions, functions)


def _look_at_metrics(found: Preflight, assertions: tuple[Assertion, ...], example: Example, tasks: int) -> None:
    if not any(is_judged(each) for each in assertions):
        return
    if found.metrics is None:
        from promptstudio.evals.metrics.check import MetricCheck  # for judged suites only

        found.metrics = MetricCheck()
    found.metrics.look(assertions, example, tasks)


def _count_comparisons(found: Preflight, assertions: tuple[Assertion, ...], tasks: int) -> None:
    for model, count in embedding_models(assertions).items():
        found.comparisons[model] += count * tasks
