"""What metrics need against what cases have, found out before anything is paid for. Imports no engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from promptstudio.errors import Problem
from promptstudio.evals.assertions.assertion import Assertion
from promptstudio.evals.datasets import Example
from promptstudio.evals.metrics.schema import Field
from promptstudio.evals.metrics.table import METRICS, check_engine

_OF_ANSWER: frozenset[Field] = frozenset({"input", "actual_output", "tools_called"})
"""What only the answer, or the prompt, will show."""
Lack = tuple[str, str, str | None, int | None, int | None]


@dataclass(slots=True)
class MetricCheck:
    """What was found over the cases: engines in use, judge calls by metric, and what cases lack."""

    warnings: dict[str, None] = field(default_factory=dict)
    measured: Counter[str] = field(default_factory=Counter)
    lacking: Counter[Lack] = field(default_factory=Counter)
    first: dict[Lack, str] = field(default_factory=dict)
    _engines: set[str] = field(default_factory=set)

    def look(self, assertions: Sequence[Assertion], example: Example, tasks: int) -> None:
        """Look at a case. Raises MissingExtraError where an engine is not installed."""
        for assertion in assertions:
            if "/" not in assertion.name:
                continue
            kind = METRICS[assertion.name]
            if kind.engine not in self._engines:
                self._engines.add(kind.engine)
                if (warning := check_engine(kind.engine)) is not None:
                    self.warnings[warning] = None
            self.measured[assertion.metric or assertion.name] += tasks
            for name in kind.fields(assertion.options):
                if name not in _OF_ANSWER and not _has(example, name):
                    lack = (assertion.name, name, assertion.file, assertion.line, assertion.column)
                    self.lacking[lack] += 1
                    self.first.setdefault(lack, example.case.id)

    def problems(self, cases: int) -> Iterator[Problem]:
        """Yield a problem for each metric and field, whatever the number of cases without it."""
        for lack, count in self.lacking.items():
            metric, name, file, line, column = lack
            said = f"{metric} needs `{name}`, which {'the case does not have' if cases == 1 else 'no case has'}"
            if count < cases:
                lacks = f"{count:,} of {cases:,} cases do not have it (the first is {self.first[lack]!r})"
                said = f"{metric} needs `{name}`, and {lacks}"
            hint = f"add the column {name} to the dataset, or move the metric to the cases that have it"
            yield Problem(said, file=file, line=line, column=column, hint=hint)


def _has(example: Example, name: Field) -> bool:
    if name == "turns":
        return len(example.turns) > 1
    return bool(getattr(example.case, name, None))
