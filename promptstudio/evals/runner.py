"""An evaluation from its plan to its verdict. Reads top to bottom.

    tasks → stored before? → answer (the runner of `ps run`) → scores → outcome → stored as it ends → totals → gate

Tasks stream in and results stream out: so many are under way at once, and nothing else is held. What ended is stored
before it is counted, so an evaluation that is stopped, however hard, goes on where it was.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Protocol

from promptstudio.config import Settings
from promptstudio.errors import (
    AuthenticationError,
    ModelNotFoundError,
    PromptStudioError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    QuotaError,
    RateLimitError,
    UserError,
)
from promptstudio.evals.assertions.assertion import Peers, Setting
from promptstudio.evals.assertions.score import case_outcome, judge_cost, metric_means, score_answer
from promptstudio.evals.early import Early
from promptstudio.evals.limits import Account, Accounts, Closed, Judging, judging_of_task
from promptstudio.evals.plan import Plan, Target, Task, values_of
from promptstudio.evals.records import CaseResult
from promptstudio.evals.schema import Answer, Outcome, Score
from promptstudio.evals.totals import Totals
from promptstudio.providers.connect import route_for
from promptstudio.runner import Runner
from promptstudio.types import ErrorInfo, Message, Result

MAX_REQUEUES = 8
MAX_SECOND_TRIES = 3
"""How often a case is asked anew for another passing trouble, where the same account has answered others."""
MAX_UNREACHED = 6
"""So many cases in a row that reached nobody, and no answer ever: nobody is there."""
MAX_UNDER_WAY = 512
MAX_TOLD = 20


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer of an earlier run, and, where it was judged just so, its result."""

    answers: tuple[Answer, ...]
    request_id: str | None
    result: CaseResult | None = None
    saved_usd: Decimal = Decimal(0)


@dataclass(slots=True)
class _Talk:
    """A conversation on its way: what was answered so far, and the runs that took; it goes on where it broke off."""

    answers: list[Answer] = field(default_factory=list)
    said: list[Message] = field(default_factory=list)
    runs: list[Result] = field(default_factory=list)

    @property
    def cost_usd(self) -> Decimal | None:
        """What all of it cost; unknown where an answer has no price. What failed without one counts as nothing."""
        costs = [_cost(run) if run.status == "completed" else run.cost_usd or Decimal(0) for run in self.runs]
        known = [cost for cost in costs if cost is not None]
        return sum(known, Decimal(0)) if len(known) == len(costs) else None

    @property
    def saved_usd(self) -> Decimal:
        return sum((run.saved.cost_usd or Decimal(0) for run in self.runs if run.saved is not None), Decimal(0))

    @property
    def request_id(self) -> str | None:
        return self.runs[-1].id if self.runs else None


@dataclass(frozen=True, slots=True)
class _Answered:
    """The answers to a task: new ones, or those of an earlier run."""

    answers: tuple[Answer, ...]
    talk: _Talk
    stored: Stored | None = None


