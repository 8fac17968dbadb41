"""Tables of image_db. The one definition: Alembic's lineage image_db is checked against it."""

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from storage_service.db.base import RecordColumns, schema_metadata


class Base(DeclarativeBase):
    metadata = schema_metadata("image_db")


class Image(RecordColumns, Base):
    __tablename__ = "images"
    __table_args__ = (Index(None, "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    type: Mapped[str] = mapped_column(String(50))
    subtype: Mapped[str] = mapped_column(String(50))
    content: Mapped[Any] = mapped_column(JSONB, nullable=False)
    # `metadata` is taken on declarative classes; the column keeps its name.
    image_metadata: Mapped[Any] = mapped_column("metadata", JSONB, nullable=False)
    overlays: Mapped[Any] = mapped_column(JSONB, nullable=True, server_default="[]")
    references: Mapped[Any] = mapped_column(JSONB, nullable=True, server_default="[]")


class Overlay(RecordColumns, Base):
    __tablename__ = "overlays"
    __table_args__ = (Index(None, "image_id"), Index(None, "created_at", "id"))

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    image_id: Mapped[UUID] = mapped_column(ForeignKey(Image.id))
    type: Mapped[str] = mapped_column(String(50))
    elements: Mapped[Any] = mapped_column(JSONB, nullable=False)


metadata = Base.metadata
