"""The judge of a run, as assertions and metrics see it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from promptstudio.errors import OutputValidationError
from promptstudio.evals.assertions.assertion import Assertion, Setting, Subject, Verdict
from promptstudio.evals.judge.caller import JudgeCaller
from promptstudio.evals.judge.resolve import METRIC_PROMPT, JudgePrompts
from promptstudio.evals.judge.schema import Bill, JudgeModel, Panel

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class RunJudge:
    """Asks the judges of a run: by our prompts for an assertion, by an engine's words for a metric."""

    caller: JudgeCaller
    prompts: JudgePrompts

    async def verdict(self, subject: Subject, assertion: Assertion, setting: Setting) -> Verdict:
        from promptstudio.evals.judge.verdicts import verdict_of  # with the first verdict

        return await verdict_of(subject, assertion, setting, self.caller)

    def asking(self, judge: JudgeModel, bill: Bill, repeat: int) -> EngineAsk:
        """Return how an engine asks one judge."""
        return EngineAsk(self, judge, bill, repeat)


MAX_REPEATS = 1_000
"""No suite repeats a case more often; so a question's number within one measurement stays clear of repeats."""


@dataclass(frozen=True, slots=True)
class EngineAsk:
    """An engine's way to a judge: its text is sent as it is, and the answer comes back in the shape it wants.

    An engine that asks the same twice for one score wants two answers: each time is a repeat of its own.
    """

    judge: RunJudge
    member: JudgeModel
    bill: Bill
    repeat: int
    _asked: Counter[str] = field(default_factory=Counter)

    @property
    def model(self) -> str:
        return self.member.model

    async def __call__(self, text: str, schema: type[BaseModel] | None = None) -> Any:
        prompt = self.judge.prompts.prompt(METRIC_PROMPT, Panel((self.member,)))
        repeat = self.repeat + MAX_REPEATS * self._asked[text]
        self._asked[text] += 1
        result = await self.judge.caller.ask(
            self.member, prompt, {"text": text}, bill=self.bill, repeat=repeat, output_model=schema
        )
        if schema is None:
            return result.text
        if result.output is None:
            raise OutputValidationError(f"{self.member.model}: there is no typed answer")
        return result.output
