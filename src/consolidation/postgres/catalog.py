"""What a schema holds, read from PostgreSQL's catalogs as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.postgres.queries import dicts, query, rows

# Bookkeeping of the service's former Alembic set-up: the new lineage has its own (consolidation.alembic_version).
LEFT_BEHIND = frozenset({"alembic_version"})


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    type: str
    """As format_type prints it, without a schema's name."""
    type_kind: str
    """pg_type.typtype: b base, c composite, d domain, e enum, r range, m multirange, p pseudo."""
    type_category: str
    not_null: bool
    generated: str
    """'' or 's' (stored) or 'v' (virtual)."""
    identity: str
    """'' or 'a' (always) or 'd' (by default)."""
    default: str | None
    collation: str | None
    position: int


@dataclass(frozen=True)
class Table:
    """One ordinary ('r') or partitioned ('p') table."""

    schema: str
    name: str
    oid: int
    kind: str
    persistence: str
    """'p' permanent, 'u' unlogged (a partition of it at least), 't' temporary."""
    owner: str
    estimated_rows: int
    table_bytes: int
    primary_key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def identifier(self) -> sql.Identifier:
        """The qualified, quoted name."""
        return sql.Identifier(self.schema, self.name)

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        """Columns that a copy carries: generated ones are computed again by the destination."""
        return tuple(column for column in self.columns if not column.generated)

    def column(self, name: str) -> Column:
        """The column of that name; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Sequence:
    """One sequence and where it stands."""

    schema: str
    name: str
    table: str | None
    """Table that owns it (serial or identity column), if any."""
    column: str | None
    identity: bool
    last_value: int
    is_called: bool
    increment: int


def read_tables(conn: Connection, schema: str, only: Iterable[str] = ()) -> tuple[Table, ...]:
    """Tables of a schema by name, without those left behind (``alembic_version``) unless named in ``only``."""
    parameters = {"schema": schema, "tables": list(only)}
    columns: dict[str, list[Column]] = {}
    for row in dicts(conn, query("postgres/columns"), parameters):
        columns.setdefault(row["table_name"], []).append(
            Column(
                name=row["name"],
                type=row["type"],
                type_kind=row["type_kind"],
                type_category=row["type_category"],
                not_null=row["not_null"],
                generated=row["generated"],
                identity=row["identity"],
                default=row["default_expression"],
                collation=row["collation"],
                position=row["position"],
            )
        )
    return tuple(
        Table(
            schema=schema,
            name=row["name"],
            oid=row["oid"],
            kind=row["kind"],
            persistence=row["persistence"],
            owner=row["owner"],
            estimated_rows=row["estimated_rows"],
            table_bytes=row["table_bytes"],
            primary_key=tuple(row["primary_key"]),
            columns=tuple(columns.get(row["name"], ())),
        )
        for row in dicts(conn, query("postgres/tables"), parameters)
        if parameters["tables"] or row["name"] not in LEFT_BEHIND
    )


def read_sequences(conn: Connection, schema: str) -> tuple[Sequence, ...]:
    """Sequences of a schema with their present position (needs SELECT on each)."""
    found = []
    for row in dicts(conn, query("postgres/sequences"), {"schema": schema}):
        identifier = sql.Identifier(schema, row["name"])
        # Without parameters: psycopg2 would take a % in the name for one.
        statement = sql.SQL(
            "SELECT s.last_value, s.is_called, p.seqincrement FROM {} s, pg_sequence p WHERE p.seqrelid = {}::regclass"
        ).format(identifier, sql.Literal(identifier.as_string(conn)))
        last_value, is_called, increment = rows(conn, statement)[0]
        found.append(
            Sequence(
                schema=schema,
                name=row["name"],
                table=row["table_name"],
                column=row["column_name"],
                identity=row["dependency"] == "i",
                last_value=last_value,
                is_called=is_called,
                increment=increment,
            )
        )
    return tuple(found)


def definitions(conn: Connection, schema: str) -> dict[str, str]:
    """All that a lineage makes in a schema, in words (``constraint c of t``) -> a digest of how it is defined."""
    return dict(rows(conn, query("postgres/definitions"), {"schema": schema}))


def unsound(conn: Connection, schema: str, tables: Iterable[str], fence: str) -> list[str]:
    """What is not in force on some tables and their partitions: ``constraint c of t is not validated``.

    fence: name of the trigger that is left out.
    """
    parameters = {"schema": schema, "tables": list(tables), "fence": fence}
    return [text for (text,) in rows(conn, query("postgres/unsound"), parameters)]


def scan(table: Table) -> sql.Composable:
    """The table as an item of FROM: without tables that inherit from it, but with its own partitions."""
    return sql.SQL("{}" if table.kind == "p" else "ONLY {}").format(table.identifier)
