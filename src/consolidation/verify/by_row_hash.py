"""The quick proof that a copied table is equal: its rows, hashed as they left the source, are read again and hashed.

It can only say "equal". Everything else (no sums of this run, other types, a difference) is for the comparison by SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

from consolidation.compare.digest import Digest
from consolidation.compare.reread import Readers
from consolidation.compare.result import EQUAL, TableResult
from consolidation.compare.row_hash import RowSum, comparable
from consolidation.copy import chunks
from consolidation.copy.rereading import held, ranges
from consolidation.journal.state import RunState
from consolidation.model import Database
from consolidation.postgres.catalog import Table
from consolidation.postgres.queries import Row, dicts, query
from consolidation.progress.reporter import COMPARING, Tally

METHOD = "rows hashed as they left the source, and read again from the target"
EARLIER = f"{METHOD} when they were loaded, the same since"
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
    loads = _loads(target, run)
    chosen = [(here, there) for here, there in tables if here.name in loads and comparable(here, there)]
    earlier = _earlier(target, database, loads, [there for _, there in chosen])
    # Large tables first, and all at once: the readers are busy to the end.
    now = sorted((pair for pair in chosen if pair[0].name not in earlier), key=lambda pair: -pair[1].table_bytes)
    cuts = chunks.cut(target, [there for _, there in now])
    if now:
        reading.connect(database.target)
    parts = {}
    for pair in now:
        name = pair[0].name
        tally.begin(name, COMPARING)
        parts[name] = reading.sums(ranges(target, pair, cuts[name], exported, is_binary=loads[name].is_binary))
    found = {}
    for name, arrived in earlier.items():
        tally.add(name, arrived.rows, 1)
        if arrived == loads[name].left:
            found[name] = _equal(name, arrived, 0, EARLIER)
    for name, read in parts.items():
        arrived, seconds = _total(name, read, len(cuts[name]), tally)
        if arrived == loads[name].left:
            found[name] = _equal(name, arrived, seconds, METHOD)
    return found


@dataclass(frozen=True)
class _Load:
    """A table that this run has loaded whole, behind the fence that is closed now."""

    left: RowSum
    """What left the source."""
    is_binary: bool
    reread: Row | None
    """What was read from the target when it was loaded: see ``copy.rereading``."""


def _loads(target: Connection, run: RunState) -> dict[str, _Load]:
    keys = {"run_id": run.run.id if run.run else "", "database": run.database, "fence_epoch": run.fence.fence_epoch}
    return {
        row["table_name"]: _Load(_sum(row), row["binary"], row["reread"])
        for row in dicts(target, query("verify/copied_sums"), keys)
    }


def _earlier(
    target: Connection, database: Database, loads: Mapping[str, _Load], tables: Iterable[Table]
) -> dict[str, RowSum]:
    """What was read when it was loaded, of tables that hold the very same rows now."""
    read = {table.name: reread for table in tables if (reread := loads[table.name].reread)}
    now = held(target, database, [table for table in tables if table.name in read]) if read else {}
    return {name: _sum(reread) for name, reread in read.items() if reread["held"] == now.get(name)}


def _sum(found: Row) -> RowSum:
    return RowSum(found["rows"], found["bytes"], int(found["digest"]))


def _equal(name: str, found: RowSum, seconds: float, method: str) -> TableResult:
    digest = Digest(found.rows, divmod(found.digest, HALF))
    return TableResult(name, EQUAL, digest, digest, seconds=round(seconds, 3), method=method)


def _total(name: str, parts: Iterable[tuple[RowSum, float]], count: int, tally: Tally) -> tuple[RowSum, float]:
    """The sum of all ranges, and the seconds that reading them took."""
    total, seconds = RowSum(), 0.0
    for part, took in parts:
        tally.add(name, part.rows, 1 / count)
        total, seconds = total + part, seconds + took
    return total, seconds
