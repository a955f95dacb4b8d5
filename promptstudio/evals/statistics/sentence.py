"""What was found → the words a reviewer reads. Decides nothing; standard library alone."""

from __future__ import annotations

import math

from promptstudio.evals.statistics.schema import Comparison, Detectable, Figure, GateFigure, Plan


def sentence(comparison: Comparison, *, unit: str = "points") -> str:
    """Return the verdict in one line. With the unit "points" differences of shares are shown times 100.

    `inconclusive (could detect 9 points; needs about 310 cases)`
    """
    if comparison.verdict == "inconclusive" and not comparison.is_surely_worse:
        return f"inconclusive{_could(comparison.detectable, unit)}"
    shown = _difference(comparison, unit)
    if comparison.is_surely_worse:
        return f"worse ({shown}; perhaps by less than the margin of {amount(comparison.margin, unit)})"
    if comparison.verdict == "no worse":
        return f"no worse ({shown}; margin {amount(comparison.margin, unit)})"
    return f"{comparison.verdict} ({shown})"


def conclusion(comparison: Comparison, name: str, *, unit: str = "points") -> str:
    """Return what a reviewer should conclude of a metric, in one sentence."""
    pairs = f"{comparison.n_pairs:,} {'case' if comparison.n_pairs == 1 else 'cases'}"
    if comparison.difference is None:
        return f"{name}: no case is in both runs, so nothing can be concluded."
    shown = _difference(comparison, unit)
    margin = amount(comparison.margin, unit)
    said = {
        "improved": f"better than the baseline on {pairs}, {shown}.",
        "no worse": f"not worse than the baseline by {margin} or more on {pairs}, {shown}.",
        "regressed": f"worse than the baseline{f' by more than {margin}' if comparison.margin else ''} "
        f"on {pairs}, {shown}.",
        "inconclusive": f"{pairs} cannot tell, {shown}{_could(comparison.detectable, unit, brackets=False)}.",
    }[comparison.verdict]
    if comparison.is_surely_worse:
        said = f"worse than the baseline on {pairs}, {shown}, though perhaps by less than {margin}."
    note = f" {comparison.note[0].upper()}{comparison.note[1:]}." if comparison.note else ""
    return f"{name}: {said}{note}"


def figure_text(figure: Figure, *, unit: str = "%") -> str:
    """Return an estimate with its interval: `90% (78.6% to 95.7%)`, or with another unit plain numbers."""
    if figure.estimate is None:
        return "not known"
    estimate = _number(figure.estimate, unit)
    if figure.interval.lower is None or figure.interval.upper is None:
        return f"{estimate} (interval not known)"
    return f"{estimate} ({_number(figure.interval.lower, unit)} to {_number(figure.interval.upper, unit)})"


def gate_text(gate: GateFigure, *, unit: str = "%") -> str:
    """Return a figure, its interval, and whether the outcome of its gate is certain."""
    said = {
        "met": "certainly met",
        "missed": "certainly missed",
        "uncertain": f"{'met' if gate.is_met else 'missed'}, but it could be luck",
    }[gate.certainty]
    return f"{figure_text(gate.figure, unit=unit)}: {said}"


def plan_text(plan: Plan) -> str:
    """Return what a plan asks for, in one line."""
    aim = f"to detect {amount(plan.mde, 'points')} with power {plan.power:.0%}"
    if plan.chosen is None:
        fewest = min(plan.options, key=lambda one: one.cases)
        return f"{aim}: at least {fewest.cases:,} cases, however many repeats"
    repeats = "once" if plan.chosen.repeats == 1 else f"{plan.chosen.repeats} times"
    return f"{aim}: {plan.chosen.cases:,} cases, each asked {repeats} ({plan.chosen.calls:,} calls a side)"


def amount(value: float, unit: str) -> str:
    """Return an amount without a sign: `9 points`, `0.5 points`, `12 ms`, `$0.0021`."""
    value = abs(value)
    if unit == "points":
        shown = f"{value * 100:.0f}" if value >= 0.0995 else f"{value * 100:.1f}".removesuffix(".0")
        return f"{shown} {'point' if shown == '1' else 'points'}"
    if unit == "$":
        return f"${value:.4f}"
    return f"{value:.3g}{f' {unit}' if unit else ''}"


def _difference(comparison: Comparison, unit: str) -> str:
    shown = _signed(comparison.difference or 0.0, unit)
    interval = comparison.interval
    if interval.lower is None or interval.upper is None:
        return f"{shown}, interval not known"
    bounds = f"{_signed(interval.lower, unit)} to {_signed(interval.upper, unit)}"
    return f"{shown}, {interval.confidence:.0%} interval {bounds}"


def _signed(value: float, unit: str) -> str:
    text = amount(value, unit)
    return text if not any(digit in text for digit in "123456789") else f"{'−' if value < 0 else '+'}{text}"


def _could(detectable: Detectable, unit: str, *, brackets: bool = True) -> str:
    parts = []
    if detectable.difference is not None:
        seen = detectable.difference
        rough = round(seen, 2) if unit == "points" and seen >= 0.02 else seen  # a plan is no better than its guesses
        parts.append(f"could detect {amount(rough, unit)}")
    if detectable.cases is not None:
        parts.append(f"needs about {rounded_up(detectable.cases):,} cases")
    if not parts:
        return ""
    said = "; ".join(parts)
    return f" ({said})" if brackets else f"; {said.replace('; ', ', ')}"


def rounded_up(cases: int) -> int:
    """Return a number of cases with two digits that count, rounded up: a plan is no better than its guesses."""
    if cases < 100:
        return cases
    step = int(10 ** (len(str(cases)) - 2))
    return math.ceil(cases / step) * step


def _number(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value * 100:.1f}".removesuffix(".0") + "%"
    return amount(value, unit) if value >= 0 else f"−{amount(value, unit)}"
