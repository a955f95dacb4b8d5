"""Several comparisons of one gate → verdicts that many looks do not make lucky. Pure, standard library alone.

Claims of change, improved and regressed, are each adjusted by Holm over the gating metrics: with ten metrics one of
them would look changed by luck once in three runs otherwise. "No worse" is not: a gate that needs every metric to be no
worse is passed by a candidate that is worse in one of them no more often than that one test errs (intersection–union).

Sources: Holm 1979, Scandinavian Journal of Statistics 6:65; Berger 1982, Technometrics 24:295.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from promptstudio.evals.statistics.schema import Comparison, Holm


def holm(p_values: Sequence[float], *, alpha: float = 0.05) -> tuple[Holm, ...]:
    """Return each p-value with Holm's adjusted one, at most 1, and whether it is claimed at `alpha`; order is kept.

    Raises ValueError for a value outside [0, 1].
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError("p-values lie between 0 and 1")
    adjusted = [1.0] * len(p_values)
    reached = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda one: p_values[one])):
        reached = max(reached, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = reached
    return tuple(Holm(p, one, one <= alpha) for p, one in zip(p_values, adjusted, strict=True))


def settle_family(comparisons: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """Return the comparisons of one gate with verdicts that hold for all of them together.

    `p_better` and `p_worse` become Holm's adjusted ones. A change that does not survive is "no worse" where the
    interval says so, else inconclusive, and its `note` says why.
    """
    better = _adjusted({name: one.p_better for name, one in comparisons.items()})
    worse = _adjusted({name: one.p_worse for name, one in comparisons.items()})
    return {name: _settled(one, better[name], worse[name]) for name, one in comparisons.items()}


def _adjusted(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    known = {name: p for name, p in p_values.items() if p is not None}
    found = {name: one.adjusted for name, one in zip(known, holm(list(known.values())), strict=True)}
    return {name: found.get(name) for name in p_values}


def _settled(one: Comparison, better: float | None, worse: float | None) -> Comparison:
    level = (1 - one.interval.confidence) / 2
    claim = better if one.verdict == "improved" else worse if one.verdict == "regressed" else 0.0
    settled = replace(one, p_better=better, p_worse=worse)
    if claim is not None and claim <= level:
        return settled
    note = f"{one.verdict} by itself, not among so many metrics (Holm)"
    is_within = one.p_no_worse is not None and one.p_no_worse <= level and one.verdict == "improved" and one.margin > 0
    return replace(settled, verdict="no worse" if is_within else "inconclusive", note=note)
