"""`ps judge calibrate` from units to verdicts: each answer that people labeled is judged as `ps eval` would judge it.

    units → stored verdict, or the judge (its cache, cassettes, limits, history) → verdicts, one for each repeat

What the judge said is in its cache at once: after a stop the same command asks only what is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from promptstudio.cache.choose import WireChoice, open_wires
from promptstudio.config import Settings
from promptstudio.errors import CheckFailed, Interrupted, ProviderError, UserError
from promptstudio.evals.assertions.assertion import Peers, Setting
from promptstudio.evals.assertions.functions import Functions
from promptstudio.evals.assertions.score import score_assertion
from promptstudio.evals.calibrations import count_text
from promptstudio.evals.embedder import RunEmbedder
from promptstudio.evals.judge.caller import JudgeCaller
from promptstudio.evals.judge.judged import RunJudge
from promptstudio.evals.judge.resolve import JudgePrompts
from promptstudio.evals.judge.schema import Bill
from promptstudio.evals.judge.wires import split_wires
from promptstudio.evals.label_units import Target, Unit
from promptstudio.evals.limits import Accounts, Closed
from promptstudio.evals.plan import Plan
from promptstudio.evals.recorder import BatchedHistory
from promptstudio.evals.schema import Score
from promptstudio.evals.series import flat_scores
from promptstudio.history import open_history
from promptstudio.runner import Runner

UNDER_WAY = 128
# Failures of a judge that is there, and says nothing usable: a fact about the judge, and no trouble on the way to it.
_SAID_NOTHING_USABLE = frozenset({"bad_answer", "output_validation", "content_policy", "context_window"})


@dataclass(frozen=True, slots=True)
class CalibrateOptions:
    """How the judge is asked. `repeats` is how many verdicts each answer gets."""

    repeats: int = 1
    concurrency: int | None = None
    max_cost_usd: Decimal | None = None
    wires: WireChoice = field(default_factory=lambda: WireChoice(cache=True))
    history: bool = True


@dataclass(frozen=True, slots=True)
class Judged:
    """A unit, and what the judge said of it: a score for each repeat, the one that is held against people first."""

    unit: Unit
    scores: tuple[Score, ...]

    @property
    def score(self) -> Score:
        return self.scores[0]

    @property
    def has_verdict(self) -> bool:
        return self.score.outcome in ("pass", "fail")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What was judged, what asking came to, and how many verdicts were stored already."""

    judged: tuple[Judged, ...]
    bill: Bill
    reused: int


