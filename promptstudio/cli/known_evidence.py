"""Evaluations of a behavior, from the lock file and from this machine's history, as one."""

from __future__ import annotations

from collections.abc import Iterable

from promptstudio.config import Settings
from promptstudio.history.schema import EvaluationRow
from promptstudio.history.store import open_history
from promptstudio.versions.stanza import Evidence, Lock, evidence_order, is_passing

MAX_READ = 100


def evidence_in_history(settings: Settings, behaviors: Iterable[str]) -> dict[str, tuple[Evidence, ...]]:
    """Return what the history knows of behaviors; none where there is no history."""
    with open_history(settings) as history:
        return {
            behavior: tuple(
                evidence_of(row) for row in reversed(history.evaluations(behavior=behavior, limit=MAX_READ))
            )
            for behavior in dict.fromkeys(behaviors)
        }


def evidence_of(row: EvaluationRow) -> Evidence:
    return Evidence(
        suite=row.suite,
        cases=row.cases,
        passed=row.passed,
        failed=row.failed,
        gate=row.gate,
        at=row.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        errors=row.errors,
        unscored=row.unscored,
        run=row.run_id or row.id,
        model=row.model,
        commit=row.commit,
    )


def known_evidence(lock: Lock, settings: Settings, behaviors: Iterable[str]) -> dict[str, tuple[Evidence, ...]]:
    """Return what the lock file and the history know of behaviors, oldest first."""
    wanted = list(dict.fromkeys(behaviors))
    local = evidence_in_history(settings, wanted)
    found = {}
    for behavior in wanted:
        recorded = (one for stanza in lock.prompts.values() for one in stanza.evidence(behavior))
        found[behavior] = tuple(sorted(dict.fromkeys((*recorded, *local[behavior])), key=evidence_order))
    return found


def evidence_text(evidence: Iterable[Evidence]) -> str:
    """Return one line on what is known: `evaluated: evals/triage 38 of 40 passed, gate missed`."""
    newest = {one.suite: one for one in sorted(evidence, key=evidence_order)}
    if not newest:
        return "not evaluated"
    said = "; ".join(f"{one.suite} {one.passed} of {one.cases} passed, gate {one.gate}" for one in newest.values())
    return f"evaluated: {said}" if is_passing(newest.values()) else f"evaluated, and not passing: {said}"
