"""The look before a rollback: whether the source can take every row, found out while the target still takes writes.

A target that was closed for a rollback that cannot be done would be an outage for nothing. So the rollback is done to
its end in a transaction of the source that is rolled back: with the real rows, against the real tables.
"""

from __future__ import annotations

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.errors import StepRefused, VerificationFailed
from consolidation.fence import state as fence
from consolidation.fence import trigger
from consolidation.journal import state
from consolidation.journal.results import Phase
from consolidation.model import TARGET, Database
from consolidation.postgres.connection import session
from consolidation.postgres.locks import LOCK_SECONDS, take
from consolidation.postgres.queries import execute, rows
from consolidation.postgres.snapshot import Snapshot, frozen
from consolidation.rollback import reconcile
from consolidation.rollback.exchange import exchange
from consolidation.rollback.refused import hint, is_of_rows, refused, refusing, rounded


def look(database: Database, workers: int = 2) -> bool:
    """Whether a rollback would bring rows back to the source, and then, that it can.

    Raises StepRefused, VerificationFailed, FenceError, StatementFailed: as a rollback with a closed target.
    """
    with session(database.target, "rollback look") as target:
        run = state.read(target, database)
    if run.run is None or run.skip_reason(Phase.RECONCILE):
        return False
    closed = reconcile.fences(database)
    if run.done(Phase.ROLLBACK_RESTORE) and closed[TARGET]:
        return True  # it is an outage already: the rollback itself finds out
    if reconcile.reconciled_and_opened(run, source_is_closed=bool(closed["source"])):
        return False
    reconcile.require_closed_since(database, run)
    with frozen(database.target, "rollback trial", workers) as there:
        with frozen(database.source, "rollback trial", workers) as here:
            plan = reconcile.compared(database, "source", here, there, closed)
        if plan.changed:
            _try(plan, there)
    _try_to_open(database)
    return True


def _try(plan: reconcile.Plan, target: Snapshot) -> None:
    database = plan.database
    here, there = database.source, database.target
    with session(there, "rollback trial") as origin, session(here, "rollback trial") as destination:
        _require_room(plan, destination)
        execute(origin, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        execute(origin, "SET TRANSACTION SNAPSHOT %s", [target.exported])
        try:
            exchange(origin, destination, here, plan.changes, plan.pairs)
        except psycopg2.Error as error:
            if is_of_rows(error):
                raise refused(database, origin, destination, plan.changes, hint(plan.to, plan.fences)) from error
            raise
        except VerificationFailed as error:
            if found := rounded(database, plan.to, plan.pairs):
                raise refusing(database, plan.to, found, hint(plan.to, plan.fences)) from error
            raise
        finally:
            destination.rollback()


def _try_to_open(database: Database) -> None:
    """Whoever owns the tables may have taken our rights away since, or watches DDL by an event trigger."""
    with session(database.source, "rollback trial") as source:
        closed = [table for table in fence.read(source, database.source_side) if table.enabled]
        source.rollback()
        take(source, database.source, closed, LOCK_SECONDS)
        for table in closed:
            trigger.disable(source, table)
        source.rollback()


def _require_room(plan: reconcile.Plan, destination: Connection) -> None:
    """setval() is of no transaction: it is not tried."""
    statement = "SELECT seqmin, seqmax FROM pg_sequence WHERE seqrelid = %s::regclass"
    for theirs, ours in plan.sequences:
        name = sql.Identifier(ours.schema, ours.name).as_string(destination)
        [(low, high)] = rows(destination, statement, [name])
        if not low <= theirs.last_value <= high:
            raise StepRefused(
                f"{plan.database.name}: sequence {name} of the source holds {low} to {high}, the target's is at"
                f" {theirs.last_value}",
                hint=hint(plan.to, plan.fences),
            )
