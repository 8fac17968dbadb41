"""How each database stands: one row of the status, from the journal's facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psutil  # type: ignore[import-untyped]  # it brings no types

from consolidation import text as figures
from consolidation.borders import Json
from consolidation.report import outage, outcome, titles

Facts = Mapping[str, Any]
NONE = "no run"


@dataclass(frozen=True)
class Standing:
    """One database."""

    database: str
    run: str
    outcome: str
    """Of report.outcome, or ``no run``."""
    phase: str
    since: str
    """ISO 8601: when that phase, or the state that ended the run, began; '' where nothing did."""
    by: str
    share: float | None
    """Of the bytes of a phase that reports how far it is, 0 to 1."""
    rows: int | None
    rows_per_second: float | None
    bytes_per_second: float | None
    eta_seconds: float | None
    progress_at: str
    """When that was reported, ISO 8601."""
    following: str
    """Of a source that is followed: the last round, what waits, and whether the cutover is held."""
    refused_since: str
    """ISO 8601; '' where writers are accepted, as far as the journal knows."""
    authoritative: str
    """The side that may hold rows which the other has not: ``source`` or ``target``."""
    rollback: str
    """``available``, ``resume it``, ``nothing to roll back`` or ``none, finalized``."""
    error: str

    @property
    def is_open(self) -> bool:
        """Whether the run has not come to its end."""
        return self.outcome not in (NONE, outcome.MIGRATED, outcome.FINALIZED, outcome.ROLLED_BACK)


def standing(database: str, facts: Facts, alive: bool | None = None) -> Standing:
    """How a database stands; ``alive``: whether the ansible-playbook of its run works, None where no one knows."""
    run = facts.get("run")
    own: Facts | None = next((each for each in facts.get("databases", []) if each["name"] == database), None)
    if run is None or own is None:
        return Standing(
            database=database,
            run="",
            outcome=NONE,
            phase="",
            since="",
            by="",
            **_progress(None),
            following="",
            refused_since="",
            authoritative="source",
            rollback="nothing to roll back",
            error="",
        )
    found = outcome.outcome(own)
    kind = outcome.RUNNING if alive and found.kind in (outcome.INTERRUPTED, outcome.UNFINISHED) else found.kind
    last = outcome.phase(own, found.phase)
    reported = last.get("result", {}).get("progress") if last.get("state") == "running" else None
    shut = outage.open_outage(own)
    return Standing(
        database=database,
        run=run["id"],
        outcome=kind,
        phase=titles.title(found.phase) if found.phase else "",
        since=str(last.get("started_at") or own.get("changed_at") or run["started_at"]),
        by=run["operator"],
        **_progress(reported),
        following=_following(reported or {}),
        refused_since=shut.closed_at.isoformat() if shut else "",
        authoritative=str(facts.get("authoritative", "")),
        rollback=_rollback(found),
        error=found.error,
    )


def is_alive(control: Facts) -> bool | None:
    """Whether the ansible-playbook of a run still works; None where it was started on another host."""
    import socket  # noqa: PLC0415 - used here alone

    if control.get("host") != socket.gethostname():
        return None
    try:
        return f"{psutil.Process(int(control['pid'])).create_time():.2f}" == control.get("started")
    except (psutil.Error, KeyError, ValueError):
        return False


def _rollback(found: outcome.Outcome) -> str:
    if found.kind == outcome.ROLLED_BACK:
        return "nothing to roll back"
    if found.finalizing:
        return "none, finalized"
    return "resume it" if found.rolling_back else "available"


def _progress(reported: Facts | None) -> Json:
    tables = (reported or {}).get("tables") or []
    total = (reported or {}).get("total") or {}
    weight = total.get("weight") or sum(table["weight"] for table in tables)
    if not weight:
        names = ("share", "rows", "rows_per_second", "bytes_per_second", "eta_seconds")
        return dict.fromkeys(names) | {"progress_at": ""}
    done = sum(table["share"] * table["weight"] for table in tables)
    pace = sum(table["rate"] or 0 for table in tables if table["share"] < 1)
    rows, size = (sum(table[key] for table in tables) for key in ("rows", "bytes"))
    return {
        "share": done / weight,
        "rows": rows,
        "rows_per_second": pace * rows / size if pace and size else None,
        "bytes_per_second": pace or None,
        "eta_seconds": (weight - done) / pace if pace else None,
        "progress_at": datetime.fromtimestamp(reported["at"], UTC).isoformat() if reported else "",
    }


def _following(reported: Facts) -> str:
    if "complete" not in reported:
        return ""
    parts = [f"last round {figures.duration(reported['seconds'])}, {figures.count(reported['keys'])} keys"]
    paces = (("noted_per_second", "in"), ("brought_per_second", "out"))
    parts += [f"{figures.count(reported[key])} keys/s {word}" for key, word in paces if reported.get(key)]
    if reported.get("waiting_bytes"):
        parts.append(f"{figures.size(reported['waiting_bytes'])} of keys waiting")
    if reported.get("eta_seconds"):
        parts.append(f"caught up in {figures.duration(reported['eta_seconds'])}")
    if reported.get("hold"):
        parts.append(f"HELD, the cutover begins when {reported['hold']} is removed")
    return ", ".join(parts)


def cells(found: Standing, now: datetime) -> tuple[str, ...]:
    """For people."""
    since = outcome.time_of(found.since)
    reported = outcome.time_of(found.progress_at)
    refused = outcome.time_of(found.refused_since)
    rate = [f"{figures.count(found.rows_per_second)} rows/s"] if found.rows_per_second else []
    left = [f"{figures.duration(found.eta_seconds)} left"] if found.eta_seconds else []
    age = [f"reported {figures.duration((now - reported).total_seconds())} ago"] if reported else []
    share = [f"{found.share:.0%}"] if found.share is not None else []
    return (
        found.database,
        found.outcome,
        found.phase,
        figures.duration((now - since).total_seconds()) if since else "",
        ", ".join([*share, *rate, *left, *age]) or found.following,
        f"REFUSED for {figures.duration((now - refused).total_seconds())}" if refused else "accepted",
        found.authoritative,
        found.rollback,
        f"{found.run} by {found.by}" if found.run else "",
    )


HEADINGS = ("database", "outcome", "phase", "since", "how far", "writes", "authoritative", "rollback", "run")
