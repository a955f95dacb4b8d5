"""A stored run as lines: what to conclude, what broke since its baseline, its checks, its figures, and who judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from promptstudio.cli.context import Context
from promptstudio.cli.eval_against import print_against
from promptstudio.evals.calibrations import agreement_text, judging_lines
from promptstudio.evals.gate import Check
from promptstudio.evals.records import RunRecord
from promptstudio.evals.report.against import Held, held_of
from promptstudio.evals.report.sure import confidence_of, repeated_figures, sure_figures
from promptstudio.evals.schema import Score
from promptstudio.output.terminal import safe_cell


def print_head(context: Context, run: RunRecord) -> None:
    """Print what a run came to. One of an older version has no intervals, and then nothing is said of them."""
    output = context.output
    when = run.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
    output.line(f"{run.suite}  {when}  {run.user}  {(run.commit or 'no commit')[:12]}{' +' if run.dirty else ''}")
    output.line(run.note or run.status)
    held = held_of(run.totals)
    if held is not None:
        print_against(context, run.totals["against"])
    for check in run.checks:
        output.line(safe_cell(f"  {check_line(check)}"))
    if held is not None:
        _print_compared(context, held)
    _print_figures(context, run)
    for text in judge_lines(run):
        output.line(safe_cell(f"  {text}"))


def check_line(check: Check) -> str:
    """`met     pass_rate 95.0% (95% interval 83.5% to 98.6%), wanted at least 90.0%`."""
    mark = "met" if check.is_met else "MISSED"
    if check.is_inconclusive:
        mark = "unsure" if check.is_met else "UNSURE"
    scope = f"{check.scope}: " if check.scope else ""
    note = f" ({check.note})" if check.note else ""
    return f"{mark:<7} {scope}{check.name} {check.found}{note}, wanted {check.wanted}"


def _print_compared(context: Context, held: Held) -> None:
    of = ("OF",) if held.is_several else ()
    header = (*of, "FIGURE", held.named.upper(), "NOW", "DIFFERENCE", f"{held.confidence} INTERVAL", "VERDICT")
    rows = [
        (*((pairing.target,) if of else ()), one.name, one.baseline, one.now, one.difference, one.interval, one.verdict)
        for pairing in held.pairings
        for one in pairing.figures
    ]
    context.output.table(rows, header=header if rows else None)


def _print_figures(context: Context, run: RunRecord) -> None:
    """Print each figure with its interval, and of repeats how sure the cases are of themselves."""
    figures = sure_figures(run.totals)
    is_several = any(row.target for row in figures)
    of = ("OF",) if is_several else ()
    rows = [(*((row.target or "all",) if of else ()), row.name, row.value, row.interval, row.cases) for row in figures]
    header = (*of, "FIGURE", "VALUE", f"{confidence_of(run.totals)} INTERVAL", "CASES")
    context.output.table(rows, header=header if rows else None)
    for row in repeated_figures(run.totals):
        said = ", ".join(f"{name} {value}" for name, value in row.figures)
        context.output.line(safe_cell(f"  repeats{f' of {row.target}' if row.target else ''}: {said}"))


def judge_lines(run: RunRecord) -> Iterator[str]:
    """Yield who judged: how far each agrees with people, or at least its name and that it was pinned."""
    rows = run.totals.get("judges") or ()
    yield from judging_lines(rows)
    told = {row["judge"] for row in rows}
    yield from (f"judged by {name}" for name in run.judge if name not in told)


def score_lines(scores: tuple[Score, ...], judges: Mapping[str, Mapping[str, Any]], depth: int = 1) -> Iterator[str]:
    """Yield a line a score, with its engine, its judge and what that took.

    `judges` has by settings hash what is known of the judges of the run.
    """
    for score in scores:
        value = f" {score.score:.3g}" if score.score is not None else ""
        by = f" (by {made})" if (made := _made_by(score, judges.get(score.settings_hash or ""))) else ""
        reason = f": {score.reason}" if score.reason else ""
        yield f"{'  ' * depth}{score.outcome} {score.name}{value}{by}{reason}"
        yield from score_lines(score.children, judges, depth + 1)


def _made_by(score: Score, known: Mapping[str, Any] | None) -> str:
    """Return who judged, with engine and cost; nothing for what was counted, which names its engine itself."""
    if not score.judge:
        return ""
    judge = score.judge if known is None else f"{score.judge}: {agreement_text(known)}"
    engine = " ".join(filter(None, (score.engine, score.engine_version)))
    cost = f"${float(score.cost_usd):.4f}" if score.cost_usd else ""
    return ", ".join(filter(None, (judge, engine, cost)))
