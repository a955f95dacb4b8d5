"""Candidates with quality, cost and latency → those that no other one beats. Pure, standard library alone."""

from __future__ import annotations

from collections.abc import Sequence

from promptstudio.evals.statistics.schema import Point


def pareto_front(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the points no other one dominates, in the order given: quality up, cost and latency down.

    A point dominates another if it is nowhere worse and somewhere better; equal points both stay. A point that lacks a
    figure neither dominates nor is dominated by one that has it.
    """
    return tuple(point for point in points if not any(_dominates(other, point) for other in points))


def _dominates(one: Point, other: Point) -> bool:
    pairs = [(one.quality, other.quality)]
    for mine, theirs in ((one.cost_usd, other.cost_usd), (one.latency_ms, other.latency_ms)):
        if (mine is None) != (theirs is None):
            return False
        if mine is not None and theirs is not None:
            pairs.append((-mine, -theirs))
    return all(mine >= theirs for mine, theirs in pairs) and any(mine > theirs for mine, theirs in pairs)
