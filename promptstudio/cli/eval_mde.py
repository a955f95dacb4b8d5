"""`ps eval --mde`: how many cases and repeats it takes to see a difference, in a table. Nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from promptstudio.cli.context import Context
from promptstudio.config import Settings
from promptstudio.evals.mde import Sized, Sizes, sizes_of
from promptstudio.evals.statistics.sentence import amount
from promptstudio.evals.suite import load_suite


def print_sizes(context: Context, settings: Settings, paths: Sequence[Path], mde: float, *, as_json: bool) -> int:
    """Print what each suite takes."""
    found = [sizes_of(load_suite(path, settings), mde, settings) for path in paths]
    if as_json:
        context.output.json([asdict(sizes) for sizes in found])
        return 0
    for sizes in found:
        context.output.line(f"{sizes.suite}: to see {amount(mde, 'points')} four times out of five{_from(sizes)}")
        context.output.table([_cells(one) for one in sizes.sized], header=("FIGURE", "HELD AGAINST", *_columns(sizes)))
        context.output.line(_said(sizes))
        if not sizes.flake:
            context.output.note("no case was asked twice and answered differently: repeats are taken to add nothing")
    return 0


def _from(sizes: Sizes) -> str:
    if sizes.run is None:
        return f", guessing a pass rate of {sizes.rate:.0%}: the suite has no run yet"
    flake = f", {sizes.flake:.0%} of the variance within cases" if sizes.flake else ""
    return f", from the {sizes.cases:,} cases of run {sizes.run[:18]} (pass rate {sizes.rate:.0%}{flake})"


def _columns(sizes: Sizes) -> list[str]:
    repeats = sorted(one.repeats for one in sizes.sized[0].plan.options)
    return ["CASES, ASKED ONCE", *(f"{count} TIMES" for count in repeats[1:])]


def _cells(one: Sized) -> tuple[str, ...]:
    options = sorted(one.plan.options, key=lambda option: option.repeats)
    return (one.figure, "a baseline" if one.compared else "its limit", *(f"{each.cases:,}" for each in options))


def _said(sizes: Sizes) -> str:
    """Say whether the cases there are will do."""
    compared = next(one.plan for one in sizes.sized if one.compared)
    if sizes.cases is None:
        return f"so a comparison takes {compared.options[0].cases:,} cases"
    if compared.chosen is None:
        return f"{sizes.cases:,} cases are too few for a comparison, however often each is asked"
    if compared.chosen.repeats == 1:
        return f"the {sizes.cases:,} cases there are will do for a comparison"
    return (
        f"the {sizes.cases:,} cases there are will do for a comparison if each is asked {compared.chosen.repeats} times"
    )
