"""Assertions on numbers: a field or the answer itself, what the call cost, and how long it took."""

from __future__ import annotations

import math
from collections.abc import Callable

from promptstudio.evals.assertions.assertion import Assertion, Setting, Subject, Verdict, decided, failed, unscored
from promptstudio.evals.assertions.reasons import number, quoted


def _comparison(words: str, holds: Callable[[float, float], bool]) -> Callable[[Subject, Assertion, Setting], Verdict]:
    def compare(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
        limit: float = assertion.parsed
        wanted = f"a number {words} {number(limit)}"
        actual = subject.field if subject.has_field else _number_in(subject.text)
        if isinstance(actual, bool) or not isinstance(actual, int | float) or math.isnan(actual):
            shown = quoted(subject.field if subject.has_field else subject.text)
            # What is no number is neither above nor below: `not-gt` must not pass on an apology.
            return failed(wanted, f"{shown}, which is not a number", expected=limit, actual=actual, final=True)
        return decided(holds(actual, limit), wanted, number(actual), expected=limit, actual=actual)

    return compare


gt = _comparison("above", lambda actual, limit: actual > limit)
gte = _comparison("of at least", lambda actual, limit: actual >= limit)
lt = _comparison("below", lambda actual, limit: actual < limit)
lte = _comparison("of at most", lambda actual, limit: actual <= limit)


def _number_in(text: str) -> float | None:
    """Read a text that is a number and nothing else; digits of any script, as in ٤٢."""
    try:
        return float(text.strip()) if len(text) < 400 else None
    except ValueError:
        return None


def cost(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
    actual = subject.answer.cost_usd
    if actual is None:
        return unscored("the price of this model is not known")
    return _limited(float(actual), assertion, "$")


def latency(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
    actual = subject.answer.latency_ms
    if actual is None:
        return unscored("the answer came from a cache, so there is no latency; run with --no-cache")
    return _limited(float(actual), assertion, "ms")


def _limited(actual: float, assertion: Assertion, unit: str) -> Verdict:
    """Compare with the limit; without one the figure is only recorded."""
    if not math.isfinite(actual) or actual < 0:
        return unscored(f"{actual} is no figure to compare", actual=actual)
    found = f"${_money(actual)}" if unit == "$" else f"{number(actual)} ms"
    details = {"value": actual, "unit": "usd" if unit == "$" else unit}
    limit: float | None = assertion.parsed
    if limit is None:
        return Verdict("pass", None, reason=f"recorded {found}", actual=actual, details=details)
    wanted = f"at most ${_money(limit)}" if unit == "$" else f"at most {number(limit)} ms"
    return decided(actual <= limit, wanted, found, expected=limit, actual=actual, threshold=limit, details=details)


def _money(amount: float) -> str:
    return f"{amount:.6f}".rstrip("0").rstrip(".") if amount >= 1e-6 or amount == 0 else f"{amount:.2e}"
