"""keep what was read again

A table that was read again when it was loaded need not be read by the verify phase, as long as it is the same.

Revision ID: journal_0005
Revises: journal_0004
Create Date: 2026-11-29 13:20:44.118203
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "journal_0005"
down_revision = "journal_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "table_load",
        sa.Column(
            "reread",
            postgresql.JSONB(),
            nullable=True,
            comment="sum of the rows read again from the target, and what it held then",
        ),
        schema="consolidation",
    )


def downgrade() -> None:
    op.drop_column("table_load", "reread", schema="consolidation")
