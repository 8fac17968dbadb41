"""The lineage, as the source is compared with it: plain values out of SQLAlchemy's metadata."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from psycopg2.extensions import connection as Connection
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import NoReferenceError

from consolidation.lineage.defaults import default_of, is_client_side, sequence_of
from consolidation.preflight import types
from consolidation.preflight.types import DIALECT, Type, spell

CLIENT_SIDE = "sequence"
"""SQLAlchemy takes the number from a sequence; the table may do so as well, models do not say."""


@dataclass(frozen=True)
class ModelColumn:
    """One column of the lineage."""

    name: str
    type: Type
    not_null: bool
    default: str | None
    """Text of the server's default, without quotes."""
    generated: str | None
    """Expression of a generated column."""
    numbering: str
    """'' or 'serial', 'identity always', 'identity by default', or ``CLIENT_SIDE``."""
    collation: str | None


@dataclass(frozen=True)
class ModelForeignKey:
    """One foreign key of the lineage."""

    columns: tuple[str, ...]
    schema: str | None
    """Of the table that it refers to."""
    table: str
    referenced: tuple[str, ...]
    is_full: bool
    """MATCH FULL: either all columns are NULL, or none."""
    actions: tuple[str, str, bool]
    """(on update, on delete, deferrable) in pg_constraint's letters."""


@dataclass(frozen=True)
class ModelTable:
    """One table of the lineage."""

    name: str
    columns: dict[str, ModelColumn]
    primary_key: tuple[str, ...]
    uniques: frozenset[frozenset[str]]
    foreign_keys: tuple[ModelForeignKey, ...]
    checks: dict[str, str]
    """Name -> SQL expression."""
    indexes: frozenset[tuple[str, ...]]
    index_names: frozenset[str]


@dataclass(frozen=True)
class Lineage:
    """What a lineage's revisions lead to."""

    name: str
    tables: dict[str, ModelTable]
    enums: dict[str, tuple[str, ...]]
    """Name -> labels."""
    type_names: frozenset[str]
    sequences: frozenset[str]
    comments: frozenset[str]
    """Of tables and columns."""


def read_lineage(name: str, metadata: sa.MetaData, conn: Connection) -> Lineage:
    """Read the metadata; the server says which type each of SQLAlchemy's words means."""
    tables = sorted((table for table in metadata.tables.values() if table.schema == name), key=lambda table: table.name)
    columns = [column for table in tables for column in table.columns]
    spelt = {column: spell(column) for column in columns}
    known = types.read(conn, {spelling.text for spelling in spelt.values()}, name)
    named = [_element(column.type) for column in columns]
    enums = {kind.name: tuple(kind.enums) for kind in named if isinstance(kind, sa.Enum) and kind.name}
    domains = {kind.name for kind in named if isinstance(kind, postgresql.DOMAIN) and kind.name}
    sequences = {sequence for column in columns if (sequence := sequence_of(column))}

    def kind(column: sa.Column[Any]) -> tuple[Type, str | None]:
        return known[spelt[column].text], spelt[column].collation

    made = {table.name: _table(table, kind) for table in tables}
    comments = {text for text in (*(t.comment for t in tables), *(c.comment for c in columns)) if text}
    return Lineage(name, made, enums, frozenset({*enums, *domains}), frozenset(sequences), frozenset(comments))


def _element(kind: Any) -> Any:
    """The type of an array's elements, or the type itself."""
    return kind.item_type if isinstance(kind, sa.ARRAY) else kind


def default_text(expression: str | None) -> str | None:
    """A default's expression without quotes and casts, to be compared: ``'{}'::json`` -> ``{}``."""
    if expression is None:
        return None
    text = expression.strip()
    if match := re.fullmatch(r"'((?:[^']|'')*)'(?:::[^']+)?", text):
        return match.group(1).replace("''", "'")
    return {"CURRENT_TIMESTAMP": "now()"}.get(text.upper(), text)


def _table(table: sa.Table, kind: Callable[[sa.Column[Any]], tuple[Type, str | None]]) -> ModelTable:
    plain = [index for index in table.indexes if _columns_of(index)]
    uniques = {
        frozenset(column.name for column in constraint.columns)
        for constraint in table.constraints
        if isinstance(constraint, sa.UniqueConstraint)
    } | {frozenset(_columns_of(index)) for index in plain if index.unique}
    return ModelTable(
        name=table.name,
        columns={column.name: _column(table, column, *kind(column)) for column in table.columns},
        primary_key=tuple(column.name for column in table.primary_key),
        uniques=frozenset(uniques),
        foreign_keys=tuple(_foreign_key(key) for key in table.foreign_key_constraints),
        checks={
            str(check.name): str(check.sqltext.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))
            for check in table.constraints
            if isinstance(check, sa.CheckConstraint)
        },
        indexes=frozenset(_columns_of(index) for index in plain),
        index_names=frozenset(str(index.name) for index in table.indexes),
    )


def _columns_of(index: sa.Index) -> tuple[str, ...]:
    """Names of a plain index's columns; empty for one with expressions or a condition."""
    columns = [part for part in index.expressions if isinstance(part, sa.Column)]
    partial = index.dialect_options["postgresql"]["where"] is not None
    return () if partial or len(columns) < len(index.expressions) else tuple(column.name for column in columns)


def _column(table: sa.Table, column: sa.Column[Any], kind: Type, collation: str | None) -> ModelColumn:
    if column.identity is not None:
        numbering = "identity always" if column.identity.always else "identity by default"
    else:
        counted = column is table.autoincrement_column and column.server_default is None
        numbering = CLIENT_SIDE if is_client_side(column) else "serial" if counted or sequence_of(column) else ""
    return ModelColumn(
        name=column.name,
        type=kind,
        not_null=not column.nullable,
        default=default_text(default_of(column)),
        generated=None if column.computed is None else str(column.computed.sqltext),
        numbering=numbering,
        collation=collation,
    )


def _foreign_key(key: sa.ForeignKeyConstraint) -> ModelForeignKey:
    letters = {None: "a", "NO ACTION": "a", "RESTRICT": "r", "CASCADE": "c", "SET NULL": "n", "SET DEFAULT": "d"}
    on_update, on_delete = (letters.get(word and word.upper(), "?") for word in (key.onupdate, key.ondelete))
    ends = [_referenced(element) for element in key.elements]
    return ModelForeignKey(
        columns=tuple(column.name for column in key.columns),
        schema=ends[0][0],
        table=ends[0][1],
        referenced=tuple(column for _, _, column in ends),
        is_full=(key.match or "").upper() == "FULL",
        actions=(on_update, on_delete, bool(key.deferrable)),
    )


def _referenced(element: sa.ForeignKey) -> tuple[str | None, str, str]:
    """(schema, table, column) that one column of a foreign key refers to; models need not have that table."""
    try:
        return element.column.table.schema, element.column.table.name, element.column.name
    except NoReferenceError:
        *schema, table, column = element.target_fullname.split(".")
        return ".".join(schema) or None, table, column
