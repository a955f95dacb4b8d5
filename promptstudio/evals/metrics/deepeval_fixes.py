"""Classes of DeepEval with a fault mended that would change a score, hang, or block the run. Scores stay theirs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import create_model

from promptstudio.evals.metrics import deepeval_door as deepeval
from promptstudio.prompts.patterns import occurs


class TurnFaithfulnessMetric(deepeval.metrics.TurnFaithfulnessMetric):  # type: ignore[no-untyped-call]
    """Its asynchronous way asks for the reason of each window without awaiting, which stops everything else."""

    def _get_interaction_reason(self, *_: Any) -> None:  # type: ignore[override]
        return None

    async def _a_get_faithfulness_scores(self, turns_window: Any, multimodal: bool) -> Any:
        scores = await super()._a_get_faithfulness_scores(turns_window, multimodal)
        for each in scores:
            each.reason = await self._a_get_interaction_reason(each.score, each.verdicts, multimodal)
        return scores


class PatternMatchMetric(deepeval.metrics.PatternMatchMetric):  # type: ignore[no-untyped-call]
    """It matches without a limit of time: (a+)+$ on an answer of thirty letters would never end."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._compiled_pattern = _Bounded(self.pattern, ignore_case=self.ignore_case)  # type: ignore[assignment]


class _Bounded:
    """As much of a compiled pattern as the metric uses."""

    def __init__(self, pattern: str, *, ignore_case: bool) -> None:
        self._whole = rf"{'(?i)' if ignore_case else ''}\A(?:{pattern})\Z"

    def fullmatch(self, text: str) -> Any:
        return occurs(self._whole, text)


class _InOrder:
    """Options are offered in the order of the file. Theirs come out of a set, in another order in each process, so the
    same question would be asked in many ways, and no answer would be found again."""

    def _validate(self) -> None:
        super()._validate()  # type: ignore[misc]
        self._verdict_options = [child.verdict for child in self.children]  # type: ignore[attr-defined]
        options: Any = Literal[tuple(self._verdict_options)]
        self._verdict_schema = create_model("NonBinaryJudgementVerdict", verdict=(options, ...), reason=(str, ...))


class NonBinaryJudgementNode(_InOrder, deepeval.nodes.NonBinaryJudgementNode):
    pass


class ConversationalNonBinaryJudgementNode(_InOrder, deepeval.turn_nodes.ConversationalNonBinaryJudgementNode):
    pass
