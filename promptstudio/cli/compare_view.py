"""Comparisons as lines: which cases flipped first, then each figure with its difference, interval and verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptstudio.cli.context import Context
from promptstudio.errors import MissingExtraError
from promptstudio.evals.ab import SPENT, amount_of, share_of, signed, unit_of
from promptstudio.evals.compare import paired_runs
from promptstudio.evals.gate import share_text
from promptstudio.evals.paired import Paired, comparison_data
from promptstudio.evals.records import RunRecord
from promptstudio.evals.series import PASSED
from promptstudio.evals.statistics.schema import Comparison, Flip
from promptstudio.evals.statistics.sentence import conclusion, rounded_up
from promptstudio.evals.store import EvalStore
from promptstudio.output.terminal import safe_cell

MAX_FLIPS = 12
_SPENT_WORDS = {"improved": "less", "regressed": "more", "no worse": "no more", "inconclusive": "may be luck"}


def figures_of_runs(
    store: EvalStore, old: RunRecord, new: RunRecord, *, margin: float, across_engines: bool
) -> tuple[list[Paired] | None, MissingExtraError | None]:
    """Compare the figures of two runs; without scipy nothing but what is missing comes back."""
    try:
        return paired_runs(store, old, new, margin=margin, across_engines=across_engines), None
    except MissingExtraError as missing:
        return None, missing


def print_figures(context: Context, paired: Sequence[Paired] | None, missing: MissingExtraError | None) -> None:
    """Print the figures of two runs, target by target; the cases that flipped were told before."""
    output = context.output
    if missing is not None:
        output.flush()
        output.note(f"without intervals: {missing.message}; {missing.hint}")
    for one in paired or ():
        output.line()
        output.heading(one.candidate if one.candidate == one.baseline else f"{one.baseline} → {one.candidate}", "bold")
        print_table(context, one, "FIRST", "SECOND")
        for name, found in one.comparisons.items():
            if name not in SPENT:
                output.line(conclusion(found, name, unit=unit_of(name, found)))


def print_paired(context: Context, paired: Paired, old: str, new: str) -> None:
    """Print one side against another. `old` and `new` are their names in the table."""
    output = context.output
    for line in flip_lines(paired, old):
        output.line(safe_cell(line))
    print_table(context, paired, old, new)


def print_table(context: Context, paired: Paired, old: str, new: str) -> None:
    """Print each figure with its difference, interval and verdict, and which were not compared."""
    output = context.output
    rows = [figure_row(name, found) for name, found in paired.comparisons.items()]
    confidence = next((f"{one.interval.confidence:.0%} INTERVAL" for one in paired.comparisons.values()), "INTERVAL")
    output.table(rows, header=("FIGURE", old, new, "DIFFERENCE", confidence, "VERDICT"))
    for name, why in paired.refused.items():
        output.labeled(
            "warning", safe_cell(f"{name} is not compared: {why}; --across-engines does it all the same"), "yellow"
        )
    for name, found in paired.comparisons.items():
        if found.note and name not in SPENT:
            output.note(safe_cell(f"{name}: {found.note}"))


def flip_lines(paired: Paired, old: str) -> Iterator[str]:
    """Yield which cases passed there and fail here, then the other way round, then those that only one side has."""
    found = paired.comparisons.get(PASSED)
    if found is None:
        return
    for title, flips in (("broke", found.broke), ("mended", found.mended)):
        if flips:
            ordered = sorted(flips, key=lambda flip: (-abs(flip.change), natural(flip.case)))
            yield f"{title}: {named([_flip_text(flip) for flip in ordered])}"
    for side, cases in ((f"only in {old}", found.only_baseline), (f"not in {old}", found.only_candidate)):
        if cases:
            yield f"{side}: {named(sorted(cases, key=natural))}"


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts c9 before c10: cases end in any order, and are to be found again."""
    parts = re.findall(r"[0-9]{1,18}|[^0-9]+", name)
    return [(0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts]


def named(names: Sequence[str]) -> str:
    more = len(names) - MAX_FLIPS
    return ", ".join(names[:MAX_FLIPS]) + (f" and {more:,} more" if more > 0 else "")


def _flip_text(flip: Flip) -> str:
    """A case; of one with repeats how far it went."""
    if {flip.baseline, flip.candidate} <= {0.0, 1.0}:
        return flip.case
    return f"{flip.case} ({flip.baseline:.0%} → {flip.candidate:.0%})"


def figure_row(name: str, found: Comparison) -> tuple[str, ...]:
    unit = unit_of(name, found)
    old, new = (_value(name, unit, value) for value in (found.baseline_mean, found.candidate_mean))
    if found.difference is None:
        return name, old, new, "-", "-", "nothing to compare"
    difference = signed(found.difference, unit)
    if name in SPENT and not found.difference:
        return name, old, new, "none", "-", "the same"
    if name in SPENT and found.difference and found.baseline_mean:
        difference = f"{difference} ({'−' if found.difference < 0 else '+'}{share_of(found)})"
    lower, upper = found.interval.lower, found.interval.upper
    interval = "not known" if lower is None or upper is None else f"{signed(lower, unit)} to {signed(upper, unit)}"
    return name, old, new, difference, interval, _verdict(name, found)


def _value(name: str, unit: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name == PASSED:
        return share_text(value)
    if name not in SPENT:
        return f"{value:.3g}"
    return amount_of(value, unit) if value else "$0" if unit == "$" else "0 ms"


def _verdict(name: str, found: Comparison) -> str:
    if name in SPENT:
        return _SPENT_WORDS[found.verdict]
    if found.verdict == "inconclusive" and found.n_pairs and not found.broke and not found.mended:
        return "no difference"
    wanted = found.detectable.cases
    needs = f" (needs about {rounded_up(wanted):,} cases)" if wanted is not None and wanted > found.n_pairs else ""
    return f"{found.verdict}{needs}" if found.verdict == "inconclusive" else found.verdict


def paired_object(paired: Paired) -> Mapping[str, Any]:
    """Return one side against another as JSON data."""
    return {
        "baseline": paired.baseline,
        "candidate": paired.candidate,
        "figures": {
            name: {**comparison_data(found), "sentence": conclusion(found, name, unit=unit_of(name, found))}
            for name, found in paired.comparisons.items()
        },
        "refused": dict(paired.refused),
    }
