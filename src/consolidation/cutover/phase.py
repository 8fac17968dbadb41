"""The cutover of a database: the target opens, after everything that must be true was seen to be true."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg2
from psycopg2 import sql

from consolidation.errors import FenceError, StepRefused, describe
from consolidation.fence import probe, trigger
from consolidation.fence import state as fence
from consolidation.journal import records, state
from consolidation.journal.phase import recorded
from consolidation.model import Database, Side
from consolidation.postgres.connection import session
from consolidation.postgres.queries import execute

PHASE = "cutover"


@dataclass(frozen=True)
class Plan:
    """The target's tables to open."""

    database: Database
    tables: tuple[fence.Fenced, ...]
    settled: str

    @property
    def changed(self) -> bool:
        """Whether any table is still closed."""
        return not self.settled and any(table.state == fence.CLOSED for table in self.tables)

    def diff(self) -> dict[str, str]:
        """One line for each table."""
        if self.settled:
            return {"prepared": f"{self.settled}\n"}
        return {"prepared": "".join(f"open {table.schema}.{table.name} to its roles\n" for table in self.tables)}


def plan(database: Database) -> Plan:
    """What would be opened."""
    side = database.target_side
    with session(database.target, "cutover plan") as target:
        run = records.latest_run(target, database.name)
        settled = ""
        if run is not None and run.state == records.MIGRATED:
            settled = f"run {run.id} has cut {database.name} over already"
        return Plan(database, fence.read(target, side), settled)


def apply(plan: Plan, timeout_seconds: float) -> dict[str, Any]:
    """Open the target. Raises StepRefused unless the source is fenced and every table was verified equal."""
    if plan.settled:
        return {"msg": plan.settled}
    database = plan.database
    with recorded(database, PHASE, require=_require) as work:
        work.result["run_id"] = work.run.id
        done = records.phases(work.journal, work.run)
        side = database.target_side
        with session(database.target, PHASE) as target:
            opened = trigger.open_side(target, side, timeout_seconds)
        opened_at = work.result.setdefault("opened_at", opened["opened_at"])
        closed_at = done["fence"].result["closed_at"]
        outage = datetime.fromisoformat(opened_at) - datetime.fromisoformat(closed_at)
        work.result.update(closed_at=closed_at, outage_seconds=round(outage.total_seconds(), 3))
        _prove_open(side)
        return dict(work.result)


def _require(database: Database, done: dict[str, records.PhaseRecord]) -> None:
    for name in ("fence", "copy", "verify"):
        if name not in done or done[name].state != "done":
            raise StepRefused(
                f"{database.name}: phase {name} is not done, the target stays closed",
                hint="run ansible-playbook migrate.yml: it resumes with that phase",
            )
    if done["verify"].result.get("outcome") != "equal":
        raise StepRefused(
            f"{database.name}: the verification did not find both sides equal, the target stays closed",
            hint="see the verification's evidence in the run directory; then rollback.yml, or mend and run again",
        )
    copied = done["copy"].finished_at
    if not state.verified(done) or (copied and done["verify"].started_at < copied):
        raise StepRefused(
            f"{database.name}: the verification is older than the fence or the copy, the target stays closed",
            hint="run ansible-playbook migrate.yml: it verifies again",
        )
    if not database.moves:
        with session(database.source, "cutover check") as source:
            fence.require_unbroken(source, database, done)


def _prove_open(side: Side) -> None:
    """A write that touches no row must pass as every role that is to write here."""
    with session(side.settings, "cutover proof") as conn:
        probe.prepare_probe(conn)
        for role in side.roles:
            for table in fence.read(conn, side):
                try:
                    execute(conn, sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
                    execute(conn, sql.SQL("DELETE FROM {} WHERE false").format(table.identifier))
                except psycopg2.Error as error:
                    raise FenceError(
                        f"{side.database}: {role} cannot write {table.schema}.{table.name} after the cutover: "
                        f"{describe(error)}",
                        hint="mend the grant, then run ansible-playbook migrate.yml",
                    ) from error
                conn.rollback()
