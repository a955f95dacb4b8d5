"""`ps eval` from a suite to an exit code: check, plan, run, gate. Prints nothing.

suite → plan → preflight → Evaluation → totals → gate → Finished
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from promptstudio.cache.choose import WireChoice, open_wires
from promptstudio.config import Settings
from promptstudio.errors import Inconclusive, Interrupted, PromptStudioError
from promptstudio.evals.assertions.assertion import Judge, Setting
from promptstudio.evals.assertions.functions import Functions
from promptstudio.evals.begun import begun_run
from promptstudio.evals.calibrations import standing_of
from promptstudio.evals.early import Early, early_of
from promptstudio.evals.embedder import RunEmbedder
from promptstudio.evals.evidence import evidence_rows
from promptstudio.evals.gate import DEFAULT_PASS_RATE, Check, checks_of
from promptstudio.evals.keeper import StoringKeeper
from promptstudio.evals.limits import Accounts, WatchedWires
from promptstudio.evals.plan import Plan, Side, plan_suite
from promptstudio.evals.preflight import Preflight, check_plan
from promptstudio.evals.recorder import BatchedHistory
from promptstudio.evals.records import RunRecord, RunStatus
from promptstudio.evals.runner import Ended, Evaluation, Limits, Watch
from promptstudio.evals.selection import Selection
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import Suite
from promptstudio.evals.sure import needs_cases, read_series, run_figures, sure_check
from promptstudio.evals.totals import Totals, totals_data
from promptstudio.history import open_history
from promptstudio.history.ids import utc_now
from promptstudio.providers.call import ProviderWires
from promptstudio.providers.schema import Wires
from promptstudio.runner import Runner


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """What one run of a suite changes or chooses.

    `regrade` judges stored answers anew and calls no model; `grading` says of which run, else the newest ones.
    `baseline` takes the place of the gate's; `across_engines` compares scores of different engines and judges with it.
    `sequential` stops when what was seen decides the gate. `sides` are asked instead of the suite's prompts and models.
    """

    selection: Selection = field(default_factory=Selection)
    models: tuple[str, ...] = ()
    concurrency: int | None = None
    fresh: bool = False
    regrade: bool = False
    grading: RunRecord | None = None
    wires: WireChoice = field(default_factory=lambda: WireChoice(cache=True))
    limits: Limits = field(default_factory=Limits)
    history: bool = True
    baseline: str | None = None
    across_engines: bool = False
    sequential: bool = False
    sides: tuple[Side, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that ended: its record, its figures, the gate's checks, the exit code, and the sentence for it."""

    run: RunRecord
    totals: Totals
    checks: tuple[Check, ...]
    exit_code: int
    sentence: str
    ended: Ended