class Keeper(Protocol):
    """Where results are kept: looked up before a call, and stored as they end."""

    def find(self, task: Task) -> Stored | None: ...

    async def keep(self, result: CaseResult) -> None:
        """Return when the result is on the disk."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop before the end: figures nobody wants to exceed. None means never."""

    max_cost_usd: Decimal | None = None
    max_errors: int | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How an evaluation ended. `stopped` says why it did not reach its end."""

    totals: Totals
    planned: int
    stopped: str | None = None
    interrupted: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)  # model → why its provider takes no request
    provider_errors: Counter[str] = field(default_factory=Counter)
    user_errors: tuple[str, ...] = ()
    decided: str | None = None  # by a test that may stop early


Watch = Callable[[CaseResult, Totals], None]


@dataclass(slots=True)
class Evaluation:
    """Everything one evaluation works with. `run()` is the line through it."""

    plan: Plan
    runner: Runner
    accounts: Accounts
    keeper: Keeper
    setting: Setting
    limits: Limits = Limits()
    watch: Watch | None = None
    run_id: str | None = None
    regrade: bool = False
    judges: Accounts | None = None
    early: Early | None = None
    totals: Totals = field(default_factory=Totals)
    _started: int = 0
    _stopped: str | None = None
    _decided: str | None = None
    _interrupted: bool = False
    _failure: Exception | None = None
    _unreached: Counter[str] = field(default_factory=Counter)
    _refused: dict[str, PromptStudioError] = field(default_factory=dict)
    _runners: dict[int, Runner] = field(default_factory=dict)
    _accounts: dict[int, Account] = field(default_factory=dict)  # by the target's id(): the plan keeps targets
    _tools: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _provider_errors: Counter[str] = field(default_factory=Counter)
    _user_errors: list[str] = field(default_factory=list)

    async def run(self) -> Ended:
        """Evaluate until the tasks are used up, or a limit is reached. Raises what is wrong with a case's file."""
        groups = self._groups()
        workers = [asyncio.create_task(self._work(groups)) for _ in range(self._width())]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        if self._failure is not None:
            raise self._failure
        return Ended(
            self.totals,
            self._started,
            self._stopped,
            self._interrupted,
            {model: error.message for model, error in self._refused.items()},
            self._provider_errors,
            tuple(self._user_errors),
            self._decided,
        )

    def interrupt(self) -> None:
        """Ask nothing more; what is under way ends, and is stored."""
        self._interrupted = True
        self._stop("interrupted")

    def _stop(self, reason: str) -> None:
        self._stopped = self._stopped or reason
        self.accounts.close()
        if self.judges is not None:
            self.judges.close()

    def _width(self) -> int:
        """Twice as many as may ask at once: whoever judges or stores holds no place at an account; others use it."""
        accounts = len({target.model for target in self.plan.targets})
        judged = (self.judges.fixed or self.judges.ceiling) if self.judges is not None else 0
        return min(MAX_UNDER_WAY, 2 * (self.accounts.fixed or self.accounts.ceiling) * accounts + judged)

    def _groups(self) -> Iterator[tuple[int, tuple[Task, ...]]]:
        for number, group in enumerate(self.plan.groups()):
            if self._stopped is not None or self._decided is not None:
                return
            self._started += len(group)
            yield number, group

    async def _work(self, groups: Iterator[tuple[int, tuple[Task, ...]]]) -> None:
        """Take one task after the other, or those that are judged together; all workers take from the same ones."""
        try:
            for number, group in groups:
                results = await self._results(group)
                for result in results:
                    await self._end(result)
                if self.early is not None and self._decided is None:
                    self._decided = self.early.feed(number, tuple(results))
                if number % 64 == 63:
                    await asyncio.sleep(0)  # what was stored needs no waiting, and others want their turn
        except Closed:
            return  # the task was not begun: the next run takes it
        except Exception as error:  # noqa: BLE001 - raised by `run` when what is under way has ended and is stored
            self._failure = self._failure or error
            self._stop("failed")

    async def _end(self, result: CaseResult) -> None:
        """Store a result, then count it. Whoever is cancelled meanwhile still does both."""
        kept = asyncio.ensure_future(self.keeper.keep(result))
        try:
            await asyncio.shield(kept)
        except asyncio.CancelledError:
            await kept
            self.totals.add(result.end)
            raise
        self.totals.add(result.end)
        self._check_limits(result)
        if self.watch is not None:
            self.watch(result, self.totals)

    def _check_limits(self, result: CaseResult) -> None:
        cost, errors = self.limits.max_cost_usd, self.limits.max_errors
        spent = self.totals.cost_usd
        if cost is not None and (spent > cost or spent == cost > 0):
            self._stop(f"--max-cost ${cost} is reached: ${spent:.4f} spent")
        elif cost is not None and result.cost_usd is None:
            self._stop(f"--max-cost ${cost} cannot be kept: no price is known for {result.model}")
        elif cost is not None and result.judge_usd is None:
            self._stop(f"--max-cost ${cost} cannot be kept: no price is known for {_unpriced(result.scores)}")
        elif errors is not None and self.totals.counts["error"] > errors:
            self._stop(f"--max-errors {errors} is exceeded")

    async def _results(self, group: tuple[Task, ...]) -> list[CaseResult]:
        """Return the results of tasks that belong together: all are answered before one is judged."""
        found = [self.keeper.find(task) for task in group]
        if len(group) == 1:
            return [await self._result(group[0], found[0])]
        if all(stored is not None and stored.result is not None for stored in found):
            return [await self._result(task, stored) for task, stored in zip(group, found, strict=True)]
        answered = await asyncio.gather(*map(self._answered, group, found))
        targets = tuple((task.target.address, task.target.model) for task in group)
        named = zip(targets, answered, strict=True)
        peers = Peers(
            targets, {name: one.answers[-1] for name, one in named if isinstance(one, _Answered) and one.answers}
        )
        return await self._all_finished(group, answered, peers)

    async def _all_finished(
        self, group: Sequence[Task], answered: Sequence[_Answered | CaseResult], peers: Peers
    ) -> list[CaseResult]:
        """Judge what was answered. Where no judge is asked any more, new answers are kept for the run that goes on."""
        try:
            return [await self._finished(task, one, peers) for task, one in zip(group, answered, strict=True)]
        except Closed:
            for task, one in zip(group, answered, strict=True):
                if isinstance(one, _Answered) and one.stored is None:
                    await self.keeper.keep(_unjudged(task, one))
            raise

    async def _result(self, task: Task, stored: Stored | None) -> CaseResult:
        if stored is not None and stored.result is not None:
            return replace(
                stored.result,
                case=task.example.case,
                reused=True,
                cost_usd=Decimal(0),
                judge_usd=Decimal(0),
                saved_usd=stored.saved_usd,
            )
        return (await self._all_finished([task], [await self._answered(task, stored)], Peers()))[0]

    async def _answered(self, task: Task, stored: Stored | None) -> _Answered | CaseResult:
        """Return the answers to a task, those that are stored or new ones; a result where there are none."""
        if stored is not None:
            return _Answered(stored.answers, _Talk(), stored)
        if self.regrade:
            return _ended(task, "unscored", "there is no stored answer to grade")
        return await self._asked(task)

    async def _finished(self, task: Task, answered: _Answered | CaseResult, peers: Peers) -> CaseResult:
        if isinstance(answered, CaseResult):
            return answered
        judged = await self._judged(task, answered.answers, answered.talk, peers)
        stored = answered.stored
        if stored is None:
            return judged
        return replace(judged, request_id=stored.request_id, reused=True, saved_usd=stored.saved_usd)

    async def _asked(self, task: Task) -> _Answered | CaseResult:
        """Ask the model, again as long as what came back is trouble that passes."""
        refusal = self._refused.get(task.target.model)
        if refusal is not None:
            self._provider_errors[refusal.kind] += 1
            return _failed(task, ErrorInfo(refusal.kind, f"not asked: {refusal.message}", refusal.hint), _Talk())
        account = self._account(task.target)
        talk = _Talk()
        for tries in range(MAX_REQUEUES):
            async with account.slot():
                error = await self._conversation(task, talk)
            if error is None or self._stopped is not None or not _is_worth_another_try(error, account, tries):
                break
        if error is not None:
            self._note_error(task, error)
            return _failed(task, _info(error), talk)
        return _Answered(tuple(talk.answers), talk)

    def _account(self, target: Target) -> Account:
        if id(target) not in self._accounts:
            is_offline = self.runner.wires.reach == "never"
            route = route_for(target.model, target.settings, self.runner.env, without_secrets=is_offline)
            self._accounts[id(target)] = self.accounts.account(route)
        return self._accounts[id(target)]

    def _note_error(self, task: Task, error: PromptStudioError) -> None:
        """Count an error. A provider that takes no request at all is not asked a thousand times; others go on."""
        if isinstance(error, ProviderError):
            self._provider_errors[error.kind] += 1
        elif len(self._user_errors) < MAX_TOLD:
            self._user_errors.append(f"case {task.example.case.id}: {error.message}")
        if isinstance(error, AuthenticationError | QuotaError | ModelNotFoundError) or self._is_nobody_there(
            task, error
        ):
            self._refused.setdefault(task.target.model, error)

    def _note_judging(self, task: Task, scores: Sequence[Score]) -> None:
        """Count what kept scores from being made: the provider of a judge or an embedder, or somebody's file."""
        for score in scores:
            if "provider_error" in score.details:
                self._provider_errors[str(score.details["provider_error"])] += 1
            elif "user_error" in score.details and len(self._user_errors) < MAX_TOLD:
                self._user_errors.append(f"case {task.example.case.id}: {score.name}: {score.reason}")
            self._note_judging(task, score.children)

    def _is_nobody_there(self, task: Task, error: PromptStudioError) -> bool:
        if not isinstance(error, ProviderConnectionError | ProviderTimeoutError):
            return False
        self._unreached[task.target.model] += 1
        return self._unreached[task.target.model] >= MAX_UNREACHED and not self._account(task.target).answers

    async def _conversation(self, task: Task, talk: _Talk) -> PromptStudioError | None:
        """Ask each turn in order, or the one there is, from where the talk stands; return what ended it early."""
        turns = task.example.turns or ({},)
        for turn in turns[len(talk.answers) :]:
            inputs = {**task.example.case.inputs, **turn.get("inputs", {})}
            if task.example.turns:
                inputs |= _conversation_so_far(task.target, talk.said)
            try:
                values = values_of(task.example, task.target.prompt, inputs, self.plan.suite.path.parent)
                options = replace(task.options, eval_run_id=self.run_id)
                outcome = await self._runner_for(task.target.settings).run(task.target.prompt, values, options)
            except UserError as error:
                return error
            talk.runs.append(outcome.result)
            if outcome.error is not None:
                return outcome.error
            talk.answers.append(answer_of(outcome.result, tuple(talk.answers)))
            talk.said += [*outcome.result.messages[-1:], Message.of("assistant", outcome.result.text)]
        return None

    def _runner_for(self, settings: Settings) -> Runner:
        """Return the runner with the settings a prompt belongs to: a revision brings its own."""
        if settings is self.runner.settings:
            return self.runner
        return self._runners.setdefault(id(settings), replace(self.runner, settings=settings))

    async def _judged(self, task: Task, answers: tuple[Answer, ...], talk: _Talk, peers: Peers) -> CaseResult:
        judging_of_task.set(Judging())
        scores = await self._scores(task, answers, peers)
        self._note_judging(task, scores)
        ended = case_outcome(scores, self.plan.threshold_of(task.example))
        answer = answers[-1] if answers else None
        return replace(
            _ended(task, ended.outcome, ended.reason),
            score=ended.score,
            scores=scores,
            metrics=metric_means(scores),
            answer=answer,
            answers=answers,
            cost_usd=talk.cost_usd,
            judge_usd=judge_cost(scores),
            saved_usd=talk.saved_usd,
            latency_ms=_latency_ms(answers),
            cached=bool(talk.runs) and all(run.cached for run in talk.runs),
            request_id=talk.request_id,
        )

    async def _scores(self, task: Task, answers: tuple[Answer, ...], peers: Peers) -> tuple[Score, ...]:
        """Judge each turn by its own assertions, and the last answer by those of the case."""
        case = task.example.case
        setting = self.setting
        if setting.judge is not None:
            target = (task.target.address, task.target.model)
            setting = replace(setting, repeat=task.repeat, target=target, peers=peers)
        if task.target.prompt.tools:
            setting = replace(setting, tools=await self._tools_of(task))
        scores: list[Score] = []
        for number, (turn, answer) in enumerate(zip(task.example.turns, answers, strict=False), 1):
            own = self.plan.parsed(turn.get("assert", []), task.example, ("turns", number - 1, "assert"))
            at = replace(
                case,
                inputs={**case.inputs, **turn.get("inputs", {})},
                expected_output=turn.get("expected_output"),
                expected_tools=tuple(turn.get("expected_tools", case.expected_tools)),
                retrieval_context=tuple(turn.get("retrieval_context", case.retrieval_context)),
            )
            found = await score_answer(own, answer, at, setting)
            scores += [replace(score, name=f"turn {number}: {score.name}") for score in found]
        if answers:
            scores += await score_answer(task.assertions, answers[-1], case, setting)
        return tuple(scores)

    async def _tools_of(self, task: Task) -> Mapping[str, Any]:
        """Return the JSON Schema of each tool's arguments, as the provider is sent it."""
        key = task.target.digest
        if key not in self._tools:
            inputs = {
                **task.example.case.inputs,
                **(task.example.turns[0].get("inputs", {}) if task.example.turns else {}),
            }
            values = values_of(task.example, task.target.prompt, inputs, self.plan.suite.path.parent)
            runner = self._runner_for(task.target.settings)
            request = await runner.exact_request(task.target.prompt, values, task.options)
            functions = [tool.get("function", {}) for tool in request.get("tools", [])]
            self._tools[key] = {each["name"]: each.get("parameters", {}) for each in functions if "name" in each}
        return self._tools[key]


