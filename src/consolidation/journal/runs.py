"""Begin, resume and end a run: one maintenance window, from one ansible-playbook process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from consolidation.errors import StepRefused
from consolidation.journal import journal
from consolidation.lineage.models import JOURNAL
from consolidation.model import Database
from consolidation.postgres.connection import session
from consolidation.schema import phase as schema

CUTOVER = "cutover"


@dataclass(frozen=True)
class Caller:
    """The ansible-playbook process that calls."""

    control: dict[str, Any]
    """``host``, ``pid`` and ``started`` of the process."""
    other_alive: dict[str, Any] | None
    """The process that the open run names, as the caller found it alive on its own host; None: it is gone."""
    take_over: str
    """Id of a run of another control node whose process is gone for certain."""


@dataclass(frozen=True)
class Plan:
    """What beginning, or ending, a run means now."""

    database: Database
    state: str
    """``migrating``, ``migrated``, ``rolling_back`` or ``rolled_back``."""
    before: str
    after: str
    run: journal.Run | None
    cut_over: bool
    """Whether the run ever opened the target."""
    target_in_charge: bool
    """Whether the target holds rows that the source may not have."""
    changed: bool

    def diff(self) -> dict[str, str]:
        """The run before and after."""
        return {"before": f"{self.before}\n", "after": f"{self.after}\n"}

    def as_result(self) -> dict[str, Any]:
        """For the module."""
        run = self.run.as_result() if self.run else {}
        return {
            "run": run,
            "run_id": run.get("id", ""),
            "cut_over": self.cut_over,
            "target_in_charge": self.target_in_charge,
            "moves": self.database.moves,
            "msg": self.after,
        }


def plan(database: Database, state: str, caller: Caller) -> Plan:
    """What would happen; nothing is kept. Raises RunInProgress, StepRefused."""
    return _step(database, state, caller, keep=False)


def apply(plan: Plan, caller: Caller) -> dict[str, Any]:
    """Write it down, the journal itself first where there is none."""
    if plan.state == journal.MIGRATING:
        schema.upgrade(plan.database.target, JOURNAL)
    return _step(plan.database, plan.state, caller, keep=True).as_result()


def _step(database: Database, state: str, caller: Caller, *, keep: bool) -> Plan:
    with session(database.target, "journal") as target:
        if not journal.exists(target):
            if state == journal.ROLLING_BACK or keep:
                raise StepRefused(f"{database.name}: the journal knows no run", hint="nothing to do")
            after = "the journal, and a new run" if state == journal.MIGRATING else f"the run is {state}"
            return Plan(database, state, "no journal", after, None, False, False, True)
        before = journal.latest_run(target, database.name)
        if state in (journal.MIGRATING, journal.ROLLING_BACK):
            control = {**caller.control, "take_over": caller.take_over}
            rollback = state == journal.ROLLING_BACK
            run, changed = journal.begin(target, database.name, control, caller.other_alive, rollback=rollback)
        else:
            open_state = journal.MIGRATING if state == journal.MIGRATED else journal.ROLLING_BACK
            if not keep and (before is None or before.state not in (open_state, state)):
                # Check mode: the steps before, which begin the run, were not taken.
                return Plan(database, state, _said(before), f"the run is {state}", None, False, False, True)
            run = journal.current_run(target, database.name, open_state, state)
            changed = journal.finish(target, run, state)
            run = journal.current_run(target, database.name, state)
        done = journal.phases(target, run)
        if not keep:
            target.rollback()
    in_charge = journal.target_in_charge(done)
    return Plan(database, state, _said(before), _said(run), run, CUTOVER in done, in_charge, changed)


def _said(run: journal.Run | None) -> str:
    return f"{run.database}: run {run.id} is {run.state.replace('_', ' ')}" if run else "no run"