@dataclass(frozen=True, slots=True)
class Started:
    """What a watcher is told first. `interrupt` asks nothing more and lets end what is under way.

    A suite with a baseline starts twice, the first time with `is_baseline`.
    """

    run: RunRecord
    plan: Plan
    preflight: Preflight
    interrupt: Callable[[], None] = lambda: None
    is_baseline: bool = False


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who looks on: told of the start, and of each case that ended."""

    started: Callable[[Started], None] = lambda _: None
    case: Watch | None = None
    note: Callable[[str], None] = lambda _: None


def prepare(
    suite: Suite, settings: Settings, options: EvalOptions, functions: Functions | None
) -> tuple[Plan, Preflight]:
    """Plan a suite and look at all that needs no call. Raises what is wrong; without `functions` runs no code."""
    plan = plan_suite(suite, settings, options.selection, models=options.models, sides=options.sides)
    return plan, check_plan(plan, functions=functions)


async def evaluate(
    suite: Suite, settings: Settings, env: Mapping[str, str], options: EvalOptions, watcher: Watcher = Watcher()
) -> Finished:
    """Run a suite to its verdict, after what it is held against. Raises UserError before any call, Interrupted when it
    was stopped at once.
    """
    named = options.baseline or suite.gate.baseline
    if options.sides:
        return await evaluate_once(suite, settings, env, options, watcher)
    if named is None:
        early = early_of(_pass_rate(suite), 0.0, suite.gate.confidence, None, None) if options.sequential else None
        finished = await evaluate_once(suite, settings, env, options, watcher, early)
        return with_figures(finished, suite, settings)
    from promptstudio.evals.against import evaluate_against  # scipy: only comparisons need it

    return await evaluate_against(named, suite, settings, env, options, watcher)


def _pass_rate(suite: Suite) -> float:
    return suite.gate.limits.get("pass_rate", DEFAULT_PASS_RATE)


def with_figures(finished: Finished, suite: Suite, settings: Settings) -> Finished:
    """Add how sure the figures are to what ended, and to its record."""
    if not finished.totals.judged:
        return finished
    series = read_series(finished.run, settings) if needs_cases(finished.totals) else None
    figures = run_figures(finished.totals, series, suite.gate.confidence)
    totals = finished.totals
    checks = tuple(sure_check(check, figures, _limit(check, suite), totals, series) for check in finished.checks)
    run = replace(finished.run, checks=checks, totals={**finished.run.totals, "figures": figures})
    return recorded(replace(finished, run=run, checks=checks), settings)


def recorded(finished: Finished, settings: Settings) -> Finished:
    """Store the record of a run again, with what was found out after its end."""
    with EvalStore(store_path(settings), redacting=settings.redact) as store:
        store.finish(finished.run)
    return finished


def _limit(check: Check, suite: Suite) -> float | None:
    if check.name == "pass_rate":
        return _pass_rate(suite)
    return suite.gate.metrics.get(check.name.removesuffix(" mean"), {}).get("mean")


async def evaluate_once(
    suite: Suite,
    settings: Settings,
    env: Mapping[str, str],
    options: EvalOptions,
    watcher: Watcher,
    early: Early | None = None,
    *,
    is_baseline: bool = False,
) -> Finished:
    """Run a suite, and hold it against the limits of its gate."""
    functions = Functions(settings.root)
    plan, preflight = await asyncio.to_thread(prepare, suite, settings, options, functions)
    standing = await asyncio.to_thread(standing_of, plan.suite.assertions, suite.gate.min_kappa, settings)
    accounts = Accounts(options.concurrency)
    with ExitStack() as opened:
        judges = Accounts(_judge_concurrency(settings, options))
        inner = _inner_wires(plan, settings, env, options, accounts, judges, opened)
        wires = opened.enter_context(open_wires(options.wires, settings, env, watcher.note, inner))
        store = opened.enter_context(EvalStore(store_path(settings), redacting=settings.redact))
        history = BatchedHistory(opened.enter_context(open_history(settings))) if options.history else None
        run = _record(plan, settings, options, store)
        keeper = _keeper(store, store.begin(run), plan, options, history)
        opened.callback(history.flush if history is not None else _nothing)
        opened.callback(keeper.close)
        runner = Runner(settings, env, history, wires)
        evaluation = Evaluation(
            plan,
            runner,
            accounts,
            keeper,
            Setting(
                embedder=RunEmbedder(settings, env, wires, accounts, plan.embedder),
                functions=functions,
                judge=_judge(plan, runner, judges, run),
            ),
            options.limits,
            watcher.case,
            run_id=run.id,
            regrade=options.regrade,
            judges=judges if plan.is_judged else None,
            early=early,
        )
        watcher.started(Started(run, plan, preflight, evaluation.interrupt, is_baseline))
        ended = await _ended_or_recorded(evaluation, run, store, options)
        has_gate = not is_baseline and not options.sides  # sides are held against each other
        checks = (*checks_of(suite.gate, ended.totals), *standing.checks) if has_gate else ()
        finished = _finished(run, ended, checks, options)
        finished = replace(finished, run=standing.kept_with(finished.run))
        store.finish(finished.run)
        if history is not None and has_gate:
            for row in evidence_rows(finished.run, finished.totals):
                history.history.record_evaluation(row)
        return finished


def _judge_concurrency(settings: Settings, options: EvalOptions) -> int | None:
    own = settings.eval.get("judge_concurrency")
    return own if isinstance(own, int) else options.concurrency


def _inner_wires(
    plan: Plan,
    settings: Settings,
    env: Mapping[str, str],
    options: EvalOptions,
    accounts: Accounts,
    judges: Accounts,
    opened: ExitStack,
) -> Wires:
    """Return the way to the providers; a judge has one of its own."""
    if not plan.is_judged:
        return WatchedWires(ProviderWires(), accounts)
    from promptstudio.evals.judge.wires import split_wires  # for judged suites only

    return split_wires(options.wires, settings, env, accounts, judges, opened)


def _judge(plan: Plan, runner: Runner, judges: Accounts, run: RunRecord) -> Judge | None:
    if not plan.is_judged or plan.resolver is None:
        return None
    from promptstudio.evals.judge.caller import JudgeCaller  # for judged suites only
    from promptstudio.evals.judge.judged import RunJudge

    return RunJudge(JudgeCaller(runner, judges, run.id), plan.resolver.prompts)


def _keeper(
    store: EvalStore, number: int, plan: Plan, options: EvalOptions, history: BatchedHistory | None
) -> StoringKeeper:
    """Recording and replaying ask everything again: what is stored would neither be recorded nor looked for."""
    asks_all = options.wires.record is not None or options.wires.replay is not None
    return StoringKeeper(
        store,
        number,
        plan.targets,
        fresh=options.fresh or (asks_all and not options.regrade),
        regrade=options.regrade,
        grading=options.grading,
        mark=_mark(options),
        before=history.flush if history is not None else _nothing,
    )


def _mark(options: EvalOptions) -> str:
    """Keep replayed answers apart: the next run that asks a provider is not to take them for its own."""
    if options.grading is not None:
        return str(options.grading.options.get("mark", ""))
    return "replay" if options.wires.replay is not None else ""


async def _ended_or_recorded(evaluation: Evaluation, run: RunRecord, store: EvalStore, options: EvalOptions) -> Ended:
    """Wait for the end; where it does not come, the record of the run says why."""
    try:
        return await evaluation.run()
    except (asyncio.CancelledError, KeyboardInterrupt) as stop:
        totals = evaluation.totals
        store.finish(_ended(run, totals, (), "interrupted", Interrupted.exit_code, "interrupted"))
        raise Interrupted(
            f"stopped; {_cases(sum(totals.counts.values()))} that ended are stored",
            hint=_how_it_goes_on(options.fresh),
        ) from stop
    except PromptStudioError as error:
        with suppress(PromptStudioError):  # a full disk takes no record of itself; the error is the news
            store.finish(_ended(run, evaluation.totals, (), "stopped", error.exit_code, error.message))
        raise


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count:,} cases"


def _nothing() -> None:
    """Stand where there is no history to write to."""


def _record(plan: Plan, settings: Settings, options: EvalOptions, store: EvalStore) -> RunRecord:
    chosen = {
        "selection": _plain(asdict(options.selection)),
        "models": list(options.models),
        "concurrency": options.concurrency,
        "owner": store.owner(),
        "mark": _mark(options),
        **({"graded": options.grading.id} if options.grading is not None else {}),
    }
    return replace(begun_run(plan, settings, chosen), judge=plan.judges())


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the selection as JSON data, what was not asked for left out."""
    plain = {key: sorted(part) if isinstance(part, frozenset) else part for key, part in value.items()}
    return {key: part for key, part in plain.items() if part not in (None, (), 0)}


