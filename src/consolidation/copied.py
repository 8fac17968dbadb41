"""The quick proof that a copied table is equal: its rows, hashed as they left the source, are read again and hashed.

It can only say "equal". Everything else (no sums of this run, other types, a difference) is for the comparison by SQL.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from psycopg2.extensions import connection as Connection

from consolidation import chunks, journal
from consolidation.catalog import Table
from consolidation.digest import Digest
from consolidation.model import Database
from consolidation.progress import COMPARING, Tally
from consolidation.queries import dicts, query
from consolidation.reread import Range, Readers
from consolidation.rowsum import RowSum
from consolidation.verdict import EQUAL, TableResult

METHOD = "rows hashed as they left the source, and read again from the target"
HALF = 2**64


def equal_tables(  # noqa: PLR0913 - what to read, where, and whom to tell
    database: Database,
    run: journal.Run,
    snapshot: tuple[Connection, str],
    tables: Iterable[tuple[Table, Table]],
    reading: Readers,
    *,
    tally: Tally | None = None,
) -> dict[str, TableResult]:
    """Name -> result of the tables that are proved equal. ``snapshot``: the target's, with its exported name.

    ``tables``: pairs of source and target, which ``tally`` expects; ``reading`` reads the latter. Raises RereadFailed.
    """
    tally = tally or Tally()
    target, exported = snapshot
    sums = _sums(target, run)
    chosen = [(here, there) for here, there in tables if here.name in sums and _alike(here, there)]
    if not chosen:
        return {}
    found = {}
    cuts = chunks.cut(target, [there for _, there in chosen])
    reading.connect(database.target, exported)
    for here, there in chosen:
        started = time.monotonic()
        sent, is_binary = sums[here.name]
        tally.begin(here.name, COMPARING)
        ranges = _ranges(target, there, cuts[there.name], [c.name for c in here.stored_columns], is_binary=is_binary)
        arrived = _read_again(reading, here.name, ranges, tally)
        if arrived == sent:
            digest = Digest(arrived.rows, divmod(arrived.digest, HALF))
            seconds = round(time.monotonic() - started, 3)
            found[here.name] = TableResult(here.name, EQUAL, digest, digest, seconds=seconds, method=METHOD)
    return found


def _sums(target: Connection, run: journal.Run) -> dict[str, tuple[RowSum, bool]]:
    """What left the source for every table that this run has loaded whole, behind the fence that is closed now."""
    closed = journal.phases(target, run)["fence"].result.get("closed_at")
    return {
        row["table_name"]: (RowSum(row["rows"], row["bytes"], int(row["digest"])), row["binary"])
        for row in dicts(target, query("copied_sums"), {"run_id": run.id, "database": run.database, "closed": closed})
    }


def _alike(here: Table, there: Table) -> bool:
    """Whether equal values make equal messages: the same columns with the same types, none computed by the server."""
    ours = {column.name: column.type for column in here.columns}
    theirs = {column.name: column.type for column in there.columns}
    return ours == theirs and not any(column.generated for column in (*here.columns, *there.columns))


def _ranges(
    target: Connection, table: Table, cut: Iterable[chunks.Chunk], names: list[str], *, is_binary: bool
) -> list[Range]:
    statements = [chunks.copy_out(table, names, chunk.low, chunk.high, is_binary=is_binary) for chunk in cut]
    return [Range(statement.as_string(target), is_binary) for statement in statements]


def _read_again(reading: Readers, name: str, ranges: list[Range], tally: Tally) -> RowSum:
    total = RowSum()
    for part in reading.sums(ranges):
        tally.add(name, part.rows, 1 / len(ranges))
        total += part
    return total