@dataclass(slots=True)
class Judging:
    """The judges of a plan, asked about units. `interrupt` asks nothing more, and lets end what is under way."""

    plan: Plan
    setting: Setting
    judges: Accounts
    bill: Bill
    targets: tuple[Target, ...]
    options: CalibrateOptions
    watch: Callable[[int], None] = lambda _: None
    _stopped: str | None = None
    _interrupted: bool = False
    _peers: dict[tuple[Any, ...], Peers] = field(default_factory=dict)
    _done: int = 0

    def interrupt(self) -> None:
        self._interrupted = True
        self._stop("interrupted")

    def _stop(self, why: str) -> None:
        self._stopped = self._stopped or why
        self.judges.close()

    async def verdicts(self, units: Sequence[Unit]) -> Verdicts:
        """Judge all units. Raises Interrupted, CheckFailed where --max-cost was reached, and what a provider said."""
        repeats = self.options.repeats
        questions = [(unit, number) for unit in units for number in range(repeats)]
        waiting = iter(enumerate(questions))
        scores: dict[int, Score] = {}
        await asyncio.gather(*(self._work(waiting, scores) for _ in range(UNDER_WAY)))
        self._raise_if_stopped(len(scores), len(questions))
        judged = tuple(
            Judged(unit, (*(scores[place * repeats + number] for number in range(repeats)), *_further(unit, repeats)))
            for place, unit in enumerate(units)
        )
        _raise_trouble(judged)
        return Verdicts(judged, self.bill, len({id(score) for unit in units for score in unit.known.values()}))

    async def _work(self, waiting: Iterator[tuple[int, tuple[Unit, int]]], scores: dict[int, Score]) -> None:
        for place, (unit, number) in waiting:
            if self._stopped is not None:
                return
            try:
                scores[place] = await self._score(unit, number)
            except Closed:
                return  # it was not asked: the same command asks it
            self._done += 1
            self._check_cost()
            self.watch(self._done)

    async def _score(self, unit: Unit, number: int) -> Score:
        if (known := unit.known.get(unit.repeat + number)) is not None:
            return known
        setting = replace(self.setting, repeat=unit.repeat + number)
        if unit.target is not None:
            setting = replace(setting, target=unit.target, peers=self._peers_of(unit, number))
        return await score_assertion(unit.assertion, unit.answer, unit.case, setting)

    def _peers_of(self, unit: Unit, number: int) -> Peers:
        """Return the answers beside this one: the same value for all of them, so that they are judged at once."""
        key = (unit.case.id, unit.repeat, number)
        if key not in self._peers:
            self._peers[key] = Peers(self.targets, unit.peers)
        return self._peers[key]

    def _check_cost(self) -> None:
        most, spent = self.options.max_cost_usd, self.bill.cost_usd
        if most is not None and (spent > most or spent == most > 0):
            self._stop(f"--max-cost ${most} is reached: ${spent:.4f} spent")
        elif most is not None and self.bill.unpriced:
            self._stop(f"--max-cost ${most} cannot be kept: no price is known for the judge")

    def _raise_if_stopped(self, done: int, whole: int) -> None:
        if self._stopped is None or (done == whole and not self._interrupted):
            return
        said, hint = (
            f"{done:,} of {whole:,} were judged",
            "what was judged is kept: the same command goes on from there",
        )
        if self._interrupted:
            raise Interrupted(f"stopped: {said}", hint=hint)
        raise CheckFailed(f"stopped before the end: {self._stopped}; {said}", hint=hint)


def _further(unit: Unit, repeats: int) -> Iterator[Score]:
    """Yield the verdicts that are known beyond those that were asked for."""
    asked = range(unit.repeat, unit.repeat + repeats)
    yield from (score for repeat, score in unit.known.items() if repeat not in asked)


def _raise_trouble(judged: Sequence[Judged]) -> None:
    """A judge that could not be asked has no agreement with anybody: nothing is told of it, and nothing stored."""
    troubled = [one for each in judged for one in each.scores if one.outcome == "error" and _is_trouble(one)]
    if not troubled:
        return
    said = f"{count_text(len(troubled))} could not be judged: {troubled[0].reason}"
    if any("user_error" in part.details for part in flat_scores(troubled)):
        raise UserError(said)
    raise ProviderError(said, hint="what was judged is kept: the same command goes on from there")


def _is_trouble(score: Score) -> bool:
    """Whether something kept the judge from being asked; a member of a panel is enough where it left no verdict."""
    return any(
        "user_error" in part.details or part.details.get("provider_error", "bad_answer") not in _SAID_NOTHING_USABLE
        for part in flat_scores([score])
    )


@contextmanager
def opened_judging(
    plan: Plan,
    settings: Settings,
    env: Mapping[str, str],
    options: CalibrateOptions,
    targets: tuple[Target, ...] = (),
    note: Callable[[str], None] = lambda _: None,
) -> Iterator[Judging]:
    """Open the ways to the judges of a plan, as an evaluation opens them."""
    with ExitStack() as opened:
        own = settings.eval.get("judge_concurrency")
        judges = Accounts(own if isinstance(own, int) else options.concurrency)
        accounts = Accounts(options.concurrency)
        inner = split_wires(options.wires, settings, env, accounts, judges, opened)
        wires = opened.enter_context(open_wires(options.wires, settings, env, note, inner))
        history = BatchedHistory(opened.enter_context(open_history(settings))) if options.history else None
        if history is not None:
            opened.callback(history.flush)
        caller = JudgeCaller(Runner(settings, env, history, wires), judges)
        prompts = plan.resolver.prompts if plan.resolver is not None else JudgePrompts(settings)
        setting = Setting(
            embedder=RunEmbedder(settings, env, wires, accounts, plan.embedder),
            functions=Functions(settings.root),
            judge=RunJudge(caller, prompts),
        )
        yield Judging(plan, setting, judges, caller.total, targets, options)