def _how_it_goes_on(is_fresh: bool) -> str:
    return f"the same command {'without --fresh ' if is_fresh else ''}goes on from there"


def _finished(run: RunRecord, ended: Ended, checks: tuple[Check, ...], options: EvalOptions) -> Finished:
    exit_code, sentence = verdict(ended, checks, is_fresh=options.fresh)
    status: RunStatus = "interrupted" if ended.interrupted else "stopped" if ended.stopped else "finished"
    record = _ended(run, ended.totals, checks, status, exit_code, sentence)
    return Finished(record, ended.totals, checks, exit_code, sentence, ended)


def _ended(
    run: RunRecord, totals: Totals, checks: Sequence[Check], status: RunStatus, exit_code: int, note: str
) -> RunRecord:
    return replace(
        run,
        status=status,
        finished_at=utc_now(),
        totals=totals_data(totals),
        checks=tuple(checks),
        exit_code=exit_code,
        note=note,
    )


def verdict(ended: Ended, checks: Sequence[Check], *, is_fresh: bool = False) -> tuple[int, str]:
    """Return the exit code of a run that was not stopped at once, and one sentence that says why. Fails closed."""
    totals = ended.totals
    missed = [check for check in checks if not check.is_met]
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in totals.counts.items() if count)
    if ended.interrupted:
        done = _cases(sum(totals.counts.values()))
        return Interrupted.exit_code, f"interrupted: {done} that ended are stored, {_how_it_goes_on(is_fresh)}"
    if ended.stopped:
        code = 3 if ended.provider_errors and totals.counts["error"] else 1
        return code, f"stopped before the end: {ended.stopped}; {counts}; {_how_it_goes_on(is_fresh)}"
    if not totals.judged:
        return 5, "nothing was judged: no case came out of the dataset"
    if not any(totals.counts[outcome] for outcome in ("pass", "fail", "error")):
        return 5, f"nothing was asserted: {counts}"
    if ended.decided is not None:
        counts = f"{counts}; stopped early: {ended.decided}"
    return _missed(missed, ended, counts) if missed else (0, f"the gate is met: {counts}")


def _missed(missed: Sequence[Check], ended: Ended, counts: str) -> tuple[int, str]:
    """Say why a gate is missed: answers that never came are another reason than answers that were wrong."""
    if ended.provider_errors:
        kind, count = ended.provider_errors.most_common(1)[0]
        return 3, f"the provider failed {_times(count)} ({kind.replace('_', ' ')}): {counts}"
    if ended.user_errors:
        return 2, f"{ended.user_errors[0]}: {counts}"
    if all(check.is_inconclusive for check in missed):
        return Inconclusive.exit_code, f"inconclusive: {'; '.join(str(check) for check in missed)}"
    early = f"; stopped early: {ended.decided}" if ended.decided is not None else ""
    return 1, f"the gate is missed: {'; '.join(str(check) for check in missed)}{early}"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")
