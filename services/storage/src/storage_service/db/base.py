"""What the models of every database share: constraint names and the columns of a soft-deletable record."""

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, DateTime, MetaData, false, func
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

# Set before the first revision, so that every later revision can name the constraint it changes.
NAMING_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}


def schema_metadata(schema: str) -> MetaData:
    """The MetaData of one database: its tables live in `schema`, its constraints follow the naming convention."""
    return MetaData(schema=schema, naming_convention=NAMING_CONVENTION)


class RecordColumns:
    """Timestamps and soft deletion; the last columns of every table."""

    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now(), sort_order=100)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now(), sort_order=101)
    is_deleted: Mapped[bool] = mapped_column(Boolean, server_default=false(), sort_order=102)
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), sort_order=103)


class NamedType(UserDefinedType[Any]):
    """A type that SQLAlchemy does not know, an extension's for instance, in PostgreSQL's words: `vector(3)`.

    For lineages alone: tables with one are not served.
    """

    cache_ok = True

    def __init__(self, spec: str) -> None:
        self.spec = spec

    def get_col_spec(self, **_: Any) -> str:
        return self.spec
