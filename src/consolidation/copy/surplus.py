"""Rows that only one side has of a table, found by content, and their COPY to the other side.

Both sides list the hashes of the rows in the buckets that differ and send each other how often they have each. What the
destination has in surplus is deleted, what the origin has in surplus is sent.
"""

from __future__ import annotations

from typing import Protocol

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.compare.buckets import Pair
from consolidation.copy.stream import stream
from consolidation.postgres.background import meanwhile
from consolidation.postgres.catalog import Table, scan
from consolidation.postgres.queries import execute, query


class Differing(Protocol):
    """One table that is to become equal to another one."""

    @property
    def pair(self) -> Pair:
        """Both, as they are compared."""

    @property
    def origin(self) -> Table:
        """The table whose content stays."""

    @property
    def destination(self) -> Table:
        """The table that is changed."""


def find(origin: Connection, destination: Connection, table: Differing, buckets: tuple[int, ...]) -> sql.Composable:
    """Find what only one side has: the condition for such rows ``t``, on either side."""
    with meanwhile(origin, lambda: _list_rows(origin, table.pair, table.origin, buckets)) as listing:
        _list_rows(destination, table.pair, table.destination, buckets)
        listing.result()
    counts = sql.SQL("COPY (SELECT first, second, count(*) FROM pg_temp.consolidation_rows GROUP BY 1, 2) TO STDOUT")
    received = sql.SQL("COPY pg_temp.consolidation_counts FROM STDIN")
    for sender, reader in ((origin, destination), (destination, origin)):
        stream(sender, reader, sql.Composed([counts]), sql.Composed([received]))
        execute(reader, "ANALYZE pg_temp.consolidation_counts")
    places = sql.SQL(query("copy/surplus_places"))
    return sql.SQL("({}) AS s WHERE t.tableoid = s.part AND t.ctid = s.place").format(places)


def remove(destination: Connection, table: Differing, places: sql.Composable) -> int:
    """Delete what only the destination has; how many rows."""
    return execute(destination, sql.SQL("DELETE FROM {} AS t USING {}").format(scan(table.destination), places))


def sending(table: Differing, places: sql.Composable) -> sql.Composed:
    """COPY of the origin's surplus rows, in the order of the destination's columns."""
    names = [sql.Identifier(column.name) for column in table.destination.stored_columns]
    listed = sql.SQL(", ").join(sql.SQL("t.{}").format(name) for name in names)
    return sql.SQL("COPY (SELECT {} FROM {} AS t, {}) TO STDOUT").format(listed, scan(table.origin), places)


def receiving(table: Differing, into: sql.Composable | None = None, form: sql.Composable | None = None) -> sql.Composed:
    """COPY into the destination's stored columns, or into another table that has them."""
    names = [sql.Identifier(column.name) for column in table.destination.stored_columns]
    columns = sql.SQL(" ({})").format(sql.SQL(", ").join(names)) if names else sql.SQL("")
    return sql.SQL("COPY {}{} FROM STDIN{}").format(into or table.destination.identifier, columns, form or sql.SQL(""))


def _list_rows(conn: Connection, pair: Pair, table: Table, buckets: tuple[int, ...]) -> None:
    """Hashes and places of the rows in the buckets that differ, as a temporary table."""
    execute(conn, "DROP TABLE IF EXISTS pg_temp.consolidation_rows, pg_temp.consolidation_counts")
    wanted = sql.Literal(list(buckets))
    execute(conn, sql.SQL(query("copy/surplus_rows")).format(buckets=wanted, **pair.placeholders(table)))
