"""Content digests of tables: order-free, computed by SQL, the same on every server version and on both sides.

A row becomes text, ``ROW(column, …)::text``, with the columns in the order of their names; wide columns stand in it as
the hash of their text. Two 64-bit hashes of that text, with different seeds down to the columns, are summed over the
rows. NULL and '' differ, so do 1.0 and 1.00, 0 and -0; no collation has a say. Use connections of
``consolidation.connection``: they pin the settings that values are printed with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.errors import VerificationFailed
from consolidation.postgres.catalog import Column, Table, scan
from consolidation.postgres.queries import query, rows

SEEDS = (0, 1)
MODULUS = 2**64

# Type categories of short values, printed without quotes: number, date, interval, boolean, enum, inet.
PLAIN_CATEGORIES = frozenset("NDTBEI")

# Form -> expression over the column. A wide value is printed, and decompressed, once: `|| ''` makes the copy that both
# hashes read. The cast from character(n) to text, also below a domain, would lose trailing spaces: concat() prints
# without a cast. "char" prints high bytes otherwise since version 16.
FORMS = {
    "plain": sql.SQL("{}"),
    "text": sql.SQL("{}::text || ''"),
    "jsonb": sql.SQL("{}::jsonb::text || ''"),
    "jsonb[]": sql.SQL("{}::jsonb[]::text || ''"),
    "printed": sql.SQL("CASE WHEN {0} IS DISTINCT FROM NULL THEN concat({0}) END"),
    "byte": sql.SQL("{}::integer"),
}

PADDED = frozenset({"character", "bpchar"})
# Its text keeps the encoding that a declaration names, its output does not.
PRINTED = PADDED | {"xml"}

# Types whose values print the same when they are the same value.
FAMILIES = (
    frozenset({"text", "character varying"}),
    frozenset({"smallint", "integer", "bigint"}),
)


@dataclass(frozen=True)
class Digest:
    """Content of a table; equal digests mean equal content, whatever the order of the rows."""

    rows: int
    sums: tuple[int, int]
    """Modulo 2**64."""

    @property
    def hex(self) -> str:
        """Both sums as 32 hexadecimal digits."""
        return "".join(f"{part:016x}" for part in self.sums)


@dataclass(frozen=True)
class CompareColumn:
    """A column and the form in which it enters the hash: a key of ``FORMS``."""

    name: str
    form: str

    @property
    def expression(self) -> sql.Composable:
        """The value in that form."""
        return FORMS[self.form].format(sql.Identifier(self.name))

    def hashed(self, alias: sql.Composable, seed: int) -> sql.Composable:
        """What stands in the row's text, where ``alias`` names the value in its form."""
        return alias if self.form in ("plain", "byte") else hash_text(alias, seed)


class Incomparable(VerificationFailed):
    """The two tables cannot be compared: their columns do not match."""


def own_columns(table: Table) -> tuple[CompareColumn, ...]:
    """The table's columns in the order of their names, in their own types."""
    return _by_name(CompareColumn(column.name, _form(column)) for column in table.columns)


def comparison(here: Table, there: Table) -> tuple[CompareColumn, ...]:
    """The columns of two tables in one order, in forms that are comparable on both sides. Raises Incomparable."""
    ours, theirs = ({column.name: column for column in table.columns} for table in (here, there))
    one_sided = [
        f"column {name} is missing in {table}"
        for table, names in ((there, sorted(ours.keys() - theirs.keys())), (here, sorted(theirs.keys() - ours.keys())))
        for name in names
    ]
    if one_sided:
        raise Incomparable("; ".join(one_sided), hint="bring both tables to the lineage's columns (preflight, schema)")
    return _by_name(CompareColumn(name, _common_form(here, column, theirs[name])) for name, column in ours.items())


def table_digest(
    conn: Connection,
    table: Table,
    columns: Sequence[CompareColumn] | None = None,
    chosen: sql.Composable | None = None,
) -> Digest:
    """Digest of a table's rows as this transaction sees them; of a partitioned table with all its partitions.

    columns: from ``comparison``; None takes the table's own columns in their own types. chosen: an item of FROM, and
    what follows it, in the place of the whole table.
    """
    [(count, first, second)] = rows(conn, digest_statement(table, columns, chosen))
    return Digest(count, (int(first) % MODULUS, int(second) % MODULUS))


def digest_statement(
    table: Table, columns: Sequence[CompareColumn] | None = None, chosen: sql.Composable | None = None
) -> sql.Composable:
    """The statement behind ``table_digest``."""
    compared = own_columns(table) if columns is None else tuple(columns)
    return sql.SQL(query("compare/digest")).format(
        columns=formed(compared),
        first=row_hash(compared, SEEDS[0]),
        second=row_hash(compared, SEEDS[1]),
        **{"from": chosen or scan(table)},
    )


def formed(columns: Sequence[CompareColumn]) -> sql.Composable:
    """Select list: every column in its form, as c0, c1, …"""
    return sql.SQL(", ").join(
        [sql.SQL("{} AS {}").format(column.expression, _alias(n)) for n, column in enumerate(columns)]
        or [sql.SQL("NULL AS c0")]
    )


def row_hash(columns: Sequence[CompareColumn], seed: int) -> sql.Composable:
    """64-bit hash of a row over the names that ``formed`` gave its columns."""
    fields = [column.hashed(_alias(number), seed) for number, column in enumerate(columns)]
    return hash_text(row_text(fields), seed)


def row_text(fields: Sequence[sql.Composable]) -> sql.Composable:
    """Values as the text of a row: unambiguous, NULL and '' differ."""
    return sql.SQL("ROW({})::text").format(sql.SQL(", ").join(fields))


def hash_text(text: sql.Composable, seed: int) -> sql.Composable:
    """64-bit hash of a text's bytes."""
    return sql.SQL('hashtextextended(({}) COLLATE pg_catalog."C", {})').format(text, sql.Literal(seed))


def _alias(number: int) -> sql.Identifier:
    return sql.Identifier(f"c{number}")


def _by_name(columns: Iterable[CompareColumn]) -> tuple[CompareColumn, ...]:
    return tuple(sorted(columns, key=lambda column: column.name))


def _form(column: Column) -> str:
    if column.type == '"char"':
        return "byte"
    if column.type_category in PLAIN_CATEGORIES:
        return "plain"
    return "printed" if _base(column.type) in PRINTED or column.type_kind == "d" else "text"


def _common_form(here: Table, ours: Column, theirs: Column) -> str:
    form = _form(ours)
    types = {ours.type, theirs.type}
    if types == {"json", "jsonb"}:
        return "jsonb"
    if types == {"json[]", "jsonb[]"}:
        return "jsonb[]"
    bases = {_base(name) for name in types}
    if len(types) == 1 or (len(bases) == 1 and not bases <= PADDED) or any(bases <= family for family in FAMILIES):
        return form
    raise Incomparable(
        f"column {ours.name} of {here} is {ours.type} on one side and {theirs.type} on the other",
        hint="bring both tables to the lineage's columns (preflight, schema)",
    )


def _base(type_name: str) -> str:
    """Without length or precision: ``character varying(50)`` -> ``character varying``."""
    return type_name if '"' in type_name else re.sub(r"\(\d+(,-?\d+)?\)", "", type_name)
