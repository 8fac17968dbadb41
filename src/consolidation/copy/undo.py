"""Taking a load back (rollback before the cutover): the target's tables empty again, with all their keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from consolidation.copy import deferred as defer
from consolidation.errors import StepRefused
from consolidation.fence import state as fence
from consolidation.journal import records, state
from consolidation.journal.phase import recorded
from consolidation.model import Database
from consolidation.postgres.connection import session
from consolidation.postgres.queries import dicts, execute, query

PHASE = "rollback_copy"


@dataclass(frozen=True)
class Plan:
    """The tables to empty."""

    database: Database
    loads: tuple[dict[str, Any], ...]
    """Rows of the journal's table_load."""

    @property
    def changed(self) -> bool:
        """Whether anything was loaded."""
        return bool(self.loads)

    def diff(self) -> dict[str, str]:
        """One line for each table."""
        return {"prepared": "".join(f"empty {self.database.name}.{load['table_name']}\n" for load in self.loads)}


def plan(database: Database) -> Plan:
    """What would be emptied. Raises StepRefused after a cutover: the target then holds writes of its own."""
    with session(database.target, "discard plan") as target:
        run = records.latest_run(target, database.name)
        if run is None:
            return Plan(database, ())
        _require(database, records.phases(target, run))
        return Plan(database, tuple(dicts(target, query("copy/loads"), [run.id, run.database])))


def _require(database: Database, done: dict[str, records.PhaseRecord]) -> None:
    if state.target_in_charge(done):
        raise StepRefused(
            f"{database.name}: the target holds rows that the source may not have, they are kept",
            hint="run ansible-playbook rollback.yml: it brings the writes made since back to the source",
        )


def apply(plan: Plan) -> dict[str, Any]:
    """Empty the tables and restore what was dropped for the load, in one transaction."""
    database = plan.database
    with recorded(database, PHASE, records.ROLLING_BACK, require=_require) as work:
        with session(database.target, PHASE) as target:
            fence.pass_through(target)
            if plan.loads:
                names = sql.SQL(", ").join(sql.Identifier(database.name, load["table_name"]) for load in plan.loads)
                execute(target, sql.SQL("TRUNCATE {}").format(names))
            for waiting, foreign_keys in ((("loading",), False), (("loading", "restoring"), True)):
                for load in plan.loads:
                    if load["state"] in waiting:
                        defer.restore(target, defer.from_json(load["deferred"]), foreign_keys=foreign_keys)
            # One with the emptying: from here on this copy is nobody's newest rows.
            mark = "UPDATE consolidation.phase SET result = jsonb_set(coalesce(result, '{}'), ARRAY[%s], 'true')"
            mark += " WHERE run_id = %s AND database = %s AND name = 'copy'"
            execute(target, mark, [records.EMPTIED, work.run.id, work.run.database])
            execute(
                target,
                "DELETE FROM consolidation.table_load WHERE run_id = %s AND database = %s",
                [work.run.id, work.run.database],
            )
        work.result.update(run_id=work.run.id, emptied=[load["table_name"] for load in plan.loads])
        return dict(work.result)
