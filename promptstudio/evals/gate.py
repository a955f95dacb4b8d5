"""What must hold for a suite to pass, and whether it did. Pure; fails closed: what cannot be known is not met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from promptstudio.evals.totals import Totals

# Keys of a gate that compare one figure of the totals → at least or at most.
_AT_LEAST = ("pass_rate",)
_AT_MOST = ("errors", "unscored", "cost_usd", "latency_p50_ms", "latency_p90_ms", "latency_p95_ms", "latency_p99_ms")
DEFAULT_PASS_RATE = 1.0


@dataclass(frozen=True, slots=True)
class Gate:
    """The limits as written. Without a `pass_rate` every case must pass; without `errors` none may end in one.

    `tags` and `models` are gates over the cases that bear a tag, or were answered by a model. `baseline` names what the
    run is held against, with `max_regression` as the margin (a share) that still counts as no worse. `lower` are the
    metrics of which less is better: their mean has an upper limit.
    """

    limits: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    tags: Mapping[str, Gate] = field(default_factory=dict)
    models: Mapping[str, Gate] = field(default_factory=dict)
    written: Mapping[str, Any] = field(default_factory=dict)
    baseline: str | None = None
    max_regression: float = 0.0
    inconclusive_fails: bool = False
    confidence: float = 0.95
    min_kappa: float | None = None
    lower: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Check:
    """One limit: what was wanted, what was found, and whether it is met. `scope` is the suite, a tag or a model.

    `is_inconclusive` says that the cases cannot tell; then `is_met` is what the gate makes of that. `note` adds how
    sure the figure is.
    """

    name: str
    scope: str
    wanted: str
    found: str
    is_met: bool
    is_inconclusive: bool = False
    note: str = ""

    def __str__(self) -> str:
        place = f"{self.scope}: " if self.scope else ""
        return f"{place}{self.name} {self.found}, wanted {self.wanted}"


def gate_of(written: Mapping[str, Any]) -> Gate:
    """Read the `gate:` of a suite that was checked."""
    limits = {key: float(written[key]) for key in (*_AT_LEAST, *_AT_MOST) if written.get(key) is not None}
    return Gate(
        limits,
        written.get("metrics") or {},
        {name: gate_of(inner) for name, inner in (written.get("tags") or {}).items()},
        {name: gate_of(inner) for name, inner in (written.get("models") or {}).items()},
        written,
        baseline=written.get("baseline"),
        max_regression=float(written.get("max_regression") or 0.0),
        inconclusive_fails=written.get("inconclusive") == "fail",
        confidence=float(written.get("confidence") or 0.95),
        min_kappa=written.get("min_kappa"),
    )


def checks_of(gate: Gate, totals: Totals) -> tuple[Check, ...]:
    """Hold the totals of a suite against its gate."""
    limits = {"pass_rate": DEFAULT_PASS_RATE, "errors": 0.0, **gate.limits}
    found = list(_checks(Gate(limits, gate.metrics), totals, "", gate.lower))
    for kind, gates in (("tag", gate.tags), ("model", gate.models)):
        for name, inner in gates.items():
            part = totals.part(kind, name)
            found += _checks(inner, part, f"{kind} {name}", gate.lower)
    return tuple(found)


def _checks(gate: Gate, totals: Totals, scope: str, lower: frozenset[str]) -> Iterator[Check]:
    for name, limit in gate.limits.items():
        yield _check(name, limit, totals, scope)
    for metric, wanted in gate.metrics.items():
        for kind, limit in wanted.items():
            yield _metric_check(metric, kind, limit, totals, scope, at_most=kind == "max" or metric in lower)


def _check(name: str, limit: float, totals: Totals, scope: str) -> Check:
    value = totals.figure(name)
    if value is None:
        return Check(name, scope, _bound(name, limit), "not known", is_met=False)
    is_met = value >= limit - 1e-12 if name in _AT_LEAST else value <= limit + 1e-12
    return Check(name, scope, _bound(name, limit), _number(name, value), is_met)


def _metric_check(metric: str, kind: str, limit: float, totals: Totals, scope: str, *, at_most: bool) -> Check:
    value = totals.metric(metric, kind)
    wanted = f"at most {limit:g}" if at_most else f"at least {limit:g}"
    if value is None:
        return Check(f"{metric} {kind}", scope, wanted, "no score", is_met=False)
    is_met = value <= limit + 1e-12 if at_most else value >= limit - 1e-12
    return Check(f"{metric} {kind}", scope, wanted, f"{value:.4g}", is_met)


def _bound(name: str, limit: float) -> str:
    return f"{'at least' if name in _AT_LEAST else 'at most'} {_number(name, limit)}"


def share_text(value: float) -> str:
    """A share in percent; what is not quite all never reads as 100.0%."""
    return f"{min(value, 0.999) if value < 1 else value:.1%}"


def _number(name: str, value: float) -> str:
    if name == "pass_rate":
        return share_text(value)
    if name == "cost_usd":
        return f"${value:.4f}"
    return f"{value:,.0f} ms" if name.endswith("_ms") else f"{value:g}"
