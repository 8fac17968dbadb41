"""Begin, resume and end a run: one maintenance window, from one ansible-playbook process."""

from __future__ import annotations

import getpass
import json
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, count

from psycopg2.extensions import connection as Connection

from consolidation import __version__
from consolidation.borders import Json
from consolidation.errors import RunInProgress, StepRefused
from consolidation.journal import records
from consolidation.journal.decisions import RETIRED, Standing
from consolidation.journal.phase import take_lock
from consolidation.journal.records import (
    LOCK_SPACE,
    MIGRATED,
    MIGRATING,
    ROLLED_BACK,
    ROLLING_BACK,
    Control,
    Run,
    latest_run,
)
from consolidation.journal.results import Phase
from consolidation.journal.state import RunState, read
from consolidation.lineage import alembic as lineage
from consolidation.lineage.models import JOURNAL
from consolidation.model import Database
from consolidation.postgres.connection import session
from consolidation.postgres.queries import execute, query, rows, value


@dataclass(frozen=True)
class Caller:
    """The ansible-playbook process that calls."""

    control: Control
    """``host``, ``pid`` and ``started`` of the process."""
    other_alive: Control | None
    """The process that the open run names, as the caller found it alive on its own host; None: it is gone."""
    take_over: str
    """Id of a run of another control node whose process is confirmed to be gone."""


@dataclass(frozen=True)
class Plan:
    """What beginning, or ending, a run means now."""

    database: Database
    state: str
    """``migrating``, ``migrated``, ``rolling_back`` or ``rolled_back``."""
    before: str
    after: str
    run: records.Run | None
    journal: RunState
    changed: bool

    def diff(self) -> dict[str, str]:
        """The run before and after."""
        return {"before": f"{self.before}\n", "after": f"{self.after}\n"}

    def as_result(self) -> Json:
        """For the module."""
        run = self.run.as_result() if self.run else {}
        return {
            "run": run,
            "run_id": run.get("id", ""),
            "cut_over": self.journal.cut_over,
            "authoritative": self.journal.authoritative,
            "restored": self.journal.done(Phase.ROLLBACK_RESTORE),
            "finalized": self.journal.standing == Standing.FINALIZED,
            "mode": self.database.strategy.name,
            "follows": self.database.strategy.follows,
            "two_copies": self.database.strategy.two_copies,
            "msg": self.after,
        }


def plan(database: Database, state: str, caller: Caller) -> Plan:
    """What would happen; nothing is kept. Raises RunInProgress, StepRefused."""
    return _step(database, state, caller, keep=False)


def apply(plan: Plan, caller: Caller) -> Json:
    """Write it down, the journal itself first where there is none."""
    if plan.state == records.MIGRATING or (plan.state == records.ROLLING_BACK and plan.run is not None):
        lineage.upgrade(plan.database.target, JOURNAL)
    return _step(plan.database, plan.state, caller, keep=True).as_result()


def _step(database: Database, state: str, caller: Caller, *, keep: bool) -> Plan:
    with session(database.target, "journal") as target:
        if not records.exists(target):
            if state == records.ROLLING_BACK or keep:
                hint = "nothing to roll back; ansible-playbook migrate.yml begins a run"
                raise StepRefused(f"{database.name}: the journal knows no run", hint=hint)
            after = "the journal, and a new run" if state == records.MIGRATING else f"the run is {state}"
            return Plan(database, state, "no journal", after, None, RunState(database.name), True)
        before = records.latest_run(target, database.name)
        if state in (records.MIGRATING, records.ROLLING_BACK):
            control: Control = {**caller.control, "take_over": caller.take_over}
            rollback = state == records.ROLLING_BACK
            run, changed = begin(target, database.name, control, caller.other_alive, rollback=rollback)
        else:
            open_state = records.MIGRATING if state == records.MIGRATED else records.ROLLING_BACK
            if not keep and (before is None or before.state not in (open_state, state)):
                # Check mode: the steps before, which begin the run, were not taken.
                return Plan(database, state, _said(before), f"the run is {state}", None, RunState(database.name), True)
            run = records.current_run(target, database.name, open_state, state)
            changed = finish(target, run, state)
            run = records.current_run(target, database.name, state)
        now = read(target, database)
        if state == records.MIGRATING:
            _require_same_mode(database, now)
        if not keep:
            target.rollback()
    return Plan(database, state, _said(before), _said(run), run, now, changed)


def _require_same_mode(database: Database, run: RunState) -> None:
    """A source that was copied behind its fence was not followed, and the other way round. Raises StepRefused."""
    if run.standing != Standing.MIGRATING or not {Phase.CAPTURE, Phase.COPY} & run.phases.keys():
        return
    began_online = Phase.CAPTURE in run.phases
    if began_online != database.strategy.follows:
        raise StepRefused(
            f"{database.name}: its run has begun in mode {'online' if began_online else 'window'}",
            hint="nothing was changed; set consolidation_database.mode back, or roll the run back with rollback.yml:"
            " the next one may have another mode",
        )


def _said(run: records.Run | None) -> str:
    return f"{run.database}: run {run.id} is {run.state.replace('_', ' ')}" if run else "no run"


