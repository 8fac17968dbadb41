"""The capture phase: have a side note the keys of the rows that change, or take that off again."""

from __future__ import annotations

from dataclasses import dataclass

from consolidation.borders import Json
from consolidation.capture import trigger
from consolidation.capture.memory import Memory
from consolidation.capture.state import ABSENT, ON, PREPARED, Captured, of_all, read
from consolidation.errors import StepRefused
from consolidation.journal import state
from consolidation.journal.phase import recorded
from consolidation.journal.results import Phase, Result
from consolidation.model import TARGET, Database, Side
from consolidation.postgres.connection import session


@dataclass(frozen=True)
class CaptureResult(Result):
    """Phase capture, or rollback_capture: of each side that was asked for."""

    source: Json | None = None
    target: Json | None = None


@dataclass(frozen=True)
class Plan:
    """What it takes to bring the capture of a side into the wanted state."""

    database: Database
    side: Side
    wanted: str
    before: tuple[Captured, ...]
    skip_reason: str
    """Why there is nothing to do, where the journal says so."""

    @property
    def phase(self) -> Phase:
        """Under which the journal keeps it."""
        return Phase.ROLLBACK_CAPTURE if self.wanted == ABSENT else Phase.CAPTURE

    @property
    def changed(self) -> bool:
        """Whether any table's capture is to be made, switched or removed."""
        return not self.skip_reason and any(table.state != self.wanted for table in self.before)

    def diff(self) -> dict[str, str]:
        """The states of all tables before and after."""
        lines = [(f"{self.side.name} {table.schema}.{table.name}", table.state) for table in self.before]
        after = [(name, self.wanted if self.changed else state) for name, state in lines]
        return {
            "before": "".join(f"{name}: {state}\n" for name, state in lines),
            "after": "".join(f"{name}: {state}\n" for name, state in after),
        }


def plan(database: Database, side_name: str, wanted: str) -> Plan:
    """What ``on``, ``prepared`` or ``absent`` means now. Raises StepRefused."""
    if side_name == TARGET and wanted == ON:
        raise StepRefused(
            f"{database.name}: the target notes changes from its opening on, the change-over switches that",
            hint=f"prepare it: state {PREPARED}",
        )
    side = database.side(side_name)
    with session(side.settings, "capture plan") as conn:
        before = read(conn, side)
    with session(database.target, "capture plan") as target:
        run = state.read(target, database)
    found = Plan(database, side, wanted, before, "")
    return Plan(database, side, wanted, before, run.skip_reason(found.phase))


def apply(plan: Plan, timeout_seconds: float) -> Json:
    """Make, switch or remove it, one table after the other. Raises FenceError where a table cannot be locked."""
    if plan.skip_reason:
        return {"msg": plan.skip_reason, "tables": _states(plan.before)}
    with recorded(plan.database, plan.phase) as work:
        with session(plan.side.settings, "capture") as conn:
            if plan.wanted == ABSENT:
                Memory(work.journal, work.run, plan.side.name).validate(plan.side.settings)
                trigger.remove(conn, plan.side, timeout_seconds)
                after = read(conn, plan.side)
            else:
                after = trigger.install(conn, plan.side, plan.wanted, timeout_seconds)
        noted = {"state": of_all(after), "at": work.now(), "tables": _states(after)}
        work.note(CaptureResult(**{plan.side.name: noted}))
        return {"run_id": work.run.id, "state": of_all(after), "tables": _states(after)}


def _states(tables: tuple[Captured, ...]) -> list[Json]:
    return [{"name": f"{t.schema}.{t.name}", "state": t.state, "log_bytes": t.log_bytes} for t in tables]
