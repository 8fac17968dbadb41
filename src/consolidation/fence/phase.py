"""The write fence: a statement trigger on every table that refuses every writer, and the proof that it does.

Enabling the trigger takes SHARE ROW EXCLUSIVE: it waits for the transactions that have written, then refuses everyone.
Readers go on. A fence is ``absent``, ``prepared`` (trigger there, disabled) or ``closed``. To open is to disable; the
trigger is dropped only by finalize, because DROP TRIGGER needs a stronger lock than any reader allows.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from psycopg2.extensions import connection as Connection

from consolidation.errors import FenceError, StepRefused
from consolidation.fence import trigger
from consolidation.fence.probe import probe
from consolidation.fence.state import ABSENT, CLOSED, PREPARED, Fenced, needs_change, read, seal
from consolidation.journal import records, state
from consolidation.journal.phase import Work, keep, recorded
from consolidation.model import Database, Side
from consolidation.postgres.connection import session


@dataclass(frozen=True)
class Plan:
    """What it takes to bring a side's fence into the wanted state."""

    database: Database
    side: Side
    wanted: str
    before: tuple[Fenced, ...]
    settled: str
    """Why there is nothing to do, where the journal says so."""

    @property
    def changed(self) -> bool:
        """Whether any trigger has to be made or switched."""
        return not self.settled and any(needs_change(fenced.state, self.wanted) for fenced in self.before)

    def diff(self) -> dict[str, str]:
        """The states of all tables before and after."""
        after = [
            self.wanted if self.changed and needs_change(fenced.state, self.wanted) else fenced.state
            for fenced in self.before
        ]
        names = [f"{self.side.name} {fenced.schema}.{fenced.name}" for fenced in self.before]
        return {
            "before": "".join(f"{name}: {fenced.state}\n" for name, fenced in zip(names, self.before, strict=True)),
            "after": "".join(f"{name}: {state}\n" for name, state in zip(names, after, strict=True)),
        }


def plan(database: Database, side_name: str, wanted: str, phase: str = "fence") -> Plan:
    """What closing (``closed``), preparing (``prepared``) or opening (``open``) a side means now, in a phase."""
    side = database.side(side_name)
    with session(side.settings, "fence plan") as conn:
        before = read(conn, side)
    # A trigger that is not there refuses nobody: open already.
    target_state = PREPARED if wanted == "open" else wanted
    if wanted == "open":
        before = tuple(fenced for fenced in before if fenced.state != ABSENT)
    settled = "the tables bring their fence along when they are moved" if database.moves and not before else ""
    with session(database.target, "fence plan") as conn:
        run = records.latest_run(conn, database.name)
        over = run is not None and run.state == records.MIGRATED and not phase.startswith("rollback")
        if run is not None and run.state == records.MIGRATING and (side_name, wanted) == ("target", CLOSED):
            # A re-run after a crash: services may be writing to the target already.
            over = state.target_in_charge(records.phases(conn, run))
    if run is not None and over:
        settled = f"run {run.id} has cut {database.name} over: the source stays closed, the target open"
    return Plan(database, side, "open" if wanted == "open" else target_state, before, settled)


def apply(plan: Plan, phase: str, timeout_seconds: float) -> dict[str, Any]:
    """Bring the fence into the wanted state and prove it. Raises FenceError."""
    if plan.settled:
        return {"msg": plan.settled, "tables": _states(plan.before)}
    with recorded(plan.database, phase, records.MIGRATING, records.ROLLING_BACK) as work:
        work.result["run_id"] = work.run.id
        with session(plan.side.settings, phase) as conn:
            if plan.wanted == "open":
                _require_nothing_left_behind(work, plan)
                work.result.update(trigger.open_side(conn, plan.side, timeout_seconds))
            else:
                trigger.prepare(conn, plan.side, timeout_seconds)
                if plan.wanted == CLOSED:
                    _close(work, phase, conn, plan.side, timeout_seconds)
            work.result["tables"] = _states(read(conn, plan.side))
        if plan.wanted == CLOSED:
            work.result["probes"] = probe(plan.side)
        return dict(work.result)


def _require_nothing_left_behind(work: Work, plan: Plan) -> None:
    """A source must not open while the target holds writes that it has not."""
    done = records.phases(work.journal, work.run)
    back = done.get("reconcile")
    if plan.side.name == "target" or not state.target_in_charge(done) or plan.database.moves:
        return
    if work.run.state != records.ROLLING_BACK or back is None or back.state != "done" or back.result["to"] != "source":
        raise StepRefused(
            f"{plan.database.name}: run {work.run.id} has opened the target, and its writes are not on the source yet",
            hint="take the run back with ansible-playbook rollback.yml, which brings them along, then opens the source",
        )


def _states(tables: tuple[Fenced, ...]) -> list[dict[str, str]]:
    return [{"name": f"{fenced.schema}.{fenced.name}", "state": fenced.state} for fenced in tables]


def _close(work: Work, phase: str, conn: Connection, side: Side, timeout_seconds: float) -> None:
    """Enable all triggers; note when, and the seal that tells this closing from any other."""
    tables = read(conn, side)
    if not tables:
        raise FenceError(
            f"{side.database}: no tables to fence in schema {side.schema} of {side.settings}",
            hint="check consolidation_database.source_schema and .tables",
        )
    found = work.result
    if any(fenced.state != CLOSED for fenced in tables):
        for name in ("closed_at", "waited_seconds", "seal"):
            found.pop(name, None)
        found["closing_at"] = trigger.now()
        keep(work, phase)  # killed from here on, it is not taken for the closing before
        started = time.monotonic()
        trigger.enable(conn, side, tables, timeout_seconds)
        found.update(closed_at=trigger.now(), waited_seconds=round(time.monotonic() - started, 3))
    elif found.get("seal") != seal(tables):
        # Closed by an attempt that was killed, or by somebody who had opened it.
        found.update(closed_at=found.get("closing_at") or trigger.now(), waited_seconds=0.0)
    found["seal"] = seal(read(conn, side))
    found.pop("closing_at", None)
