"""create the tables

Revision ID: campaign_db_0001
Revises:
Create Date: 2026-11-22 14:01:57.488284
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "campaign_db_0001"
down_revision = None
branch_labels = ("campaign_db",)
depends_on = None


def upgrade() -> None:
    # CREATE SCHEMA IF NOT EXISTS needs CREATE on the database even where the schema is there already.
    op.execute("DO $$BEGIN IF to_regnamespace('campaign_db') IS NULL THEN CREATE SCHEMA campaign_db; END IF; END$$")
    op.create_table(
        "campaigns",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("campaign_type", sa.String(length=50), server_default="traditional", nullable=False),
        sa.Column("state", sa.String(length=50), server_default="draft", nullable=False),
        sa.Column("theme_id", sa.Uuid(), nullable=True),
        sa.Column("theme_data", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("campaign_metadata", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("creator_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
        schema="campaign_db",
    )
    op.create_table(
        "chapters",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=True),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("chapter_type", sa.String(length=50), server_default="story", nullable=False),
        sa.Column("state", sa.String(length=50), server_default="draft", nullable=False),
        sa.Column("sequence_number", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("chapter_metadata", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("prerequisites", sa.JSON(), server_default="[]", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign_db.campaigns.id"], name=op.f("fk_chapters_campaign_id_campaigns")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chapters")),
        schema="campaign_db",
    )


def downgrade() -> None:
    op.drop_table("chapters", schema="campaign_db")
    op.drop_table("campaigns", schema="campaign_db")