def _conversation_so_far(target: Target, said: list[Message]) -> dict[str, Any]:
    """Give what was said to the prompt's `messages` input; a prompt without one is asked each turn afresh."""
    spec = next((spec for spec in target.prompt.inputs.values() if spec.type == "messages"), None)
    if spec is None or not said:
        return {}
    return {spec.name: [{"role": message.role, "content": message.text} for message in said]}


def answer_of(result: Result, earlier: tuple[Answer, ...] = ()) -> Answer:
    """Return the answer of a run that completed, as assertions look at it."""
    return Answer(
        text=result.text,
        output=_plain(result.output),
        tool_calls=result.tool_calls,
        finish_reason=result.finish_reason,
        latency_ms=None if result.cached else float(result.duration_ms),
        cost_usd=result.cost_usd,
        usage=result.usage,
        messages=result.messages,
        model=result.resolved_model or result.model,
        history=earlier,
    )


def _plain(output: Any) -> Any:
    """Return a typed output as plain data."""
    if output is None:
        return None
    dumped = output.model_dump_json() if hasattr(output, "model_dump_json") else json.dumps(output)
    return json.loads(dumped)


def _latency_ms(answers: tuple[Answer, ...]) -> float | None:
    """Return the time all turns took; None where one of them came out of a cache."""
    times = [answer.latency_ms for answer in answers if answer.latency_ms is not None]
    return sum(times) if times and len(times) == len(answers) else None


