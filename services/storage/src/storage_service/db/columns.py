"""The values of a table's columns as they come in a request, decoded without a detour where they are as they should be.

What these decoders refuse goes to the Pydantic schemas, which know how to say what is wrong, and have the last word.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from sqlalchemy import JSON, Boolean, Column, DateTime, Integer, String, Table, Uuid

Members = dict[str, msgspec.Raw]
_MEMBERS = msgspec.json.Decoder(Members)


@dataclass(frozen=True, slots=True)
class ColumnReader:
    """Decodes the values of one column."""

    name: str
    json: bool
    nullable: bool
    text: bool
    decoder: msgspec.json.Decoder[Any]

    @classmethod
    def of(cls, column: Column[Any]) -> "ColumnReader":
        kind, nullable = _type_of(column), bool(column.nullable)
        return cls(
            column.name,
            isinstance(column.type, JSON),
            nullable,
            isinstance(column.type, String),
            msgspec.json.Decoder(kind | None if nullable else kind),
        )

    def value(self, raw: msgspec.Raw) -> Any:
        """None for SQL's NULL; the text of a JSON column. Raises ValueError."""
        if self.json:
            text = str(memoryview(raw), "utf-8")
            # A JSON null is SQL's NULL where the column may be NULL.
            return None if self.nullable and text == "null" else text
        value = self.decoder.decode(raw)
        if self.text and value is not None and "\0" in value:
            raise ValueError("PostgreSQL's text has no NUL")
        return value

    def filter(self, raw: msgspec.Raw) -> Any:
        """A value to compare with; None: IS NULL. Raises ValueError."""
        return None if bytes(raw) == b"null" else self.value(raw)


def readers(table: Table) -> dict[str, ColumnReader]:
    """By column."""
    return {column.name: ColumnReader.of(column) for column in table.columns}


def members_of(body: bytes) -> Members:
    """The members of a JSON object, each as its text. Raises ValueError for anything but plain compact JSON.

    A member that is there twice, whitespace and escaped names make the object longer than its parts.
    """
    members = _MEMBERS.decode(body)
    length = 1 + len(members) + (not members)
    for name, raw in members.items():
        if not name.isascii():
            raise ValueError(name)
        length += len(name) + 3 + len(memoryview(raw))
    if length != len(body):
        raise ValueError("not compact")
    return members


def _type_of(column: Column[Any]) -> Any:
    match column.type:
        case JSON():
            return msgspec.Raw
        case Uuid():
            return UUID
        case String(length=length):
            return Annotated[str, msgspec.Meta(max_length=length)] if length else str
        case Integer():
            return Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
        case Boolean():
            return bool
        case DateTime():
            return Annotated[datetime, msgspec.Meta(tz=True)]
    raise TypeError(f"column {column} has a type that the Storage Service does not serve: {column.type!r}")
