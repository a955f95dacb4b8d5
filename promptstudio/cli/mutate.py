"""`ps mutate`: the stored answers of a run, made wrong in known ways, to see which assertions would never notice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from promptstudio.cli import eval_options as options
from promptstudio.cli.context import Context
from promptstudio.config import Settings
from promptstudio.errors import NothingSelected, UsageError
from promptstudio.evals.assertions.assertion import Setting
from promptstudio.evals.assertions.functions import Functions
from promptstudio.evals.keeper import marked_key
from promptstudio.evals.mutate import (
    EQUIVALENT,
    AssertionRow,
    Find,
    MutateOptions,
    MutationReport,
    Noticed,
    by_mutation,
    mutate,
)
from promptstudio.evals.mutations import MUTATIONS
from promptstudio.evals.plan import Plan, Task, plan_suite
from promptstudio.evals.records import RunRecord
from promptstudio.evals.schema import Answer
from promptstudio.evals.selection import Selection
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import Suite, find_suite, load_suite


def mutate_suite(
    ctx: typer.Context,
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="Its file or name.")],
    *,
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="The run whose answers are taken. Default: the newest.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another seed chooses other fields and answers.")] = 0,
    most: Annotated[
        int | None, typer.Option("-n", "--limit", min=1, metavar="N", help="Mutate so many answers at most.")
    ] = None,
    fail_under: Annotated[
        float | None,
        typer.Option("--fail-under", metavar="SHARE", help="Exit 1 if a smaller share was noticed, 0 to 1."),
    ] = None,
    judge: Annotated[
        bool, typer.Option("--judge", help="Ask judges and embedding models too; each wrong answer costs their calls.")
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Make the answers of a run wrong and see which assertions notice. Calls no model without --judge.

    Answers that pass are emptied, cut off, negated, given wrong fields, swapped and more, and judged again by the suite
    as it is now. Exit code 0, 1 if --fail-under is missed, 2 for a mistake, 5 if there is nothing to mutate.
    """
    context: Context = ctx.obj
    if fail_under is not None and not 0 <= fail_under <= 1:
        raise UsageError(f"--fail-under {fail_under}: a share is a number from 0 to 1", hint="as in --fail-under 0.8")
    settings = context.project_settings()
    loaded = load_suite(find_suite(suite, settings, Path.cwd()), settings)
    with EvalStore(store_path(settings)) as store:
        record = _record(store, loaded, run)
        plan = _plan(loaded, record, settings)
        chosen = MutateOptions(seed, most, judged=judge)
        report = asyncio.run(_mutated(context, settings, plan, _finder(store, record), chosen))
    if not report.total:
        raise NothingSelected(_why_nothing(report, record), hint=_what_to_do(report))
    if as_json:
        context.output.json(_object(report, record, seed, fail_under))
    else:
        _print(context, report, record)
    is_missed = fail_under is not None and (report.score or 0.0) < fail_under
    if is_missed and not as_json:
        context.output.labeled("missed", f"--fail-under {fail_under:g}: {_percent(report.score)} was noticed", "red")
    return 1 if is_missed else 0


async def _mutated(
    context: Context, settings: Settings, plan: Plan, find: Find, chosen: MutateOptions
) -> MutationReport:
    functions = Functions(settings.root)
    if not chosen.judged:
        return await mutate(plan, find, Setting(functions=functions), chosen)
    from promptstudio.evals.mutate_judge import judging  # only where somebody is asked

    with judging(plan, settings, context.env, functions, context.output.note) as opened:
        report = await mutate(plan, find, opened.setting, chosen)
        bill = opened.bill
    if bill.calls:
        unpriced = f", {bill.unpriced:,} of unknown price" if bill.unpriced else ""
        context.output.note(
            f"judges were asked {bill.calls:,} times, {bill.cached:,} known: ${bill.cost_usd:.4f}{unpriced}"
        )
    return report


def _record(store: EvalStore, suite: Suite, asked: str | None) -> RunRecord:
    if asked is not None:
        return store.run(asked)
    runs = store.runs(suite=suite.name, limit=1)
    if not runs:
        raise NothingSelected(f"there is no run of {suite.name}", hint=f"ps eval {suite.shown}")
    return runs[0]


def _plan(suite: Suite, record: RunRecord, settings: Settings) -> Plan:
    models = tuple(record.options.get("models") or ())
    if not models and suite.models and set(suite.models) != set(record.models):
        models = record.models  # the suite names others by now; the answers are theirs
    return plan_suite(suite, settings, Selection(), models=models)


