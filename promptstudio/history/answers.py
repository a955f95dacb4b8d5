"""A behavior hash → the newest answers it gave, with the inputs each was given. One query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from promptstudio.history.decode import data, dollars
from promptstudio.history.ids import moment_of
from promptstudio.history.store import History

MAX_ROWS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished run: `inputs` as they were stored (redacted, media described), `cost_usd` None where unknown."""

    id: str
    created_at: datetime
    model: str
    inputs: Mapping[str, Any]
    text: str
    cost_usd: Decimal | None
    duration_ms: int | None


def answers_of(history: History, prompts: Sequence[str], behavior: str, *, limit: int = MAX_ROWS) -> list[Answer]:
    """Return the newest answers first; the names of the prompts lead to the rows, there is an index on them."""
    names = {f"p{number}": name for number, name in enumerate(prompts)}
    sql = f"""
SELECT r.id, r.created_at, r.model, r.inputs, p.response_text, p.cost_microusd, p.duration_ms
  FROM prompt_requests AS r JOIN prompt_responses AS p ON p.prompt_id = r.id
 WHERE r.prompt IN ({", ".join(":" + name for name in names)}) AND r.behavior = :behavior AND r.status = 'completed'
 ORDER BY r.created_at DESC, r.seq DESC LIMIT :limit"""  # noqa: S608  names of parameters only
    rows = history.store.read(sql, {**names, "behavior": behavior, "limit": limit})
    return [
        Answer(
            id=number,
            created_at=moment_of(created_at),
            model=model,
            inputs=data(inputs, {}),
            text=text or "",
            cost_usd=dollars(cost),
            duration_ms=duration,
        )
        for number, created_at, model, inputs, text, cost, duration in rows
    ]
