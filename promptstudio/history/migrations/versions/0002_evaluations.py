"""Evaluations: what a suite found out about one behavior of a prompt. Found by the behavior's hash."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "evaluations",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("run_id", sa.String(64)),
        sa.Column("suite", sa.Text, nullable=False),
        sa.Column("suite_hash", sa.Text),
        sa.Column("prompt", sa.String(512), nullable=False),
        sa.Column("variant", sa.Text),
        sa.Column("behavior", sa.String(128), nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("cases", sa.Integer, nullable=False),
        sa.Column("passed", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("errors", sa.Integer, nullable=False),
        sa.Column("unscored", sa.Integer, nullable=False),
        sa.Column("gate", sa.String(16), nullable=False),
        sa.Column("commit", sa.Text),
        sa.Column("user", sa.Text, nullable=False),
    )
    op.create_index("ix_evaluations_behavior", "evaluations", ["behavior", "created_at"])
    op.create_index("ix_evaluations_prompt", "evaluations", ["prompt", "created_at"])
