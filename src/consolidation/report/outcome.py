"""What became of a database's run, in words: the outcome, the write outage, and the way on and back.

Works on the values of ``journal_facts.read``. It only says what the journal shows: a step that left no result is
never taken for a success.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from consolidation.journal import records
from consolidation.journal.results import Phase
from consolidation.text import NOTHING

Facts = Mapping[str, Any]

MIGRATED, ROLLED_BACK, FAILED, INTERRUPTED, RUNNING, UNFINISHED = (
    "migrated",
    "rolled back",
    "failed",
    "interrupted",
    "running",
    "unfinished",
)
ORDER = (FAILED, INTERRUPTED, RUNNING, UNFINISHED, ROLLED_BACK, MIGRATED)
"""The worst first: the verdict on several databases is the first one that any of them has."""

STORAGE, SOURCE = "the storage database", "the source"

BEFORE_CUTOVER = (
    "It opens the source again. Nothing has to be brought back: the storage database has taken no write of a service."
)
AFTER_CUTOVER = (
    "It closes the storage database's tables, brings the writes made there since the cutover back to the source,"
    " compares both sides and opens the source."
)
UNTIL_SOURCE_IS_TOUCHED = (
    "As long as the source database stands untouched behind its fence; the runbook itself never removes it."
)


@dataclass(frozen=True)
class Outcome:
    """How the run stands for one database."""

    database: str
    kind: str
    """One of ORDER."""
    phase: str
    """The phase it stands in or came to an end in; '' before the first."""
    error: str
    cut_over: bool
    """Whether the services' writes (may) have gone to the storage database."""
    rolling_back: bool


@dataclass(frozen=True)
class Outage:
    """The time in which nobody could write."""

    closed_at: datetime
    opened_at: datetime | None
    """None: not open again."""
    opened: str
    """The side that was opened: STORAGE or SOURCE; '' while it lasts."""
    proven_at: datetime | None = None
    """When the services were seen to write on the storage database; None: no services, or not seen."""

    @property
    def seconds(self) -> float | None:
        """Length; None while it lasts."""
        return (self.opened_at - self.closed_at).total_seconds() if self.opened_at else None

    @property
    def services_seconds(self) -> float | None:
        """What the clients of the services felt, at the most; None where it was not seen."""
        return (self.proven_at - self.closed_at).total_seconds() if self.proven_at else None


@dataclass(frozen=True)
class WayBack:
    """How the run can be taken back from here."""

    text: str
    until: str
    command: str
    """'' where nothing is to be taken back."""


def phase(database: Facts, name: str) -> Facts:
    """The phase of that name; empty where it was never started."""
    return next((found for found in database["phases"] if found["name"] == name), {})


def time_of(text: Any) -> datetime | None:
    """An ISO 8601 time with zone; None for anything else."""
    if isinstance(text, datetime):
        return text
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None


def moment(text: Any) -> str:
    """An ISO 8601 time as ``2026-11-22 02:14:07 UTC``."""
    found = time_of(text)
    return f"{found.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if found else NOTHING


def outcome(database: Facts) -> Outcome:
    """How the run stands for one database."""
    phases = database["phases"]
    state = database["state"]
    open_phases = [found for found in phases if found["state"] != "done"]
    last = open_phases[-1] if open_phases else phases[-1] if phases else {}
    if state == records.MIGRATED:
        kind = MIGRATED
    elif state == records.ROLLED_BACK:
        kind = ROLLED_BACK
    elif last.get("state") == "failed":
        kind = FAILED
    elif database["at_work"]:
        kind = RUNNING
    else:
        kind = INTERRUPTED if last.get("state") == "running" else UNFINISHED
    settled = kind in (MIGRATED, ROLLED_BACK)
    return Outcome(
        database=database["name"],
        kind=kind,
        phase="" if settled else last.get("name", ""),
        error="" if settled else last.get("error") or "",
        cut_over=state == records.MIGRATED or bool(phase(database, "cutover")),
        rolling_back=state == records.ROLLING_BACK,
    )


