"""Bring one table over whole, by content: where the noted keys do not say what changed, or where there are none."""

from __future__ import annotations

from functools import partial

from psycopg2.extensions import connection as Connection

from consolidation.compare.buckets import bucket_digests, differing
from consolidation.compare.digest import table_digest
from consolidation.copy import surplus
from consolidation.copy.stream import stream
from consolidation.follow.rows import Brought, require_equal
from consolidation.follow.way import Followed
from consolidation.postgres.background import meanwhile
from consolidation.postgres.queries import execute


def bring_whole(origin: Connection, destination: Connection, table: Followed) -> Brought:
    """Make the destination's table equal to the origin's. Raises VerificationFailed."""
    execute(origin, "SAVEPOINT consolidation_table")
    with meanwhile(origin, partial(bucket_digests, origin, table.pair, table.origin)) as digesting:
        theirs = bucket_digests(destination, table.pair, table.destination)
    buckets = differing(digesting.result(), theirs)
    deleted = inserted = 0
    if buckets:
        places = surplus.find(origin, destination, table, buckets)
        deleted = surplus.remove(destination, table, places)
        copy_out, copy_in = surplus.sending(table, places), surplus.receiving(table)
        inserted = stream(origin, destination, copy_out, copy_in).rows
        compared = table.pair.columns
        with meanwhile(origin, partial(table_digest, origin, table.origin, compared)) as digesting_all:
            found = table_digest(destination, table.destination, compared)
        require_equal(table, found == digesting_all.result())
    execute(origin, "ROLLBACK TO consolidation_table; RELEASE consolidation_table")
    return Brought(0, deleted, inserted, whole=True)
