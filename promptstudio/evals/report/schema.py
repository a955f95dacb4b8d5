"""What a reporter is given, and what it does with it. Frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from promptstudio.evals.gate import Check
from promptstudio.evals.records import CaseResult, RunRecord
from promptstudio.evals.schema import Outcome
from promptstudio.evals.series import Maker
from promptstudio.evals.trend import TrendPoint


@dataclass(frozen=True, slots=True)
class TargetFigures:
    """One prompt with one model. `cost_usd` is None where a price is unknown; `latency_ms` has `p50` to `p99`.

    `duration_s` is what the answers took, added up.
    """

    prompt: str
    model: str
    counts: Mapping[Outcome, int]
    pass_rate: float | None
    cost_usd: Decimal | None
    latency_ms: Mapping[str, float | None]
    duration_s: float

    @property
    def count(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Figures:
    """A run in numbers, and its verdict.

    `is_met` is true only for a run that reached its end and whose gate is met. `totals` is what `totals_data` makes of
    the run. `input_names` are the names of all inputs, in the order in which they came. `makers` are metrics with
    who made their scores, where that was an engine or a judge.
    """

    is_met: bool
    sentence: str
    counts: Mapping[Outcome, int]
    pass_rate: float | None
    cost_usd: Decimal | None
    saved_usd: Decimal
    latency_ms: Mapping[str, float | None]
    duration_s: float
    totals: Mapping[str, Any]
    metrics: Mapping[str, float] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    targets: tuple[TargetFigures, ...] = ()
    input_names: tuple[str, ...] = ()
    error_kinds: Mapping[str, int] = field(default_factory=dict)
    makers: tuple[tuple[str, Maker], ...] = ()

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    @property
    def missed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.is_met)


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run to report. `results` can be iterated again and again; they stream, so do not make a list of them.

    `root` is the folder from which the files of cases are named, `trend` the stored runs of the suite up to this one.
    """

    run: RunRecord
    results: Iterable[CaseResult]
    figures: Figures
    root: Path | None = None
    trend: Iterable[TrendPoint] = ()

    @property
    def met_words(self) -> str:
        """What a run that is met says of itself; sides that were held against each other have no gate."""
        return "compared" if "ab" in self.run.totals else "gate met"


Reporter = Callable[[Sequence[RunReport], TextIO], None]
"""Writes one document about one or more runs. The stream is UTF-8 and translates no line ends."""


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """What somebody asked for: a format and its file.

    `path` is None for what is printed line by line. A file `is_shared` where others write to it too: then the report is
    added at its end. `max_bytes` is how large the whole file may become. `asked` is what was written, for messages.
    """

    format: str
    path: Path | None
    asked: str
    is_shared: bool = False
    max_bytes: int | None = None
    workspace: Path | None = None
