"""Tables of campaign_db. The one definition: Alembic's lineage campaign_db is checked against it."""

from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, Index, String, Text, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from storage_service.db.base import RecordColumns, schema_metadata


class Base(DeclarativeBase):
    metadata = schema_metadata("campaign_db")


class Campaign(RecordColumns, Base):
    __tablename__ = "campaigns"
    __table_args__ = (Index(None, "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    campaign_type: Mapped[str] = mapped_column(String(50), server_default="traditional")
    state: Mapped[str] = mapped_column(String(50), server_default="draft")
    theme_id: Mapped[UUID | None] = mapped_column(Uuid)
    theme_data: Mapped[Any] = mapped_column(JSON, nullable=False, server_default="{}")
    campaign_metadata: Mapped[Any] = mapped_column(JSON, nullable=False, server_default="{}")
    creator_id: Mapped[UUID] = mapped_column(Uuid)
    owner_id: Mapped[UUID] = mapped_column(Uuid)


class Chapter(RecordColumns, Base):
    __tablename__ = "chapters"
    __table_args__ = (Index(None, "campaign_id", "sequence_number"), Index(None, "sequence_number", "id"))

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    campaign_id: Mapped[UUID | None] = mapped_column(ForeignKey(Campaign.id))
    title: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    chapter_type: Mapped[str] = mapped_column(String(50), server_default="story")
    state: Mapped[str] = mapped_column(String(50), server_default="draft")
    sequence_number: Mapped[int]
    content: Mapped[Any] = mapped_column(JSON, nullable=False, server_default="{}")
    chapter_metadata: Mapped[Any] = mapped_column(JSON, nullable=False, server_default="{}")
    prerequisites: Mapped[Any] = mapped_column(JSON, nullable=False, server_default="[]")


metadata = Base.metadata
