"""`ps eval` from a suite to an exit code: check, plan, run, gate. Prints nothing.

suite → plan → preflight → Evaluation → totals → gate → Finished
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from promptstudio.cache.choose import WireChoice, open_wires
from promptstudio.config import Settings
from promptstudio.errors import Interrupted, PromptStudioError
from promptstudio.evals.assertions.assertion import Setting
from promptstudio.evals.assertions.embedding import OfflineEmbedder
from promptstudio.evals.assertions.functions import Functions
from promptstudio.evals.evidence import evidence_rows
from promptstudio.evals.gate import Check, checks_of
from promptstudio.evals.keeper import StoringKeeper
from promptstudio.evals.limits import Accounts, WatchedWires
from promptstudio.evals.plan import Plan, plan_suite
from promptstudio.evals.preflight import Preflight, check_plan
from promptstudio.evals.recorder import BatchedHistory
from promptstudio.evals.records import RunRecord, RunStatus
from promptstudio.evals.runner import Ended, Evaluation, Limits, Watch
from promptstudio.evals.selection import Selection
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import Suite
from promptstudio.evals.totals import Totals, totals_data
from promptstudio.history import open_history
from promptstudio.history.ids import new_id, utc_now
from promptstudio.providers.call import ProviderWires
from promptstudio.runner import Runner
from promptstudio.versions.git import git_facts, git_user


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """What one run of a suite changes or chooses.

    `regrade` judges stored answers anew and calls no model; `grading` says of which run, else the newest ones.
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
    """What a watcher is told first. `interrupt` asks nothing more and lets end what is under way."""

    run: RunRecord
    plan: Plan
    preflight: Preflight
    interrupt: Callable[[], None] = lambda: None


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
    plan = plan_suite(suite, settings, options.selection, models=options.models)
    return plan, check_plan(plan, functions=functions)


async def evaluate(
    suite: Suite, settings: Settings, env: Mapping[str, str], options: EvalOptions, watcher: Watcher = Watcher()
) -> Finished:
    """Run a suite to its verdict. Raises UserError before any call, Interrupted when it was stopped at once."""
    functions = Functions(settings.root)
    plan, preflight = await asyncio.to_thread(prepare, suite, settings, options, functions)
    accounts = Accounts(options.concurrency)
    with ExitStack() as opened:
        inner = WatchedWires(ProviderWires(), accounts)
        wires = opened.enter_context(open_wires(options.wires, settings, env, watcher.note, inner))
        store = opened.enter_context(EvalStore(store_path(settings)))
        history = BatchedHistory(opened.enter_context(open_history(settings))) if options.history else None
        run = _record(plan, settings, options, store)
        keeper = _keeper(store, store.begin(run), plan, options, history)
        opened.callback(history.flush if history is not None else _nothing)
        opened.callback(keeper.close)
        evaluation = Evaluation(
            plan,
            Runner(settings, env, history, wires),
            accounts,
            keeper,
            Setting(embedder=OfflineEmbedder(), functions=functions),
            options.limits,
            watcher.case,
            run_id=run.id,
            regrade=options.regrade,
        )
        watcher.started(Started(run, plan, preflight, evaluation.interrupt))
        finished = _finished(run, await _ended_or_recorded(evaluation, run, store), suite)
        store.finish(finished.run)
        if history is not None:
            for row in evidence_rows(finished.run, finished.totals):
                history.history.record_evaluation(row)
        return finished


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


async def _ended_or_recorded(evaluation: Evaluation, run: RunRecord, store: EvalStore) -> Ended:
    """Wait for the end; where it does not come, the record of the run says why."""
    try:
        return await evaluation.run()
    except (asyncio.CancelledError, KeyboardInterrupt) as stop:
        totals = evaluation.totals
        store.finish(_ended(run, totals, (), "interrupted", Interrupted.exit_code, "interrupted"))
        raise Interrupted(
            f"stopped; {_cases(sum(totals.counts.values()))} that ended are stored",
            hint="the same command goes on from there",
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
    root = settings.root or Path.cwd()
    facts = git_facts(plan.suite.path, root)
    targets = [
        {
            "prompt": each.address,
            "model": each.model,
            "behavior": each.prompt.identity.behavior,
            "file": each.prompt.shown_path,  # where reports point at
            "line": each.prompt.messages[0].line if each.prompt.messages else None,
        }
        for each in plan.targets
    ]
    return RunRecord(
        id=new_id(),
        suite=plan.suite.name,
        suite_file=plan.suite.shown,
        suite_digest=plan.suite.settings_digest,
        created_at=utc_now(),
        user=git_user(root),
        prompts={each.address: each.prompt.identity.behavior for each in plan.targets},
        models=tuple(dict.fromkeys(each.model for each in plan.targets)),
        commit=facts.commit,
        dirty=facts.dirty,
        options={
            "targets": targets,
            "selection": _plain(asdict(options.selection)),
            "models": list(options.models),
            "concurrency": options.concurrency,
            "owner": store.owner(),
            "mark": _mark(options),
            **({"graded": options.grading.id} if options.grading is not None else {}),
        },
    )


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the selection as JSON data, what was not asked for left out."""
    plain = {key: sorted(part) if isinstance(part, frozenset) else part for key, part in value.items()}
    return {key: part for key, part in plain.items() if part not in (None, (), 0)}


def _finished(run: RunRecord, ended: Ended, suite: Suite) -> Finished:
    checks = checks_of(suite.gate, ended.totals)
    exit_code, sentence = verdict(ended, checks)
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


def verdict(ended: Ended, checks: Sequence[Check]) -> tuple[int, str]:
    """Return the exit code of a run that was not interrupted, and one sentence that says why. Fails closed."""
    totals = ended.totals
    missed = [check for check in checks if not check.is_met]
    counts = ", ".join(f"{count} {outcome}" for outcome, count in totals.counts.items() if count)
    if ended.interrupted:
        done = _cases(sum(totals.counts.values()))
        return Interrupted.exit_code, f"interrupted: {done} that ended are stored, the same command goes on from there"
    if ended.stopped:
        code = 3 if ended.provider_errors and totals.counts["error"] else 1
        return code, f"stopped before the end: {ended.stopped}; {counts}; the same command goes on from there"
    if not totals.judged:
        return 5, "nothing was judged: no case came out of the dataset"
    if not any(totals.counts[outcome] for outcome in ("pass", "fail", "error")):
        return 5, f"nothing was asserted: {counts}"
    return _missed(missed, ended, counts) if missed else (0, f"the gate is met: {counts}")


def _missed(missed: Sequence[Check], ended: Ended, counts: str) -> tuple[int, str]:
    """Say why a gate is missed: answers that never came are another reason than answers that were wrong."""
    if ended.provider_errors:
        kind, count = ended.provider_errors.most_common(1)[0]
        return 3, f"the provider failed {_times(count)} ({kind.replace('_', ' ')}): {counts}"
    if ended.user_errors:
        return 2, f"{ended.user_errors[0]}: {counts}"
    return 1, f"the gate is missed: {'; '.join(str(check) for check in missed)}"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")
