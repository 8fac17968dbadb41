"""Keys, indexes and foreign keys again, once the rows are in: tables side by side."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from queue import SimpleQueue

import psycopg2
from psycopg2 import sql
from psycopg2.errors import DeadlockDetected
from psycopg2.extensions import connection as Connection

from consolidation.copy import deferred, loads
from consolidation.copy.rereading import Rereading
from consolidation.fence import state as fence
from consolidation.journal import records
from consolidation.model import Database
from consolidation.postgres.connection import session
from consolidation.postgres.locks import ACCESS_EXCLUSIVE, limited
from consolidation.postgres.queries import Row, execute


def tables(database: Database, run: records.Run, workers: int, rereading: Rereading) -> None:
    """Make keys and indexes again, of tables that are being read when that is done; then foreign keys, when every key
    they refer to is there."""
    with ExitStack() as stack:
        sessions = [stack.enter_context(session(database.target, "copy restore")) for _ in range(workers)]
        restore = _Restore(database, run, fence.read(sessions[0], database.target_side), SimpleQueue())
        sessions[0].rollback()
        for target in sessions:
            restore.free.put(target)
        for state, following in (("loading", "restoring"), ("restoring", "done")):
            with session(database.target, "copy restore") as target:
                waiting = [load for load in loads.of_run(target, run) if load["state"] == state]
            with ThreadPoolExecutor(workers) as pool:
                made = [(load, pool.submit(restore.beside_others, load, following)) for load in rereading.free(waiting)]
            # A foreign key locks both its tables, so two tables may wait for each other. Who gave way comes after them.
            for load in [load for load, is_made in made if not is_made.result()]:
                with session(database.target, "copy restore") as target:
                    restore.one(target, load, following)


@dataclass(frozen=True)
class _Restore:
    database: Database
    run: records.Run
    fenced: Sequence[fence.Fenced]
    """All tables, to name who is in the way."""
    free: SimpleQueue[Connection]
    """Sessions without work."""

    def beside_others(self, load: Row, following: str) -> bool:
        """One table on a session that is free; False where it gave way to another one (a deadlock)."""
        target = self.free.get()
        try:
            self.one(target, load, following)
        except DeadlockDetected:
            return False
        else:
            return True
        finally:
            with suppress(psycopg2.Error):  # a lost session fails at its next use, with the words for it
                target.rollback()
            self.free.put(target)

    def one(self, target: Connection, load: Row, following: str) -> None:
        """One table in one transaction."""
        last = following == "done"
        execute(target, "SET LOCAL maintenance_work_mem = '256MB'")
        with limited(target, self.database.target, self.fenced, ACCESS_EXCLUSIVE):
            deferred.restore(target, deferred.from_json(load["deferred"]), foreign_keys=last)
        if last:
            execute(target, sql.SQL("ANALYZE {}").format(sql.Identifier(self.run.database, load["table_name"])))
        execute(
            target,
            "UPDATE consolidation.table_load SET state = %s, finished_at = clock_timestamp()"
            " WHERE run_id = %s AND database = %s AND table_name = %s",
            [following, self.run.id, self.run.database, load["table_name"]],
        )
        target.commit()
