"""The judge as DeepEval sees it: its prompt and the shape it wants → an answer of that shape, or an error.

DeepEval makes the best of what a judge says: prose is searched for JSON, a verdict that is not there counts as a good
one, a number is taken as it is. So what it gets from here always has its shape, and a number is within its range.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from promptstudio.errors import OutputValidationError, PromptStudioError
from promptstudio.evals.metrics.deepeval_door import DeepEvalBaseLLM
from promptstudio.evals.metrics.schema import Means
from promptstudio.prompts.wording import found

if TYPE_CHECKING:
    from pydantic import BaseModel

RUBRIC = (0.0, 10.0)
"""The range of GEval's scores; all other numbers that judges give are from 0 to 1."""
_STEPS = "Steps"
_RUBRIC_SCORE = "ReasonScore"
_MAY_BE_EMPTY = "OutOfCharacterResponseVerdicts"
"""The only list of verdicts that holds exceptions: where nothing is wrong, it is empty."""


class AskingJudge(DeepEvalBaseLLM):  # type: ignore[no-untyped-call]
    """Asks for one measurement. `failure` is the first thing that went wrong, whatever the metric makes of it."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self.failure: Exception | None = None
        self.rubric = RUBRIC
        self.asked: set[str] = set()
        super().__init__(means.ask.model if means.ask else None)

    def load_model(self) -> AskingJudge:
        return self

    def get_model_name(self) -> str:
        return self._means.ask.model if self._means.ask else "no judge"

    def generate(self, *_: Any, **__: Any) -> str:
        self.failure = PromptStudioError("the metric asks the judge in a way that would stop all other cases")
        raise self.failure

    async def a_generate(self, prompt: Any, schema: type[BaseModel] | None = None) -> Any:
        """Ask. Never raises TypeError: DeepEval would take that for a judge that knows no schema, and ask again."""
        if self.failure is not None:
            raise self.failure
        try:
            answer = await self._answer(str(prompt), schema)
        except TypeError as error:
            self.failure = PromptStudioError(f"the judge could not be asked: {error}")
            raise self.failure from error
        except Exception as error:
            self.failure = error
            raise
        self.asked.add(schema.__name__ if schema else "")
        return answer

    async def _answer(self, prompt: str, schema: type[BaseModel] | None) -> Any:
        ask = self._means.ask
        if ask is None:
            raise PromptStudioError("the metric asks a judge, and none was said to be needed")
        if schema is not None and schema.__name__ == _STEPS:
            once = self._means.ask_once or ask
            return self._fitting(await kept(self._means.kept, prompt, once(prompt, schema)), schema)
        return self._fitting(await ask(prompt, schema), schema)

    def _fitting(self, answer: Any, schema: type[BaseModel] | None) -> Any:
        """Return an answer that fits. Raises OutputValidationError."""
        wanted: type = str if schema is None else schema
        if not isinstance(answer, wanted):
            raise self._unfit(f"expected {wanted.__name__}, found {found(answer)}")
        if schema is None:
            return answer
        low, high = self.rubric if schema.__name__ == _RUBRIC_SCORE else (0.0, 1.0)
        for name in ("score", "verdict"):
            value: Any = getattr(answer, name, None)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if is_number and not low <= value <= high:  # NaN is within nothing
                raise self._unfit(f"the {name} {value:g} is not within {low:g} to {high:g}")
        for name in ("verdicts", "steps"):
            if getattr(answer, name, None) == [] and schema.__name__ != _MAY_BE_EMPTY:
                raise self._unfit(f"it was asked for {name}, and gave none")
        return answer

    def _unfit(self, said: str) -> OutputValidationError:
        return OutputValidationError(f"{self.get_model_name()}: {said}")


async def kept(store: dict[str, Any], prompt: str, asking: Coroutine[Any, Any, Any]) -> Any:
    """Return what was answered to a prompt before, or ask, once for all who wait. A failure is not kept."""
    task = store.get(prompt)
    if task is None:
        task = store[prompt] = asyncio.ensure_future(asking)
        task.add_done_callback(lambda done: _forget_failure(store, prompt, done))
    else:
        asking.close()
    return await asyncio.shield(task)  # who gives up waiting does not take the answer from the others


def _forget_failure(store: dict[str, Any], prompt: str, done: asyncio.Future[Any]) -> None:
    if done.cancelled() or done.exception() is not None:
        store.pop(prompt, None)
