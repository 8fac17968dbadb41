"""remember what was followed

Revision ID: journal_0003
Revises: journal_0002
Create Date: 2026-11-28 18:24:10.118232
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "journal_0003"
down_revision = "journal_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "follow",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("database", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column(
            "marks",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="table -> mark of the origin's capture when it was last brought over; another: brought whole",
        ),
        sa.Column(
            "to_validate",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
            comment="statements that validate the foreign keys that stood aside in a round",
        ),
        sa.Column("rounds", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("keys", sa.BigInteger(), server_default="0", nullable=False, comment="noted keys brought over"),
        sa.Column("rows", sa.BigInteger(), server_default="0", nullable=False, comment="rows sent"),
        sa.Column("last_seconds", sa.Numeric(precision=12, scale=3), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("destination IN ('source', 'target')", name=op.f("ck_follow_destination")),
        sa.ForeignKeyConstraint(
            ["run_id", "database"],
            ["consolidation.run_database.run_id", "consolidation.run_database.database"],
            name=op.f("fk_follow_run_id_database_run_database"),
        ),
        sa.PrimaryKeyConstraint("run_id", "database", "destination", name=op.f("pk_follow")),
        schema="consolidation",
    )


def downgrade() -> None:
    op.drop_table("follow", schema="consolidation")