def begin(
    target: Connection, database: str, control: Control, other_alive: Control | None, *, rollback: bool
) -> tuple[Run, bool]:
    """Begin a run, or resume the unfinished one; and whether the journal was changed by it.

    ``control`` is the calling ansible-playbook process; ``other_alive`` the process that the open run names, if the
    caller found it alive on this host. Raises RunInProgress, StepRefused.
    """
    execute(target, "SELECT pg_advisory_xact_lock(%s, hashtext('begin'))", [LOCK_SPACE])
    run = latest_run(target, database)
    wanted = ROLLING_BACK if rollback else MIGRATING
    if run is not None and run.state in (MIGRATING, ROLLING_BACK):
        _refuse_if_active(run, control, other_alive)
    # Whatever the operator knows of the process that began it: one of its modules may still be running. So may a
    # finalization, which no rollback must overtake.
    claims = run is not None and run.state in ((MIGRATING, ROLLING_BACK, MIGRATED) if rollback else (MIGRATING,))
    if claims:
        take_lock(target, database, "pg_try_advisory_xact_lock")
    if rollback and run is None:
        raise StepRefused(f"{database}: nothing to roll back, the journal knows no run", hint="nothing to do")
    if rollback and run is not None and Phase.FINALIZE in records.phases(target, run):
        raise StepRefused(f"{database}: {RETIRED.message.format(run=run.id)}", hint=RETIRED.hint)
    if not rollback and run is not None and run.state == ROLLING_BACK:
        raise StepRefused(
            f"{database}: run {run.id} is being rolled back", hint="finish it with ansible-playbook rollback.yml first"
        )
    finished = ROLLED_BACK if rollback else MIGRATED
    if run is not None and run.state == finished:
        return run, False
    if run is not None and (rollback or run.state == MIGRATING):
        changed = run.state != wanted
        _claim(target, run, control, wanted)
    else:
        _create(target, database, control)
        changed = True
    begun = latest_run(target, database)
    assert begun is not None  # noqa: S101 - it was written one statement ago
    return begun, changed


def enter(database: Database, caller: Caller) -> Run:
    """The run that a resolution belongs to: the newest one as it is, or a new one where that is none or rolled back.

    Makes the journal where there is none. Raises RunInProgress.
    """
    lineage.upgrade(database.target, JOURNAL)
    control: Control = {**caller.control, "take_over": caller.take_over}
    with session(database.target, "journal") as target:
        execute(target, "SELECT pg_advisory_xact_lock(%s, hashtext('begin'))", [LOCK_SPACE])
        take_lock(target, database.name, "pg_try_advisory_xact_lock")
        run = latest_run(target, database.name)
        if run is None or run.state == ROLLED_BACK:
            _create(target, database.name, control)
            run = latest_run(target, database.name)
            assert run is not None  # noqa: S101 - it was written one statement ago
            # One with the run: until it is resolved, no command takes it for a migration that has just begun.
            execute(target, query("journal/phase_start"), [run.id, database.name, Phase.RESOLVE])
            return run
        if run.state in (MIGRATING, ROLLING_BACK):
            _refuse_if_active(run, control, caller.other_alive)
        _claim(target, run, control, run.state)
        return run


def finish(target: Connection, run: Run, state: str) -> bool:
    """Set a run's database to a final state; False where it was there already."""
    statement = (
        "UPDATE consolidation.run_database SET state = %s, changed_at = now()"
        " WHERE run_id = %s AND database = %s AND state <> %s"
    )
    return execute(target, statement, [state, run.id, run.database, state]) > 0


def _refuse_if_active(run: Run, control: Control, other_alive: Control | None) -> None:
    theirs = run.control
    if theirs == {key: control.get(key) for key in theirs}:
        return  # the caller itself, rolling back after a failure
    if theirs.get("host") != control.get("host"):
        if control.get("take_over") == run.id:
            return
        raise RunInProgress(
            f"{run.database}: run {run.id} was started by {run.operator} on control node {theirs.get('host')}",
            hint=f"if that process is confirmed to be gone, add -e consolidation_take_over={run.id}",
        )
    if other_alive == theirs:
        raise RunInProgress(
            f"{run.database}: run {run.id} of {run.operator} is in progress, process {theirs.get('pid')} on this host",
            hint="wait for it, or stop it with Ctrl-C there; then run again, it resumes",
        )


def _claim(target: Connection, run: Run, control: Control, state: str) -> None:
    kept = {key: control.get(key) for key in ("host", "pid", "started")}
    execute(target, "UPDATE consolidation.run SET control = %s WHERE id = %s", [json.dumps(kept), run.id])
    finish(target, run, state)


def _create(target: Connection, database: str, control: Control) -> None:
    kept = {key: control.get(key) for key in ("host", "pid", "started")}
    # The databases of one window share a run: they come from one ansible-playbook process.
    run_id = value(target, query("journal/run_to_join"), {"control": json.dumps(kept), "database": database})
    if run_id is None:
        moment = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        taken = {name for (name,) in rows(target, "SELECT id FROM consolidation.run WHERE id LIKE %s", [f"{moment}%"])}
        run_id = next(name for name in chain([moment], (f"{moment}-{n}" for n in count(2))) if name not in taken)
        execute(
            target,
            "INSERT INTO consolidation.run (id, operator, control, version) VALUES (%s, %s, %s, %s)",
            [run_id, f"{getpass.getuser()}@{socket.gethostname()}", json.dumps(kept), __version__],
        )
    execute(
        target,
        "INSERT INTO consolidation.run_database (run_id, database, state) VALUES (%s, %s, %s)",
        [run_id, database, MIGRATING],
    )
