"""index what the clients read by

Revision ID: campaign_db_0002
Revises: campaign_db_0001
Create Date: 2026-11-22 14:01:57.488284
"""

from __future__ import annotations

from alembic import op

revision = "campaign_db_0002"
down_revision = "campaign_db_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        op.f("ix_chapters_campaign_id_sequence_number"),
        "chapters",
        ["campaign_id", "sequence_number"],
        unique=False,
        schema="campaign_db",
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_chapters_campaign_id_sequence_number"), table_name="chapters", schema="campaign_db")
