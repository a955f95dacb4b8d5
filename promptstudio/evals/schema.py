"""The values that travel through an evaluation: what was asked, what was answered, and what was found. Frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from promptstudio.types import Message, ToolCall, Usage

Outcome = Literal["pass", "fail", "error", "unscored", "skipped"]
"""Five ends that are never mixed: `error` could not be judged because something broke, `unscored` because there was
nothing to judge, `skipped` was not asked for. Only `pass` is good."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said.

    `output` is the typed output as plain data, None where the prompt has none. `refusal` is what the provider reported:
    the text of a refusal, or True. `latency_ms` is None for an answer from a cache, `cost_usd` where the price is
    unknown. `history` are the answers of earlier turns, oldest first.
    """

    text: str
    output: Any = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    refusal: str | bool | None = None
    latency_ms: float | None = None
    cost_usd: Decimal | float | None = None
    usage: Usage = Usage()  # noqa: RUF009 - it is frozen
    messages: tuple[Message, ...] = ()
    model: str | None = None
    history: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One example: the inputs, and what is expected of the answer. `file` and `line` say where it stands.

    `turns` are those of a conversation, without their assertions. Cases of one `cluster`, such as questions about one
    document, are not independent of each other: statistics count them so.
    """

    id: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    expected_output: Any = None
    context: tuple[str, ...] = ()
    retrieval_context: tuple[str, ...] = ()
    expected_tools: tuple[Any, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    file: str | None = None
    line: int | None = None
    turns: tuple[Mapping[str, Any], ...] = ()
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """What one assertion or metric found.

    `name` is what was asked for, such as `not-contains`; `metric` the name under which scores are averaged in reports.
    `score` is 0 to 1, None where there is none. A weight of 0 is reported and not counted. `reason` is one short line
    without control characters; `expected` and `actual` are whole and as they came: make them safe before showing them.

    What was judged by an engine of others or by a model says by which: `engine` and its version, `settings_hash` of all
    that was set, `judge` with its parameters and prompt. Figures that differ in them are not comparable. `cost_usd` and
    `usage` are the judge's; `children` are the members of a set, or of a panel of judges.
    """

    name: str
    outcome: Outcome
    score: float | None = None
    reason: str = ""
    metric: str | None = None
    weight: float = 1.0
    threshold: float | None = None
    expected: Any = None
    actual: Any = None
    details: Mapping[str, Any] = field(default_factory=dict)
    children: tuple[Score, ...] = ()
    engine: str | None = None
    engine_version: str | None = None
    settings_hash: str | None = None
    judge: str | None = None
    cost_usd: Decimal | float | None = None
    usage: Usage = Usage()  # noqa: RUF009 - it is frozen


@dataclass(frozen=True, slots=True)
class Context:
    """What a Python assertion may look at. `value` is the assertion's own, `options` its `options:`."""

    answer: Answer
    case: Case
    text: str
    output: Any
    value: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    threshold: float | None = None

    @property
    def vars(self) -> Mapping[str, Any]:
        """The inputs of the case."""
        return self.case.inputs

    @property
    def config(self) -> Mapping[str, Any]:
        """Another name for `options`, as promptfoo has it."""
        return self.options

    def __getitem__(self, name: str) -> Any:
        """`context["vars"]`, as functions written for promptfoo read it."""
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None

    def get(self, name: str, default: Any = None) -> Any:
        return getattr(self, name, default)
