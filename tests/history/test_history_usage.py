"""How often a behavior was run, what it cost, how long it took, how often it failed: in every kind of database."""

from __future__ import annotations

from decimal import Decimal

from history_samples import HASH, request, response

from promptstudio.history import History
from promptstudio.history.usage import Usage

OTHER = "p1:" + "b" * 64


def add(
    history: History,
    status: str = "completed",
    cost: str | None = None,
    ms: int = 0,
    cached: bool = False,
    **values: object,
) -> None:
    row = request(**values)
    history.begin(row)
    answer = response(cost_usd=Decimal(cost) if cost else None, duration_ms=ms, cached=cached)
    history.finish(row.id, answer, (), status)  # type: ignore[arg-type]


def test_usage_is_counted_by_behavior(any_history: History) -> None:
    given = {"prompt": "support/triage", "behavior": HASH, "model": "openai/x"}
    add(any_history, cost="0.002", ms=100, **given)
    add(any_history, cost="0.004", ms=300, **given)
    add(any_history, cached=True, cost="0", ms=1, **given)
    add(any_history, status="failed", ms=60_000, **given)
    add(any_history, **{**given, "behavior": OTHER, "model": "offline/echo"}, ms=2)
    add(any_history, **{**given, "prompt": "another"}, ms=2)
    any_history.begin(request(**given))
    found = any_history.usage_by_behavior(["support/triage", "its/old-name"], [HASH, OTHER, "p1:" + "c" * 64])
    assert found[HASH] == Usage(4, 1, 0, Decimal("0.003"), 200.0)
    assert found[HASH].failure_rate == 0.25
    assert found[OTHER] == Usage(1, 0, 1, None, 2.0)
    assert set(found) == {HASH, OTHER}


def test_usage_of_nothing_is_nothing(any_history: History) -> None:
    assert any_history.usage_by_behavior([], [HASH]) == {}
    assert any_history.usage_by_behavior(["greet"], []) == {}
    assert any_history.usage_by_behavior(["greet"], [f"p1:{number:064}" for number in range(1200)]) == {}
