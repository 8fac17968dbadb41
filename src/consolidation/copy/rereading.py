"""Tables are read again as soon as they are loaded, while others load and get their keys: the verify phase need not.

What was read is kept with the load, beside what the table was by then (``held``). It counts only where the table still
is the same when the verify phase asks; everything else is read there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from threading import Event

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.compare.reread import Range, Readers, readers
from consolidation.compare.row_hash import RowSum, comparable
from consolidation.copy import chunks, loads
from consolidation.errors import ConsolidationError
from consolidation.fence import state as fence
from consolidation.journal.phase import Work
from consolidation.journal.records import Run
from consolidation.model import Database
from consolidation.postgres.catalog import Table
from consolidation.postgres.connection import session
from consolidation.postgres.locks import ACCESS_SHARE, hold
from consolidation.postgres.queries import Row, execute, query, rows, value

LOOK_SECONDS = 0.5
LEAST_BYTES = chunks.WORKER_BYTES
"""Smaller tables are read by the verify phase, in no time."""
HEAP = 2
"""pg_am.oid of the access method that changes no row in place; of others no one knows."""


def ranges(  # noqa: PLR0913 - what to read, and how
    conn: Connection,
    pair: tuple[Table, Table],
    cut: Iterable[chunks.Chunk],
    snapshot: str,
    *,
    is_binary: bool,
    lets_go: bool = False,
) -> list[Range]:
    """The whole of the second table, in the columns of the first."""
    here, there = pair
    names = [column.name for column in here.stored_columns]
    statements = [chunks.copy_out(there, names, chunk.low, chunk.high, is_binary=is_binary) for chunk in cut]
    return [Range(statement.as_string(conn), is_binary, snapshot, lets_go) for statement in statements]


def held(conn: Connection, database: Database, tables: Sequence[Table]) -> dict[str, str]:
    """By table, the identity of what it holds: its form, its file, and its rows by who wrote them.

    Of ordinary tables that outlive a crash, as PostgreSQL itself stores them. In a snapshot whose session holds their
    locks, or shows later on that no table was altered meanwhile.
    """
    form = {each.oid: each.form for each in fence.read(conn, database.target_side)}
    stored = "SELECT oid FROM pg_class WHERE oid = ANY (%s) AND relkind = 'r' AND relpersistence = 'p' AND relam = %s"
    ordinary = {oid for (oid,) in rows(conn, stored, [[table.oid for table in tables], HEAP])}
    written = sql.SQL(query("copy/rows_written"))
    return {
        table.name: f"{form[table.oid]} {value(conn, written.format(table=table.identifier))}"
        for table in tables
        if table.oid in ordinary & form.keys()
    }


class Rereading:
    """The tables that are read again while the copy works. See ``beside``."""

    def __init__(self, database: Database, reading: Readers | None) -> None:
        self._database = database
        self._reading = reading
        self._thread = ThreadPoolExecutor(1)
        self._stop = Event()
        self._work: Future[None] | None = None
        self._reads: dict[str, Future[None]] = {}
        """Table -> its reading, which is over once it is done or is not to be any more."""
        self._session: Connection | None = None
        """Of the table that is being read."""

    def begin(self, work: Work, tables: loads.Pairs) -> None:
        """Read every table that is worth it again, each as soon as it is loaded."""
        if self._reading is None:
            return
        wanted = {load["table_name"] for load in loads.of_run(work.journal, work.run) if _is_wanted(load)}
        waiting = {
            here.name: (here, there)
            for here, there in tables
            if here.name in wanted and comparable(here, there) and here.table_bytes >= LEAST_BYTES
        }
        self._reads = {name: Future() for name in waiting}
        self._reading.connect(self._database.target)
        self._work = self._thread.submit(self._read_all, self._reading, work.run, waiting)

    def free(self, loaded: Sequence[Row]) -> Iterator[Row]:
        """The loads, each as soon as no one reads its table: who wants it to himself need not wait for it."""
        later = {self._reads[name]: load for load in loaded if (name := load["table_name"]) in self._reads}
        yield from (load for load in loaded if load["table_name"] not in self._reads)
        yield from (later[read] for read in as_completed(later))
        if self._work:
            self._work.result()

    def cancel(self) -> None:
        """Have what is being read fail."""
        self._stop.set()
        if self._reading:
            self._reading.end()
        if self._session:
            with suppress(psycopg2.Error):  # it has ended
                self._session.cancel()

    def close(self) -> None:
        """Read no more."""
        self._stop.set()
        self._thread.shutdown()

    def _read_all(self, reading: Readers, run: Run, waiting: dict[str, tuple[Table, Table]]) -> None:
        try:
            with session(self._database.target, "reread", autocommit=True) as journal:
                while waiting and not self._stop.is_set():
                    keys = {"run_id": run.id, "database": run.database, "tables": list(waiting)}
                    for name, is_binary in rows(journal, query("copy/loads_arrived"), keys):
                        found = self._read(reading, waiting[name], is_binary=is_binary)
                        statement = (
                            "UPDATE consolidation.table_load SET reread = %s"
                            " WHERE run_id = %s AND database = %s AND table_name = %s"
                        )
                        execute(journal, statement, [found and json.dumps(found), run.id, run.database, name])
                        del waiting[name]
                        self._reads[name].set_result(None)
                    self._stop.wait(LOOK_SECONDS if waiting else 0)
        except ConsolidationError:
            # The verify phase reads what is missing here, and has the words. No reader stays in the way of the keys.
            reading.end()
        finally:
            for name in waiting:
                self._reads[name].set_result(None)

    def _read(self, reading: Readers, pair: tuple[Table, Table], *, is_binary: bool) -> dict[str, str | int] | None:
        """Sum of a table's rows in a snapshot of now, with what the table was in it; None where that says nothing."""
        here, there = pair
        with session(self._database.target, "reread") as target:
            self._session = target
            target.set_session(isolation_level="REPEATABLE READ", readonly=True)
            hold(target, self._database.target, [there], ACCESS_SHARE)  # before the snapshot: it is not altered since
            snapshot = value(target, "SELECT pg_export_snapshot()")
            was = held(target, self._database, [there]).get(there.name)
            if was is None:
                return None
            cut = chunks.cut(target, [replace(there, table_bytes=here.table_bytes)])[there.name]  # it was empty then
            read = ranges(target, pair, cut, snapshot, is_binary=is_binary, lets_go=True)
            total = sum((part for part, _ in reading.sums(read)), RowSum())
        return {**asdict(total), "digest": str(total.digest), "held": was}


@contextmanager
def beside(database: Database, workers: int, most: int) -> Iterator[Rereading]:
    """At most ``most`` processes that read again, on cores that the copy's workers leave: none where they need all."""
    count = min(most, len(os.sched_getaffinity(0)) - workers)
    if count <= 0:
        yield Rereading(database, None)
        return
    with readers(count) as reading:
        found = Rereading(database, reading)
        try:
            yield found
        except BaseException:
            found.cancel()  # an error, Ctrl-C: no one waits for what is being read
            raise
        finally:
            found.close()


def _is_wanted(load: Row) -> bool:
    """One that is still to get its keys, of types whose form no one can change; not read by an earlier attempt."""
    return load["state"] == "loading" and load["binary"] and not load["reread"]
