"""What became of a database's run, in words.

Works on the values of ``journal_facts.read``. It only says what the journal shows: a step that left no result is
never taken for a success.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from consolidation import evidence
from consolidation.journal import records
from consolidation.journal.results import Phase
from consolidation.text import NOTHING

Facts = Mapping[str, Any]

MIGRATED, FINALIZED, ROLLED_BACK, FAILED, INTERRUPTED, RUNNING, UNFINISHED = (
    "migrated",
    "finalized",
    "rolled back",
    "failed",
    "interrupted",
    "running",
    "unfinished",
)
ORDER = (FAILED, INTERRUPTED, RUNNING, UNFINISHED, ROLLED_BACK, MIGRATED, FINALIZED)
"""The worst first: the verdict on several databases is the first one that any of them has."""


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
    reason: str = ""
    """Why the run rolled itself back; '' where it did not."""
    finalizing: bool = False
    """Whether the source is retired, or is about to be: there is no rollback."""
    backed_up: bool = True
    """Whether the run has a proved dump of the source; before the fence it may still get one."""


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


def outcome(database: Facts, events: Sequence[Facts] = ()) -> Outcome:
    """How the run stands for one database; ``events`` are those of ``evidence.events``."""
    phases = database["phases"]
    state = database["state"]
    open_phases = [found for found in phases if found["state"] != "done"]
    last = open_phases[-1] if open_phases else phases[-1] if phases else {}
    finalization = phase(database, Phase.FINALIZE)
    if state == records.MIGRATED and finalization.get("state") == "done":
        kind = FINALIZED
    elif state == records.MIGRATED and not finalization:
        kind = MIGRATED
    elif state == records.ROLLED_BACK:
        kind = ROLLED_BACK
    elif last.get("state") == "failed":
        kind = FAILED
    elif database["active"]:
        kind = RUNNING
    else:
        kind = INTERRUPTED if last.get("state") == "running" else UNFINISHED
    ended = kind in (MIGRATED, FINALIZED, ROLLED_BACK)
    return Outcome(
        database=database["name"],
        kind=kind,
        phase="" if ended else last.get("name", ""),
        error="" if ended else last.get("error") or "",
        cut_over=state == records.MIGRATED or bool(phase(database, "cutover")),
        rolling_back=state == records.ROLLING_BACK,
        finalizing=bool(finalization),
        backed_up=phase(database, Phase.BACKUP).get("state") == "done" or not phase(database, Phase.FENCE),
        reason=_reason(database["name"], events) if state in (records.ROLLING_BACK, records.ROLLED_BACK) else "",
    )


def _reason(database: str, events: Sequence[Facts]) -> str:
    """Why the last rollback began, where no rollback was asked for: the failure before it."""
    reason = ""
    failure: Facts = {}
    for event in events:
        if event.get("database") != database:
            continue
        if event.get("event") == evidence.FAILED:
            failure = event
        elif event.get("event") == evidence.ROLLING_BACK:
            by_itself = not str(event.get("playbook", "")).startswith("rollback")
            reason = str(failure.get("message", "")) if by_itself else ""
    return reason


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
    if found.kind == FINALIZED:
        return "migrated and finalized, the source is retired"
    if found.kind == ROLLED_BACK:
        return "rolled back automatically" if found.reason else "rolled back"
    where = f"in phase {found.phase}" if found.phase else "before the first phase"
    if found.kind == UNFINISHED:
        return f"not finished, last phase done: {found.phase}" if found.phase else "begun, no phase done yet"
    return f"{found.kind} {where}"
