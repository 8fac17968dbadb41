"""Values, and rows, that are too large to be dumped, compared and copied: one line of COPY holds 1 GB.

What counts is a value's length in print, which a server reports at once for text and bytea alone. For other types the
stored size gives a bound, and only the few values whose bound is too large are printed to be measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import psycopg2.errors
from psycopg2 import sql

from consolidation.postgres.catalog import Table, scan
from consolidation.postgres.queries import execute, query, rows
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import found
from consolidation.preflight.side import Check, Side
from consolidation.text import count, size

LARGEST_BYTES = 2**29
"""Of one value, half of what a line of COPY holds: bytea is printed with two digits for each byte."""
LONGEST = 8
"""Bytes in print for each byte uncompressed, at most: of bits, and of "char" in an array."""
NUMERIC = 16384
"""The same of types that hold numerics, jsonb among them: 9e131071 is twelve bytes there."""
MEASURED_BYTES = 2**30
"""Of a table: in a larger one these are not printed to be measured, which takes about a second for 100 MB."""
DENSEST = {"pglz": 100, "lz4": 255}
"""Bytes for each byte compressed, at most."""
DENSEST_OF_ALL = LONGEST * max(DENSEST.values())

# octet_length() of these reads a toasted value's header, not the value.
REPORTED = {
    "bytea": "octet_length({})",
    "character": "octet_length({})",
    "character varying": "octet_length({})",
    "text": "octet_length({})",
    "xml": "octet_length({}::text)",
}


@dataclass(frozen=True)
class Measure:
    """How long the values of a column are."""

    name: str
    bytes: sql.Composable
    """Exact where the value could be too large, NULL where it cannot."""
    weight: int
    """Bytes in print for each of these."""

    @property
    def test(self) -> sql.Composable:
        """Whether a value is too large."""
        return sql.SQL("{} > {}").format(self.bytes, sql.Literal(LARGEST_BYTES))


Test = tuple[str, sql.Composable, sql.Composable]
"""Column, or '' for the row; how long it is; whether that is too long."""


def checks(source: Side) -> Iterator[Check]:
    """Checks of every table's values."""
    for table in source.tables:
        yield Check(f"the size of the values in {table}", partial(_values, source, table))


def _values(source: Side, table: Table) -> Iterator[Finding]:
    oid = {"oid": table.oid}
    columns = rows(source.conn, query("preflight/wide_columns"), oid)
    if not columns:
        return
    [(largest, whole)] = rows(source.conn, query("preflight/largest_toast"), oid)
    dense = [name for name, _, is_dense in columns if is_dense]
    if dense and whole > MEASURED_BYTES:
        yield _not_measured(source, table, dense, whole)
        dense = []
    if largest < LARGEST_BYTES // DENSEST_OF_ALL and not dense:
        return
    measures = [
        _measure(source, name, NUMERIC if name in dense else LONGEST, type_name, len(columns))
        for name, type_name, _ in columns
    ]
    tests = [*((each.name, each.bytes, each.test) for each in measures), _together(measures)]
    everything = _figures(source, table, tests)  # one scan
    for number, (name, measure, test) in enumerate(tests):
        alone = everything[number : number + 1] if everything else _figures(source, table, [tests[number]])
        figures = alone[0] if alone else None
        subject = f"{table}.{name}" if name else str(table)
        if figures is None and name:
            what = "at least one value cannot be printed: it would be longer than 1 GB"
            see = source.paste("SELECT ctid, pg_column_size({0}) FROM {1} ORDER BY 2 DESC NULLS LAST LIMIT 20;",
                               name, scan(table))  # fmt: skip
        elif figures is None or not figures[0]:
            continue
        elif name:
            what = f"{count(figures[0])} value(s) above {size(LARGEST_BYTES)}, the largest {size(figures[1])}"
            see = source.paste("SELECT ctid, {} FROM {} WHERE {};", measure, scan(table), test)
        else:
            what = (
                f"{count(figures[0])} row(s) whose values together are longer than {size(2 * LARGEST_BYTES)} in print"
            )
            see = source.paste("SELECT ctid FROM {} WHERE {};", scan(table), test)
        fix = f"have the service split them, or keep them outside the database\n-- see them: {see}"
        what += ": too large to be dumped, compared and copied"
        yield found("source.backup.value_too_large", subject, what, fix)


