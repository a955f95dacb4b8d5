"""`ps eval` with a baseline: the baseline first, as far as it is not stored; then the suite; then pair by pair.

named baseline → its run → the suite's run → comparisons → checks, an exit code, and a sentence for the reviewer
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from importlib import import_module

from promptstudio.config import Settings
from promptstudio.evals.baseline import Against, find_baseline, held_against, paired_data
from promptstudio.evals.early import Early, early_of
from promptstudio.evals.evaluate import EvalOptions, Finished, Watcher, evaluate_once, recorded, verdict, with_figures
from promptstudio.evals.gate import Check
from promptstudio.evals.paired import Paired
from promptstudio.evals.records import RunRecord
from promptstudio.evals.series import PASSED, whole_of
from promptstudio.evals.statistics.sentence import amount, conclusion, sentence
from promptstudio.evals.suite import Suite
from promptstudio.evals.sure import read_series

COMPARING = "promptstudio.evals.statistics.paired"


async def evaluate_against(
    named: str, suite: Suite, settings: Settings, env: Mapping[str, str], options: EvalOptions, watcher: Watcher
) -> Finished:
    """Run a suite and hold it against a baseline. A baseline that does not end ends it all."""
    await asyncio.to_thread(import_module, COMPARING)  # scipy, or the word that it is missing, before anything is paid
    against = await asyncio.to_thread(find_baseline, named, suite, settings)
    spent = Decimal(0)
    if against.run is not None:
        baseline = against.run
    else:
        earlier = await _baseline_run(against, suite, settings, env, options, watcher)
        if earlier.run.status != "finished":
            return replace(earlier, sentence=f"the baseline {named}: {earlier.sentence}")
        baseline, spent = earlier.run, earlier.totals.cost_usd
    early = await asyncio.to_thread(_early, suite, baseline, settings, named) if options.sequential else None
    finished = await evaluate_once(suite, settings, env, _rest_of(options, spent), watcher, early)
    if finished.run.status != "finished":
        return finished
    return await asyncio.to_thread(
        _held, against, baseline, with_figures(finished, suite, settings), suite, settings, options
    )


async def _baseline_run(
    against: Against, suite: Suite, settings: Settings, env: Mapping[str, str], options: EvalOptions, watcher: Watcher
) -> Finished:
    assert against.suite is not None  # noqa: S101  there is no run, so there is a suite
    chosen = [one for one in suite.prompts if options.selection.takes_prompt(one)]
    prompts = tuple(then for now, then in (against.renamed or {}).items() if now in chosen)
    then = replace(against.suite, prompts=prompts, name=f"{suite.name}@{against.named}")
    selection = replace(options.selection, prompts=())
    return await evaluate_once(then, settings, env, replace(options, selection=selection), watcher, is_baseline=True)


def _rest_of(options: EvalOptions, spent: Decimal) -> EvalOptions:
    """--max-cost holds for both runs together."""
    most = options.limits.max_cost_usd
    if most is None:
        return options
    return replace(options, limits=replace(options.limits, max_cost_usd=max(Decimal(0), most - spent)))


def _early(suite: Suite, baseline: RunRecord, settings: Settings, named: str) -> Early:
    passed = whole_of(read_series(baseline, settings)).passed
    return early_of(0.0, suite.gate.max_regression, suite.gate.confidence, passed, named)


def _held(
    against: Against, baseline: RunRecord, finished: Finished, suite: Suite, settings: Settings, options: EvalOptions
) -> Finished:
    """Compare, and put what was found into the checks, the record and the sentence."""
    paired = held_against(against, baseline, finished.run, suite, settings, across_engines=options.across_engines)
    checks = (*finished.checks, *_checks(paired, against, suite))
    exit_code, said = verdict(finished.ended, checks, is_fresh=options.fresh)
    if exit_code in (0, 1, 6) and not any(label_of(PASSED, against) == one.name and not one.is_met for one in checks):
        said = f"{said}; {conclusion_of(paired, against)}"
    run = replace(
        finished.run,
        baseline=baseline.id,
        checks=checks,
        exit_code=exit_code,
        note=said,
        totals={**finished.run.totals, "against": paired_data(against, baseline, paired)},
    )
    return recorded(replace(finished, run=run, checks=checks, exit_code=exit_code, sentence=said), settings)


def _checks(paired: Sequence[Paired], against: Against, suite: Suite) -> Iterator[Check]:
    gate = suite.gate
    gating = (PASSED, *gate.metrics)
    wanted = f"no worse by {amount(gate.max_regression, 'points')}" if gate.max_regression else "no worse"
    if not paired:
        yield Check(f"against {against.named}", "", wanted, "nothing to compare", is_met=False)
    for one in paired:
        scope = one.candidate if len(paired) > 1 else ""
        for name, comparison in one.comparisons.items():
            if name not in gating:
                continue
            label = label_of(name, against)
            if one.is_same:
                yield Check(label, scope, wanted, "the same prompt and model", is_met=True)
                continue
            unsure = comparison.verdict == "inconclusive" and not comparison.is_surely_worse
            is_met = not gate.inconclusive_fails if unsure else comparison.verdict in ("improved", "no worse")
            yield Check(label, scope, wanted, sentence(comparison), is_met, unsure)
        for name, why in one.refused.items():
            if name in gating:
                yield Check(label_of(name, against), scope, wanted, f"not comparable: {why}", is_met=False)


def label_of(figure: str, against: Against) -> str:
    return f"{figure} against {against.named}"


def conclusion_of(paired: Sequence[Paired], against: Against) -> str:
    """Return what a reviewer should conclude, in one sentence: of the worst figure, the pass rate among equals."""
    order = {"regressed": 0, "worse": 0, "inconclusive": 1, "no worse": 2, "improved": 3}
    if paired and all(one.is_same for one in paired):
        return f"against {against.named}: the same prompt and model"
    found = [
        (order["worse" if one.is_surely_worse else one.verdict], number, name, one)
        for each in paired
        for number, (name, one) in enumerate(each.comparisons.items())
    ]
    if not found:
        return f"nothing could be compared with {against.named}"
    _, _, name, worst = min(found, key=lambda row: row[:2])
    return f"against {against.named}: {conclusion(worst, name)}"
