"""Undoing a load (rollback before the cutover): the target's tables empty again, with all their keys."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2 import sql

from consolidation.borders import Json
from consolidation.copy import deferred as defer
from consolidation.fence import state as fence
from consolidation.journal import records, state
from consolidation.journal.phase import recorded
from consolidation.journal.results import Phase, Result
from consolidation.model import Database
from consolidation.postgres.connection import session
from consolidation.postgres.locks import ACCESS_EXCLUSIVE, take
from consolidation.postgres.queries import Row, dicts, execute, query


@dataclass(frozen=True)
class UndoResult(Result):
    """Phase rollback_copy of a database that is copied."""

    emptied: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The tables to empty."""

    database: Database
    loads: tuple[Row, ...]
    """Rows of the journal's table_load."""
    skip_reason: str = ""

    @property
    def changed(self) -> bool:
        """Whether anything was loaded."""
        return bool(self.loads)

    def diff(self) -> dict[str, str]:
        """One line for each table."""
        if self.skip_reason:
            return {"prepared": f"{self.skip_reason}\n"}
        return {"prepared": "".join(f"empty {self.database.name}.{load['table_name']}\n" for load in self.loads)}


def plan(database: Database) -> Plan:
    """What would be emptied; nothing where the target holds rows that the source may not have, they are kept."""
    if not database.strategy.two_copies:
        return Plan(database, (), f"{database.name} is moved, not copied")
    with session(database.target, "discard plan") as target:
        run = state.read(target, database)
        if reason := run.skip_reason(Phase.ROLLBACK_COPY):
            return Plan(database, (), reason)
        loads = dicts(target, query("copy/loads"), [run.run.id, database.name]) if run.run else []
        return Plan(database, tuple(loads))


def apply(plan: Plan, timeout_seconds: float) -> Json:
    """Empty the tables and restore what was dropped for the load, in one transaction.

    Raises FenceError where others hold the tables for longer than ``timeout_seconds``, with their names.
    """
    database = plan.database
    if plan.skip_reason:
        return {"msg": plan.skip_reason}
    with recorded(database, Phase.ROLLBACK_COPY) as work:
        with session(database.target, Phase.ROLLBACK_COPY) as target:
            if plan.loads:
                tables = fence.read(target, database.target_side)
                target.rollback()
                take(target, database.target, tables, timeout_seconds, ACCESS_EXCLUSIVE)
            fence.pass_through(target)
            if plan.loads:
                names = sql.SQL(", ").join(sql.Identifier(database.name, load["table_name"]) for load in plan.loads)
                execute(target, sql.SQL("TRUNCATE {}").format(names))
            unfinished = [load for load in plan.loads if load["state"] != "done"]
            missing = defer.absent(target, database.name, unfinished)
            defer.restore(target, missing, foreign_keys=False)
            defer.restore(target, missing, foreign_keys=True)
            # One with the emptying: from here on this copy is never the newest.
            records.renew_copy(target, work.run, emptied=True)
            execute(
                target,
                "DELETE FROM consolidation.table_load WHERE run_id = %s AND database = %s",
                [work.run.id, work.run.database],
            )
        work.note(UndoResult(tuple(load["table_name"] for load in plan.loads)))
        return dict(work.result)
