"""find the next chunk

Without an index every worker sorts all chunks for each one that it takes: 15,000 chunks took twelve times as long.

Revision ID: journal_0004
Revises: journal_0003
Create Date: 2026-11-28 21:48:02.310771
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "journal_0004"
down_revision = "journal_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_chunk_queued",
        "chunk",
        ["run_id", "database", sa.text("estimated_bytes DESC"), "table_name", "number"],
        schema="consolidation",
        postgresql_where=sa.text("state = 'queued'"),
    )


def downgrade() -> None:
    op.drop_index("ix_chunk_queued", "chunk", schema="consolidation")
