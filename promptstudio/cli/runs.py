"""`ps runs`: evaluation runs of the past: list, show, compare, remove, export."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from promptstudio.cli.context import Context
from promptstudio.cli.parser import new_app
from promptstudio.errors import NothingSelected, UsageError
from promptstudio.evals.coding import answers_data, case_data, result_detail, run_data
from promptstudio.evals.compare import Comparison, Pair, compare_runs
from promptstudio.evals.records import CaseResult, RunRecord
from promptstudio.evals.report import report_requests, write_reports
from promptstudio.evals.schema import Outcome, Score
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.totals import OUTCOMES
from promptstudio.output.terminal import safe_cell

app = new_app(help="Evaluation runs of the past.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="Its id, the beginning of it, or last.")]


@app.command("list")
def list_runs(
    ctx: typer.Context,
    *,
    suite: Annotated[str | None, typer.Option("--suite", metavar="NAME", help="Only runs of this suite.")] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=10_000, help="How many.")] = 20,
    as_json: Json = False,
) -> int:
    """List the newest runs first."""
    context: Context = ctx.obj
    with _store(context) as store:
        runs = store.runs(suite=suite, limit=limit)
    if as_json:
        context.output.json([run_data(run) for run in runs])
        return 0
    header = ("RUN", "WHEN", "SUITE", "COMMIT", "PASS", "FAIL", "ERROR", "OTHER", "COST", "GATE", "BY")
    context.output.table([_cells(run) for run in runs], header=header if runs else None)
    if not runs:
        context.output.note(f"no runs; `{context.program} eval` makes one")
    return 0


def _store(context: Context) -> EvalStore:
    return EvalStore(store_path(context.project_settings()))


def _cells(run: RunRecord) -> tuple[str, ...]:
    counts = {outcome: int(run.totals.get(outcome, 0)) for outcome in OUTCOMES}
    other = counts["unscored"] + counts["skipped"]
    commit = f"{run.commit[:8]}{'+' if run.dirty else ''}" if run.commit else "-"
    cost = float(run.totals.get("cost_usd", 0) or 0)
    return (
        run.id[:18],
        run.created_at.astimezone().strftime("%m-%d %H:%M"),
        run.suite,
        commit,
        *(f"{counts[outcome]:,}" for outcome in ("pass", "fail", "error")),
        f"{other:,}",
        f"${cost:.4f}" if cost else "$0",
        _gate(run),
        run.user.partition(" <")[0],
    )


def _gate(run: RunRecord) -> str:
    if run.status != "finished":
        return run.status
    return "met" if run.exit_code == 0 else "missed"


@app.command("show")
def show(
    ctx: typer.Context,
    run: Run = "last",
    *,
    failed: Annotated[bool, typer.Option("--failed", help="Only what did not pass.")] = False,
    case: Annotated[str | None, typer.Option("--case", metavar="ID", help="This case, with all that is known.")] = None,
    as_json: Json = False,
) -> int:
    """Show a run: its gate, and each case; with --case the inputs, the answer and every score."""
    context: Context = ctx.obj
    outcomes: tuple[Outcome, ...] = ("fail", "error", "unscored") if failed else ()
    with _store(context) as store:
        record = store.run(run)
        results = [one for one in store.results(record, outcomes=outcomes) if case is None or one.case.id == case]
    if case is not None and not results:
        raise NothingSelected(f"the run {record.id[:18]} has no case {case!r}", hint="ps runs show RUN lists them")
    if as_json:
        context.output.json({**run_data(record), "results": [result_object(one) for one in results]})
        return 0
    _print_head(context, record)
    if case is not None:
        for one in results:
            _print_case(context, one)
        return 0
    rows = [
        (one.outcome.upper(), one.case.id, one.prompt, one.model, "" if one.outcome == "pass" else one.reason)
        for one in results
    ]
    context.output.table(rows, header=("OUTCOME", "CASE", "PROMPT", "MODEL", "REASON") if rows else None)
    return 0


def _print_head(context: Context, run: RunRecord) -> None:
    when = run.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
    context.output.line(
        f"{run.suite}  {when}  {run.user}  {(run.commit or 'no commit')[:12]}{' +' if run.dirty else ''}"
    )
    context.output.line(run.note or run.status)
    for check in run.checks:
        context.output.line(f"  {'met' if check.is_met else 'MISSED':<7}{check}")


def _print_case(context: Context, one: CaseResult) -> None:
    line = context.output.line
    line("")
    line(f"{one.outcome.upper()}  {one.case.id}  {one.prompt}  {one.model}  repeat {one.repeat + 1}")
    for name, value in one.case.inputs.items():
        line(f"  {name}: {safe_cell(str(value))}")
    for number, answer in enumerate(one.answers, 1):
        line(f"  answer{f' {number}' if len(one.answers) > 1 else ''}:")
        for text in (answer.text or "(no text)").splitlines():
            line(f"    {text}")
    if one.error is not None:
        line(f"  error: {one.error.kind}: {one.error.message}")
    for text in _score_lines(one.scores, 1):
        line(text)


def _score_lines(scores: tuple[Score, ...], depth: int) -> Iterator[str]:
    for score in scores:
        value = f" {score.score:.3g}" if score.score is not None else ""
        reason = f": {score.reason}" if score.reason else ""
        yield f"{'  ' * depth}{score.outcome} {score.name}{value}{reason}"
        yield from _score_lines(score.children, depth + 1)


def result_object(one: CaseResult) -> dict[str, Any]:
    """Return a result as JSON data."""
    return {
        "case": case_data(one.case),
        "prompt": one.prompt,
        "model": one.model,
        "repeat": one.repeat,
        "outcome": one.outcome,
        "score": one.score,
        "answers": answers_data(one.answers),
        "cost_usd": None if one.cost_usd is None else str(one.cost_usd),
        "latency_ms": one.latency_ms,
        "cached": one.cached or one.reused,
        **result_detail(one),
    }


@app.command("compare")
def compare(ctx: typer.Context, old: Run, new: Run = "last", *, as_json: Json = False) -> int:
    """Compare two runs case by case: what broke first, then what was mended; cases only one of them has are listed."""
    context: Context = ctx.obj
    with _store(context) as store:
        found = compare_runs(store, store.run(old), store.run(new))
    if as_json:
        context.output.json(_comparison_object(found))
        return 0
    _print_comparison(context, found)
    return 0


def _print_comparison(context: Context, found: Comparison) -> None:
    output = context.output
    if found.old.suite_digest != found.new.suite_digest:
        output.labeled(
            "warning", "the suite judged differently in the two runs: outcomes may differ for that", "yellow"
        )
    for title, pairs in (("broke", found.broke), ("mended", found.mended), ("changed", found.changed)):
        output.table([(title, pair.case, pair.prompt, pair.model, _change(pair)) for pair in pairs])
    for title, results in (("only in the first", found.only_old), ("only in the second", found.only_new)):
        output.table([(title, one.case.id, one.prompt, one.model, one.outcome) for one in results])
    output.line(
        f"{len(found.broke)} broke, {len(found.mended)} mended, {found.same} alike; "
        f"pass rate {_rate(found.old)} → {_rate(found.new)}, cost ${_cost(found.old):.4f} → ${_cost(found.new):.4f}"
    )


def _change(pair: Pair) -> str:
    reason = f": {pair.reason}" if pair.reason else ""
    return f"{pair.old} → {pair.new}{reason}"


def _rate(run: RunRecord) -> str:
    rate = run.totals.get("pass_rate")
    return "?" if rate is None else f"{rate:.1%}"


def _cost(run: RunRecord) -> float:
    return float(run.totals.get("cost_usd", 0) or 0)


def _comparison_object(found: Comparison) -> dict[str, Any]:
    def pairs(items: tuple[Pair, ...]) -> list[dict[str, Any]]:
        return [
            {"case": one.case, "prompt": one.prompt, "model": one.model, "repeat": one.repeat,
             "old": one.old, "new": one.new, "reason": one.reason}
            for one in items
        ]  # fmt: skip

    def lone(items: tuple[CaseResult, ...]) -> list[dict[str, Any]]:
        return [
            {"case": one.case.id, "prompt": one.prompt, "model": one.model, "outcome": one.outcome} for one in items
        ]

    return {
        "old": run_data(found.old),
        "new": run_data(found.new),
        "same_suite": found.old.suite_digest == found.new.suite_digest,
        "broke": pairs(found.broke),
        "mended": pairs(found.mended),
        "changed": pairs(found.changed),
        "alike": found.same,
        "only_old": lone(found.only_old),
        "only_new": lone(found.only_new),
    }


@app.command("rm")
def remove(
    ctx: typer.Context, runs: Annotated[list[str], typer.Argument(metavar="RUN...")], *, as_json: Json = False
) -> int:
    """Remove runs, and the answers no other run has."""
    context: Context = ctx.obj
    with _store(context) as store:
        ids = [store.run(run).id for run in runs]
        removed = store.remove(ids)
    if as_json:
        context.output.json({"removed": removed})
    else:
        context.output.note(f"removed {removed}")
    return 0


@app.command("export")
def export(
    ctx: typer.Context,
    run: Run = "last",
    *,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="FORMAT[:FILE]", help="json, jsonl, junit, markdown, csv or html. Repeatable."),
    ] = None,
) -> int:
    """Write a run in the formats of `ps eval --report`."""
    context: Context = ctx.obj
    if not to:
        raise UsageError("to what format?", hint="ps runs export last --to html:report.html")
    requests = report_requests(to, {})
    with _store(context) as store:
        write_reports(requests, store, store.run(run), shown=context.output.note)
    return 0
