"""The tables of the service's own database, as it has used them before the consolidation."""

from sqlalchemy import Boolean, Column, DateTime, ForeignKey, MetaData, String, Table, Uuid
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()
# An absent list is SQL's NULL, not a JSON null.
_List = JSONB(none_as_null=True)

Table(
    "images",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("type", String(50), nullable=False),
    Column("subtype", String(50), nullable=False),
    Column("content", JSONB, nullable=False),
    Column("metadata", JSONB, nullable=False),
    Column("overlays", _List),
    Column("references", _List),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("is_deleted", Boolean, nullable=False),
    Column("deleted_at", DateTime(timezone=True)),
)

Table(
    "overlays",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("image_id", Uuid, ForeignKey("images.id"), nullable=False),
    Column("type", String(50), nullable=False),
    Column("elements", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("is_deleted", Boolean, nullable=False),
    Column("deleted_at", DateTime(timezone=True)),
)
