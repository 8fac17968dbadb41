"""index what lists are ordered by

Revision ID: image_db_0003
Revises: image_db_0002
Create Date: 2026-11-28 18:40:01
"""

from __future__ import annotations

from alembic import op

revision = "image_db_0003"
down_revision = "image_db_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("images", "overlays"):
        op.create_index(op.f(f"ix_{table}_created_at_id"), table, ["created_at", "id"], unique=False, schema="image_db")


def downgrade() -> None:
    for table in ("overlays", "images"):
        op.drop_index(op.f(f"ix_{table}_created_at_id"), table_name=table, schema="image_db")
