"""Behavior hashes → how often each was run, what it cost, how long it took, how often it failed. One query."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

MAX_HASHES: Final = 500
"""How many are asked at once; databases limit the number of parameters."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The runs of one behavior, open ones left out. Means leave out answers from the cache; None is unknown.

    `offline` of the `runs` were answered by `offline/…` and cost nothing.
    """

    runs: int
    failed: int
    offline: int
    cost_usd: Decimal | None
    duration_ms: float | None

    @property
    def failure_rate(self) -> float:
        return self.failed / self.runs if self.runs else 0.0


def usage_query(prompts: Sequence[str], behaviors: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the query; the names of the prompts lead to the rows, there is an index on them."""
    names = {f"p{number}": name for number, name in enumerate(prompts)}
    hashes = {f"b{number}": behavior for number, behavior in enumerate(behaviors)}
    sql = f"""
SELECT r.behavior, count(*),
       sum(CASE WHEN r.status = 'failed' THEN 1 ELSE 0 END),
       sum(CASE WHEN substr(r.model, 1, 8) = 'offline/' THEN 1 ELSE 0 END),
       sum(CASE WHEN p.cached THEN NULL ELSE p.cost_microusd END),
       count(CASE WHEN p.cached THEN NULL ELSE p.cost_microusd END),
       sum(CASE WHEN p.cached OR r.status <> 'completed' THEN NULL ELSE p.duration_ms END),
       count(CASE WHEN p.cached OR r.status <> 'completed' THEN NULL ELSE p.duration_ms END)
  FROM prompt_requests AS r LEFT JOIN prompt_responses AS p ON p.prompt_id = r.id
 WHERE r.prompt IN ({", ".join(":" + name for name in names)})
   AND r.behavior IN ({", ".join(":" + name for name in hashes)})
   AND r.status NOT IN ('pending', 'running')
 GROUP BY r.behavior"""  # noqa: S608  names of parameters only
    return sql, {**names, **hashes}


def usage_of(rows: Iterable[Sequence[Any]]) -> dict[str, Usage]:
    found = {}
    for behavior, runs, failed, offline, cost, priced, duration, timed in rows:
        mean_cost = Decimal(int(cost)) / int(priced) / 1_000_000 if priced else None
        found[behavior] = Usage(
            int(runs), int(failed), int(offline), mean_cost, float(duration) / int(timed) if timed else None
        )
    return found


def summed(parts: Iterable[Usage]) -> Usage | None:
    """Return the usage of several behaviors together, means weighed by their runs; None where there is none."""
    known = list(parts)
    runs = sum(part.runs for part in known)
    if not runs:
        return None
    costs = [(part.cost_usd, part.runs) for part in known if part.cost_usd is not None]
    times = [(part.duration_ms, part.runs) for part in known if part.duration_ms is not None]
    return Usage(
        runs,
        sum(part.failed for part in known),
        sum(part.offline for part in known),
        sum((cost * weight for cost, weight in costs), Decimal(0)) / sum(weight for _, weight in costs)
        if costs
        else None,
        sum(time * weight for time, weight in times) / sum(weight for _, weight in times) if times else None,
    )
