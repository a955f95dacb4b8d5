"""`ps eval`: run suites, and an exit code one can trust."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from promptstudio.cache.choose import choose_wires
from promptstudio.cli import eval_options as options
from promptstudio.cli.context import Context
from promptstudio.cli.eval_end import object_of, print_end, print_forecasts, worst_of
from promptstudio.cli.eval_repeat import repeat_of_suite, repeat_of_tests
from promptstudio.cli.eval_signals import evaluate_until_stopped
from promptstudio.cli.eval_view import EvalView
from promptstudio.cli.failure import report as tell
from promptstudio.cli.run import run_async
from promptstudio.config import Settings
from promptstudio.errors import Interrupted, NothingSelected, PromptStudioError, UserError
from promptstudio.evals.evaluate import EvalOptions, Finished, prepare
from promptstudio.evals.forecast import Forecast, forecast
from promptstudio.evals.latest import ids_that_ended
from promptstudio.evals.plan import Plan
from promptstudio.evals.preflight import Preflight
from promptstudio.evals.report import ReportRequest, report_requests, write_reports
from promptstudio.evals.runner import Limits
from promptstudio.evals.schema import Outcome
from promptstudio.evals.selection import NoneTaken, Selection
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import Suite, find_suite, load_suite, suite_paths


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a command line asks for: the suites, how they run, and the reports."""

    context: Context
    settings: Settings
    options: EvalOptions
    reports: tuple[ReportRequest, ...] = ()
    failed: bool = False
    errors: bool = False
    as_json: bool = False
    is_test: bool = False


def eval_suites(
    ctx: typer.Context,
    suites: Annotated[
        list[str] | None, typer.Argument(metavar="[SUITE]...", help="Files or names. Default: all in evals/.")
    ] = None,
    *,
    expression: options.Expression = None,
    tag: options.Tags = None,
    case: options.Cases = None,
    failed: options.Failed = False,
    errors: options.Errors = False,
    sample: options.Sample = None,
    seed: options.Seed = 0,
    first: options.First = None,
    model: options.Models = None,
    prompt: Annotated[
        list[str] | None, typer.Option("--prompt", metavar="PROMPT", help="Only this prompt of the suite. Repeatable.")
    ] = None,
    concurrency: options.Concurrency = None,
    fresh: options.Fresh = False,
    cache: options.Cache = None,
    record: options.Record = None,
    replay: options.Replay = None,
    check: Annotated[bool, typer.Option("--check", help="Look at everything; call nothing, run no code.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Print calls, tokens and cost; call nothing.")] = False,
    max_cost: options.MaxCost = None,
    max_errors: options.MaxErrors = None,
    baseline: options.Baseline = None,
    across_engines: options.AcrossEngines = False,
    sequential: options.Sequential = False,
    mde: options.Mde = None,
    report: options.Reports = None,
    no_history: options.NoHistory = False,
    watch: Annotated[bool, typer.Option("--watch", help="Run again whenever a file it depends on is saved.")] = False,
    as_json: options.Json = False,
) -> int:
    """Run evaluation suites. What is stored is not asked again: after a stop the same command goes on.

    Exit code 0 if every gate is met, 1 if one is missed, 2 for a mistake in a file or an option, 3 if a provider
    failed, 5 if nothing was selected or asserted, 6 if the cases cannot tell and the gate says that is not enough, 130
    when stopped.
    """
    context: Context = ctx.obj
    options.check_texts({"-k": [expression] if expression is not None else None, "--tag": tag, "--case": case,
                         "--prompt": prompt, "-m": model})  # fmt: skip
    options.check_texts({"--baseline": [baseline] if baseline is not None else None})
    settings = context.project_settings()
    selection = Selection(
        expression, tuple(tag or ()), tuple(case or ()), tuple(prompt or ()), (), None, first, sample, seed
    )
    chosen = Chosen(
        context,
        settings,
        EvalOptions(
            selection,
            tuple(model or ()),
            concurrency or settings.eval.get("concurrency"),
            fresh=fresh,
            wires=choose_wires(
                settings, "eval", cache=options.cache_of(cache, fresh=fresh), record=record, replay=replay
            ),
            limits=Limits(options.dollars(max_cost), max_errors),
            history=not no_history,
            baseline=baseline,
            across_engines=across_engines,
            sequential=sequential,
        ),
        report_requests(report or (), context.env),
        failed,
        errors,
        as_json,
    )
    paths = _named(suites, settings) if suites else suite_paths(settings)
    if not paths:
        raise NothingSelected("there is no suite in evals/", hint="a suite is a YAML file: ps schema suite")
    if mde is not None:
        from promptstudio.cli.eval_mde import print_sizes  # only --mde needs it

        return print_sizes(chosen.context, settings, paths, mde, as_json=as_json)
    if check or plan:
        return _look(chosen, paths, is_plan=plan)
    if watch:
        from promptstudio.cli.eval_watch import watch_suites  # only --watch needs it

        return watch_suites(context, paths, settings, partial(_run_anew, chosen))
    return run_suites(chosen, paths)


def _named(names: Sequence[str], settings: Settings) -> list[Path]:
    """Return the suites that are named; of a folder all below it. One that is named twice runs once."""
    found: dict[Path, Path] = {}
    for name in names:
        folder = Path(name).expanduser()
        if name.strip() and folder.is_dir():
            here = [path for path in suite_paths(settings) if path.resolve().is_relative_to(folder.resolve())]
            if not here:
                raise NothingSelected(f"there is no suite of this project in {name}")
        else:
            here = [find_suite(name, settings, Path.cwd())]
        found |= {path.resolve(): path for path in here if path.resolve() not in found}
    return list(found.values())


