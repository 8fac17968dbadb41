"""How long the clients of a database's services waited, at the most: from the fence until every host is back.

Its end is seen on the hosts, its beginning is noted by the journal's clock, and clocks differ. Both see the opening: a
host counts the seconds from its last look that has not seen it, and they are added to the journal's moment of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from consolidation.borders import Json
from consolidation.journal import state
from consolidation.journal.phase import recorded
from consolidation.journal.plan import Plan
from consolidation.journal.results import FenceResult, Phase, Result
from consolidation.journal.state import RunState
from consolidation.model import Database
from consolidation.postgres.connection import session


@dataclass(frozen=True)
class BackResult(Result):
    """Phase rollback_services."""

    healthy_at: str
    """When the services were healthy on the source, at the latest."""
    outage_seconds: float
    """As clients saw it, at the most."""


def plan(database: Database) -> Plan:
    """What there is to note now."""
    with session(database.target, "services back plan") as target:
        skip_reason = state.read(target, database).skip_reason(Phase.ROLLBACK_SERVICES)
    return Plan(database, f"wait until the services of {database.name} are healthy on the source", skip_reason)


def apply(plan: Plan, healthy_after_seconds: float | None = None) -> Json:
    """Note that they are. healthy_after_seconds: see ``proof.apply``."""
    if plan.skip_reason:
        return {"msg": plan.skip_reason}
    with recorded(plan.database, Phase.ROLLBACK_SERVICES) as work:
        now = work.now()
        healthy_at = after(work.state.source_opening.handed_over_at, healthy_after_seconds, now) or now
        work.replace(BackResult(healthy_at, seconds(_fence(work.state), healthy_at)))
        return dict(work.result)


def after(opened_at: str | None, healthy_after_seconds: float | None, now: str) -> str | None:
    """The moment so long after the opening, no later than now; None where it is not known."""
    if opened_at is None or healthy_after_seconds is None:
        return None
    found = datetime.fromisoformat(opened_at) + timedelta(seconds=healthy_after_seconds)
    return min(found, datetime.fromisoformat(now)).isoformat(timespec="milliseconds")


def seconds(fence: FenceResult, back_at: str) -> float:
    """From the first moment at which a client may have waited."""
    waited = datetime.fromisoformat(back_at) - datetime.fromisoformat(fence.clients_wait_from or back_at)
    return round(waited.total_seconds(), 3)


def _fence(run: RunState) -> FenceResult:
    """The closing since which clients wait: that of the migration, where no service was proved to write after it."""
    return run.target_fence if run.done(Phase.CUTOVER_SERVICES) else run.fence
