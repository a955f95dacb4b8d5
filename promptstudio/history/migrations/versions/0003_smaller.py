"""Smaller rows: attempts without a second tree for their key, and indexes only over rows somebody looks for.

Nearly all runs are completed and belong to no session: those are found by their time.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = (
    *("prompt_id", "number", "model", "reason", "started_at", "duration_ms", "waited_ms", "input_tokens"),
    *("output_tokens", "cached_tokens", "reasoning_tokens", "cost_microusd", "status_code", "error_kind"),
    "error_message",
)
# name, columns, the rows it holds
PARTIAL = (
    ("ix_prompt_requests_status", ["status", "created_at"], "status <> 'completed'"),
    ("ix_prompt_requests_session_id", ["session_id"], "session_id IS NOT NULL"),
    ("ix_prompt_requests_eval_run_id", ["eval_run_id"], "eval_run_id IS NOT NULL"),
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        rebuild_attempts()
    else:
        rekey_attempts()
    for name, columns, rows in PARTIAL:
        op.drop_index(name, "prompt_requests")
        where = sa.text(rows)
        op.create_index(name, "prompt_requests", columns, sqlite_where=where, postgresql_where=where)


def rebuild_attempts() -> None:
    """Make the table anew: SQLite changes no key. No view and no trigger looks at it."""
    names = ", ".join(COLUMNS)
    op.execute(f"CREATE TEMPORARY TABLE moved AS SELECT {names} FROM attempts")  # noqa: S608  our own names
    op.drop_table("attempts")
    op.create_table(
        "attempts",
        sa.Column("prompt_id", sa.String(36), sa.ForeignKey("prompt_requests.id", ondelete="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("duration_ms", sa.Integer, nullable=False),
        sa.Column("waited_ms", sa.Integer, nullable=False),
        sa.Column("input_tokens", sa.Integer),
        sa.Column("output_tokens", sa.Integer),
        sa.Column("cached_tokens", sa.Integer),
        sa.Column("reasoning_tokens", sa.Integer),
        sa.Column("cost_microusd", sa.BigInteger),
        sa.Column("status_code", sa.Integer),
        sa.Column("error_kind", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.PrimaryKeyConstraint("prompt_id", "number", name="pk_attempts"),
        sqlite_with_rowid=False,
    )
    op.execute(f"INSERT INTO attempts ({names}) SELECT {names} FROM moved ORDER BY prompt_id, number")  # noqa: S608
    op.execute("DROP TABLE moved")


def rekey_attempts() -> None:
    op.drop_constraint("uq_attempts_prompt_id_number", "attempts", type_="unique")
    op.drop_column("attempts", "id")
    op.create_primary_key("pk_attempts", "attempts", ["prompt_id", "number"])
