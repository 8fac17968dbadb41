"""The write fence: a statement trigger on every table that refuses every writer, and the proof that it does.

Enabling the trigger takes SHARE ROW EXCLUSIVE: it waits for the transactions that have written, then refuses everyone.
Readers go on. A fence is ``absent``, ``prepared`` (trigger there, disabled) or ``closed``. To open is to disable; the
trigger is dropped only by finalize, because DROP TRIGGER needs a stronger lock than any reader allows.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.errors import ConfigurationError, FenceError
from consolidation.fence import trigger
from consolidation.fence.probe import probe
from consolidation.fence.state import ABSENT, CLOSED, LOADING, OPEN, PREPARED, Fenced, epoch, needs_change, read
from consolidation.journal import records, state
from consolidation.journal.phase import Work, recorded
from consolidation.journal.results import FenceResult, Phase, Tables
from consolidation.model import SOURCE, TARGET, Database, Side
from consolidation.postgres.connection import session
from consolidation.postgres.durability import await_standbys
from consolidation.postgres.handover import End, sequences_handed_over
from consolidation.postgres.locks import ACCESS_EXCLUSIVE, LOCK_SECONDS, cancel_autovacuum, locked


@dataclass(frozen=True)
class Plan:
    """What it takes to bring a side's fence into the wanted state."""

    database: Database
    phase: Phase
    side: Side
    wanted: str
    """``prepared``, ``loading``, ``closed`` or ``open``."""
    before: tuple[Fenced, ...]
    skip_reason: str
    """Why there is nothing to do, where the journal says so."""

    @property
    def changed(self) -> bool:
        """Whether any trigger has to be made or switched."""
        return not self.skip_reason and any(needs_change(fenced.state, self.wanted) for fenced in self.before)

    def diff(self) -> dict[str, str]:
        """The states of all tables before and after."""
        becomes = PREPARED if self.wanted == "open" else self.wanted
        after = [
            becomes if self.changed and needs_change(fenced.state, self.wanted) else fenced.state
            for fenced in self.before
        ]
        names = [f"{self.side.name} {fenced.schema}.{fenced.name}" for fenced in self.before]
        return {
            "before": "".join(f"{name}: {fenced.state}\n" for name, fenced in zip(names, self.before, strict=True)),
            "after": "".join(f"{name}: {state}\n" for name, state in zip(names, after, strict=True)),
        }


STEPS = {
    (False, SOURCE, OPEN): Phase.FENCE_REOPEN,
    (False, SOURCE, PREPARED): Phase.FENCE_PREPARE,
    (False, SOURCE, CLOSED): Phase.FENCE,
    (False, TARGET, CLOSED): Phase.SCHEMA_FENCE,
    (True, TARGET, CLOSED): Phase.ROLLBACK_FENCE,
    (True, SOURCE, OPEN): Phase.ROLLBACK_OPEN,
}
"""(of the rollback, side, wanted state) -> phase."""


def plan(database: Database, side_name: str, wanted: str, *, rollback: bool = False, early: bool = False) -> Plan:
    """What closing (``closed``), preparing (``prepared``) or opening (``open``) a side means now.

    ``rollback``: it is asked for by the rollback. The journal must agree when it is applied. ``early``: before all else
    that the rollback does, which is right where nothing has to be brought back. Raises StepRefused.
    """
    phase = STEPS.get((rollback, side_name, wanted))
    if phase is None:
        raise ConfigurationError(
            f"{database.name}: no phase of {'rollback' if rollback else 'migrate'}.yml makes the {side_name} {wanted}",
            hint="the cutover opens the target (pg_cutover); rollback.yml closes it again and opens the source",
        )
    side = database.side(side_name)
    with session(database.target, "fence plan") as conn:
        run = state.read(conn, database)
    skip_reason = run.skip_reason(phase)
    if early and not skip_reason and (run.authoritative != SOURCE or not database.strategy.two_copies):
        skip_reason = f"{database.name}: the source opens when its rows are back"
    if skip_reason:
        return Plan(database, phase, side, wanted, (), skip_reason)
    with session(side.settings, "fence plan") as conn:
        before = read(conn, side)
    if wanted == OPEN:  # a trigger that is not there refuses no one: open already
        before = tuple(fenced for fenced in before if fenced.state != ABSENT)
    if not database.strategy.two_copies and not before:
        skip_reason = "the tables bring their fence along when they are moved"
    if phase == Phase.ROLLBACK_FENCE and not before:
        skip_reason = f"{database.name}: the target has no tables yet"
    if not skip_reason and phase is Phase.FENCE and database.strategy.follows:
        skip_reason = f"{database.name}: the source is written until the cutover, which closes it"
    if phase is Phase.FENCE_REOPEN and not run.writes_refused and not any(fenced.enabled for fenced in before):
        skip_reason = f"{database.name}: no change-over was cut off, the source is open"
    if phase is Phase.SCHEMA_FENCE:
        wanted = LOADING  # the copy closes it wholly
    return Plan(database, phase, side, wanted, before, skip_reason)


