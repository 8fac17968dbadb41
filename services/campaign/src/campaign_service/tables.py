"""The tables of the service's own database, as it has used them before the consolidation."""

from sqlalchemy import JSON, Boolean, Column, DateTime, ForeignKey, Integer, MetaData, String, Table, Text, Uuid

metadata = MetaData()

Table(
    "campaigns",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("description", Text),
    Column("campaign_type", String(50), nullable=False),
    Column("state", String(50), nullable=False),
    Column("theme_id", Uuid),
    Column("theme_data", JSON, nullable=False),
    Column("campaign_metadata", JSON, nullable=False),
    Column("creator_id", Uuid, nullable=False),
    Column("owner_id", Uuid, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("is_deleted", Boolean, nullable=False),
    Column("deleted_at", DateTime(timezone=True)),
)

Table(
    "chapters",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("campaign_id", Uuid, ForeignKey("campaigns.id")),
    Column("title", String(255), nullable=False),
    Column("description", Text),
    Column("chapter_type", String(50), nullable=False),
    Column("state", String(50), nullable=False),
    Column("sequence_number", Integer, nullable=False),
    Column("content", JSON, nullable=False),
    Column("chapter_metadata", JSON, nullable=False),
    Column("prerequisites", JSON, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("is_deleted", Boolean, nullable=False),
    Column("deleted_at", DateTime(timezone=True)),
)
