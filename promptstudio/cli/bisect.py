"""`ps bisect`: find the commit at which a suite broke."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from promptstudio.cache.choose import choose_wires
from promptstudio.cli import eval_options as options
from promptstudio.cli.context import Context, root_of
from promptstudio.cli.eval_signals import evaluate_until_stopped
from promptstudio.cli.eval_view import EvalView
from promptstudio.cli.run import run_async
from promptstudio.config import Settings
from promptstudio.errors import Inconclusive, UsageError
from promptstudio.evals.bisect import Found, Search, Step, Stop, Unjudged, Way, is_asked, limits_left, way_between
from promptstudio.evals.evaluate import EvalOptions, Finished, Watcher, evaluate_once
from promptstudio.evals.records import CaseResult
from promptstudio.evals.runner import Limits
from promptstudio.evals.selection import Selection
from promptstudio.evals.suite import Suite, find_suite, load_suite
from promptstudio.evals.totals import Totals
from promptstudio.output.terminal import safe_cell
from promptstudio.prompts.address import parse_address
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots


@dataclass(slots=True)
class Ended:
    """What came of a search: `found`, or what kept it from an end."""

    way: Way
    search: Search
    found: Found | None = None
    trouble: Finished | None = None


def bisect(
    ctx: typer.Context,
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="Its file or name, as it is now.")],
    *,
    good: Annotated[str, typer.Option("--good", metavar="REV", help="A commit at which it was good.")],
    bad: Annotated[str, typer.Option("--bad", metavar="REV", help="A commit at which it is bad.")] = "HEAD",
    metric: Annotated[
        str | None,
        typer.Option("--metric", metavar="NAME", help="Judge by this metric, or pass_rate, instead of the gate."),
    ] = None,
    case: Annotated[str | None, typer.Option("--case", metavar="ID", help="Judge by this case alone.")] = None,
    expression: options.Expression = None,
    tag: options.Tags = None,
    first: options.First = None,
    model: options.Models = None,
    concurrency: options.Concurrency = None,
    fresh: options.Fresh = False,
    cache: options.Cache = None,
    record: options.Record = None,
    replay: options.Replay = None,
    max_cost: options.MaxCost = None,
    no_history: options.NoHistory = False,
    as_json: options.Json = False,
) -> int:
    """Find the commit that broke a suite: its prompts as they were are asked the cases as they are now.

    Only commits that changed what a prompt does are looked at, by halving. What behaves alike is asked once, what is
    stored not again, so after a stop the same command goes on. The suite's gate decides what is good; --metric by the
    gate's limit for it, or else by the middle between the two ends.

    Exit code 0 when the commit is found, 2 for a mistake (an end that is not as was said), 3 if a provider failed, 5
    if no prompt changed between, 6 if commits that cannot be judged are in the way, 130 when stopped.
    """
    context: Context = ctx.obj
    single = {"--good": good, "--bad": bad, "--metric": metric, "--case": case, "-k": expression}
    options.check_texts(
        {"--tag": tag, "-m": model, **{flag: None if one is None else [one] for flag, one in single.items()}}
    )
    if metric is not None and case is not None:
        raise UsageError("--metric and --case are different ways to judge", hint="choose one")
    settings = context.project_settings()
    loaded = load_suite(find_suite(suite, settings, Path.cwd()), settings)
    chosen = EvalOptions(
        Selection(expression, tuple(tag or ()), (case,) if case is not None else (), (), (), None, first),
        tuple(model or ()),
        concurrency=concurrency or settings.eval.get("concurrency"),
        fresh=fresh,
        wires=choose_wires(settings, "eval", cache=options.cache_of(cache, fresh=fresh), record=record, replay=replay),
        limits=Limits(options.dollars(max_cost)),
        history=not no_history,
    )
    with open_repository(root_of(settings)) as repository, Snapshots(repository, settings) as snapshots:
        way = way_between(loaded, good, bad, snapshots)
    if not as_json:
        context.output.note(_extent(way, loaded))
    ended = _searched(context, settings, loaded, way, chosen, metric, case, quiet=as_json)
    return _told(context, ended, loaded, as_json=as_json)


def _extent(way: Way, suite: Suite) -> str:
    between = len(way.stops) - 1
    commits = "1 commit" if way.commits == 1 else f"{way.commits:,} commits"
    changed = "1 changes" if between == 1 else f"{between:,} change"
    return f"{suite.name}: {commits} from good to bad, {changed} what a prompt does"


def _searched(
    context: Context,
    settings: Settings,
    suite: Suite,
    way: Way,
    chosen: EvalOptions,
    metric: str | None,
    case: str | None,
    *,
    quiet: bool,
) -> Ended:
    asked, spent = 0, Decimal(0)

    def count(result: CaseResult, _: Totals) -> None:
        nonlocal asked
        asked += is_asked(result)

    async def ask(then: Suite, _: Stop) -> Finished:
        nonlocal spent
        step = replace(chosen, limits=limits_left(chosen.limits, spent))
        with EvalView(context, None) as view:
            shown = view.watcher

            def case_ended(result: CaseResult, totals: Totals) -> None:
                count(result, totals)
                if shown.case is not None:
                    shown.case(result, totals)

            watcher = Watcher(shown.started, case_ended, shown.note)
            finished = await evaluate_until_stopped(then, settings, context, step, watcher, _one_step)
            spent += finished.totals.cost_usd
            return finished

    search = Search(
        suite,
        ask,
        told=(lambda _: None) if quiet else (lambda step: context.output.line(step_line(step))),
        metric=metric,
        case=case,
        counted=lambda: asked,
    )
    ended = Ended(way, search)
    try:
        ended.found = run_async(lambda: search.run(way))
    except Unjudged as trouble:
        ended.trouble = trouble.finished
    return ended


async def _one_step(suite: Suite, settings: Settings, env: Any, chosen: EvalOptions, watcher: Watcher) -> Finished:
    """Run a suite without its gate: the search holds it against what is good."""
    return await evaluate_once(suite, settings, env, chosen, watcher, is_baseline=True)


def step_line(step: Step) -> str:
    """`good     1a2b3c4d5e6f  the gate is met, pass rate 100.0%  (4 calls)  Say it shorter`."""
    calls = "no call" if not step.calls else "1 call" if step.calls == 1 else f"{step.calls:,} calls"
    commit = step.stop.commit
    return safe_cell(f"{step.judgment:<8} {commit.id[:12]}  {step.reason}  ({calls})  {commit.subject}")


def _told(context: Context, ended: Ended, suite: Suite, *, as_json: bool) -> int:
    code = _exit_code(ended)
    if as_json:
        context.output.json(_object(ended, suite, code))
        return code
    output = context.output
    calls = "1 call" if ended.search.calls == 1 else f"{ended.search.calls:,} calls"
    output.flush()
    if ended.trouble is not None:
        output.note(f"{ended.trouble.sentence}; after {calls}. The same command goes on from there.")
        return code
    found = ended.found
    assert found is not None  # noqa: S101  there was no trouble
    commit = found.bad.commit
    if found.unknown:
        output.line(f"it broke at {commit.id[:12]}, or at one of {len(found.unknown)} before it that cannot be judged:")
        for stop in found.unknown:
            output.line(safe_cell(f"  {stop.commit.id[:12]}  {stop.commit.subject}"))
    else:
        output.line(safe_cell(f"it broke at {commit.id[:12]}: {commit.subject}"))
    when = moment_text(commit.authored_s)
    output.line(safe_cell(f"  {commit.author} <{commit.email}>, {when}; changed: {', '.join(found.bad.changed)}"))
    output.line(f"  {diff_command(context.program, found)}")
    if found.bad.is_merge:
        output.line(f"  a merge: {context.program} bisect {shlex.quote(suite.name)} --good $(git merge-base "
                    f"{commit.id[:12]}^1 {commit.id[:12]}^2) --bad {commit.id[:12]}^2 looks into it")  # fmt: skip
    output.flush()
    output.note(f"{len(ended.search.steps)} commits judged, {calls}")
    return code


def _exit_code(ended: Ended) -> int:
    if ended.trouble is not None:
        return ended.trouble.exit_code if ended.trouble.run.status != "finished" else 3
    return Inconclusive.exit_code if ended.found is not None and ended.found.unknown else 0


def diff_command(program: str, found: Found) -> str:
    """Return the command that shows what the commit changed in the prompts."""
    targets = dict.fromkeys(parse_address(each).target for each in found.bad.changed)
    words = [program, "diff", f"{found.bad.commit.id[:12]}^..{found.bad.commit.id[:12]}", *targets]
    return " ".join(shlex.quote(word) if not word.endswith(found.bad.commit.id[:12]) else word for word in words)


def moment_text(seconds: int) -> str:
    from datetime import UTC, datetime  # only the commit that is found has a date to show

    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def _object(ended: Ended, suite: Suite, code: int) -> dict[str, Any]:
    found, trouble = ended.found, ended.trouble
    return {
        "suite": suite.name,
        "good": ended.way.stops[0].commit.id,
        "bad": ended.way.stops[-1].commit.id,
        "commits": ended.way.commits,
        "candidates": len(ended.way.stops) - 1,
        "steps": [
            {
                "commit": step.stop.commit.id,
                "subject": step.stop.commit.subject,
                "judgment": step.judgment,
                "reason": step.reason,
                "calls": step.calls,
                "run": step.run,
            }
            for step in ended.search.steps
        ],
        "calls": ended.search.calls,
        "found": None if found is None else _found_object(found),
        "trouble": None if trouble is None else trouble.sentence,
        "exit_code": code,
    }


def _found_object(found: Found) -> dict[str, Any]:
    commit = found.bad.commit
    return {
        "commit": commit.id,
        "author": commit.author,
        "email": commit.email,
        "subject": commit.subject,
        "at": commit.authored_s,
        "changed": list(found.bad.changed),
        "is_merge": found.bad.is_merge,
        "last_good": found.good.commit.id,
        "not_judged": [stop.commit.id for stop in found.unknown],
        "diff": diff_command("ps", found),
    }
