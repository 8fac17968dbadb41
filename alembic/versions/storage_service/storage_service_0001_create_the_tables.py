"""create the tables

Revision ID: storage_service_0001
Revises:
Create Date: 2026-11-22 14:20:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "storage_service_0001"
down_revision = None
branch_labels = ("storage_service",)
depends_on = None


def upgrade() -> None:
    # CREATE SCHEMA IF NOT EXISTS needs CREATE on the database even where the schema is there already.
    op.execute(
        "DO $$BEGIN IF to_regnamespace('storage_service') IS NULL THEN CREATE SCHEMA storage_service; END IF; END$$"
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("service", "key", name=op.f("pk_idempotency_keys")),
        schema="storage_service",
    )
    op.create_index(
        op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], schema="storage_service"
    )


def downgrade() -> None:
    op.drop_table("idempotency_keys", schema="storage_service")
