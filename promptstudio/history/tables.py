"""The tables as SQLModel classes. Light columns stand first: a list then reads no page that holds a long text.

`tests/history/test_schema.py` asserts that these classes, the migrations and `schema.sql` describe one schema.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Text,
    text,
)
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

BIG = BigInteger().with_variant(Integer, "sqlite")
"""64 bits everywhere; SQLite wants the word INTEGER for a key that counts up."""


class Base(SQLModel, registry=registry()):
    """Ours alone: the program that imports us may have SQLModel tables of the same names."""


def _partial(name: str, *columns: str, rows: str) -> Index:
    """An index over some rows only; a query names the same condition, or it is not used."""
    return Index(name, *columns, sqlite_where=text(rows), postgresql_where=text(rows))


class PromptRequest(Base, table=True):
    """One request. `seq` only ever grows, so that the full-text index can never point at a later row."""

    __tablename__ = "prompt_requests"
    __table_args__ = (
        Index("ix_prompt_requests_created_at", "created_at", "seq"),
        Index("ix_prompt_requests_prompt", "prompt", "created_at"),
        _partial("ix_prompt_requests_status", "status", "created_at", rows="status <> 'completed'"),
        _partial("ix_prompt_requests_session_id", "session_id", rows="session_id IS NOT NULL"),
        _partial("ix_prompt_requests_eval_run_id", "eval_run_id", rows="eval_run_id IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )

    seq: int | None = Field(default=None, sa_column=Column(BIG, primary_key=True))
    id: str = Field(sa_column=Column(String(36), nullable=False, unique=True))
    created_at: datetime = Field(sa_column=Column(DateTime, nullable=False))
    status: str = Field(sa_column=Column(String(16), nullable=False))
    prompt: str = Field(sa_column=Column(String(512), nullable=False))
    variant: str | None = Field(default=None, sa_column=Column(Text))
    version: str | None = Field(default=None, sa_column=Column(Text))
    prompt_type: str = Field(sa_column=Column(Text, nullable=False))
    behavior: str = Field(sa_column=Column(Text, nullable=False))
    interface: str = Field(sa_column=Column(Text, nullable=False))
    commit: str | None = Field(default=None, sa_column=Column(Text))
    dirty: bool | None = Field(default=None, sa_column=Column(Boolean))
    model: str = Field(sa_column=Column(Text, nullable=False))
    user: str = Field(sa_column=Column(Text, nullable=False))
    reason: str | None = Field(default=None, sa_column=Column(Text))
    session_id: str | None = Field(default=None, sa_column=Column(String(64)))
    eval_run_id: str | None = Field(default=None, sa_column=Column(String(64)))
    label: str | None = Field(default=None, sa_column=Column(Text))
    profile: str | None = Field(default=None, sa_column=Column(Text))
    tags: str = Field(sa_column=Column(Text, nullable=False))
    owner: str | None = Field(default=None, sa_column=Column(Text))
    parameters: str = Field(sa_column=Column(Text, nullable=False))
    overrides: str = Field(sa_column=Column(Text, nullable=False))
    inputs: str = Field(sa_column=Column(Text, nullable=False))
    messages: str = Field(sa_column=Column(Text, nullable=False))


class PromptResponse(Base, table=True):
    """How the request ended: at most one row per request, failures included. Cost is in millionths of a dollar."""

    __tablename__ = "prompt_responses"

    id: int | None = Field(default=None, sa_column=Column(BIG, primary_key=True))
    prompt_id: str = Field(
        sa_column=Column(String(36), ForeignKey("prompt_requests.id", ondelete="CASCADE"), nullable=False, unique=True)
    )
    created_at: datetime = Field(sa_column=Column(DateTime, nullable=False))
    finish_reason: str | None = Field(default=None, sa_column=Column(Text))
    resolved_model: str | None = Field(default=None, sa_column=Column(Text))
    provider_response_id: str | None = Field(default=None, sa_column=Column(Text))
    system_fingerprint: str | None = Field(default=None, sa_column=Column(Text))
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_microusd: int | None = Field(default=None, sa_column=Column(BigInteger))
    duration_ms: int
    first_token_ms: int | None = None
    cached: bool = Field(sa_column=Column(Boolean, nullable=False))
    error_kind: str | None = Field(default=None, sa_column=Column(Text))
    error_message: str | None = Field(default=None, sa_column=Column(Text))
    response_text: str = Field(sa_column=Column(Text, nullable=False))
    output: str | None = Field(default=None, sa_column=Column(Text))
    tool_calls: str | None = Field(default=None, sa_column=Column(Text))
    reasoning: str | None = Field(default=None, sa_column=Column(Text))


class AttemptRecord(Base, table=True):
    """One request on the wire. In SQLite the key is the table: no second tree leads to it."""

    __tablename__ = "attempts"
    __table_args__ = (
        PrimaryKeyConstraint("prompt_id", "number", name="pk_attempts"),
        {"sqlite_with_rowid": False},
    )

    prompt_id: str = Field(
        sa_column=Column(
            String(36), ForeignKey("prompt_requests.id", ondelete="CASCADE"), primary_key=True, nullable=False
        )
    )
    number: int = Field(sa_column=Column(Integer, primary_key=True, nullable=False, autoincrement=False))
    model: str = Field(sa_column=Column(Text, nullable=False))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    started_at: datetime = Field(sa_column=Column(DateTime, nullable=False))
    duration_ms: int
    waited_ms: int
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_microusd: int | None = Field(default=None, sa_column=Column(BigInteger))
    status_code: int | None = None
    error_kind: str | None = Field(default=None, sa_column=Column(Text))
    error_message: str | None = Field(default=None, sa_column=Column(Text))


class EvaluationRecord(Base, table=True):
    """What a suite found out about one behavior of a prompt."""

    __tablename__ = "evaluations"
    __table_args__ = (
        Index("ix_evaluations_behavior", "behavior", "created_at"),
        Index("ix_evaluations_prompt", "prompt", "created_at"),
    )

    id: str = Field(sa_column=Column(String(36), primary_key=True))
    created_at: datetime = Field(sa_column=Column(DateTime, nullable=False))
    run_id: str | None = Field(default=None, sa_column=Column(String(64)))
    suite: str = Field(sa_column=Column(Text, nullable=False))
    suite_hash: str | None = Field(default=None, sa_column=Column(Text))
    prompt: str = Field(sa_column=Column(String(512), nullable=False))
    variant: str | None = Field(default=None, sa_column=Column(Text))
    behavior: str = Field(sa_column=Column(String(128), nullable=False))
    model: str | None = Field(default=None, sa_column=Column(Text))
    cases: int
    passed: int
    failed: int
    errors: int
    unscored: int
    gate: str = Field(sa_column=Column(String(16), nullable=False))
    commit: str | None = Field(default=None, sa_column=Column(Text))
    user: str = Field(sa_column=Column(Text, nullable=False))


METADATA = Base.metadata
