"""A comparison as text: each side against the first, all of them in a Pareto picture, and which one to take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from promptstudio.cli.ab_winner import Promotion
from promptstudio.cli.compare_view import paired_object, print_paired
from promptstudio.cli.context import Context
from promptstudio.cli.label_moves import label_object
from promptstudio.evals.ab import Contest, Standing, amount_of
from promptstudio.evals.evaluate import Finished
from promptstudio.evals.gate import share_text

PLOT_WIDTH, PLOT_HEIGHT = 44, 8


def print_contest(context: Context, contest: Contest) -> None:
    """Print the sides against the first one, flips first, then the picture of all, then the sentence."""
    output = context.output
    first = contest.standings[0]
    for duel in contest.duels:
        output.heading(f"{duel.side.title} against {first.title}, {_cases(duel.paired.comparisons)}", "bold")
        print_paired(context, duel.paired, first.letter, duel.side.letter)
        output.line()
    if len(contest.standings) > 2:
        _print_picture(context, contest.standings)
    output.line(contest.recommendation.sentence)


def _cases(comparisons: Mapping[str, Any]) -> str:
    pairs = max((one.n_pairs for one in comparisons.values()), default=0)
    return "1 case" if pairs == 1 else f"{pairs:,} cases"


def _print_picture(context: Context, standings: Sequence[Standing]) -> None:
    output = context.output
    output.table(
        [_row(each) for each in standings], header=("SIDE", "", "PASS RATE", "COST A CASE", "LATENCY", "PARETO")
    )
    output.line()
    for line in pareto_lines(standings):
        output.line(line)
    output.line()


def _row(each: Standing) -> tuple[str, ...]:
    place = "front" if each.on_front else f"dominated by {each.is_beaten_by}" if each.is_beaten_by else "dominated"
    return (each.letter, each.entrant.side.name, *_amounts(each), place)


def _amounts(each: Standing) -> tuple[str, str, str]:
    return (
        "-" if each.quality is None else share_text(each.quality),
        "not known" if each.cost_usd is None else amount_of(each.cost_usd, "$"),
        "not known" if each.latency_ms is None else amount_of(each.latency_ms, "ms"),
    )


def pareto_lines(standings: Sequence[Standing]) -> Iterator[str]:
    """Draw quality over cost, or over latency where costs do not differ; a dominated side is a small letter.

    Sides on one spot share it as `*`; the table above has them all.
    """
    across, unit = _axis(standings)
    points = [(each, x, each.quality) for each, x in zip(standings, across, strict=True)]
    drawn = [(each, x, y) for each, x, y in points if x is not None and y is not None]
    if len(drawn) < 2:
        return
    lowest, highest = min(y for _, _, y in drawn), max(y for _, _, y in drawn)
    left, right = min(x for _, x, _ in drawn), max(x for _, x, _ in drawn)
    grid = [[" "] * PLOT_WIDTH for _ in range(PLOT_HEIGHT)]
    for each, x, y in drawn:
        row, column = PLOT_HEIGHT - 1 - _step(y, lowest, highest, PLOT_HEIGHT), _step(x, left, right, PLOT_WIDTH)
        mark = each.letter if each.on_front else each.letter.lower()
        grid[row][column] = mark if grid[row][column] == " " else "*"
    labels = (
        {0: share_text(highest), PLOT_HEIGHT - 1: share_text(lowest)} if highest > lowest else {0: share_text(highest)}
    )
    for number, line in enumerate(grid if highest > lowest else [grid[PLOT_HEIGHT - 1]]):
        yield f"{labels.get(number, ''):>6} │{''.join(line)}".rstrip()
    yield f"{'':>6} └{'─' * PLOT_WIDTH}"
    ends = (amount_of(left, unit), amount_of(right, unit))
    yield f"{'':>8}{ends[0]}{' ' * max(1, PLOT_WIDTH - len(ends[0]) - len(ends[1]))}{ends[1]}"
    yield f"{'':>8}pass rate over {'cost' if unit == '$' else 'latency'}; a small letter is dominated"


def _axis(standings: Sequence[Standing]) -> tuple[list[float | None], str]:
    costs = [each.cost_usd for each in standings]
    if len({cost for cost in costs if cost is not None}) > 1:
        return costs, "$"
    return [each.latency_ms for each in standings], "ms"


def _step(value: float, lowest: float, highest: float, steps: int) -> int:
    return 0 if highest <= lowest else round((value - lowest) / (highest - lowest) * (steps - 1))


# -- as data


def contest_object(
    contest: Contest, finished: Finished, suite: str, promotion: Promotion | None = None, exit_code: int = 0
) -> dict[str, Any]:
    """Return a comparison as JSON data."""
    found = contest.recommendation
    return {
        "suite": suite,
        "run": finished.run.id,
        "sides": [_side_object(each) for each in contest.standings],
        "comparisons": [
            {"side": duel.side.letter, "against": contest.standings[0].letter, "relation": duel.relation}
            | dict(paired_object(duel.paired))
            for duel in contest.duels
        ],
        "recommendation": {
            "winner": None if found.winner is None else found.winner.letter,
            "is_better": found.is_better,
            "sentence": found.sentence,
        },
        "promotion": None if promotion is None else _promotion_object(promotion),
        "cost_usd": str(finished.totals.cost_usd),
        "exit_code": exit_code,
    }


def _side_object(each: Standing) -> dict[str, Any]:
    side = asdict(each.entrant.side)
    return {
        "letter": each.letter,
        "kind": each.entrant.kind,
        **side,
        "model": each.model,
        "figures": dict(each.figures),
        "pass_rate": each.quality,
        "cost_usd": each.cost_usd,
        "latency_ms": each.latency_ms,
        "cases": each.cases,
        "missing": each.missing,
        "on_front": each.on_front,
        "dominated_by": each.is_beaten_by,
    }


def _promotion_object(promotion: Promotion) -> dict[str, Any]:
    if promotion.made is None:
        return {"refused": promotion.refused}
    [move] = promotion.made.moves
    return {"prompt": move.prompt, "label": move.label, "changed": move.is_needed, "new": label_object(move.new)}
