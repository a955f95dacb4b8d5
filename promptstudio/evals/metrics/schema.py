"""The values between a metric as it is written and the engine that measures it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from promptstudio.evals.assertions.assertion import Embedder
from promptstudio.evals.schema import Answer, Case
from promptstudio.prompts.judge_faults import Fault

if TYPE_CHECKING:
    from pydantic import BaseModel

EngineName = Literal["deepeval", "ragas"]
Field = Literal[
    "input",
    "actual_output",
    "expected_output",
    "context",
    "retrieval_context",
    "tools_called",
    "expected_tools",
    "turns",
]
"""What a metric may look at. `input` is the question as the case has it, `actual_output` the answer's text."""
Settings = Mapping[str, Any]
"""What a suite says of a metric, without threshold, weight, name and judge."""


@dataclass(frozen=True, slots=True)
class MetricKind:
    """What is known of a metric without importing its engine.

    `needs` are the fields it cannot do without, `judge_calls` how often one case asks the judge (0 for none),
    `settings` the keys it takes beside threshold, weight, name, judge and input, with the type each must have.
    `required_settings` are those it cannot do without, `faults` says what is wrong with values of the right type.
    `judge_calls` are those of a case with one context, `judge_calls_per_context` those for each further one. Where
    `lower_is_better`, a threshold is the largest score that passes.

    Where settings decide more than that, `needs_of`, `calls_of` and `once_of` say what it needs, how often it asks for
    one case, and how often once for all cases.
    """

    name: str
    engine: EngineName
    needs: tuple[Field, ...]
    judge_calls: int = 1
    embeds: bool = False
    is_conversational: bool = False
    settings: Mapping[str, type | tuple[type, ...]] = field(default_factory=dict)
    required_settings: tuple[str, ...] = ()
    judge_calls_per_context: int = 0
    lower_is_better: bool = False
    description: str = ""
    faults: Callable[[Settings], Iterable[Fault]] | None = None
    needs_of: Callable[[Settings], tuple[Field, ...]] | None = None
    calls_of: Callable[[Settings], int] | None = None
    once_of: Callable[[Settings], int] | None = None

    def fields(self, settings: Settings) -> tuple[Field, ...]:
        """Return what it needs of a case with these settings."""
        return self.needs if self.needs_of is None else self.needs_of(settings)

    def calls(self, settings: Settings, contexts: int = 1) -> int:
        """Return how often one case asks the judge with these settings; 0 where none is needed."""
        calls = self.judge_calls if self.calls_of is None else self.calls_of(settings)
        return calls + self.judge_calls_per_context * max(contexts - 1, 0)

    def calls_once(self, settings: Settings) -> int:
        """Return how often the judge is asked once for all cases of a suite."""
        return 0 if self.once_of is None else self.once_of(settings)


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer to measure: plain texts, whatever the case was made of. Absent fields are None or empty."""

    input: str
    actual_output: str
    expected_output: str | None
    context: tuple[str, ...]
    retrieval_context: tuple[str, ...]
    tools_called: tuple[Mapping[str, Any], ...]
    expected_tools: tuple[Mapping[str, Any], ...]
    turns: tuple[tuple[str, str], ...]  # (role, text), of a conversation
    case: Case
    answer: Answer


@dataclass(frozen=True, slots=True)
class Measured:
    """What an engine found. `score` is None, or NaN, where there was nothing to judge by; `details` is plain data."""

    score: float | None
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


class Ask(Protocol):
    """How an engine asks the judge. `schema` is the Pydantic model the answer is to fit; without one it is text."""

    @property
    def model(self) -> str: ...

    async def __call__(self, text: str, schema: type[BaseModel] | None = None) -> Any:
        """Raises ProviderError; the engine lets it through."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What an engine may use for one measurement: the judge, an embedder, and what it kept for the whole suite.

    `kept` belongs to one suite and metric: what is made once and holds for all cases, such as the steps of GEval. It is
    asked of `ask_once`, which is `ask` as of the first repeat: an answer that is kept somewhere is found again there,
    whichever case or repeat comes first.
    """

    ask: Ask | None
    embedder: Embedder | None = None
    kept: dict[str, Any] = field(default_factory=dict)
    ask_once: Ask | None = None


class Engine(Protocol):
    """DeepEval or RAGAS: a fresh metric for each measurement, nothing printed, nothing written, nothing sent."""

    @property
    def version(self) -> str: ...

    async def measure(self, kind: MetricKind, settings: Mapping[str, Any], sample: Sample, means: Means) -> Measured:
        """Measure one answer. Raises ProviderError of the judge, UserError for settings it does not take."""
        ...


def missing_fields(kind: MetricKind, sample: Sample, settings: Settings | None = None) -> Sequence[str]:
    """Return the fields a metric needs and the case does not have."""
    return [name for name in kind.fields(settings or {}) if not getattr(sample, name)]
