"""Which tables and sequences of both sides belong together; no row of the target is without a place on the source."""

from __future__ import annotations

from psycopg2.extensions import connection as Connection

from consolidation.compare.buckets import Pair, pair
from consolidation.copy import loads
from consolidation.errors import StepRefused, VerificationFailed
from consolidation.model import Database
from consolidation.postgres.catalog import Sequence, read_sequences, read_tables
from consolidation.postgres.sequences import implied, is_behind, pairs


def paired(database: Database, source: Connection, target: Connection, to: str) -> list[Pair]:
    """All tables of the source with their counterparts, the largest first; ``to``: the destination.

    Raises VerificationFailed where one has none or other columns, StepRefused where rows could not be brought back.
    """
    there = {table.name: table for table in read_tables(target, database.name)}
    ours = read_tables(source, database.source_schema, database.tables)
    missing = sorted({table.name for table in ours} - there.keys())
    missing += sorted(set(database.tables) - {table.name for table in ours})
    if missing or not ours:
        raise VerificationFailed(
            f"{database.name}: not on both sides: {', '.join(missing) or 'any table'}",
            hint="nothing was changed; check source_schema and tables of consolidation_database, then run again",
        )
    alone = [there[name] for name in sorted(there.keys() - {table.name for table in ours})]
    if to == "source" and (filled := loads.filled(target, alone)):
        raise StepRefused(
            f"{database.name}: target tables that hold rows and have no counterpart among the source's tables: "
            + ", ".join(str(there[name]) for name in sorted(filled)),
            hint="no row was changed; save these rows (pg_dump -t), bring them by hand to where the service looks for"
            " them, empty these tables and run the same command again; behind the target's closed fence"
            f" {database.target.user} empties them after SET consolidation.pass = 'on'",
        )
    return [pair(table, there[table.name]) for table in sorted(ours, key=lambda table: -table.table_bytes)]


def behind(
    database: Database, source: Connection, target: Connection, to: str, both: list[Pair]
) -> tuple[tuple[Sequence, Sequence], ...]:
    """(of the origin, of the destination) where the destination's sequence would hand out a number again."""
    sides = {"source": read_sequences(source, database.source_schema), "target": read_sequences(target, database.name)}
    back = to == "source"
    origin, conn = (sides["target"], target) if back else (sides["source"], source)
    tables = [each.target if back else each.source for each in both]
    found = (*pairs(origin, sides[to]), *implied(conn, tables, origin, sides[to]))
    return tuple((ours, theirs) for ours, theirs in found if is_behind(theirs, ours))
