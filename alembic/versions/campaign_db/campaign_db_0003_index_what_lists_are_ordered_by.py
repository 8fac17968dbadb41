"""index what lists are ordered by

Revision ID: campaign_db_0003
Revises: campaign_db_0002
Create Date: 2026-11-28 18:40:00
"""

from __future__ import annotations

from alembic import op

revision = "campaign_db_0003"
down_revision = "campaign_db_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        op.f("ix_campaigns_created_at_id"), "campaigns", ["created_at", "id"], unique=False, schema="campaign_db"
    )
    op.create_index(
        op.f("ix_chapters_sequence_number_id"),
        "chapters",
        ["sequence_number", "id"],
        unique=False,
        schema="campaign_db",
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_chapters_sequence_number_id"), table_name="chapters", schema="campaign_db")
    op.drop_index(op.f("ix_campaigns_created_at_id"), table_name="campaigns", schema="campaign_db")
