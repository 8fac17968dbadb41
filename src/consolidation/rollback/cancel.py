"""Give a rollback up: the target takes writes again, and is authoritative as it was.

Safe only while the source is still the one that the run has closed: no one has written there. What the rollback has
brought there already is brought again by the next one.
"""

from __future__ import annotations

from dataclasses import dataclass

from consolidation.borders import Json
from consolidation.errors import StepRefused
from consolidation.fence import state as fence
from consolidation.fence import trigger
from consolidation.journal import records, runs, state
from consolidation.journal.phase import recorded
from consolidation.journal.results import Phase, Result
from consolidation.journal.state import RunState
from consolidation.model import Database
from consolidation.postgres.connection import session
from consolidation.postgres.queries import execute
from consolidation.rollback import reconcile


@dataclass(frozen=True)
class CancelResult(Result):
    """Phase rollback_cancel."""

    state: str
    opened_at: str


@dataclass(frozen=True)
class Plan:
    """The target's tables to open, and the run's state afterwards."""

    database: Database
    closed: tuple[fence.Fenced, ...]
    after: str
    skip_reason: str

    @property
    def changed(self) -> bool:
        """Whether a rollback is under way."""
        return not self.skip_reason

    @property
    def msg(self) -> str:
        """For the operator."""
        if self.skip_reason:
            return self.skip_reason
        on = "ansible-playbook migrate.yml finishes the cutover" if self.after == records.MIGRATING else ""
        return "; ".join(
            filter(None, [f"{self.database.name}: the rollback is cancelled, the target takes writes", on])
        )

    def diff(self) -> dict[str, str]:
        """One line for each table to open, and the run's state."""
        if self.skip_reason:
            return {"prepared": f"{self.skip_reason}\n"}
        lines = [f"open target {table.schema}.{table.name}" for table in self.closed]
        return {"prepared": "".join(f"{line}\n" for line in [*lines, f"the run is {self.after}"])}


def plan(database: Database) -> Plan:
    """What cancelling means now. Raises StepRefused where the source takes writes, or the target never did."""
    with session(database.target, "cancel plan") as target:
        run = state.read(target, database)
        tables = fence.read(target, database.target_side)
    if skip_reason := run.skip_reason(Phase.ROLLBACK_CANCEL):
        return Plan(database, (), "", skip_reason)
    _require(database, run)
    return Plan(database, tuple(table for table in tables if table.state == fence.CLOSED), state_after(run), "")


def apply(plan: Plan, timeout_seconds: float) -> Json:
    """Open the target and end the rollback. Raises StepRefused, FenceError; may be cut off and done again."""
    if plan.skip_reason:
        return {"msg": plan.skip_reason}
    database = plan.database
    with recorded(database, Phase.ROLLBACK_CANCEL, require=_require) as work:
        # First: no later rollback may open the source on the strength of rows that were brought there before.
        execute(
            work.journal,
            "DELETE FROM consolidation.phase WHERE run_id = %s AND database = %s AND name = %s",
            [work.run.id, database.name, Phase.RECONCILE],
        )
        with session(database.target, work.phase) as target:
            trigger.open_side(target, database.target_side, timeout_seconds)
        work.note(found := CancelResult(plan.after, work.now()))
        # Last: until here the rollback may be resumed as well. In one step: the same command finds nothing to do then.
        with session(database.target, work.phase) as target:
            records.note(target, work.run, Phase.ROLLBACK_CANCEL, found)
            runs.finish(target, work.run, plan.after)
        return {**work.result, "msg": plan.msg}


def _require(database: Database, run: RunState) -> None:
    if not run.cut_over:
        raise StepRefused(
            f"{database.name}: its target was never open to writers",
            hint="finish the rollback with ansible-playbook rollback.yml: it opens the source",
        )
    with session(database.source, "cancel") as source:
        states = {table.state for table in fence.read(source, database.source_side)}
    if states != {fence.CLOSED}:
        raise StepRefused(
            f"{database.name}: the source is open, or is about to be: it takes writes that the target has not",
            hint="finish the rollback with ansible-playbook rollback.yml",
        )
    reconcile.require_closed_since(database, run)


def state_after(run: RunState) -> str:
    """A cutover whose services were not seen on the target yet is still to be finished."""
    services = run.phases.get(Phase.CUTOVER_SERVICES)
    finished = run.done(Phase.CUTOVER) and (services is None or services.state == "done")
    return records.MIGRATED if finished else records.MIGRATING
