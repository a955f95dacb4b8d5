"""Stored results of a run → numbers by case, which statistics take: outcomes, metrics, cost, latency, clusters.

A case that ended in an error, unscored or skipped has no number: it is left out of its pair, and listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from promptstudio.evals.records import CaseResult
from promptstudio.evals.schema import Outcome, Score

PASSED = "pass rate"
COST, LATENCY = "cost", "latency"
By = dict[str, list[float]]  # a value for each repeat, by case


class Maker(NamedTuple):
    """Who made the scores of a metric. Figures of different makers are not compared."""

    engine: str | None
    version: str | None
    settings: str | None
    judge: str | None

    def __str__(self) -> str:
        engine = " ".join(part for part in (self.engine, self.version) if part)
        return f"{engine}, judged by {self.judge}" if self.judge else engine


@dataclass(slots=True)
class Series:
    """The numbers of one prompt and model. `missing` are cases without an outcome that counts, with that outcome.

    `makers` are those of scores, by metric; `deciding` are the metrics that have a weight, and so a part in who passes.
    """

    prompt: str
    model: str
    passed: By = field(default_factory=dict)
    metrics: dict[str, By] = field(default_factory=dict)
    cost_usd: By = field(default_factory=dict)
    latency_ms: By = field(default_factory=dict)
    clusters: dict[str, str] = field(default_factory=dict)
    makers: dict[str, set[Maker]] = field(default_factory=dict)
    deciding: set[str] = field(default_factory=set)
    missing: dict[str, Outcome] = field(default_factory=dict)
    unjudged: dict[str, int] = field(default_factory=dict)  # how many answers to a case have no such outcome
    lower: set[str] = field(default_factory=set)  # metrics of which less is better

    def add(self, result: CaseResult) -> None:
        case = result.case.id
        if result.case.cluster is not None:
            self.clusters[case] = result.case.cluster
        if result.outcome in ("pass", "fail"):
            self.passed.setdefault(case, []).append(float(result.outcome == "pass"))
        elif result.outcome != "skipped":
            self.missing[case] = result.outcome
            self.unjudged[case] = self.unjudged.get(case, 0) + 1
        for name, value in result.metrics.items():
            self.metrics.setdefault(name, {}).setdefault(case, []).append(value)
        for score in flat_scores(result.scores):
            if score.engine is not None:
                maker = Maker(score.engine, score.engine_version, score.settings_hash, score.judge)
                name = score.metric or score.name
                self.makers.setdefault(name, set()).add(maker)
                if score.weight > 0:
                    self.deciding.add(name)
                if "/" in score.name and _is_less_better(score.name):
                    self.lower.add(name)
        self._add_spent(result, case)

    def _add_spent(self, result: CaseResult, case: str) -> None:
        """What the answer took when it was asked for, also where it is reused now."""
        costs = [answer.cost_usd for answer in result.answers]
        spent = float(result.cost_usd or 0) + float(result.saved_usd)
        known = sum(float(cost) for cost in costs if cost is not None)
        if costs and None not in costs:
            self.cost_usd.setdefault(case, []).append(max(spent, known))
        times = [answer.latency_ms for answer in result.answers if answer.latency_ms is not None]
        if times and len(times) == len(result.answers):
            self.latency_ms.setdefault(case, []).append(sum(times))

    @property
    def repeats(self) -> int:
        """The most answers there are to one case."""
        return max((len(values) for values in self.passed.values()), default=0)


Target = tuple[str, str]


def series_of(results: Iterable[CaseResult]) -> dict[Target, Series]:
    """Return the numbers of a run by prompt and model."""
    found: dict[Target, Series] = {}
    for result in results:
        key = (result.prompt, result.model)
        if key not in found:
            found[key] = Series(*key)
        found[key].add(result)
    return found


def whole_of(series: Mapping[Target, Series]) -> Series:
    """Return the numbers of all prompts and models of a run together; a case has those of each of them."""
    whole = Series("", "")
    for one in series.values():
        for mine, theirs in (
            (whole.passed, one.passed),
            (whole.cost_usd, one.cost_usd),
            (whole.latency_ms, one.latency_ms),
        ):
            _extend(mine, theirs)
        for name, values in one.metrics.items():
            _extend(whole.metrics.setdefault(name, {}), values)
        for name, makers in one.makers.items():
            whole.makers.setdefault(name, set()).update(makers)
        whole.clusters |= one.clusters
        whole.missing |= one.missing
        for case, count in one.unjudged.items():
            whole.unjudged[case] = whole.unjudged.get(case, 0) + count
        whole.lower |= one.lower
        whole.deciding |= one.deciding
    return whole


def _extend(mine: By, theirs: By) -> None:
    for case, values in theirs.items():
        mine.setdefault(case, []).extend(values)


def _is_less_better(name: str) -> bool:
    from promptstudio.evals.metrics.table import METRICS, is_less_better  # for runs with metrics only

    return name in METRICS and is_less_better(name)


def flat_scores(scores: Iterable[Score]) -> Iterator[Score]:
    """Yield scores and the members of sets among them."""
    for score in scores:
        yield score
        yield from flat_scores(score.children)