def _cost(run: Result) -> Decimal | None:
    return Decimal(0) if run.cached else run.cost_usd


def _is_worth_another_try(error: PromptStudioError, account: Account, tries: int) -> bool:
    """Too many requests: always. Other trouble that passes: some times, where the account is known to answer."""
    if isinstance(error, QuotaError) or not isinstance(error, ProviderError) or not error.retryable:
        return False
    if isinstance(error, RateLimitError):
        return True
    return tries < MAX_SECOND_TRIES and account.answers > 0 and not isinstance(error, ProviderTimeoutError)


def _info(error: PromptStudioError) -> ErrorInfo:
    return ErrorInfo(error.kind, error.message, error.hint)


def _ended(task: Task, outcome: Outcome, reason: str) -> CaseResult:
    """Return a result with what a task says of itself."""
    return CaseResult(
        key=task.key,
        answer_key=task.answer_key,
        case=task.example.case,
        prompt=task.target.address,
        model=task.target.model,
        repeat=task.repeat,
        outcome=outcome,
        reason=reason,
        behavior=task.target.prompt.identity.behavior,
    )


def _unpriced(scores: Sequence[Score]) -> str:
    """Return who made a score that has no price; a panel is named as a whole."""
    return next((score.judge or score.name for score in scores if score.engine and score.cost_usd is None), "a judge")


def _unjudged(task: Task, answered: _Answered) -> CaseResult:
    """Return what is kept of a case whose judge was not asked any more: its answers, and no verdict."""
    return replace(
        _ended(task, "unscored", "stopped before it was judged"),
        answer=answered.answers[-1],
        answers=answered.answers,
        cost_usd=answered.talk.cost_usd,
        saved_usd=answered.talk.saved_usd,
        latency_ms=_latency_ms(answered.answers),
        request_id=answered.talk.request_id,
    )


def _failed(task: Task, error: ErrorInfo, talk: _Talk) -> CaseResult:
    """Return the result of a case that has no answer: an error, never a fail."""
    ended = _ended(task, "error", f"{error.kind}: {error.message}".partition("\n")[0])
    return replace(ended, error=error, cost_usd=talk.cost_usd, request_id=talk.request_id)
