"""Bring one table over whole, by content: where the noted keys do not say what changed, or where there are none.

Both sides hash their rows by buckets; of the buckets that differ they list the rows' hashes and how often they have
each. What the destination has in surplus is deleted, what the origin has in surplus is sent by COPY.
"""

from __future__ import annotations

from functools import partial

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.compare.buckets import bucket_digests, differing
from consolidation.compare.digest import table_digest
from consolidation.copy.stream import stream
from consolidation.follow.rows import Brought, copy_statement, require_equal
from consolidation.follow.way import Followed
from consolidation.postgres.background import meanwhile
from consolidation.postgres.catalog import Table, scan
from consolidation.postgres.queries import execute, query


def bring_whole(origin: Connection, destination: Connection, table: Followed) -> Brought:
    """Make the destination's table equal to the origin's. Raises VerificationFailed."""
    execute(origin, "SAVEPOINT consolidation_table")
    with meanwhile(origin, partial(bucket_digests, origin, table.pair, table.origin)) as digesting:
        theirs = bucket_digests(destination, table.pair, table.destination)
    buckets = differing(digesting.result(), theirs)
    deleted = inserted = 0
    if buckets:
        deleted, inserted = _exchange(origin, destination, table, buckets)
        compared = table.pair.columns
        with meanwhile(origin, partial(table_digest, origin, table.origin, compared)) as digesting_all:
            found = table_digest(destination, table.destination, compared)
        require_equal(table, found == digesting_all.result())
    execute(origin, "ROLLBACK TO consolidation_table; RELEASE consolidation_table")
    return Brought(0, deleted, inserted, whole=True)


def _exchange(
    origin: Connection, destination: Connection, table: Followed, buckets: tuple[int, ...]
) -> tuple[int, int]:
    """(rows deleted, rows inserted)"""
    with meanwhile(origin, partial(_list_rows, origin, table, table.origin, buckets)) as listing:
        _list_rows(destination, table, table.destination, buckets)
        listing.result()
    counts = sql.SQL("COPY (SELECT first, second, count(*) FROM pg_temp.consolidation_rows GROUP BY 1, 2) TO STDOUT")
    for sender, reader in ((origin, destination), (destination, origin)):
        received = sql.SQL("COPY pg_temp.consolidation_counts FROM STDIN")
        stream(sender, reader, sql.Composed([counts]), sql.Composed([received]))
        execute(reader, "ANALYZE pg_temp.consolidation_counts")
    surplus = sql.SQL(query("rollback/reconcile_surplus"))
    places = sql.SQL("({}) AS s WHERE t.tableoid = s.part AND t.ctid = s.place").format(surplus)
    deleted = execute(destination, sql.SQL("DELETE FROM {} AS t USING {}").format(scan(table.destination), places))
    names = [sql.Identifier(column.name) for column in table.destination.stored_columns]
    listed = sql.SQL(", ").join(sql.SQL("t.{}").format(name) for name in names)
    copy_out = sql.SQL("COPY (SELECT {} FROM {} AS t, {}) TO STDOUT").format(listed, scan(table.origin), places)
    sent = stream(origin, destination, copy_out, copy_statement(table, sql.SQL("")))
    return deleted, sent.rows


def _list_rows(conn: Connection, table: Followed, side: Table, buckets: tuple[int, ...]) -> None:
    execute(conn, "DROP TABLE IF EXISTS pg_temp.consolidation_rows, pg_temp.consolidation_counts")
    statement = sql.SQL(query("rollback/reconcile_rows"))
    execute(conn, statement.format(buckets=sql.Literal(list(buckets)), **table.pair.placeholders(side)))