def _finder(store: EvalStore, record: RunRecord) -> Find:
    mark = str(record.options.get("mark", ""))

    def find(task: Task) -> tuple[Answer, ...]:
        stored = store.find_answer(marked_key(task.answer_key, mark), record)
        return stored.answers if stored is not None else ()

    return find


def _why_nothing(report: MutationReport, record: RunRecord) -> str:
    if report.failing:
        return f"none of the {report.failing:,} answers of {record.id[:18]} passes: what fails already proves nothing"
    if report.skipped and not report.rows:
        return f"every assertion was skipped: {'; '.join(f'{name}: {why}' for name, why in report.skipped.items())}"
    return f"the run {record.id[:18]} has no answer to a question of the suite"


def _what_to_do(report: MutationReport) -> str:
    return "mend the suite or the prompt first" if report.failing else "ps eval runs the suite as it is now"


# -- what is shown --------------------------------------------------------------------------------------------------


def _print(context: Context, report: MutationReport, record: RunRecord) -> None:
    output = context.output
    names = [mutation.name for mutation in MUTATIONS if mutation.name in report.mutants]
    header = ("ASSERTION", *(name.upper() for name in names), "NOTICED")
    rows = [(row.label, *(_cell(row.found.get(name)) for name in names), _share(row)) for row in report.rows]
    every = ("any of them", *(_cell(report.mutants[name]) for name in names), _percent(report.score))
    output.table([*rows, every], header=header)
    for line in _findings(report):
        output.line(line)
    output.line(
        f"{report.killed:,} of {report.total:,} wrong answers were noticed ({_percent(report.score)}), "
        f"made of {_answers(report.answers)} of run {record.id[:18]}"
    )
    output.flush()
    for note in _notes(report):
        output.note(note)


def _cell(noticed: Noticed | None) -> str:
    return "-" if noticed is None else f"{noticed.killed}/{noticed.total}"


def _share(row: AssertionRow) -> str:
    return _percent(row.killed / row.total) if row.total else "-"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _findings(report: MutationReport) -> Iterator[str]:
    if blind := [row for row in report.rows if row.notices_nothing]:
        yield "noticed nothing:"
        for row in blind:
            yield f"  {row.label}  ({row.place})"
    if strict := [row for row in report.rows if row.is_too_strict]:
        yield "stricter than it means to be (noticed white space or case):"
        for row in strict:
            yield f"  {row.label}  ({row.place})"
    if report.survivors:
        yield "passed by all:"
        for name, count in by_mutation(report).most_common():
            example = next((one for one in report.survivors if one.mutation == name), None)
            if count and example is not None:
                yield f"  {name} {count:,}×  such as {example.case}: {example.text}"


def _notes(report: MutationReport) -> Iterator[str]:
    for name, why in report.skipped.items():
        yield f"skipped: {name}: {why}"
    if report.failing:
        yield f"{_answers(report.failing)} left out: not passing already"
    if report.unanswered:
        yield f"{report.unanswered:,} cases left out: no stored answer to the question as it is now"
    if report.is_cut:
        yield "more answers are stored; --limit let them out"


def _answers(count: int) -> str:
    return "1 answer" if count == 1 else f"{count:,} answers"


def _object(report: MutationReport, record: RunRecord, seed: int, fail_under: float | None) -> dict[str, Any]:
    return {
        "run": record.id,
        "suite": record.suite,
        "seed": seed,
        "score": report.score,
        "fail_under": fail_under,
        "met": None if fail_under is None else (report.score or 0.0) >= fail_under,
        "killed": report.killed,
        "mutants": report.total,
        "answers": report.answers,
        "failing": report.failing,
        "unanswered": report.unanswered,
        "cut": report.is_cut,
        "mutations": {name: _counts(noticed, name) for name, noticed in report.mutants.items()},
        "assertions": [_row_object(row) for row in report.rows],
        "noticed_nothing": [row.label for row in report.rows if row.notices_nothing],
        "too_strict": [row.label for row in report.rows if row.is_too_strict],
        "skipped": dict(report.skipped),
        "survivors": [
            {"case": one.case, "prompt": one.prompt, "model": one.model, "repeat": one.repeat,
             "mutation": one.mutation, "text": one.text}
            for one in report.survivors
        ],
    }  # fmt: skip


def _counts(noticed: Noticed, name: str) -> dict[str, Any]:
    return {"killed": noticed.killed, "survived": noticed.survived, "equivalent": name in EQUIVALENT}


def _row_object(row: AssertionRow) -> dict[str, Any]:
    return {
        "assertion": row.label,
        "place": row.place,
        "killed": row.killed,
        "mutants": row.total,
        "mutations": {name: _counts(noticed, name) for name, noticed in row.found.items()},
    }
