"""How a suite ended: a table of prompts and models, the gate's checks, one sentence. And what a plan comes to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from promptstudio.cli.context import Context
from promptstudio.cli.eval_against import print_against
from promptstudio.cli.eval_view import Parts, cost_text
from promptstudio.cli.runs_view import check_line
from promptstudio.evals.calibrations import judging_lines
from promptstudio.evals.coding import run_data
from promptstudio.evals.evaluate import Finished
from promptstudio.evals.forecast import Forecast
from promptstudio.evals.gate import share_text
from promptstudio.evals.plan import Plan
from promptstudio.evals.preflight import Preflight
from promptstudio.evals.totals import OUTCOMES, Totals
from promptstudio.output.terminal import safe_cell
from promptstudio.providers.ngrams import OFFLINE_EMBEDDING

# The exit codes of several suites → the one to return: what says most about what to do comes first.
_WORST = (130, 4, 2, 3, 5, 1, 6, 0)
_HEADER = ("PROMPT", "MODEL", *(outcome.upper() for outcome in OUTCOMES), "RATE", "COST", "P50", "P95", "CACHED")


def worst_of(codes: Sequence[int]) -> int:
    """Return the exit code of several suites together."""
    return next((code for code in _WORST if code in codes), 0)


def print_end(context: Context, finished: Finished, parts: Parts) -> None:
    """Print the table, each check of the gate, and the sentence a reviewer should take away."""
    output = context.output
    rows = [(prompt, model, *_cells(totals)) for (prompt, model), totals in parts.items()]
    keep = [index for index in range(len(_HEADER)) if index < 4 or any(row[index] not in ("0", "-") for row in rows)]
    output.table([tuple(row[index] for index in keep) for row in rows], header=tuple(_HEADER[index] for index in keep))
    print_against(context, finished.run.totals.get("against", {}))
    for check in finished.checks if finished.run.status == "finished" else ():  # half a run has met no gate
        output.line(check_line(check))
    output.line(finished.sentence)
    for line in judging_lines(finished.run.totals.get("judges", ())):
        output.note(safe_cell(line))
    output.note(f"run {finished.run.id} · {cost_text(finished.totals)}")


def _cells(totals: Totals) -> tuple[str, ...]:
    rate = totals.figure("pass_rate")
    cost = totals.figure("cost_usd")
    return (
        *(f"{totals.counts[outcome]:,}" for outcome in OUTCOMES),
        share_text(rate) if rate is not None else "-",
        f"${cost:.4f}" if cost else "-",
        *(_ms(totals.latency_ms(share)) for share in (0.5, 0.95)),
        f"{totals.cached:,}",
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} ms"


def object_of(finished: Finished) -> dict[str, Any]:
    """Return a run that ended as JSON data."""
    return {**run_data(finished.run), "sentence": finished.sentence}


def print_forecasts(
    context: Context,
    prepared: Sequence[tuple[Plan, Preflight]],
    forecasts: Sequence[Sequence[Forecast]],
    *,
    as_json: bool,
) -> None:
    """Print what was looked at, and what the calls would come to."""
    if as_json:
        pairs = zip(prepared, forecasts, strict=True)
        context.output.json([_plan_object(plan, found, rows) for (plan, found), rows in pairs])
        return
    for (plan, found), rows in zip(prepared, forecasts, strict=True):
        context.output.line(
            f"{plan.suite.shown}: {_cases(found.cases)}, {found.tasks:,} to judge, nothing to complain about"
        )
        for model, count in found.comparisons.items():
            context.output.line(f"embeddings: {_comparisons(count)} by {model}{_calls_at_most(model, count)}")
        for text in found.not_checked:
            context.output.labeled("warning", f"not checked: {text}", "yellow")
        for text in found.warnings:
            context.output.labeled("warning", text, "yellow")
        if rows:
            header = ("PROMPT", "MODEL", "CALLS", "STORED", "CACHED", "TO ASK", "INPUT TOKENS", "OUTPUT TOKENS", "COST")
            context.output.table([_forecast_cells(row) for row in rows], header=header)


def _comparisons(count: int) -> str:
    return "1 comparison" if count == 1 else f"{count:,} comparisons"


def _calls_at_most(model: str, count: int) -> str:
    return ", without a call" if model == OFFLINE_EMBEDDING else f", at most {count:,} call{'s' if count > 1 else ''}"


def _forecast_cells(row: Forecast) -> tuple[str, ...]:
    out = "not known" if row.output_tokens is None else f"{row.output_tokens:,}"
    cost = "not known" if row.cost_usd is None else f"${row.cost_usd:.4f}"
    counts = (row.calls, row.stored, row.cached + row.replayed, row.asked, row.input_tokens)
    return (row.prompt, row.model, *(f"{count:,}" for count in counts), out, cost)


def _plan_object(plan: Plan, found: Preflight, rows: Sequence[Forecast]) -> dict[str, Any]:
    return {
        "suite": plan.suite.name,
        "file": plan.suite.shown,
        "cases": found.cases,
        "tasks": found.tasks,
        "embeddings": dict(found.comparisons),
        "not_checked": list(found.not_checked),
        "warnings": list(found.warnings),
        "targets": [
            {
                "prompt": row.prompt,
                "model": row.model,
                "embeds": row.embeds,
                "judges": row.judges,
                "calls": row.calls,
                "stored": row.stored,
                "cached": row.cached,
                "replayed": row.replayed,
                "asked": row.asked,
                "input_tokens": row.input_tokens,
                "output_tokens": row.output_tokens,
                "cost_usd": None if row.cost_usd is None else str(row.cost_usd),
            }
            for row in rows
        ],
    }


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count:,} cases"
