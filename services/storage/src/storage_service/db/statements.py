"""Every operation of the Storage Service as one SQL statement, so that each is atomic in one round trip.

PostgreSQL itself prints the rows as JSON: json keeps its text, jsonb and numeric their digits.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from service_common.problem import Problem
from sqlalchemy import (
    CTE,
    ColumnElement,
    Executable,
    FromClause,
    Table,
    Text,
    and_,
    cast,
    column,
    false,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    true,
    update,
)

from storage_service.databases.storage_service.models import IdempotencyKey
from storage_service.db.exact_json import RawJson
from storage_service.db.schemas import Query


@dataclass(frozen=True)
class Ordering:
    """One column of an ORDER BY."""

    name: str
    descending: bool

    @classmethod
    def parse(cls, order_by: Sequence[str]) -> "tuple[Ordering, ...]":
        """order_by as clients write it, ended by the key so that no two rows are equal."""
        names = list(order_by) if {"id", "-id"} & set(order_by) else [*order_by, "id"]
        return tuple(cls(name.removeprefix("-"), name.startswith("-")) for name in names)


def as_json(rows: FromClause) -> ColumnElement[str]:
    """The text of a row of `rows`, a named subquery or CTE, as one JSON object."""
    return cast(func.row_to_json(column(rows.name, is_literal=True)), Text)  # type: ignore[attr-defined]  # named


def page(table: Table, query: Query) -> Executable:
    """One row more than the limit: (row as JSON, then the ordering columns as text)."""
    ordering = Ordering.parse(query.order_by)
    wanted = select(table).where(*_equal(table, query.filters.given()))
    if query.cursor is not None:
        wanted = wanted.where(_after(table, ordering, decode_cursor(query)))
    rows = wanted.subquery("page")
    order = [rows.c[by.name].desc() if by.descending else rows.c[by.name].asc() for by in ordering]
    texts = [cast(rows.c[by.name], Text) for by in ordering]
    return select(as_json(rows), *texts).order_by(*order).limit(query.limit + 1)


def create(table: Table, values: Mapping[str, Any]) -> CTE:
    """Insert one row."""
    return insert(table).values(_bound(table, values)).returning(*table.columns).cte("written")


def change(table: Table, key: UUID, values: Mapping[str, Any]) -> CTE:
    """Update the row with this key unless it is deleted."""
    changed = {**_bound(table, values), "updated_at": func.now()}
    return update(table).where(*_live(table, key)).values(changed).returning(*table.columns).cte("written")


def soft_delete(table: Table, key: UUID) -> CTE:
    """Mark the row with this key as deleted unless it is already."""
    marked = {"is_deleted": true(), "deleted_at": func.now(), "updated_at": func.now()}
    return update(table).where(*_live(table, key)).values(marked).returning(*table.columns).cte("written")


def perform(write: CTE) -> Executable:
    """Do the write; one row with its JSON, or none where there was nothing to change."""
    return select(as_json(write)).select_from(write)


def perform_once(write: CTE, service: str, key: str, request_sha256: bytes) -> Executable:
    """Do the write and remember its result under the key. A known key violates the primary key: nothing is written."""
    keys = IdempotencyKey.__table__
    remembered = select(literal(service), literal(key), literal(request_sha256), as_json(write)).select_from(write)
    return (
        insert(IdempotencyKey)
        .from_select(["service", "key", "request_sha256", "result"], remembered)
        .returning(keys.c.result)
    )


def recall(service: str, key: str) -> Executable:
    """(request_sha256, result) of the write with this key."""
    return select(IdempotencyKey.request_sha256, IdempotencyKey.result).where(
        IdempotencyKey.service == service, IdempotencyKey.key == key
    )


def encode_cursor(query: Query, texts: Sequence[str | None]) -> str:
    """Where the next page begins: after the row with these ordering values."""
    return base64.urlsafe_b64encode(json.dumps([_fingerprint(query), *texts]).encode()).decode()


def decode_cursor(query: Query) -> list[str | None]:
    """The ordering values in the query's cursor. Raises Problem for a cursor of another query."""
    try:
        decoded: list[str | None] = json.loads(base64.b64decode(query.cursor or "", altchars=b"-_", validate=True))
        valid = isinstance(decoded, list) and all(text is None or isinstance(text, str) for text in decoded)
    except ValueError:
        decoded, valid = [], False
    expected = 1 + len(Ordering.parse(query.order_by))
    if not valid or len(decoded) != expected or decoded[0] != _fingerprint(query):
        detail = "The cursor is not one of this query: send next_cursor with the same filters and order_by."
        raise Problem(422, "invalid-cursor", detail)
    return decoded[1:]


def _fingerprint(query: Query) -> str:
    shape = query.model_dump_json(include={"filters", "order_by"}, exclude_unset=True)
    return hashlib.sha256(shape.encode()).hexdigest()[:16]


def _equal(table: Table, values: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    return [table.c[name].is_(None) if value is None else table.c[name] == value for name, value in values.items()]


def _live(table: Table, key: UUID) -> tuple[ColumnElement[bool], ...]:
    return table.c.id == key, table.c.is_deleted == false()


def _bound(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for INSERT and UPDATE: a JSON null is SQL's NULL where the column may be NULL."""
    return {
        name: null() if value == RawJson("null") and table.c[name].nullable else value for name, value in values.items()
    }


def _after(table: Table, ordering: Sequence[Ordering], texts: Sequence[str | None]) -> ColumnElement[bool]:
    """Rows behind the row with these ordering values, in PostgreSQL's order: NULL is the greatest value."""
    alternatives: list[ColumnElement[bool]] = []
    same: list[ColumnElement[bool]] = []
    for by, text in zip(ordering, texts, strict=True):
        of_row = table.c[by.name]
        if text is None:
            alternatives.append(and_(*same, of_row.is_not(None) if by.descending else false()))
            same.append(of_row.is_(None))
            continue
        value = cast(literal(text, Text), of_row.type)
        alternatives.append(and_(*same, of_row < value if by.descending else or_(of_row > value, of_row.is_(None))))
        same.append(of_row == value)
    return or_(*alternatives)
