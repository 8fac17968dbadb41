"""How a table is cut into pieces that load, fail and resume on their own."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.postgres.catalog import Table
from consolidation.postgres.queries import rows

CHUNK_BYTES = 64 * 1024 * 1024  # large enough to hide the round trips, small enough to lose little when interrupted
WORKER_BYTES = 8 * 1024 * 1024  # about what passes in the time that one more process takes to start
CTID_RANGE_VERSION = 140000  # older servers read the whole table for a ctid range

# Types whose binary form is the same on every supported version; everything else goes as text.
BINARY_TYPES = frozenset(
    {
        "bigint", "integer", "smallint", "boolean", "text", "character varying", "character", "uuid", "json", "jsonb",
        "bytea", "date", "timestamp with time zone", "timestamp without time zone", "time with time zone",
        "time without time zone", "numeric", "real", "double precision", "interval", "inet", "cidr", "macaddr",
        "bit", "bit varying",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Chunk:
    """A range of a table's pages: from ``low`` to before ``high``; None is open."""

    number: int
    low: str | None
    high: str | None
    estimated_bytes: int


def cut(conn: Connection, tables: Sequence[Table]) -> dict[str, tuple[Chunk, ...]]:
    """By table: ranges of its pages of about CHUNK_BYTES each (TOAST included); together they are the table.

    The last one is open upwards, and one covers all where pages cannot be addressed: partitioned tables, old servers.
    """
    found = rows(
        conn,
        "SELECT t, pg_relation_size(t::regclass) / current_setting('block_size')::int FROM unnest(%s::oid[]) AS t",
        [[table.oid for table in tables if table.kind == "r"]],
    )
    pages = dict(found) if conn.server_version >= CTID_RANGE_VERSION else {}
    return {
        table.name: page_ranges(pages[table.oid], table.table_bytes, CHUNK_BYTES)
        if table.oid in pages
        else (Chunk(0, None, None, table.table_bytes),)
        for table in tables
    }


def workers(tables: Iterable[Table], most: int) -> int:
    """How many processes are worth their start for these tables."""
    return max(1, min(most, math.ceil(bytes_of(tables) / WORKER_BYTES)))


def bytes_of(tables: Iterable[Table]) -> int:
    """What they occupy, TOAST included."""
    return sum(table.table_bytes for table in tables)


def page_ranges(pages: int, table_bytes: int, chunk_bytes: int) -> tuple[Chunk, ...]:
    """Cut ``pages`` pages that hold ``table_bytes`` bytes into ranges of about ``chunk_bytes``."""
    count = max(1, min(pages, math.ceil(table_bytes / chunk_bytes)))
    borders = [pages * number // count for number in range(count + 1)]
    return tuple(
        Chunk(
            number,
            None if number == 0 else f"({borders[number]},0)",
            None if number == count - 1 else f"({borders[number + 1]},0)",
            table_bytes // count,
        )
        for number in range(count)
    )


def binary(source: Table, target: Table) -> bool:
    """Whether both sides store every column in the same well-known type, so that COPY may go in binary."""
    return all(
        column.type == target.column(column.name).type and base_type(column.type) in BINARY_TYPES
        for column in source.stored_columns
    )


def base_type(name: str) -> str:
    """A type's name without modifiers and array brackets: ``character varying(50)[]`` -> ``character varying``."""
    return re.sub(r"\(.*?\)", "", name).replace("[]", "").strip()


def copy_out(table: Table, names: Iterable[str], low: str | None, high: str | None, *, is_binary: bool) -> sql.Composed:
    """The COPY statement that reads the named columns of a range."""
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in names)
    only = sql.SQL("ONLY ") if table.kind == "r" else sql.SQL("")
    conditions = [
        sql.SQL("ctid {} {}::tid").format(sql.SQL(operator), sql.Literal(border))
        for operator, border in ((">=", low), ("<", high))
        if border is not None
    ]
    where = sql.SQL(" WHERE ") + sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("")
    return sql.SQL("COPY (SELECT {} FROM {}{}{}) TO STDOUT{}").format(
        columns, only, table.identifier, where, _format(is_binary=is_binary)
    )


def copy_in(source: Table, target: Table, *, is_binary: bool) -> sql.Composed:
    """The COPY statement that writes what ``copy_out`` reads."""
    names = [sql.Identifier(column.name) for column in source.stored_columns]
    columns = sql.SQL(" ({})").format(sql.SQL(", ").join(names)) if names else sql.SQL("")
    return sql.SQL("COPY {}{} FROM STDIN{}").format(target.identifier, columns, _format(is_binary=is_binary))


def _format(*, is_binary: bool) -> sql.SQL:
    return sql.SQL(" (FORMAT binary)") if is_binary else sql.SQL("")
