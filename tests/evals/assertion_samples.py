"""Judge one answer by one assertion, as the tests of assertions need it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from promptstudio.evals.assertions import Origin, Setting, parse_assertions, score_assertion
from promptstudio.evals.schema import Answer, Case, Score
from promptstudio.types import ToolCall


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """Run what never really waits without an event loop, which would cost more than what is tested."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    work.close()
    raise AssertionError("it waited for something")


def answer_of(said: str | Answer | dict[str, Any]) -> Answer:
    return Answer(said) if isinstance(said, str) else said if isinstance(said, Answer) else Answer("", output=said)


def scored(
    item: Any,
    said: str | Answer | dict[str, Any],
    *,
    case: Case | None = None,
    setting: Setting | None = None,
    origin: Origin | None = None,
) -> Score:
    (assertion,) = parse_assertions([item], origin or Origin())
    score = finished(score_assertion(assertion, answer_of(said), case or Case("c"), setting or Setting()))
    assert isinstance(score, Score)
    return score


def inverted(item: Any) -> Any:
    """The same assertion with `not-` before its name."""
    if isinstance(item, str):
        return f"not-{item}"
    if "type" in item:
        return {**item, "type": f"not-{item['type']}"}
    others = ("path", "threshold", "options", "metric", "weight", "description")
    return {key if key in others else f"not-{key}": value for key, value in item.items()}


def calls(*given: tuple[str, str]) -> Answer:
    return Answer("", tool_calls=tuple(ToolCall(f"c{i}", name, text) for i, (name, text) in enumerate(given)))