def apply(plan: Plan, timeout_seconds: float) -> Json:
    """Bring the fence into the wanted state and prove it. Raises FenceError, StepRefused."""
    if plan.skip_reason:
        return {"msg": plan.skip_reason, "tables": list(_states(plan.before))}
    with recorded(plan.database, plan.phase) as work:
        with session(plan.side.settings, plan.phase) as conn:
            if plan.wanted == OPEN:
                await_standbys(plan.side.settings, timeout_seconds)  # what was brought back outlives a failover
                with _sequences(work, timeout_seconds):
                    trigger.open_side(conn, plan.side, timeout_seconds)
                work.note(FenceResult(opened_at=work.now()))
                if plan.phase is Phase.FENCE_REOPEN and work.state.writes_refused:
                    # The outage that it ends; the closing has no owner any more.
                    work.note(FenceResult(closed_at=work.state.fence.closing_at))
                    records.forget(work.journal, work.run, Phase.FENCE)
            else:
                if plan.phase is Phase.FENCE and not any(fenced.enabled for fenced in plan.before):
                    _require_unread(plan.database, timeout_seconds)
                trigger.prepare(conn, plan.side, timeout_seconds)
                if plan.wanted in {CLOSED, LOADING}:
                    _close(work, conn, plan, timeout_seconds)
            work.note(FenceResult(tables=_states(read(conn, plan.side))))
        if plan.wanted in {CLOSED, LOADING}:
            work.note(FenceResult(probes=tuple(probe(plan.side, opens=plan.phase is Phase.SCHEMA_FENCE))))
        return dict(work.result)


def _require_unread(database: Database, timeout_seconds: float) -> None:
    """The copy takes the target's tables for itself: who reads them is found before the outage. Raises FenceError."""
    if not database.strategy.two_copies:
        return
    with session(database.target, "fence target") as conn:
        tables = read(conn, database.target_side)
        conn.commit()
        if tables:
            with locked(conn, database.target, tables, timeout_seconds, ACCESS_EXCLUSIVE):
                pass


def _sequences(work: Work, seconds: float) -> AbstractContextManager[None]:
    """The source's sequences no longer behind the target's, where that has handed out numbers."""
    database = work.database
    if not database.strategy.two_copies or not work.state.reconciled:
        return nullcontext()
    source, target = End(database.source, database.source_schema), End(database.target, database.name)
    return sequences_handed_over(target, source, min(seconds, LOCK_SECONDS), back=True)


def _states(tables: tuple[Fenced, ...]) -> Tables:
    return tuple({"name": f"{fenced.schema}.{fenced.name}", "state": fenced.state} for fenced in tables)


def _close(work: Work, conn: Connection, plan: Plan, timeout_seconds: float) -> None:
    """Enable all triggers; note since when writers are refused, and the fence epoch."""
    side = plan.side
    tables = read(conn, side)
    conn.commit()
    if not tables:
        raise FenceError(
            f"{side.database}: no tables to fence in schema {side.schema} of {side.settings}",
            hint="check consolidation_database.source_schema and .tables",
        )
    found = work.found(FenceResult)
    if any(needs_change(fenced.state, plan.wanted) for fenced in tables):
        # An attempt that was killed has closed some tables: writers are refused since then.
        cancel_autovacuum(conn, tables)
        begun = found.closing_at if any(fenced.enabled for fenced in tables) else None
        closing_at = begun or work.now()
        found = replace(found, closing_at=closing_at, closed_at=None, waited_seconds=None, fence_epoch=None)
        work.replace(found)
        work.keep()  # killed from here on, it is not taken for the closing before
        started = time.monotonic()
        first = trigger.enable(side, tables, timeout_seconds, plan.wanted)
        closed_at = datetime.fromisoformat(closing_at) + timedelta(seconds=0 if begun else first)
        waited = round(time.monotonic() - started, 3)
        found = replace(found, closed_at=closed_at.isoformat(timespec="milliseconds"), waited_seconds=waited)
    elif found.fence_epoch != epoch(tables):
        # Closed by an attempt that was killed, or by another session that had opened it; or a table was altered.
        found = replace(found, closed_at=found.closing_at or work.now(), waited_seconds=0.0)
    locking_at = found.closing_at or found.locking_at
    work.replace(replace(found, closing_at=None, locking_at=locking_at, fence_epoch=epoch(read(conn, side))))
