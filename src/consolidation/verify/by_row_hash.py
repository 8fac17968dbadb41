"""The quick proof that a copied table is equal: its rows, hashed as they left the source, are read again and hashed.

It can only say "equal". Everything else (no sums of this run, other types, a difference) is for the comparison by SQL.
"""

from __future__ import annotations

from collections.abc import Iterable

from psycopg2.extensions import connection as Connection

from consolidation.compare.digest import Digest
from consolidation.compare.result import EQUAL, TableResult
from consolidation.compare.row_hash import RowSum, comparable
from consolidation.copy import chunks
from consolidation.journal.state import RunState
from consolidation.model import Database
from consolidation.postgres.catalog import Table
from consolidation.postgres.queries import dicts, query
from consolidation.progress.reporter import COMPARING, Tally
from consolidation.verify.reread import Range, Readers

METHOD = "rows hashed as they left the source, and read again from the target"
HALF = 2**64


def equal_tables(  # noqa: PLR0913 - what to read, where, and whom to report to
    database: Database,
    run: RunState,
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
    chosen = [(here, there) for here, there in tables if here.name in sums and comparable(here, there)]
    if not chosen:
        return {}
    cuts = chunks.cut(target, [there for _, there in chosen])
    reading.connect(database.target, exported)
    parts = {}
    # Large tables first, and all at once: the readers are busy to the end.
    for here, there in sorted(chosen, key=lambda pair: -pair[1].table_bytes):
        tally.begin(here.name, COMPARING)
        names, is_binary = [column.name for column in here.stored_columns], sums[here.name][1]
        parts[here.name] = reading.sums(_ranges(target, there, cuts[there.name], names, is_binary=is_binary))
    found = {}
    for name, ranges in parts.items():
        arrived, seconds = _total(name, ranges, len(cuts[name]), tally)
        if arrived == sums[name][0]:
            digest = Digest(arrived.rows, divmod(arrived.digest, HALF))
            found[name] = TableResult(name, EQUAL, digest, digest, seconds=round(seconds, 3), method=METHOD)
    return found


def _sums(target: Connection, run: RunState) -> dict[str, tuple[RowSum, bool]]:
    """What left the source for every table that this run has loaded whole, behind the fence that is closed now."""
    keys = {"run_id": run.run.id if run.run else "", "database": run.database, "fence_epoch": run.fence.fence_epoch}
    return {
        row["table_name"]: (RowSum(row["rows"], row["bytes"], int(row["digest"])), row["binary"])
        for row in dicts(target, query("verify/copied_sums"), keys)
    }


def _ranges(
    target: Connection, table: Table, cut: Iterable[chunks.Chunk], names: list[str], *, is_binary: bool
) -> list[Range]:
    statements = [chunks.copy_out(table, names, chunk.low, chunk.high, is_binary=is_binary) for chunk in cut]
    return [Range(statement.as_string(target), is_binary) for statement in statements]


def _total(name: str, parts: Iterable[tuple[RowSum, float]], count: int, tally: Tally) -> tuple[RowSum, float]:
    """The sum of all ranges, and the seconds that reading them took."""
    total, seconds = RowSum(), 0.0
    for part, took in parts:
        tally.add(name, part.rows, 1 / count)
        total, seconds = total + part, seconds + took
    return total, seconds
