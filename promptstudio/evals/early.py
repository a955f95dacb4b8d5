"""`--sequential`: stop when what was seen decides the gate, by a test that is valid at every moment one looks.

Cases are looked at in the order of the dataset, whatever order their answers come in: fast answers may be better ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean

from promptstudio.evals.records import CaseResult
from promptstudio.evals.series import By
from promptstudio.evals.statistics.sequential import Sequential


@dataclass(slots=True)
class Early:
    """Feeds cases to a test. `baseline` has the outcomes to subtract, by case; without it the share is tested."""

    test: Sequential
    wanted: str
    baseline: Mapping[str, float] | None = None
    _next: int = 0
    _waiting: dict[int, tuple[CaseResult, ...]] = field(default_factory=dict)
    _case: str | None = None
    _outcomes: list[float] = field(default_factory=list)

    def feed(self, number: int, results: tuple[CaseResult, ...]) -> str | None:
        """Take the results of a group, which are numbered as they were begun; return why it is decided, once it is."""
        self._waiting[number] = results
        while self._next in self._waiting:
            for result in self._waiting.pop(self._next):
                self._take(result)
            self._next += 1
        decision = self.test.decided()
        if decision is None or self.test.estimate is None:
            return None
        said = "holds" if decision == "met" else "does not hold"
        return f"{self.wanted} {said} after {self.test.n:,} cases (always-valid test)"

    def _take(self, result: CaseResult) -> None:
        if result.case.id != self._case:
            self._close()
            self._case = result.case.id
        if result.outcome != "skipped":
            self._outcomes.append(float(result.outcome == "pass"))

    def _close(self) -> None:
        """The case before is complete: all its repeats and targets have ended."""
        if self._case is not None and self._outcomes:
            value = fmean(self._outcomes)
            if self.baseline is None:
                self.test.feed(value)
            elif self._case in self.baseline:
                self.test.feed(value - self.baseline[self._case])
        self._outcomes = []


def early_of(pass_rate: float, margin: float, confidence: float, baseline: By | None, named: str | None) -> Early:
    """Return what decides a suite's gate: the pass rate, or with a baseline that it is no worse."""
    if baseline is None:
        test = Sequential(pass_rate, confidence=confidence)
        return Early(test, f"a pass rate of {pass_rate:.0%}")
    test = Sequential(-margin, lowest=-1.0, highest=1.0, confidence=confidence)
    means = {case: fmean(values) for case, values in baseline.items()}
    return Early(test, f"no worse than {named} by {margin:.0%}", means)
