"""The stored runs of a suite → how its cases ended when each was last run."""

from __future__ import annotations

from collections.abc import Sequence

from promptstudio.evals.schema import Outcome
from promptstudio.evals.store import EvalStore

MAX_RUNS = 50


def ids_that_ended(store: EvalStore, suite: str, outcomes: Sequence[Outcome]) -> frozenset[str]:
    """Return the ids of the cases whose newest result is one of these outcomes.

    A run of some cases, or one that was stopped, says nothing of the others: for those an earlier run counts, back to
    the last whole one. So a case that failed stays one that failed until it was run again.
    """
    ids: set[str] = set()
    seen: set[tuple[str, str, str, int]] = set()
    for run in store.runs(suite=suite, limit=MAX_RUNS):
        is_whole = run.status == "finished" and not run.options.get("selection")
        for one in store.results(run, outcomes=outcomes if is_whole else ()):
            key = (one.case.id, one.prompt, one.model, one.repeat)
            if key not in seen and one.outcome in outcomes:
                ids.add(one.case.id)
            if not is_whole:
                seen.add(key)
        if is_whole:
            break
    return frozenset(ids)
