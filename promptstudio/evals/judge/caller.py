"""Questions to a judge → answers, through the provider seam that every other call takes.

    prompt + values → the runner of `ps run` (typed by Instructor, one retry layer, history) → Result + Bill

The judge has limits of its own, apart from the models under test. What it says is kept in an exact cache of its own,
beside the one for answers, or recorded in cassettes; a repeat of a case asks anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from promptstudio.errors import (
    AuthenticationError,
    ModelNotFoundError,
    PromptStudioError,
    ProviderError,
    QuotaError,
    RateLimitError,
)
from promptstudio.evals.judge.schema import Bill, JudgeModel
from promptstudio.evals.limits import Accounts, Judging, judging_of_task
from promptstudio.prompts.prompt import OutputSpec, Prompt
from promptstudio.providers.connect import route_for
from promptstudio.runner import Runner, RunOptions, plan_run
from promptstudio.types import Result

if TYPE_CHECKING:
    from pydantic import BaseModel

MAX_TRIES = 8
MAX_OTHER_TRIES = 3
DEFAULT_PARAMETERS: Mapping[str, Any] = {"temperature": 0}
"""A verdict should not depend on luck; a model that takes no temperature gets `parameters: {temperature: null}`."""


@dataclass(frozen=True, slots=True)
class JudgeCaller:
    """The way to the judges of one run. `runner` leads through the judge's cache or cassettes."""

    runner: Runner
    accounts: Accounts
    run_id: str | None = None
    total: Bill = field(default_factory=Bill)
    _refused: dict[str, PromptStudioError] = field(default_factory=dict)

    async def ask(
        self,
        judge: JudgeModel,
        prompt: Prompt,
        values: Mapping[str, Any],
        *,
        bill: Bill,
        repeat: int = 0,
        output_model: type[BaseModel] | None = None,
    ) -> Result:
        """Ask one judge, again while it is told to wait; return its answer, typed where the prompt or the caller says.

        `bill` takes what it cost, also where nothing came of it. Raises ProviderError (an answer that never fits its
        shape is one), UserError where the question cannot be asked, Closed when the run stops.
        """
        if (refusal := self._refused.get(judge.model)) is not None:
            raise refusal
        parameters = {**DEFAULT_PARAMETERS, **prompt.parameters, **judge.parameters}
        options = RunOptions(
            model=judge.model,
            parameters={name: value for name, value in parameters.items() if value is not None},
            repeat=repeat,
            is_verdict=True,
            eval_run_id=self.run_id,
            tags=("judge",),
        )
        is_offline = self.runner.wires.reach == "never"
        plan = plan_run(prompt, values, self.runner.settings, self.runner.env, options, without_secrets=is_offline)
        plan = replace(plan, models=plan.models[:1])  # a verdict of another model would be another judge's
        if output_model is not None:
            output = OutputSpec(output_model.__name__, None)
            plan = replace(plan, prompt=replace(plan.prompt, output=output), output_model=output_model)
        account = self.accounts.account(
            route_for(judge.model, self.runner.settings, self.runner.env, without_secrets=is_offline)
        )
        tries = 0
        judging = judging_of_task.get() or Judging()
        while True:
            async with account.slot(judging):
                outcome = await self.runner.run_plan(plan, options)
            bill.add(outcome.result)
            self.total.add(outcome.result)
            if outcome.error is None:
                return outcome.result
            if isinstance(outcome.error, AuthenticationError | QuotaError | ModelNotFoundError):
                self._refused[judge.model] = outcome.error  # it is not asked a thousand times
            tries += 1
            if tries >= MAX_TRIES or not _is_worth_another_try(outcome.error, account.answers, tries):
                raise outcome.error


def _is_worth_another_try(error: PromptStudioError, answers: int, tries: int) -> bool:
    if isinstance(error, QuotaError) or not isinstance(error, ProviderError) or not error.retryable:
        return False
    return isinstance(error, RateLimitError) or (answers > 0 and tries < MAX_OTHER_TRIES)
