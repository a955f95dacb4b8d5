"""`ps runs`: evaluation runs of the past: list, show, compare, remove, export."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from promptstudio.cli.compare_view import figures_of_runs, paired_object, print_figures
from promptstudio.cli.context import Context
from promptstudio.cli.eval_options import AcrossEngines, check_texts
from promptstudio.cli.parser import new_app
from promptstudio.cli.runs_trend import trend
from promptstudio.cli.runs_view import print_head, score_lines
from promptstudio.errors import NotFoundError, NothingSelected, UsageError
from promptstudio.evals.calibrations import with_news
from promptstudio.evals.coding import answers_data, case_data, result_detail, run_data
from promptstudio.evals.compare import Comparison, Pair, compare_runs
from promptstudio.evals.records import CaseResult, RunRecord
from promptstudio.evals.report import report_requests, write_reports
from promptstudio.evals.report.against import held_of, since_text
from promptstudio.evals.report.formats import FORMATS
from promptstudio.evals.schema import Outcome
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.totals import OUTCOMES
from promptstudio.output.terminal import safe_cell

app = new_app(help="Evaluation runs of the past.")
app.command("trend")(trend)
_FORMATS = [row.name for row in FORMATS if row.suffixes]
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


def _run(store: EvalStore, name: str) -> RunRecord:
    """Return a run. An empty name is refused: it is the beginning of every id, and of the only run there is."""
    check_texts({"RUN": [name]})
    return store.run(name)


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
    if "ab" in run.totals:
        return "-"  # sides were held against each other
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
        record = with_news(_run(store, run), context.project_settings())
        results = [one for one in store.results(record, outcomes=outcomes) if case is None or one.case.id == case]
    if case is not None and not results:
        raise NothingSelected(f"the run {record.id[:18]} has no case {case!r}", hint="ps runs show RUN lists them")
    if as_json:
        context.output.json({**run_data(record), "results": [result_object(one) for one in results]})
        return 0
    print_head(context, record)
    context.output.line()
    if case is not None:
        for one in results:
            _print_case(context, one, record)
        return 0
    rows = [
        (one.outcome.upper(), one.case.id, one.prompt, one.model, "" if one.outcome == "pass" else one.reason)
        for one in results
    ]
    context.output.table(rows, header=("OUTCOME", "CASE", "PROMPT", "MODEL", "REASON") if rows else None)
    return 0


def _print_case(context: Context, one: CaseResult, run: RunRecord) -> None:
    line = context.output.line
    line("")
    line(f"{one.outcome.upper()}  {one.case.id}  {one.prompt}  {one.model}  repeat {one.repeat + 1}")
    for name, value in one.case.inputs.items():
        line(f"  {name}: {safe_cell(str(value))}")
    for number, answer in enumerate(one.answers, 1):
        turn = one.case.turns[number - 1] if number <= len(one.case.turns) else {}
        for name, value in turn.get("inputs", {}).items():
            line(f"  turn {number}: {name}: {safe_cell(str(value))}")
        line(f"  answer{f' {number}' if len(one.answers) > 1 else ''}:")
        for text in (answer.text or "(no text)").splitlines():
            line(f"    {text}")
    if one.error is not None:
        line(f"  error: {one.error.kind}: {one.error.message}")
    held = held_of(run.totals)
    if since := since_text(held, one):
        line(f"  {since}")
    judges = {row["settings_hash"]: row for row in run.totals.get("judges", ())}
    for text in score_lines(one.scores, judges):
        line(text)


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
def compare(
    ctx: typer.Context,
    old: Annotated[
        str | None, typer.Argument(metavar="OLD", help="A run. Default: the one before NEW, of the same suite.")
    ] = None,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its id, the beginning of it, or last.")] = "last",
    *,
    margin: Annotated[
        float, typer.Option("--margin", min=0, max=1, metavar="DIFF", help="How much worse is as good: 0.02.")
    ] = 0.0,
    across_engines: AcrossEngines = False,
    as_json: Json = False,
) -> int:
    """Compare two runs: what broke first, what was mended, then each figure with its difference and interval.

    Pairs are made by case id; cases only one of them has are listed. Scores of different engines, versions, settings or
    judges are not compared, unless --across-engines is given.
    """
    context: Context = ctx.obj
    with _store(context) as store:
        after = _run(store, new)
        before = _run(store, old) if old is not None else _before(store, after)
        if before.id == after.id:
            hint = "name an earlier run, or none: then it is the one before"
            raise UsageError(f"{before.id[:18]} is both of the runs to compare", hint=hint)
        found = compare_runs(store, before, after)
        paired, missing = figures_of_runs(store, before, after, margin=margin, across_engines=across_engines)
    if as_json:
        figures = None if paired is None else [paired_object(one) for one in paired]
        context.output.json({**_comparison_object(found), "figures": figures})
        return 0
    _print_comparison(context, found)
    print_figures(context, paired, missing)
    return 0


def _before(store: EvalStore, run: RunRecord) -> RunRecord:
    """Return the run of the same suite before this one."""
    runs = store.runs(suite=run.suite, limit=10_000)
    earlier = [one for one in runs if one.id < run.id]
    if not earlier:
        raise NotFoundError(f"there is no run of {run.suite} before {run.id[:18]}", hint="ps runs list shows them")
    return earlier[0]


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
        ids = [_run(store, run).id for run in runs]
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
        typer.Option("--to", metavar="FORMAT[:FILE]", help=f"{', '.join(_FORMATS)}. Repeatable."),
    ] = None,
    format_name: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="Short for --to FORMAT, with the file of -o.")
    ] = None,
    out: Annotated[str | None, typer.Option("-o", "--out", metavar="FILE", help="The file of --format.")] = None,
) -> int:
    """Write a run in the formats of `ps eval --report`, or as DeepEval, RAGAS and pandas read it."""
    context: Context = ctx.obj
    if out is not None and format_name is None:
        raise UsageError("-o is the file of --format", hint="ps runs export last --format ragas -o FILE")
    asked = [*(to or ()), *([f"{format_name}:{out}" if out is not None else format_name] if format_name else [])]
    if not asked:
        raise UsageError("to what format?", hint="ps runs export last --to html:report.html")
    requests = report_requests(asked, {})
    with _store(context) as store:
        record = with_news(_run(store, run), context.project_settings())
        write_reports(requests, store, record, shown=context.output.note)
    return 0
