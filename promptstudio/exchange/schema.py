"""What travels between a foreign file and ours: what was made of it, and what could not be carried over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from promptstudio.prompts.prompt import Prompt
from promptstudio.types import ToolCall, Usage

Kind = Literal["prompt", "partial", "suite", "data", "schema"]


@dataclass(frozen=True, slots=True)
class Foreign:
    """A foreign file, read: text within limits, UTF-8. `shown` is how messages name it.

    `root` is the folder files it names may come from: nothing outside of it is ever read, no link out of it followed.
    Of a data file (`is_data`) the text is only the beginning: who understands it reads the file itself, row by row.
    """

    path: Path
    shown: str
    text: str
    root: Path
    is_data: bool = False


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that could not be carried over, or only in another form: the file, the key, and why.

    `key` is dotted, as in `providers[1].config.apiKey`; `severity` is `changed` where a near equivalent was written.
    """

    file: str
    key: str
    reason: str
    line: int | None = None
    severity: Literal["dropped", "changed"] = "dropped"


@dataclass(frozen=True, slots=True)
class Made:
    """A file of ours, as text. `name` is below prompts/ or evals/ with its suffix; `source` the foreign file."""

    kind: Kind
    name: str
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Said:
    """One answer of a model, as a foreign file holds it."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    model: str | None = None
    usage: Usage = Usage()  # noqa: RUF009 - it is frozen
    cost_usd: float | None = None
    latency_ms: float | None = None
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class ForeignAnswer:
    """What was answered to a case: one answer, or one for each turn. `repeat` counts from 0."""

    case: str
    said: tuple[Said, ...]
    repeat: int = 0


@dataclass(frozen=True, slots=True)
class AnswerSet:
    """The answers a foreign file brought along for the cases of a suite; `suite` is the suite's `Made.name`."""

    suite: str
    source: str
    format: str
    answers: tuple[ForeignAnswer, ...]


@dataclass(frozen=True, slots=True)
class Import:
    """What an importer made of one foreign file, or all of them of a folder.

    `used` are the other files that were read with it; `unclaimed` files that are of no format we know, and `sources`
    pairs of a file and the format it was read as. `answers` are those that came along with cases.
    """

    made: tuple[Made, ...] = ()
    losses: tuple[Loss, ...] = ()
    used: tuple[Path, ...] = ()
    unclaimed: tuple[str, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()
    answers: tuple[AnswerSet, ...] = ()


class Importer(Protocol):
    """One foreign format. `confidence` is 0 (not mine) to 100 (certainly mine); it reads only what it is given.

    One that reads data files, larger than a prompt may be, says so with `reads_data = True`.
    """

    name: str
    title: str

    def confidence(self, foreign: Foreign) -> int: ...

    def read(self, foreign: Foreign) -> Import: ...


@dataclass(frozen=True, slots=True)
class Exported:
    """Foreign files made of one prompt (and its suites): name → text; and what the format cannot say."""

    files: Mapping[str, str]
    losses: Sequence[Loss] = ()


@dataclass(frozen=True, slots=True)
class SuiteFile:
    """A suite that judges the exported prompt, as its file says it: plain data, not checked further."""

    name: str
    file: str
    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What an exporter is given. `values` are inputs given by the user, already checked; None where none were.

    `stem` is what its files should be called, without suffix.
    """

    prompt: Prompt
    stem: str
    values: Mapping[str, Any] | None = None
    suites: Sequence[SuiteFile] = ()


class Exporter(Protocol):
    """One foreign format to write. It reads nothing but what it is given; the first file is the main one."""

    name: str
    title: str

    def write(self, request: ExportRequest) -> Exported: ...
