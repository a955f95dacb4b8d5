"""What an evaluation leaves behind: a record for each case that ended, and one for the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from promptstudio.evals.gate import Check
from promptstudio.evals.schema import Answer, Case, Outcome, Score
from promptstudio.evals.totals import CaseEnd
from promptstudio.types import ErrorInfo

RunStatus = Literal["running", "finished", "stopped", "interrupted"]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case of one prompt and model, ended.

    `answer_key` is what was asked, `key` what was asked and how it was judged: 32 hex digits each. `request_id` is the
    row of the history that holds the answer; `reused` says that it was there before this run. `reason` is one line.
    `judge_usd` is what judging it took in this run, apart from `cost_usd` of the answer.
    """

    key: str
    answer_key: str
    case: Case
    prompt: str
    model: str
    repeat: int
    outcome: Outcome
    reason: str
    score: float | None = None
    scores: tuple[Score, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    answer: Answer | None = None
    answers: tuple[Answer, ...] = ()
    error: ErrorInfo | None = None
    cost_usd: Decimal | None = Decimal(0)
    judge_usd: Decimal | None = Decimal(0)
    saved_usd: Decimal = Decimal(0)
    latency_ms: float | None = None
    cached: bool = False
    reused: bool = False
    request_id: str | None = None
    behavior: str = ""

    @property
    def end(self) -> CaseEnd:
        """What the totals need of it."""
        asked = () if self.reused else self.answers or ((self.answer,) if self.answer is not None else ())
        return CaseEnd(
            self.outcome,
            self.prompt,
            self.model,
            self.case.tags,
            self.cost_usd,
            self.latency_ms,
            self.cached or self.reused,
            sum(answer.usage.input_tokens or 0 for answer in asked),
            sum(answer.usage.output_tokens or 0 for answer in asked),
            self.saved_usd,
            self.metrics,
            self.judge_usd,
            self.repeat,
            self.case.cluster is not None,
        )


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One evaluation run. `totals` and `checks` are filled when it ended; `exit_code` is what its process returned.

    `judge` pins who judged: model, parameters and hash of the prompt, by the name scores have for it. `baseline` is the
    id of the run this one was held against.
    """

    id: str
    suite: str
    suite_file: str
    suite_digest: str
    created_at: datetime
    user: str
    status: RunStatus = "running"
    prompts: Mapping[str, str] = field(default_factory=dict)  # address → behavior hash
    models: tuple[str, ...] = ()
    commit: str | None = None
    dirty: bool | None = None
    finished_at: datetime | None = None
    totals: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    exit_code: int | None = None
    note: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    judge: Mapping[str, Any] = field(default_factory=dict)
    baseline: str | None = None
