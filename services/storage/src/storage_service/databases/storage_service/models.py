"""What the Storage Service itself keeps."""

from datetime import datetime

from sqlalchemy import DateTime, Index, LargeBinary, Text, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from storage_service.db.base import schema_metadata


class Base(DeclarativeBase):
    metadata = schema_metadata("storage_service")


class IdempotencyKey(Base):
    """The first result of a write, kept with the write, so that a repeated request gets it again."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "created_at"),)

    service: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    request_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    """Of method, path and body: the same key with another request is refused."""
    result: Mapped[str] = mapped_column(Text)
    """The body of the first answer."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


metadata = Base.metadata