def _run_anew(chosen: Chosen, paths: Sequence[Path]) -> int:
    """Run suites with the settings as they are now: promptstudio.toml may be what was saved."""
    return run_suites(replace(chosen, settings=chosen.context.project_settings()), paths)


def run_suites(chosen: Chosen, paths: Sequence[Path]) -> int:
    """Run one suite after the other; one that cannot be run does not stop the others. The worst code wins."""
    return finish_all(chosen, *run_all(chosen, [partial(load_suite, path, chosen.settings) for path in paths]))


def run_all(chosen: Chosen, loads: Sequence[Callable[[], Suite]]) -> tuple[list[Finished], list[PromptStudioError]]:
    """Load and run each suite; return those that ended, and what kept the others from it."""
    finished: list[Finished] = []
    refused: list[PromptStudioError] = []
    for load in loads:
        try:
            finished.append(run_suite(chosen, load()))
        except Interrupted:
            raise
        except (UserError, NothingSelected) as error:
            refused.append(error)
        if finished and finished[-1].exit_code == Interrupted.exit_code:
            break
    return finished, refused


def _without_untaken(
    chosen: Chosen, refused: Sequence[PromptStudioError], *, others: int
) -> tuple[list[PromptStudioError], list[str]]:
    """Part the suites of which nothing was chosen from what was refused: no fault where `others` had something."""
    untaken = [error for error in refused if isinstance(error, NoneTaken)] if others else []
    for error in untaken:
        chosen.context.output.note(error.message)
    return [error for error in refused if error not in untaken], [error.message for error in untaken]


def finish_all(chosen: Chosen, finished: list[Finished], refused: list[PromptStudioError]) -> int:
    """Write the reports, print the JSON, and return the exit code. What kept a suite from running is raised last."""
    refused, untaken = _without_untaken(chosen, refused, others=len(finished))
    if chosen.reports and finished:
        with EvalStore(store_path(chosen.settings)) as store:
            write_reports(chosen.reports, store, [one.run for one in finished], shown=chosen.context.output.note)
    if chosen.as_json and (finished or len(refused) > 1):
        chosen.context.output.json(
            {
                "suites": [object_of(one) for one in finished],
                "refused": _told(refused),
                "not_selected": untaken,
            }
        )
    if refused and (not finished or not chosen.as_json):
        if len(refused) == 1 and not finished:
            raise refused[0]
        _print_refused(chosen.context, refused)
    return worst_of([*(one.exit_code for one in finished), *(error.exit_code for error in refused)])


def _told(refused: Sequence[PromptStudioError]) -> list[dict[str, object]]:
    return [{"kind": one.kind, "message": one.message, "hint": one.hint} for one in refused]


def run_suite(chosen: Chosen, suite: Suite) -> Finished:
    """Run one suite, shown as it goes, and print how it ended."""
    context, settings = chosen.context, chosen.settings
    wanted = replace(chosen.options, selection=_again(chosen, suite))
    if chosen.is_test:
        repeat = repeat_of_tests(context, suite.prompts[0], wanted)
    else:
        repeat = repeat_of_suite(context, suite.path, wanted)
    with EvalView(context, repeat) as view:
        finished: Finished = run_async(lambda: evaluate_until_stopped(suite, settings, context, wanted, view.watcher))
    if not chosen.as_json:
        print_end(context, finished, view.parts)
    return finished


def _again(chosen: Chosen, suite: Suite) -> Selection:
    """Add the cases of the suite that ended badly when they last ran."""
    selection = chosen.options.selection
    if not chosen.failed and not chosen.errors:
        return selection
    wanted: list[Outcome] = ["fail"] if chosen.failed else []
    wanted += ["error"] if chosen.errors else []
    with EvalStore(store_path(chosen.settings)) as store:
        ids = ids_that_ended(store, suite.name, wanted)
    if not ids:
        raise NoneTaken(
            f"{suite.shown}: no case ended so the last time it ran", hint="run the suite without the option"
        )
    return replace(selection, ids=ids)


def _look(chosen: Chosen, paths: Sequence[Path], *, is_plan: bool) -> int:
    """Check suites, and say what they would cost, without a call."""
    context, settings = chosen.context, chosen.settings
    looked: list[tuple[Plan, Preflight]] = []
    forecasts: list[list[Forecast]] = []
    refused: list[PromptStudioError] = []
    for path in paths:
        try:
            suite = load_suite(path, settings)
            plan, found = prepare(suite, settings, replace(chosen.options, selection=_again(chosen, suite)), None)
            forecasts.append(asyncio.run(forecast(plan, settings, context.env, chosen.options)) if is_plan else [])
            looked.append((plan, found))
        except (UserError, NothingSelected) as error:
            refused.append(error)
    refused, _ = _without_untaken(chosen, refused, others=len(looked))
    if refused and not looked and len(refused) == 1:
        raise refused[0]
    print_forecasts(context, looked, forecasts, as_json=chosen.as_json)
    _print_refused(context, refused)
    return worst_of([0, *(error.exit_code for error in refused)])


def _print_refused(context: Context, refused: Sequence[PromptStudioError]) -> None:
    for error in refused:
        tell(error, context, as_json=False)
