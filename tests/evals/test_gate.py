"""Gates fail closed, and say what was wanted and what was found."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from promptstudio.evals.gate import checks_of, gate_of, share_text
from promptstudio.evals.schema import Outcome
from promptstudio.evals.totals import CaseEnd, Totals, totals_of


def end(outcome: Outcome = "pass", **changes: Any) -> CaseEnd:
    return CaseEnd(outcome, **{"prompt": "greet", "model": "offline/echo", **changes})


def missed(written: dict[str, Any], *ends: CaseEnd) -> list[str]:
    return [str(check) for check in checks_of(gate_of(written), totals_of(ends)) if not check.is_met]


@pytest.mark.parametrize(
    ("written", "ends", "wanted"),
    [
        ({}, [end()], []),
        ({}, [end(), end("fail")], ["pass_rate 50.0%, wanted at least 100.0%"]),
        ({"pass_rate": 0.5}, [end(), end("fail")], []),
        ({"pass_rate": 0.5}, [end(), end("error")], ["errors 1, wanted at most 0"]),
        ({"pass_rate": 0.5, "errors": 1}, [end(), end("error")], []),
        ({"pass_rate": 0.6}, [end(), end("unscored")], ["pass_rate 50.0%, wanted at least 60.0%"]),
        ({}, [end(), end("skipped")], []),
        ({}, [end("skipped")], ["pass_rate not known, wanted at least 100.0%", "errors not known, wanted at most 0"]),
        ({"cost_usd": 0.5}, [end(cost_usd=Decimal("0.5"))], []),
        ({"cost_usd": 0.5}, [end(cost_usd=Decimal("0.51"))], ["cost_usd $0.5100, wanted at most $0.5000"]),
        ({"cost_usd": 0.5}, [end(cost_usd=None)], ["cost_usd not known, wanted at most $0.5000"]),
        ({"latency_p95_ms": 100}, [end()], ["latency_p95_ms not known, wanted at most 100 ms"]),
        ({"latency_p50_ms": 100}, [end(latency_ms=90), end(latency_ms=95), end(latency_ms=900)], []),
        (
            {"latency_p99_ms": 100},
            [end(latency_ms=90), end(latency_ms=900)],
            ["latency_p99_ms 908 ms, wanted at most 100 ms"],  # a latency is kept to within 1 %
        ),
        ({"metrics": {"m": {"mean": 0.8}}}, [end(metrics={"m": 0.7}), end(metrics={"m": 0.9})], []),
        ({"metrics": {"m": {"min": 0.8}}}, [end(metrics={"m": 0.7})], ["m min 0.7, wanted at least 0.8"]),
        ({"metrics": {"m": {"max": 0.8}}}, [end(metrics={"m": 0.9})], ["m max 0.9, wanted at most 0.8"]),
        ({"metrics": {"m": {"mean": 0.8}}}, [end()], ["m mean no score, wanted at least 0.8"]),
        (
            {"pass_rate": 0.5, "tags": {"hard": {"pass_rate": 1}}},
            [end(tags=("hard",)), end("fail", tags=("hard",))],
            ["tag hard: pass_rate 50.0%, wanted at least 100.0%"],
        ),
        ({"models": {"gone": {"pass_rate": 0.1}}}, [end()], ["model gone: pass_rate not known, wanted at least 10.0%"]),
    ],
)  # fmt: skip
def test_a_limit_is_met_or_says_why_not(written: dict[str, Any], ends: list[CaseEnd], wanted: list[str]) -> None:
    assert missed(written, *ends) == wanted


def test_nothing_at_all_meets_no_gate() -> None:
    assert len(missed({})) == 2


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.95, 0.99, 1.0])
def test_a_percentile_is_within_a_hundredth_of_the_exact_one(share: float) -> None:
    values = [float(7 * number % 5_003 + 1) for number in range(5_003)]
    totals = totals_of(end(latency_ms=value) for value in values)
    exact = sorted(values)[max(0, -(-int(share * 5_003 * 1000) // 1000) - 1)]
    found = totals.latency_ms(share)
    assert found is not None
    assert abs(found - exact) <= 0.0101 * exact + 1


def test_memory_does_not_grow_with_the_cases() -> None:
    totals = Totals()
    for number in range(20_000):
        totals.add(end(latency_ms=number % 1000, tags=(f"tag{number}",)))
    assert len(totals._parts) <= 2_000
    assert len(totals._latencies) < 400
    assert totals.judged == 20_000


@pytest.mark.parametrize(("share", "text"), [(1.0, "100.0%"), (0.9999, "99.9%"), (0.5, "50.0%"), (0.0, "0.0%")])
def test_what_is_not_quite_all_never_reads_as_all(share: float, text: str) -> None:
    assert share_text(share) == text
