"""The write outages of a run: of each database, and of its services as their clients saw them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from consolidation.journal import records
from consolidation.journal.results import Phase
from consolidation.report.outcome import Facts, phase, time_of

STORAGE, SOURCE = "the storage database", "the source"
HEALTHY = "the services were healthy again and took their first write"
SMOKE_TEST = "a write through the service was accepted"
REPOINTED_BACK = "the services were healthy on the source again"
NEVER_LEFT = "their database was open again; the services had not left it"


@dataclass(frozen=True)
class Outage:
    """Write outage of a database: from the closed fence to the first side that was opened."""

    closed_at: datetime
    opened_at: datetime | None
    """None: not open again."""
    opened: str
    """The side that was opened: STORAGE or SOURCE; '' while it lasts."""

    @property
    def seconds(self) -> float | None:
        """Length; None while it lasts."""
        return (self.opened_at - self.closed_at).total_seconds() if self.opened_at else None


@dataclass(frozen=True)
class ServiceOutage:
    """Write outage as the clients of a database's services saw it, at the most."""

    closed_at: datetime
    back_at: datetime | None
    """None: not seen to write again."""
    seen: str
    """What shows that they write again; '' where nothing does yet."""

    @property
    def seconds(self) -> float | None:
        """Length; None while it lasts."""
        return (self.back_at - self.closed_at).total_seconds() if self.back_at else None


def outages(database: Facts) -> tuple[Outage, ...]:
    """The write outages: of the migration, then of the rollback after a cutover."""
    migration = _outage(database, Phase.FENCE, ((Phase.CUTOVER, STORAGE), (Phase.ROLLBACK_OPEN, SOURCE)))
    rollback = _outage(
        database, Phase.ROLLBACK_FENCE, ((Phase.ROLLBACK_OPEN, SOURCE), (Phase.ROLLBACK_CANCEL, STORAGE))
    )
    if migration is not None and migration.opened != STORAGE:
        rollback = None  # the fence of the migration was still closed
    return tuple(found for found in (migration, rollback) if found is not None)


def aborted(database: Facts) -> tuple[Outage, ...]:
    """Change-overs that were given up, over the budget or for a failure: whoever was closed was opened again."""
    found = []
    for name, opened in ((Phase.FENCE, SOURCE), (Phase.ROLLBACK_FENCE, STORAGE)):
        for attempt in phase(database, name).get("result", {}).get("aborted", []):
            closed_at, opened_at = time_of(attempt.get("closing_at")), time_of(attempt.get("reopened_at"))
            if closed_at and opened_at:
                found.append(Outage(closed_at, opened_at, opened))
    return tuple(found)


def service_outages(database: Facts) -> tuple[ServiceOutage, ...]:
    """The same as the clients of the database's services saw them.

    A target that was opened is no end for them: their services write when they are repointed and healthy. Where no
    smoke test passed before the rollback, it is one outage from the fence to the end of the rollback.
    """
    own = outages(database)
    if not own:
        return ()
    migration, back = own[0], _back_at(database)
    if migration.opened == SOURCE:
        since = _clients_wait_from(database, Phase.FENCE, migration)
        return (ServiceOutage(since, migration.opened_at, NEVER_LEFT),)
    smoke_test = phase(database, Phase.CUTOVER_SERVICES).get("result", {})
    healthy_at, written_at = time_of(smoke_test.get("healthy_at")), time_of(smoke_test.get("written_at"))
    since = _clients_wait_from(database, Phase.FENCE, migration)
    if written_at is None:
        return (ServiceOutage(since, back, REPOINTED_BACK if back else ""),)
    found = [ServiceOutage(since, healthy_at or written_at, HEALTHY if healthy_at else SMOKE_TEST)]
    if len(own) > 1:
        since = _clients_wait_from(database, Phase.ROLLBACK_FENCE, own[1])
        if own[1].opened == STORAGE:  # the rollback was given up, the services had not left it
            return (*found, ServiceOutage(since, own[1].opened_at, NEVER_LEFT))
        found.append(ServiceOutage(since, back, REPOINTED_BACK if back else ""))
    return tuple(found)


def open_outage(database: Facts) -> Outage | None:
    """The outage that lasts; None where writes are accepted."""
    return next((found for found in reversed(outages(database)) if found.opened_at is None), None)


def _back_at(database: Facts) -> datetime | None:
    """When the services were healthy on the source, at the latest when the rollback ended; None where it has not."""
    if database["state"] != records.ROLLED_BACK:
        return None
    healthy_at = phase(database, Phase.ROLLBACK_SERVICES).get("result", {}).get("healthy_at")
    return time_of(healthy_at) or time_of(database.get("changed_at"))


def _clients_wait_from(database: Facts, fence: str, own: Outage) -> datetime:
    """Writers wait behind the locks of the fence before it is closed."""
    return time_of(phase(database, fence).get("result", {}).get("locking_at")) or own.closed_at


def _outage(database: Facts, fence: str, openings: Iterable[tuple[str, str]]) -> Outage | None:
    """From the closed fence to the first side that was opened; None where the fence was not confirmed to be closed."""
    closed_at = _happened(phase(database, fence), "closed_at")
    if closed_at is None:
        return None
    for name, opened in openings:
        opened_at = _happened(phase(database, name), "opened_at")
        if opened_at is not None and opened_at >= closed_at:
            return Outage(closed_at, opened_at, opened)
    return Outage(closed_at, None, "")


def _happened(found: Facts, key: str) -> datetime | None:
    """When a phase closed or opened a fence: as it says itself, else its end if it is done."""
    said = time_of(found.get("result", {}).get(key))
    return said or (time_of(found.get("finished_at")) if found.get("state") == "done" else None)
