"""Bring the rows of noted keys from the origin's snapshot into the destination's transaction, and compare them there.

They are hashed as they leave the origin and read again from the destination; where their forms differ, or their sums
do, both sides are compared by SQL.

Delete, then insert: unique values may swap between rows, and a row that is there twice by mistake is there once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.compare.digest import table_digest
from consolidation.compare.row_hash import comparable, row_sum
from consolidation.copy import surplus
from consolidation.copy.noted import send_keys
from consolidation.copy.stream import stream
from consolidation.errors import VerificationFailed
from consolidation.follow.way import Followed
from consolidation.postgres.background import meanwhile
from consolidation.postgres.catalog import scan
from consolidation.postgres.queries import execute, value

FEW = 20
"""Less than one key in so many rows: they are looked up by their index, whatever the statistics say. After a large
round the log's pages promise entries that are gone, and the planner would read the whole table for a few keys."""


@dataclass(frozen=True)
class Brought:
    """What a round has done to one table."""

    keys: int
    """Noted keys, each counted once; 0 where the table was brought over whole."""
    deleted: int
    inserted: int
    whole: bool = False


def bound(origin: Connection, table: Followed, max_entries: int) -> str | None:
    """The place in the log where a part of about ``max_entries`` entries ends; None where there are not so many.

    In the order of the pages, whatever of them is empty: the next part begins where this one has left nothing.
    """
    execute(origin, "SET LOCAL synchronize_seqscans = off")
    found = value(
        origin, sql.SQL("SELECT ctid::text FROM {} OFFSET %s LIMIT 1").format(table.capture.log), [max_entries]
    )
    return str(found) if found else None


def bring(origin: Connection, destination: Connection, table: Followed, end: str | None) -> Brought:
    """Make the destination's rows of the noted keys those of the origin. Raises VerificationFailed.

    ``end``: from ``bound``. The origin reads the round's snapshot, and lets go of its lock on the table at the end.
    """
    execute(origin, "SAVEPOINT consolidation_rows")
    within = sql.SQL("k.ctid < {}::tid").format(sql.Literal(end)) if end else sql.SQL("true")
    keys = sql.Identifier("pg_temp", f"consolidation_keys_{table.receiving.oid}")
    sent = send_keys(origin, destination, table.capture, keys, table.destination.identifier, within)
    for conn, side in ((origin, table.origin), (destination, table.destination)):
        _choose_plans(conn, few=sent * FEW < side.estimated_rows)

    receiving = sql.SQL("{} AS t").format(scan(table.destination))
    delete = sql.SQL("DELETE FROM {} USING {} AS k WHERE {}").format(receiving, keys, table.receiving.matched)
    deleted = execute(destination, delete)

    ours = sql.SQL("{} AS t WHERE EXISTS (SELECT FROM {} AS k WHERE {} AND {})").format(
        scan(table.origin), table.capture.log, table.capture.matched, within
    )
    theirs = sql.SQL("{} WHERE EXISTS (SELECT FROM {} AS k WHERE {})").format(receiving, keys, table.receiving.matched)
    names = [sql.Identifier(column.name) for column in table.destination.stored_columns]
    form = sql.SQL(" (FORMAT binary)" if table.is_binary else "")
    listed = sql.SQL(", ").join(sql.SQL("t.{}").format(name) for name in names)
    copy_out = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT{}").format(listed, ours, form)
    copy_in = surplus.receiving(table, form=form)
    left = stream(origin, destination, copy_out, copy_in, is_binary=table.is_binary)

    read_again = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT{}").format(listed, theirs, form)
    is_same = comparable(table.origin, table.destination) and left == row_sum(
        destination, read_again, is_binary=table.is_binary
    )
    if not is_same:
        with meanwhile(origin, partial(table_digest, origin, table.origin, table.pair.columns, ours)) as digesting:
            found = table_digest(destination, table.destination, table.pair.columns, theirs)
        require_equal(table, found == digesting.result())
    execute(origin, "ROLLBACK TO consolidation_rows; RELEASE consolidation_rows")
    return Brought(sent, deleted, left.rows)


def require_equal(table: Followed, equal: object) -> None:
    """Raises VerificationFailed."""
    if not equal:
        raise VerificationFailed(
            f"{table.destination} is not equal to {table.origin} after the round",
            hint="nothing of this round was kept; compare the two with pg_verify_info, fix the cause, then run again",
        )


def _choose_plans(conn: Connection, *, few: bool) -> None:
    word = "off" if few else "on"
    execute(conn, f"SET LOCAL enable_hashjoin = {word}; SET LOCAL enable_mergejoin = {word}")
