"""What is remembered of a run: the values that go into the history and the rows that come out. No database here.

A run is two writes: a `RequestRow` before the request is sent, a `ResponseRow` with its attempts when it ended.
Reading gives a `HistoryRow`: both joined, light for lists; `detail` is filled when one row is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from promptstudio.history.ids import new_id, short_id, utc_now
from promptstudio.types import Attempt, Message, Status, ToolCall, Usage

SCHEMA_VERSION = 3
"""Number of the newest revision in `migrations/versions`; SQLite files hold it in `PRAGMA user_version`."""

APPLICATION_ID = 0x50535448
"""`PSTH`: tells a history of ours from any other SQLite file (`PRAGMA application_id`)."""

OPEN_STATUSES: tuple[Status, ...] = ("pending", "running")


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request about to be sent. `overrides` holds what the command line changed for this run, by setting name.

    Media in `inputs` and `messages` are stored as type, size and SHA-256, never as bytes.
    """

    prompt: str
    model: str
    user: str
    behavior: str
    interface: str
    prompt_type: str = "chat"
    variant: str | None = None
    version: str | None = None
    reason: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    profile: str | None = None
    label: str | None = None
    tags: tuple[str, ...] = ()
    session_id: str | None = None
    eval_run_id: str | None = None
    status: Status = "running"
    id: str = field(default_factory=new_id)
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True)
class ResponseRow:
    """How a run ended, an error included. `output` is plain JSON data, a Pydantic object, or None."""

    response_text: str = ""
    output: Any = None
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    resolved_model: str | None = None
    provider_response_id: str | None = None
    system_fingerprint: str | None = None
    usage: Usage = field(default_factory=Usage)
    cost_usd: Decimal | None = None
    duration_ms: int = 0
    first_token_ms: int | None = None
    cached: bool = False
    error_kind: str | None = None
    error_message: str | None = None
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """What a suite found out about one behavior of a prompt; the answers themselves are runs with `eval_run_id`.

    `cases` are all of them: passed, failed, ended in an error, or unscored (nothing to judge).
    """

    suite: str
    prompt: str
    behavior: str
    cases: int
    passed: int
    failed: int
    gate: Literal["met", "missed"]
    user: str
    errors: int = 0
    unscored: int = 0
    run_id: str | None = None
    suite_hash: str | None = None
    variant: str | None = None
    model: str | None = None
    commit: str | None = None
    id: str = field(default_factory=new_id)
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of a row's text around the words that were searched; `marks` are [start, end) ranges in `text`."""

    text: str
    marks: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class RowDetail:
    """The heavy part of a row, as stored: `inputs` and `messages` are JSON data in which media are described."""

    parameters: Mapping[str, Any]
    overrides: Mapping[str, Any]
    inputs: Mapping[str, Any]
    messages: tuple[Mapping[str, Any], ...]
    response_text: str | None
    output: Any
    reasoning: str | None
    tool_calls: tuple[ToolCall, ...]
    provider_response_id: str | None
    system_fingerprint: str | None
    attempts: tuple[Attempt, ...]
    owner: str | None


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One run. Fields of the response are None while there is none; `excerpt` is the beginning of the answer."""

    id: str
    created_at: datetime
    prompt: str
    model: str
    status: Status
    user: str
    behavior: str
    interface: str
    prompt_type: str
    variant: str | None
    version: str | None
    reason: str | None
    commit: str | None
    dirty: bool | None
    profile: str | None
    label: str | None
    tags: tuple[str, ...]
    session_id: str | None
    eval_run_id: str | None
    finish_reason: str | None
    resolved_model: str | None
    usage: Usage
    cost_usd: Decimal | None
    duration_ms: int | None
    first_token_ms: int | None
    cached: bool | None
    error_kind: str | None
    error_message: str | None
    finished_at: datetime | None
    excerpt: str | None
    snippet: Snippet | None = None
    detail: RowDetail | None = None

    @property
    def short_id(self) -> str:
        """The time part of the id: short enough for a list, and in practice unique."""
        return short_id(self.id)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rows; None means any. `prompt` may end in `*` (`support/*`); `since` is inclusive, `until` is not."""

    prompt: str | None = None
    variant: str | None = None
    model: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    tag: str | None = None
    user: str | None = None
    session_id: str | None = None
    eval_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Rows a search found; `notice` says when not all rows were looked at."""

    rows: tuple[HistoryRow, ...]
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a prune removed, or would remove when it is a dry run."""

    removed: int
    kept: int
    oldest: datetime | None
    newest: datetime | None
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Health:
    """State of the history for `doctor`. `problem` is the one line to show when something is wrong, `hint` what to do.

    `integrity` is `ok`, SQLite's complaint, or `not checked`. Counts are None where they could not be read.
    """

    place: str
    exists: bool
    schema: int | None = None
    known_schema: int = SCHEMA_VERSION
    size_bytes: int | None = None
    rows: int | None = None
    open_rows: int | None = None
    journal_mode: str | None = None
    full_text: bool | None = None
    file_mode: str | None = None
    writable: bool | None = None
    integrity: str = "not checked"
    problem: str | None = None
    hint: str | None = None
