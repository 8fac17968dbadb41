"""Pydantic schemas of a table's requests and answers, derived from its model: they cannot drift apart."""

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator
from sqlalchemy import JSON, Boolean, Column, DateTime, Integer, String, Table, Uuid
from sqlalchemy.orm import DeclarativeBase

from storage_service.db.exact_json import RawJson

Model = TypeVar("Model", bound=BaseModel)

MAX_LIMIT = 1000
# Set by the service alone.
MANAGED = frozenset({"created_at", "updated_at", "is_deleted", "deleted_at"})
# PostgreSQL's text has no NUL.
_NO_NUL = r"^[^\x00]*$"


def _only_text(value: Any) -> Any:
    # Pydantic takes numbers as seconds since 1970.
    if isinstance(value, str | datetime):
        return value
    raise ValueError("give a timestamp as RFC 3339 text, with its offset")


def _only_number(value: Any) -> Any:
    # To JSON Schema 1.0 is an integer; "1", true and 1.00000000000000000001 are none.
    if isinstance(value, Decimal) and value.adjusted() < 20 and value == value.to_integral_value():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("give an integer")


def _integer(text: str) -> int | str:
    # Python refuses to parse integers of more than 4300 digits; no integer column takes half as many.
    return int(text) if len(text) < 40 else text


def parse(text: str | bytes) -> Any:
    """A JSON value, its fractions as Decimal. Raises ValueError, RecursionError."""
    return json.loads(text, parse_int=_integer, parse_float=_fraction, parse_constant=_refuse)


def _fraction(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent that is a number of many digits itself
        return text


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class Values(BaseModel):
    """Column values as they came: JSON columns as text, all others decoded and checked."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _decode(cls, members: Any) -> Any:
        if not isinstance(members, dict):
            return members
        return {name: cls._decode_member(name, raw) for name, raw in members.items()}

    @classmethod
    def _decode_member(cls, name: str, raw: Any) -> Any:
        field = cls.model_fields.get(name)
        if not isinstance(raw, RawJson) or (field and field.annotation is RawJson):
            return raw
        return parse(raw.text)

    def given(self) -> dict[str, Any]:
        """{column: value} of the columns that the request named."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Batch(BaseModel):
    """Rows to create in one transaction; the derived classes narrow them to a table's columns."""

    model_config = ConfigDict(extra="forbid")

    rows: list[Any]
    """All name the same columns."""


class Ids(BaseModel):
    """Rows to read."""

    model_config = ConfigDict(extra="forbid")

    ids: list[UUID] = Field(min_length=1, max_length=MAX_LIMIT)


class Changes(Values):
    """Values of an update: at least one."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    @model_validator(mode="after")
    def _not_empty(self) -> "Changes":
        if not self.model_fields_set:
            raise ValueError("name at least one column to change")
        return self


class Filters(BaseModel):
    """Equality filters on columns; null means IS NULL."""

    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """{column: value} of the filters that the request named."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Query(BaseModel):
    """What to read; the derived classes narrow filters and order_by to a table's columns."""

    model_config = ConfigDict(extra="forbid")

    filters: Filters = Field(default_factory=Filters)
    order_by: list[str] = []
    """Column names, descending with a leading minus."""
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), BeforeValidator(_only_number)] = 100
    cursor: str | None = None
    """The next_cursor of the page before, sent with the same filters and order_by."""


@dataclass(frozen=True)
class TableSchemas:
    """A served table and the shapes of its requests and answers."""

    table: Table
    create: type[Values]
    update: type[Changes]
    query: type[Query]
    batch: type[Batch]
    record: type[BaseModel]
    page: type[BaseModel]


def table_schemas(model: type[DeclarativeBase]) -> TableSchemas:
    """The schemas of one model's table. The model must have the columns of `RecordColumns` and a UUID `id`."""
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{model.__name__} is not mapped to a table")
    name = model.__name__
    own = [column for column in table.columns if column.name not in MANAGED]
    plain = [column for column in table.columns if not isinstance(column.type, JSON)]
    filters = _derive(f"{name}Filters", Filters, {c.name: (_type_of(c) | None, None) for c in plain})
    order: Any = Literal[tuple(sign + column.name for column in plain for sign in ("", "-"))]
    record = _derive(f"{name}Record", BaseModel, {c.name: (_answer_type_of(c), ...) for c in table.columns})
    query_fields = {
        "filters": (filters, Field(default_factory=filters)),
        "order_by": (list[order], Field(default=[], max_length=len(plain))),
    }
    page_fields = {
        "rows": (list[record], ...),  # type: ignore[valid-type]  # derived
        "versions": (list[str], ...),
        "next_cursor": (str | None, ...),
    }
    create = _derive(f"{name}Create", Values, {c.name: _create_field(c) for c in own})
    rows = (list[create], Field(min_length=1, max_length=MAX_LIMIT))  # type: ignore[valid-type]  # derived
    return TableSchemas(
        table=table,
        create=create,
        batch=_derive(f"{name}Batch", Batch, {"rows": rows}),
        update=_derive(
            f"{name}Update", Changes, {c.name: (_value_type_of(c), _left_out()) for c in own if not c.primary_key}
        ),
        query=_derive(f"{name}Query", Query, query_fields),
        record=record,
        page=_derive(f"{name}Page", BaseModel, page_fields),
    )


def _derive(name: str, base: type[Model], fields: dict[str, Any]) -> type[Model]:
    return create_model(name, __base__=base, **fields)


def _create_field(column: Column[Any]) -> tuple[Any, Any]:
    required = not column.nullable and column.server_default is None
    return _value_type_of(column), (... if required else _left_out())


def _left_out() -> Any:
    # The None never reaches the database: only columns that the request names do (`Values.given`).
    return Field(default=None, json_schema_extra=_without_default)


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def _value_type_of(column: Column[Any]) -> Any:
    kind = _type_of(column)
    return kind | None if column.nullable and kind is not RawJson else kind


def _answer_type_of(column: Column[Any]) -> Any:
    kind = column.type.python_type if not isinstance(column.type, JSON) else Any
    return kind | None if column.nullable else kind


def _type_of(column: Column[Any]) -> Any:
    """The type of a request's value; strict, so that "1" is no number and 1 no text."""
    match column.type:
        case JSON():
            return RawJson
        case Uuid():
            return UUID
        case String(length=length):
            return Annotated[str, Field(max_length=length, pattern=_NO_NUL)]
        case Integer():
            return Annotated[int, Field(ge=-(2**31), le=2**31 - 1), BeforeValidator(_only_number)]
        case Boolean():
            return Annotated[bool, Field(strict=True)]
        case DateTime():
            return Annotated[AwareDatetime, BeforeValidator(_only_text)]
    raise TypeError(f"column {column} has a type that the Storage Service does not serve: {column.type!r}")
