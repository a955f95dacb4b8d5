"""The values of this package: an assertion as it was read, the world it is judged in, and what an evaluator says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from promptstudio.errors import PromptStudioError, ProviderError
from promptstudio.evals.schema import Answer, Case, Outcome, Score

if TYPE_CHECKING:
    from promptstudio.evals.assertions.functions import Functions
    from promptstudio.evals.judge.schema import Bill, JudgeModel, Panel, Provenance
    from promptstudio.evals.metrics.schema import Ask
    from promptstudio.prompts.prompt import Prompt
    from promptstudio.providers.embed import Embeddings

Place = tuple[int | None, int | None]
ValuePath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Judging:
    """Who judges an assertion, and by which engine. `digest` is a hash of all that decides its scores.

    `panel` and `prompt` are None for a metric that needs no judge.
    """

    panel: Panel | None
    prompt: Prompt | None
    engine: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Assertion:
    """One assertion, checked. `name` is the one in the table; `written` as the file has it, such as `not-contains`.

    `value` is what the file says, `parsed` what the evaluator works with (None while templates wait for a case).
    `path` are the steps to a field of the answer. `needs_expected` says that the case's expected_output or
    expected_tools stands in for a value.
    """

    name: str
    written: str
    inverted: bool = False
    value: Any = None
    parsed: Any = None
    path: tuple[str | int, ...] = ()
    weight: float = 1.0
    threshold: float | None = None
    metric: str | None = None
    description: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    judge: Any = None
    judging: Judging | None = None
    members: tuple[Assertion, ...] = ()
    needs_judge: bool = False
    needs_expected: bool = False
    has_template: bool = False
    compat: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides a score, as plain data: the part of a stored score's address that is ours."""
        given = {
            "name": self.written,
            "value": self.value,
            "path": list(self.path),
            "weight": self.weight,
            "threshold": self.threshold,
            "options": dict(self.options),
            "judge": self.judging.digest if self.judging else self.judge,
            "compat": self.compat,
            "members": [member.settings for member in self.members],
            "code": getattr(self.parsed, "digest", None),
        }
        return {key: value for key, value in given.items() if value not in (None, [], {})}


class PlaceOf(Protocol):
    """A path within a list of assertions → line and column of its value, or of its key."""

    def __call__(self, path: ValuePath, /, *, at_key: bool) -> Place: ...


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a list of assertions stands: `place` turns a path within `path` into line and column, as far as known.

    `folder` is that of the file, against which Python files are looked up; `root` the repository they must lie in.
    """

    file: str | None = None
    path: ValuePath = ("assert",)
    place: PlaceOf = lambda _path, *, at_key: (None, None)  # noqa: ARG005
    folder: Path | None = None
    root: Path | None = None
    compat: str | None = None


class Embedder(Protocol):
    """Texts → vectors of one length, in order, and what they cost. `name` is the model where none is asked for.

    Raises ProviderError, and UserError for a model that is none; what else it raises is its own fault.
    """

    @property
    def name(self) -> str: ...

    async def embed(
        self, texts: Sequence[str], model: str | None = None, dimensions: int | None = None
    ) -> Embeddings: ...


class Judge(Protocol):
    """Who is asked for verdicts, and by engines of metrics."""

    async def verdict(self, subject: Subject, assertion: Assertion, setting: Setting) -> Verdict: ...

    def asking(self, judge: JudgeModel, bill: Bill, repeat: int) -> Ask: ...


@dataclass(frozen=True, slots=True)
class Peers:
    """The answers of all targets to one case, by prompt and model, in the order of the suite.

    `targets` are all of them, also those without an answer. `kept` holds what was found out about all of them at once.
    """

    targets: tuple[tuple[str, str], ...] = ()
    answers: Mapping[tuple[str, str], Answer] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setting:
    """What evaluators may use beyond the answer and the case. `tools` maps a tool's name to its arguments' schema.

    `repeat` counts from 0. `peers` are the answers of all targets to the same case, where they are judged together, and
    `target` says which of them is judged. `kept` is what engines make once for a whole run.
    """

    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    embedder: Embedder | None = None
    judge: Judge | None = None
    functions: Functions | None = None
    time_limit_s: float = 10.0
    repeat: int = 0
    peers: Peers = field(default_factory=Peers)
    target: tuple[str, str] | None = None
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an evaluator found, before `not-` is applied.

    `wanted` and `found` complete the sentence "expected … , found …"; they are short and safe to show. `final` marks
    an outcome that `not-` leaves alone, such as a field that is not there.
    """

    outcome: Outcome
    score: float | None
    wanted: str = ""
    found: str = ""
    expected: Any = None
    actual: Any = None
    threshold: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    children: tuple[Score, ...] = ()
    final: bool = False
    reason: str | None = None
    made_by: Provenance | None = None


Evaluator = Callable[["Subject", Assertion, Setting], "Verdict | Awaitable[Verdict]"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What an assertion looks at: the answer, the case, and the field its path leads to."""

    answer: Answer
    case: Case
    field: Any = None
    has_field: bool = False

    @property
    def text(self) -> str:
        """The field as text where a path is given, else the answer's text, else its typed output as JSON."""
        if self.has_field:
            return as_text(self.field)
        if self.answer.text or self.answer.output is None:
            return self.answer.text
        return as_text(self.answer.output)


def as_text(value: Any) -> str:
    """Text as it is, anything else as compact JSON, which is how models and promptfoo write it."""
    if isinstance(value, str):
        return value
    import json  # loaded only where an answer is not text

    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def decided(holds: bool, wanted: str, found: str, **rest: Any) -> Verdict:
    """Return a verdict without degrees."""
    return passed(wanted, found, **rest) if holds else failed(wanted, found, **rest)


def passed(wanted: str, found: str, **rest: Any) -> Verdict:
    return Verdict("pass", 1.0, wanted, found, **rest)


def failed(wanted: str, found: str, **rest: Any) -> Verdict:
    return Verdict("fail", 0.0, wanted, found, **rest)


def broken(reason: str, **rest: Any) -> Verdict:
    """Return the verdict on what could not be judged because something is wrong."""
    return Verdict("error", None, reason=reason, **rest)


def failure_details(error: PromptStudioError) -> dict[str, str]:
    """Return what an exit code goes by: whether a provider, or something of the user's, was the cause."""
    return {"provider_error" if isinstance(error, ProviderError) else "user_error": error.kind}


def unscored(reason: str, **rest: Any) -> Verdict:
    """Return the verdict on what there was nothing to judge by."""
    return Verdict("unscored", None, reason=reason, **rest)
