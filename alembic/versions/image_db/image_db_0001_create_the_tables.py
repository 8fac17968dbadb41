"""create the tables

Revision ID: image_db_0001
Revises:
Create Date: 2026-11-22 14:01:58.454188
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "image_db_0001"
down_revision = None
branch_labels = ("image_db",)
depends_on = None


def upgrade() -> None:
    # CREATE SCHEMA IF NOT EXISTS needs CREATE on the database even where the schema is there already.
    op.execute("DO $$BEGIN IF to_regnamespace('image_db') IS NULL THEN CREATE SCHEMA image_db; END IF; END$$")
    op.create_table(
        "images",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(length=50), nullable=False),
        sa.Column("subtype", sa.String(length=50), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("overlays", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=True),
        sa.Column("references", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
        schema="image_db",
    )
    op.create_table(
        "overlays",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(length=50), nullable=False),
        sa.Column("elements", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["image_db.images.id"], name=op.f("fk_overlays_image_id_images")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_overlays")),
        schema="image_db",
    )


def downgrade() -> None:
    op.drop_table("overlays", schema="image_db")
    op.drop_table("images", schema="image_db")
