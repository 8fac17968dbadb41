"""Documents that the service reads after the cutover, and may not write: larger or deeper than the new side takes.

A document travels in the body of a request to the Storage Service, which has a limit; and PostgreSQL parses it as
deep as its stack allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from psycopg2 import sql

from consolidation.postgres.catalog import Table, scan
from consolidation.postgres.queries import query, rows, value
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import found
from consolidation.preflight.side import Check, Side
from consolidation.preflight.values import DENSEST, longest_print
from consolidation.text import count, size

BODY_BYTES = 2**24
"""The Storage Service's `server.body_limit_bytes` where its configuration says nothing."""
LONGEST = {"json": 1, "jsonb": 2}
"""Bytes in print for each byte stored; jsonb with the quotes, colons and commas that it leaves out."""
MEASURED_BYTES = 2**28
"""Of compressed documents that may be too large: more are not printed to be measured, some seconds for these."""


def checks(source: Side, target: Side | None) -> Iterator[Check]:
    """Checks of every table's documents."""
    if target is not None:
        yield Check("how deep documents may be nested", partial(_depth, source, target))
    for table in source.tables:
        yield Check(f"the size of the documents in {table}", partial(_sizes, source, table))


def _depth(source: Side, target: Side) -> Iterator[Finding]:
    statement = "SELECT setting::int FROM pg_settings WHERE name = 'max_stack_depth'"
    there, here = value(source.conn, statement), value(target.conn, statement)
    if here < there and any(_documents(source, table) for table in source.tables):
        what = f"max_stack_depth is {here} kB, on the source {there} kB: a document that is nested too deeply for this"
        what += " server stops the copy, and is refused when the service writes it"
        fix = f"ALTER SYSTEM SET max_stack_depth = '{there}kB';  -- as a superuser; the server's ulimit -s limits it"
        yield found("target.stack_depth", str(target.settings), what, f"{fix}\nSELECT pg_reload_conf();")


def _sizes(source: Side, table: Table) -> Iterator[Finding]:
    [(largest, _)] = rows(source.conn, query("preflight/largest_toast"), {"oid": table.oid})
    if largest < BODY_BYTES // max(DENSEST.values()) // max(LONGEST.values()):
        return
    for name, kind in _documents(source, table):
        column = sql.Identifier(name)
        possible = sql.SQL("{} > {}").format(longest_print(source, column, LONGEST[kind]), sql.Literal(BODY_BYTES))
        candidates = sql.SQL("SELECT count(*), coalesce(sum(pg_column_size({})), 0)::bigint FROM {} WHERE {}")
        [(number, stored)] = rows(source.conn, candidates.format(column, scan(table), possible))
        if number and stored > MEASURED_BYTES:
            what = f"{count(number)} compressed documents of {size(stored)} may be larger than {size(BODY_BYTES)}, the"
            what += " bodies that the Storage Service takes by default"
            see = source.paste("SELECT max(octet_length({}::text)) FROM {} WHERE {};", name, scan(table), possible)
            fix = f"have server.body_limit_bytes of the Storage Service allow the largest of them\n-- measure it: {see}"
            yield found("source.document.not_measured", f"{table}.{name}", what, fix)
        elif number:
            yield from _measured(source, table, name, possible)


def _measured(source: Side, table: Table, name: str, possible: sql.Composable) -> Iterator[Finding]:
    length = sql.SQL("octet_length({}::text)").format(sql.Identifier(name))
    # An expression of its own, so that no value is printed that cannot be too large.
    printed = sql.SQL("CASE WHEN {} THEN {} END").format(possible, length)
    figures = sql.SQL("SELECT count(*) FILTER (WHERE b > {}), max(b) FROM (SELECT {} AS b FROM {} OFFSET 0) AS d")
    [(number, largest)] = rows(source.conn, figures.format(sql.Literal(BODY_BYTES), printed, scan(table)))
    if number:
        what = f"{count(number)} document(s) above {size(BODY_BYTES)}, the largest {size(largest)}: the Storage Service"
        what += " refuses a body of that size (413) unless its configuration allows it"
        least = 2**20 * (largest // 2**20 + 2)  # and the other columns of the row
        fix = f"see that server.body_limit_bytes of the Storage Service is at least {least}"
        yield found("source.document.large", f"{table}.{name}", what, fix)


def _documents(source: Side, table: Table) -> list[tuple[str, str]]:
    """Name and type of the columns that hold some."""
    oid = {"oid": table.oid}
    columns = [(name, kind) for name, kind, _ in rows(source.conn, query("preflight/wide_columns"), oid)]
    return [(name, kind) for name, kind in columns if kind in LONGEST]
