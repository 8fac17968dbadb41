"""index what the clients read by

Revision ID: image_db_0002
Revises: image_db_0001
Create Date: 2026-11-22 14:01:58.454188
"""

from __future__ import annotations

from alembic import op

revision = "image_db_0002"
down_revision = "image_db_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_overlays_image_id"), "overlays", ["image_id"], unique=False, schema="image_db")


def downgrade() -> None:
    op.drop_index(op.f("ix_overlays_image_id"), table_name="overlays", schema="image_db")