def outages(database: Facts) -> tuple[Outage, ...]:
    """The write outages: of the migration, then of the rollback after a cutover."""
    migration = _outage(database, "fence", (("cutover", STORAGE), ("rollback_open", SOURCE)))
    rollback = _outage(database, "rollback_fence", (("rollback_open", SOURCE),))
    if migration is not None and migration.opened == STORAGE:
        proven_at = time_of(phase(database, Phase.CUTOVER_SERVICES).get("result", {}).get("written_at"))
        migration = replace(migration, proven_at=proven_at)
    elif migration is not None:
        rollback = None  # the fence of the migration was still closed
    return tuple(found for found in (migration, rollback) if found is not None)


def _outage(database: Facts, fence: str, openings: Iterable[tuple[str, str]]) -> Outage | None:
    """From the closed fence to the first side that was opened; None where the fence was not closed for certain."""
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


def verdict(outcomes: Sequence[Outcome]) -> tuple[str, str]:
    """(kind, sentence) for the whole run; the worst database decides the kind."""
    worst = next((kind for kind in ORDER if any(found.kind == kind for found in outcomes)), UNFINISHED)
    groups: dict[str, list[str]] = {}
    for found in sorted(outcomes, key=lambda found: ORDER.index(found.kind)):
        groups.setdefault(_standing(found), []).append(found.database)
    text = "; ".join(f"{', '.join(names)} {standing}" for standing, names in groups.items())
    return worst, f"{text}." if text else "No database in this run."


def _standing(found: Outcome) -> str:
    if found.kind == MIGRATED:
        return "migrated"
    if found.kind == ROLLED_BACK:
        return "rolled back"
    where = f"in phase {found.phase}" if found.phase else "before the first phase"
    if found.kind == UNFINISHED:
        return f"not finished, last phase done: {found.phase}" if found.phase else "begun, no phase done yet"
    return f"{found.kind} {where}"


def limited(commands: Mapping[str, str], outcomes: Sequence[Outcome], inventory: Iterable[str]) -> Mapping[str, str]:
    """The commands for what this run still holds: they must not reach databases that other runs have migrated."""
    held = [found.database for found in outcomes if found.kind != ROLLED_BACK]
    if set(inventory) <= set(held):
        return commands
    return {name: f"{command} --limit {shlex.quote(','.join(held))}" for name, command in commands.items()}


def way_on(outcomes: Sequence[Outcome], commands: Mapping[str, str]) -> str:
    """The command that goes on from here; '' where all is done."""
    if any(found.rolling_back for found in outcomes):
        return commands["rollback"]
    if any(found.kind in (FAILED, INTERRUPTED, UNFINISHED) for found in outcomes):
        return commands["migrate"]
    return ""


def way_back(outcomes: Sequence[Outcome], commands: Mapping[str, str]) -> WayBack:
    """How the run can be taken back, and until when."""
    if outcomes and all(found.kind == ROLLED_BACK for found in outcomes):
        return WayBack("The run is taken back; the sources are in charge again.", "", "")
    if any(found.rolling_back for found in outcomes):
        return WayBack(
            "The way back is under way but not at its end. Run the same command again, it resumes.",
            "Until it has ended; leave both sides as they are until then.",
            commands["rollback"],
        )
    if all(found.cut_over for found in outcomes):
        return WayBack(AFTER_CUTOVER, UNTIL_SOURCE_IS_TOUCHED, commands["rollback"])
    if not any(found.cut_over for found in outcomes):
        return WayBack(
            BEFORE_CUTOVER,
            "At any time until the cutover; after it, the same command brings the new writes back first.",
            commands["rollback"],
        )
    cut_over = ", ".join(found.database for found in outcomes if found.cut_over)
    waiting = ", ".join(found.database for found in outcomes if not found.cut_over)
    return WayBack(
        f"{waiting} (not cut over): {BEFORE_CUTOVER}\n{cut_over} (cut over): {AFTER_CUTOVER}\n"
        "--limit with one name takes back that database alone.",
        UNTIL_SOURCE_IS_TOUCHED,
        commands["rollback"],
    )
