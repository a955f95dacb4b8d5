"""Outcomes of cases, one after the other → the figures a gate and a report need. Memory does not grow with the cases.

A latency is kept as a count in one of some hundred steps of 2 %, so a percentile is exact to 1 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from promptstudio.evals.schema import Outcome

OUTCOMES: tuple[Outcome, ...] = ("pass", "fail", "error", "unscored", "skipped")
_STEP = math.log(1.02)
_MAX_PARTS = 2_000


@dataclass(frozen=True, slots=True)
class CaseEnd:
    """What the totals need of a case that ended. `metrics` are the means of its named scores."""

    outcome: Outcome
    prompt: str
    model: str
    tags: tuple[str, ...] = ()
    cost_usd: Decimal | None = Decimal(0)
    latency_ms: float | None = None
    cached: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    saved_usd: Decimal = Decimal(0)
    metrics: Mapping[str, float] = field(default_factory=dict)
    judge_usd: Decimal | None = Decimal(0)
    repeat: int = 0
    clustered: bool = False


@dataclass(slots=True)
class _Mean:
    count: int = 0
    total: float = 0.0
    least: float = math.inf
    most: float = -math.inf

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.least = min(self.least, value)
        self.most = max(self.most, value)


class Totals:
    """Figures over cases. `part(kind, name)` are those over a tag, a model or a prompt.

    `cost_usd` is what answers and judges took together, `judge_usd` the judges' part of it.
    """

    def __init__(self, *, is_part: bool = False) -> None:
        self.counts: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
        self.cost_usd = Decimal(0)
        self.judge_usd = Decimal(0)
        self.saved_usd = Decimal(0)
        self.unpriced = 0
        self.cached = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.metrics: dict[str, _Mean] = {}
        self.clustered = False
        self.repeated = False
        self._latencies: dict[int, int] = {}
        self._parts: dict[tuple[str, str], Totals] = {}
        self._is_part = is_part

    def add(self, end: CaseEnd) -> None:
        self._count(end)
        if self._is_part:
            return
        keys = [("prompt", end.prompt), ("model", end.model), *(("tag", tag) for tag in dict.fromkeys(end.tags))]
        for key in keys:
            if key not in self._parts and len(self._parts) < _MAX_PARTS:
                self._parts[key] = Totals(is_part=True)
            if key in self._parts:
                self._parts[key].add(end)

    def _count(self, end: CaseEnd) -> None:
        self.counts[end.outcome] += 1
        self.clustered = self.clustered or end.clustered
        self.repeated = self.repeated or end.repeat > 0
        if end.outcome == "skipped":
            return
        if end.cost_usd is None or end.judge_usd is None:
            self.unpriced += 1
        self.cost_usd += (end.cost_usd or 0) + (end.judge_usd or 0)
        self.judge_usd += end.judge_usd or 0
        self.saved_usd += end.saved_usd
        self.cached += end.cached
        self.input_tokens += end.input_tokens
        self.output_tokens += end.output_tokens
        if end.latency_ms is not None:
            step = round(math.log(max(end.latency_ms, 0.0) + 1.0) / _STEP)
            self._latencies[step] = self._latencies.get(step, 0) + 1
        for name, value in end.metrics.items():
            self.metrics.setdefault(name, _Mean()).add(value)

    def part(self, kind: str, name: str) -> Totals:
        """Return the figures of one tag, model or prompt; empty ones, which meet no gate, where there is none."""
        return self._parts.get((kind, name)) or Totals(is_part=True)

    def names(self, kind: str) -> list[str]:
        return [name for found, name in self._parts if found == kind]

    @property
    def judged(self) -> int:
        """Cases that were to be judged: all but the skipped."""
        return sum(self.counts.values()) - self.counts["skipped"]

    def figure(self, name: str) -> float | None:
        """Return a figure by the name a gate has for it; None where it is not known."""
        if name == "pass_rate":
            return self.counts["pass"] / self.judged if self.judged else None
        if name == "errors":
            return float(self.counts["error"]) if self.judged else None
        if name == "unscored":
            return float(self.counts["unscored"]) if self.judged else None
        if name == "cost_usd":
            return float(self.cost_usd) if self.judged and not self.unpriced else None
        if name.startswith("latency_p") and name.endswith("_ms"):
            return self.latency_ms(int(name[len("latency_p") : -len("_ms")]) / 100)
        raise KeyError(name)

    def latency_ms(self, share: float) -> float | None:
        """Return the latency that this share of the answers did not exceed, by nearest rank."""
        whole = sum(self._latencies.values())
        if not whole:
            return None
        rank = max(1, math.ceil(share * whole))
        for step in sorted(self._latencies):
            rank -= self._latencies[step]
            if rank <= 0:
                return math.exp(step * _STEP) - 1.0
        return None

    def metric(self, name: str, kind: str) -> float | None:
        """Return the `mean`, `min` or `max` of a metric; None where nothing was scored."""
        found = self.metrics.get(name)
        if found is None or not found.count:
            return None
        return {"mean": found.total / found.count, "min": found.least, "max": found.most}[kind]


def totals_data(totals: Totals) -> dict[str, Any]:
    """Return the figures as plain data, with those of each prompt, model and tag."""
    figures: dict[str, Any] = {
        **{str(outcome): count for outcome, count in totals.counts.items()},
        "pass_rate": totals.figure("pass_rate"),
        "cost_usd": str(totals.cost_usd),
        **({"judge_usd": str(totals.judge_usd)} if totals.judge_usd else {}),
        "saved_usd": str(totals.saved_usd),
        "unpriced": totals.unpriced,
        "cached": totals.cached,
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "latency_ms": {f"p{share}": totals.latency_ms(share / 100) for share in (50, 90, 95, 99)},
        "metrics": {name: totals.metric(name, "mean") for name in totals.metrics},
    }
    for kind in ("prompt", "model", "tag"):
        if names := totals.names(kind):
            figures[f"{kind}s"] = {name: totals_data(totals.part(kind, name)) for name in names}
    return figures


def totals_of(ends: Iterable[CaseEnd]) -> Totals:
    totals = Totals()
    for end in ends:
        totals.add(end)
    return totals
