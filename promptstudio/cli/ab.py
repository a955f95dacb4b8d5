"""`ps ab`: prompts, variants, versions, models or profiles over the same cases, held against the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from promptstudio.cache.choose import choose_wires
from promptstudio.cli import eval_options as options
from promptstudio.cli.ab_view import contest_object, print_contest
from promptstudio.cli.ab_winner import Promotion, check_label, evidence_of_sides, promote_winner
from promptstudio.cli.completers import complete_models, complete_prompts
from promptstudio.cli.context import Context
from promptstudio.cli.eval_signals import evaluate_until_stopped
from promptstudio.cli.eval_view import EvalView, cost_text
from promptstudio.cli.label_moves import report_moves
from promptstudio.cli.run import run_async
from promptstudio.config import Settings
from promptstudio.errors import Inconclusive, Interrupted, NothingSelected, UsageError
from promptstudio.evals.ab import Contest, check_statistics, contest_of, losers
from promptstudio.evals.evaluate import EvalOptions, Finished, recorded
from promptstudio.evals.plan import plan_suite
from promptstudio.evals.report import ReportRequest, report_requests, write_reports
from promptstudio.evals.runner import Limits
from promptstudio.evals.selection import Selection
from promptstudio.evals.series import Series
from promptstudio.evals.sides import Entrant, check_sides, read_sides
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import Suite, find_suite, load_suite
from promptstudio.evals.sure import read_series
from promptstudio.history import open_history
from promptstudio.history.schema import EvaluationRow

MARK = " A/B"
"""Ends the names of stored comparisons: they are no runs of the suite, of which there is a trend and a last one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command line asks for."""

    context: Context
    settings: Settings
    suite: Suite
    entrants: tuple[Entrant, ...]
    options: EvalOptions
    margin: float
    confidence: float
    reports: tuple[ReportRequest, ...]
    winner_to: str | None
    reason: str | None
    fail_if_worse: bool
    as_json: bool


def compare_sides(
    ctx: typer.Context,
    sides: Annotated[
        list[str],
        typer.Argument(
            metavar="A B...",
            help="Prompts, :variants, @versions, models or profiles. A is what the others are held against.",
            autocompletion=complete_prompts,
        ),
    ],
    *,
    suite: Annotated[str, typer.Option("--suite", "-s", metavar="SUITE", help="Its file or name: cases, assertions.")],
    model: Annotated[
        str | None,
        typer.Option(
            "-m", "--model", metavar="MODEL", help="Ask it where a side names none.", autocompletion=complete_models
        ),
    ] = None,
    expression: options.Expression = None,
    tag: options.Tags = None,
    case: options.Cases = None,
    sample: options.Sample = None,
    seed: options.Seed = 0,
    first: options.First = None,
    repeats: Annotated[
        int | None, typer.Option("--repeats", min=1, max=1000, metavar="N", help="Ask each case so often.")
    ] = None,
    concurrency: options.Concurrency = None,
    fresh: options.Fresh = False,
    cache: options.Cache = None,
    record: options.Record = None,
    replay: options.Replay = None,
    max_cost: options.MaxCost = None,
    max_errors: options.MaxErrors = None,
    margin: Annotated[
        float | None,
        typer.Option("--margin", metavar="DIFF", help="How much worse is as good: 0.02. Default: the gate's."),
    ] = None,
    confidence: Annotated[
        float | None, typer.Option("--confidence", metavar="SHARE", help="Of the intervals. Default: the gate's.")
    ] = None,
    across_engines: options.AcrossEngines = False,
    winner_to: Annotated[
        str | None,
        typer.Option("--winner-to", metavar="LABEL", help="Promote the winner, if there is one; else exit 6."),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, kept with the label. Default: what was found.")
    ] = None,
    fail_if_worse: Annotated[bool, typer.Option("--fail-if-worse", help="Exit 1 if a side is worse than A.")] = False,
    report: options.Reports = None,
    no_history: options.NoHistory = False,
    as_json: options.Json = False,
) -> int:
    """Ask several sides the same cases and say which one to take, and how sure that is.

    A side is a prompt (greet), a variant or a version of the suite's one prompt (:terse, @main, @production), a model,
    or a profile. Where a word may mean two things, write prompt=, model= or profile= before it.

    Exit code 0 when it ran, whoever is better; 1 with --fail-if-worse, or when it was stopped by a limit; 2 for a
    mistake, 3 if a provider failed, 5 if nothing was selected, 6 if --winner-to finds no winner, 130 when stopped.
    """
    context: Context = ctx.obj
    single = {"-k": expression, "-m": model, "--reason": reason, "--winner-to": winner_to, "--suite": suite}
    options.check_texts(
        {"--tag": tag, "--case": case, **{flag: None if one is None else [one] for flag, one in single.items()}}
    )
    settings = context.project_settings()
    loaded = load_suite(find_suite(suite, settings, Path.cwd()), settings)
    asked_suite = replace(loaded, repeats=repeats or loaded.repeats)
    entrants = tuple(read_sides(sides, asked_suite, settings, model=model))
    chosen = EvalOptions(
        Selection(expression, tuple(tag or ()), tuple(case or ()), (), (), None, first, sample, seed),
        sides=tuple(each.side for each in entrants),
        concurrency=concurrency or settings.eval.get("concurrency"),
        fresh=fresh,
        wires=choose_wires(settings, "eval", cache=options.cache_of(cache, fresh=fresh), record=record, replay=replay),
        limits=Limits(options.dollars(max_cost), max_errors),
        history=not no_history,
        across_engines=across_engines,
    )
    asked = Asked(
        context,
        settings,
        asked_suite,
        entrants,
        chosen,
        _share(margin, "--margin", loaded.gate.max_regression),
        _confidence(confidence, loaded.gate.confidence),
        report_requests(report or (), context.env),
        winner_to,
        reason,
        fail_if_worse,
        as_json,
    )
    return _run(asked)


def _share(given: float | None, flag: str, default: float) -> float:
    if given is None:
        return default
    if not 0 <= given < 1:
        raise UsageError(f"{flag} {given:g} is no difference of shares", hint="0.02 is two points")
    return given


def _confidence(given: float | None, default: float) -> float:
    if given is not None and not 0.5 <= given < 1:
        raise UsageError(f"--confidence {given:g} is not between 0.5 and 1", hint="0.95 is the usual one")
    return given or default


def _run(asked: Asked) -> int:
    """Check, ask, compare, print, promote."""
    plan = plan_suite(asked.suite, asked.settings, asked.options.selection, sides=asked.options.sides)
    check_sides(plan)
    check_statistics()
    if asked.winner_to is not None:
        check_label(asked.winner_to, asked.entrants)
    finished = _evaluated(asked)
    stopped = _stopped(finished)
    if stopped is not None:
        if asked.as_json:
            facts = {"suite": asked.suite.name, "run": finished.run.id, "stopped": finished.sentence}
            asked.context.output.json({**facts, "exit_code": stopped})
        else:
            asked.context.output.line(finished.sentence)
        return stopped
    contest = _contest(asked, finished)
    evidence = evidence_of_sides(asked.suite, asked.entrants, finished, asked.settings)
    code = _trouble(asked, finished) or (1 if asked.fail_if_worse and any(losers(contest)) else 0)
    finished = _recorded(asked, finished, contest, evidence, code)
    promotion = None
    if asked.winner_to is not None and code not in (2, 3):
        promotion = promote_winner(
            asked.settings, contest, asked.winner_to, finished.run, reason=asked.reason, found=evidence
        )
        code = code if promotion.refused is None else Inconclusive.exit_code
    _print(asked, finished, contest, promotion, code)
    if asked.reports:
        with EvalStore(store_path(asked.settings)) as store:
            write_reports(asked.reports, store, finished.run, shown=asked.context.output.note)
    return code


def _print(asked: Asked, finished: Finished, contest: Contest, promotion: Promotion | None, code: int) -> None:
    output = asked.context.output
    if asked.as_json:
        output.json(contest_object(contest, finished, asked.suite.name, promotion, code))
        return
    print_contest(asked.context, contest)
    output.flush()  # in a log both streams are one
    output.note(f"run {finished.run.id} · {cost_text(finished.totals)}")
    if promotion is None:
        return
    if promotion.made is not None:
        report_moves(asked.context, promotion.made, as_json=False)
    else:
        output.labeled("error", f"nothing was promoted: {promotion.refused}", "red")


def _evaluated(asked: Asked) -> Finished:
    named = replace(asked.suite, name=asked.suite.name + MARK)
    with EvalView(asked.context, None, of_sides=True) as view:
        return run_async(
            lambda: evaluate_until_stopped(named, asked.settings, asked.context, asked.options, view.watcher)
        )


def _stopped(finished: Finished) -> int | None:
    """Return the exit code of a run that did not come to its end: half of it compares nothing."""
    if finished.exit_code == Interrupted.exit_code or finished.run.status != "finished":
        return finished.exit_code
    if finished.exit_code == NothingSelected.exit_code:
        raise NothingSelected(finished.sentence)
    return None


def _contest(asked: Asked, finished: Finished) -> Contest:
    found = read_series(finished.run, asked.settings)
    targets = [(one["prompt"], one["model"]) for one in finished.run.options["targets"]]
    return contest_of(
        asked.entrants,
        [found.get(target) or Series(*target) for target in targets],
        margin=asked.margin,
        across_engines=asked.options.across_engines,
        confidence=asked.confidence,
    )


def _recorded(
    asked: Asked, finished: Finished, contest: Contest, evidence: Sequence[EvaluationRow], code: int
) -> Finished:
    """Keep what was found in the record of the run, and what it says of each prompt in the history."""
    found = contest_object(contest, finished, asked.suite.name)
    kept = {key: found[key] for key in ("sides", "comparisons", "recommendation")}
    totals = {**finished.run.totals, "ab": kept}
    run = replace(finished.run, note=contest.recommendation.sentence, totals=totals, exit_code=code)
    if asked.options.history and evidence:
        with open_history(asked.settings) as history:
            for row in evidence:
                history.record_evaluation(row)
    return recorded(replace(finished, run=run, sentence=contest.recommendation.sentence), asked.settings)


def _trouble(asked: Asked, finished: Finished) -> int:
    """Return 3 or 2 where more cases ended in an error than the suite's gate lets through, else 0."""
    ended = finished.ended
    if finished.totals.counts["error"] <= asked.suite.gate.limits.get("errors", 0.0):
        return 0
    errors = f"{finished.totals.counts['error']:,} ended in an error and are left out"
    if ended.provider_errors:
        kind, count = ended.provider_errors.most_common(1)[0]
        asked.context.output.note(f"the provider failed ({kind.replace('_', ' ')}, {count:,} times): {errors}")
        return 3
    asked.context.output.note(f"{ended.user_errors[0]}: {errors}" if ended.user_errors else errors)
    return 2 if ended.user_errors else 1