def _not_measured(source: Side, table: Table, dense: list[str], whole: int) -> Finding:
    what = (
        f"the table holds {size(whole)}: numbers in {', '.join(dense)} that print far longer than they are stored were"
        " not looked for"
    )
    test = sql.SQL("octet_length({}::text) > {}")
    tests = sql.SQL(" OR ").join([test.format(sql.Identifier(name), sql.Literal(LARGEST_BYTES)) for name in dense])
    see = source.paste("SELECT ctid FROM {} WHERE {};", scan(table), tests)
    fix = f"nothing to do: the backup stops at such a value and names the table, before any fence\n-- look now: {see}"
    return found("source.backup.value_not_measured", str(table), what, fix)


def _measure(source: Side, name: str, longest: int, type_name: str, columns: int) -> Measure:
    """longest: bytes in print for each one. columns: how many share a row, which must not be too large either."""
    column = sql.Identifier(name)
    if type_name in REPORTED:
        return Measure(name, sql.SQL(REPORTED[type_name]).format(column), 2 if type_name == "bytea" else 1)
    bound = longest_print(source, column, longest)
    exact = sql.SQL("CASE WHEN {} > {} THEN octet_length({}::text) END")
    return Measure(name, exact.format(bound, sql.Literal(LARGEST_BYTES // columns), column), 1)


def longest_print(source: Side, column: sql.Identifier, longest: int) -> sql.Composable:
    """How long a value may be in print, by its stored size alone; longest: bytes for each uncompressed one."""
    packed: sql.Composable = sql.Literal(DENSEST["pglz"])  # there is no other before 14
    if source.major >= 14:
        times = [sql.SQL("WHEN {} THEN {}").format(sql.Literal(word), sql.Literal(n)) for word, n in DENSEST.items()]
        packed = sql.SQL("CASE pg_column_compression({}) {} ELSE 1 END").format(column, sql.SQL(" ").join(times))
    return sql.SQL("pg_column_size({})::bigint * {} * {}").format(column, packed, sql.Literal(longest))


def _together(measures: list[Measure]) -> Test:
    """Rows that are too large though none of their values is."""
    weighed = sql.SQL("coalesce({}::bigint, 0) * {}")
    total = sql.SQL(" + ").join([weighed.format(each.bytes, sql.Literal(each.weight)) for each in measures])
    alone = sql.SQL(" OR ").join([sql.SQL("coalesce({}, false)").format(each.test) for each in measures])
    return "", total, sql.SQL("{} > {} AND NOT ({})").format(total, sql.Literal(2 * LARGEST_BYTES), alone)


def _figures(source: Side, table: Table, tests: list[Test]) -> list[tuple[int, int]] | None:
    """How many, and the largest, for each test; None where the server cannot print a value."""
    pair = sql.SQL("count(*) FILTER (WHERE {}), coalesce(max({}), 0)")
    pairs = sql.SQL(", ").join([pair.format(test, measure) for _, measure, test in tests])
    execute(source.conn, "SAVEPOINT measure")
    try:
        [row] = rows(source.conn, sql.SQL("SELECT {} FROM {}").format(pairs, scan(table)))
    except (psycopg2.errors.ProgramLimitExceeded, psycopg2.errors.InternalError_, psycopg2.errors.OutOfMemory):
        execute(source.conn, "ROLLBACK TO measure")
        return None
    return [(int(number), int(largest)) for number, largest in zip(row[::2], row[1::2], strict=True)]
