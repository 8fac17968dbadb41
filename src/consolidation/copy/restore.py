"""Keys, indexes and foreign keys again, once the rows are in: tables side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from queue import SimpleQueue

import psycopg2
from psycopg2 import sql
from psycopg2.errors import DeadlockDetected
from psycopg2.extensions import connection as Connection

from consolidation.copy import deferred, loads
from consolidation.copy.deferred import Deferred
from consolidation.copy.rereading import Rereading
from consolidation.fence import state as fence
from consolidation.journal import records
from consolidation.model import Database
from consolidation.postgres.connection import session
from consolidation.postgres.locks import ACCESS_EXCLUSIVE, SHARE, limited
from consolidation.postgres.queries import Row, execute, query


def tables(database: Database, run: records.Run, workers: int, rereading: Rereading) -> None:
    """Make all again that the load went without, the largest tables first."""
    with ExitStack() as stack:
        sessions = [stack.enter_context(session(database.target, "copy restore")) for _ in range(workers)]
        restore = _Restore(database, run, fence.read(sessions[0], database.target_side), SimpleQueue())
        for target in sessions:
            execute(target, query("copy/restore_settings"), {"sessions": workers})
            target.commit()
            restore.free.put(target)
        _keys(restore, workers, rereading)
        _foreign_keys(restore, workers)


def _keys(restore: _Restore, workers: int, rereading: Rereading) -> None:
    """Indexes side by side, of one table too and while it is read again; its keys when it is not read any more."""
    waiting, missing = restore.waiting("loading")
    with ThreadPoolExecutor(workers) as pool:
        indexes = {
            table: [pool.submit(restore.index, item) for item in items if item.kind == deferred.INDEX]
            for table, items in missing.items()
        }
        # Behind the indexes of all: those that a table's keys wait for have begun.
        made = [
            pool.submit(restore.keys, table, missing[table], indexes[table])
            for table in (load["table_name"] for load in rereading.free(waiting))
        ]
    for table_made in made:
        table_made.result()


def _foreign_keys(restore: _Restore, workers: int) -> None:
    """When every key that they refer to is there."""
    _, missing = restore.waiting("restoring")
    with ThreadPoolExecutor(workers) as pool:
        made = {table: pool.submit(restore.beside_others, table, items) for table, items in missing.items()}
    # A foreign key locks both its tables, so two tables may wait for each other. Who gave way comes after them.
    for table in [table for table, is_made in made.items() if not is_made.result()]:
        restore.foreign_keys(table, missing[table])


@dataclass(frozen=True)
class _Restore:
    database: Database
    run: records.Run
    fenced: Sequence[fence.Fenced]
    """All tables, to name who is in the way."""
    free: SimpleQueue[Connection]
    """Sessions without work."""

    @contextmanager
    def target(self) -> Iterator[Connection]:
        """A session that is free."""
        target = self.free.get()
        try:
            yield target
        finally:
            with suppress(psycopg2.Error):  # a lost session fails at its next use, with the words for it
                target.rollback()
            self.free.put(target)

    def waiting(self, state: str) -> tuple[list[Row], dict[str, list[Deferred]]]:
        """The loads in this state, and by table what they have set aside that is not there again."""
        with self.target() as target:
            waiting = [load for load in loads.of_run(target, self.run) if load["state"] == state]
            missing: dict[str, list[Deferred]] = {load["table_name"]: [] for load in waiting}
            for item in deferred.absent(target, self.database.name, waiting):
                missing[item.table_name].append(item)
            return waiting, missing

    def index(self, item: Deferred) -> None:
        """One index, in a transaction of its own."""
        with self.target() as target:
            with limited(target, self.database.target, self.fenced, SHARE):
                deferred.restore(target, [item], foreign_keys=False)
            target.commit()

    def keys(self, table: str, missing: Sequence[Deferred], indexes: Sequence[Future[None]]) -> None:
        """What a table still lacks behind its indexes, foreign keys apart, and its statistics."""
        for index in indexes:
            index.result()
        rest = [item for item in missing if item.kind != deferred.INDEX]
        with self.target() as target:
            with limited(target, self.database.target, self.fenced, ACCESS_EXCLUSIVE):
                deferred.restore(target, rest, foreign_keys=False)
            execute(target, sql.SQL("ANALYZE {}").format(sql.Identifier(self.run.database, table)))
            self._done(target, table, "restoring")

    def beside_others(self, table: str, missing: Sequence[Deferred]) -> bool:
        """The foreign keys of one table; False where it gave way to another one (a deadlock)."""
        try:
            self.foreign_keys(table, missing)
        except DeadlockDetected:
            return False
        return True

    def foreign_keys(self, table: str, missing: Sequence[Deferred]) -> None:
        """The foreign keys of one table."""
        with self.target() as target:
            with limited(target, self.database.target, self.fenced, ACCESS_EXCLUSIVE):
                deferred.restore(target, missing, foreign_keys=True)
            self._done(target, table, "done")

    def _done(self, target: Connection, table: str, state: str) -> None:
        """Commit, and the journal with it."""
        execute(
            target,
            "UPDATE consolidation.table_load SET state = %s, finished_at = clock_timestamp()"
            " WHERE run_id = %s AND database = %s AND table_name = %s",
            [state, self.run.id, self.run.database, table],
        )
        target.commit()
