"""The lineage, as the source is compared with it: plain values out of SQLAlchemy's metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from psycopg2.extensions import connection as Connection
from sqlalchemy.dialects import postgresql

from consolidation.postgres.queries import rows

# "named": % is not doubled.
DIALECT = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy
MODIFIER = re.compile(r"\s*\((\d+)(?:,\s*(-?\d+))?\)")


@dataclass(frozen=True)
class Type:
    """A type without its modifier, and the modifier: ``character varying`` and (255,)."""

    base: str
    modifier: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.base}({','.join(map(str, self.modifier))})" if self.modifier else self.base


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
    """'' or 'serial', 'identity always', 'identity by default'."""
    collation: str | None


@dataclass(frozen=True)
class ModelForeignKey:
    """One foreign key of the lineage, between tables of the same schema."""

    columns: tuple[str, ...]
    table: str
    referenced: tuple[str, ...]
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


def read_lineage(name: str, metadata: sa.MetaData, conn: Connection) -> Lineage:
    """Read the metadata; the server says which type each of SQLAlchemy's words means."""
    tables = [table for table in metadata.sorted_tables if table.schema == name]
    columns = [column for table in tables for column in table.columns]
    spelt = {column: column.type.compile(dialect=DIALECT) for column in columns}
    known = _canonical(conn, set(spelt.values()))
    types = {column: known[text] or parse(text.replace(f"{name}.", "")) for column, text in spelt.items()}
    enums = {
        column.type.name: tuple(column.type.enums)
        for column in columns
        if isinstance(column.type, sa.Enum) and column.type.name
    }
    domains = {
        column.type.name for column in columns if isinstance(column.type, postgresql.DOMAIN) and column.type.name
    }
    sequences = {column.default.name for column in columns if isinstance(column.default, sa.Sequence)}
    return Lineage(
        name, {t.name: _table(t, types) for t in tables}, enums, frozenset({*enums, *domains}), frozenset(sequences)
    )


def parse(text: str) -> Type:
    """``timestamp(3) with time zone`` -> (``timestamp with time zone``, (3,)). A quoted name is left alone."""
    match = None if '"' in text else MODIFIER.search(text)
    if match is None:
        return Type(text, ())
    return Type(text[: match.start()] + text[match.end() :], tuple(int(part) for part in match.groups() if part))


def default_text(expression: str | None) -> str | None:
    """A default's expression without quotes and casts, to be compared: ``'{}'::json`` -> ``{}``."""
    if expression is None:
        return None
    text = expression.strip()
    if match := re.fullmatch(r"'((?:[^']|'')*)'(?:::[^']+)?", text):
        return match.group(1).replace("''", "'")
    return {"CURRENT_TIMESTAMP": "now()"}.get(text.upper(), text)


def _canonical(conn: Connection, words: Iterable[str]) -> dict[str, Type | None]:
    statement = "SELECT word, format_type(to_regtype(word), NULL) FROM unnest(%s::text[]) AS word"
    found: dict[str, Type | None] = {}
    for word, base in rows(conn, statement, [sorted(words)]):
        # float(24) is real: its number is no modifier.
        modifier = () if base in ("real", "double precision") else parse(word).modifier
        found[word] = None if base in (None, "-") else Type(base, modifier)
    return found


def _table(table: sa.Table, types: dict[sa.Column[Any], Type]) -> ModelTable:
    plain = [index for index in table.indexes if _columns_of(index)]
    uniques = {
        frozenset(column.name for column in constraint.columns)
        for constraint in table.constraints
        if isinstance(constraint, sa.UniqueConstraint)
    } | {frozenset(_columns_of(index)) for index in plain if index.unique}
    return ModelTable(
        name=table.name,
        columns={column.name: _column(table, column, types[column]) for column in table.columns},
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


def _column(table: sa.Table, column: sa.Column[Any], kind: Type) -> ModelColumn:
    if column.identity is not None:
        numbering = "identity always" if column.identity.always else "identity by default"
    else:
        numbering = "serial" if column is table.autoincrement_column and column.server_default is None else ""
    return ModelColumn(
        name=column.name,
        type=kind,
        not_null=not column.nullable,
        default=_default(column),
        generated=None if column.computed is None else str(column.computed.sqltext),
        numbering=numbering,
        collation=getattr(column.type, "collation", None),
    )


def _default(column: sa.Column[Any]) -> str | None:
    default = column.server_default
    if not isinstance(default, sa.DefaultClause):
        return None
    text = default.arg if isinstance(default.arg, str) else str(default.arg.compile(dialect=DIALECT))
    return default_text(text)


def _foreign_key(key: sa.ForeignKeyConstraint) -> ModelForeignKey:
    letters = {None: "a", "NO ACTION": "a", "RESTRICT": "r", "CASCADE": "c", "SET NULL": "n", "SET DEFAULT": "d"}
    on_update, on_delete = (letters.get(word and word.upper(), "?") for word in (key.onupdate, key.ondelete))
    return ModelForeignKey(
        columns=tuple(column.name for column in key.columns),
        table=key.referred_table.name,
        referenced=tuple(element.column.name for element in key.elements),
        actions=(on_update, on_delete, bool(key.deferrable)),
    )
