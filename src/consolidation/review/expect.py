"""How long each phase will take: at the rates of an earlier run of the same database, else at assumed ones.

It always says which. A rehearsal's ticket has the form of a report's database, and is asked first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consolidation import evidence
from consolidation.borders import Json
from consolidation.rehearse import ticket
from consolidation.report import outcome

BETWEEN = "between them"
"""What Ansible takes from one phase to the next."""
SMOKE_TEST = "smoke test"
"""Of the services; they are written meanwhile."""
OUTAGE = ("fence", "copy", "verify", "cutover", "services", BETWEEN)
"""Phases of the write outage."""
LAST_ROUND, CHANGE_OVER = "last round", "change-over"
ONLINE_OUTAGE = (CHANGE_OVER, LAST_ROUND, "services")
"""The same in mode online: until the target opens only the rows of the last moment are brought over."""
SCALES = frozenset({"backup", "copy", "verify"})
"""Phases whose time grows with the bytes; the others take what they take."""
PHASES = {
    "backup": "backup",
    "schema": "schema",
    "fence": "fence",
    "copy": "copy",
    "verify": "verify",
    "cutover": "cutover",
    "cutover_services": "services",
}
"""The journal's phase -> the page's."""
ASSUMED_BYTES_PER_SECOND = {"backup": 20e6, "copy": 25e6, "verify": 50e6}
ASSUMED_SECONDS = {"schema": 10.0, "fence": 2.0, "cutover": 2.0, "services": 15.0, BETWEEN: 10.0}
ASSUMED_ONLINE = {CHANGE_OVER: 1.0, LAST_ROUND: 0.5}
START_SECONDS = 1.0
"""Of a phase that scales, whatever the size."""


@dataclass(frozen=True)
class Expected:
    """Seconds by phase, and what they follow from."""

    seconds: Mapping[str, float]
    basis: str
    outage: tuple[str, ...] = OUTAGE
    """Phases in which writes are refused."""

    @property
    def outage_seconds(self) -> float:
        """Of the write outage."""
        return sum(self.seconds.get(phase, 0.0) for phase in self.outage)

    @property
    def total_seconds(self) -> float:
        """Of the run."""
        return sum(self.seconds.values())


def expect(database: str, size_bytes: int, base: Path, *, online: bool = False) -> Expected:
    """For a database of that many bytes; ``base`` is the folder of the run directories."""
    rehearsed = ticket.read(base, database)
    found = _window(database, size_bytes, base, rehearsed)
    return _online(found, rehearsed.get("online") or {}) if online else found


def _window(database: str, size_bytes: int, base: Path, rehearsed: ticket.Ticket) -> Expected:
    seconds = _measured(rehearsed, size_bytes) if rehearsed else {}
    if {"copy", "verify"} <= seconds.keys():
        basis = f"measured by the rehearsal of {outcome.moment(rehearsed['made_at'])} on {rehearsed['read_from']}"
        return Expected(ASSUMED_SECONDS | seconds, f"{basis}, scaled by size")
    for report in _reports(base):
        for found in report.get("databases", []):
            seconds = _measured(found, size_bytes) if found.get("name") == database else {}
            if {"copy", "verify"} <= seconds.keys():
                return Expected(ASSUMED_SECONDS | seconds, f"measured by run {report['run']['id']}, scaled by size")
    seconds = {phase: START_SECONDS + size_bytes / pace for phase, pace in ASSUMED_BYTES_PER_SECOND.items()}
    paces = ", ".join(f"{phase} {pace / 1e6:.0f} MB/s" for phase, pace in ASSUMED_BYTES_PER_SECOND.items())
    return Expected(seconds | ASSUMED_SECONDS, f"ASSUMED, nothing was measured yet: {paces}; a rehearsal measures it")


def _online(window: Expected, rounds: Mapping[str, Any]) -> Expected:
    """The source is written during copy and verification. ``rounds``: as a rehearsal in this mode has measured them."""
    kept = {phase: took for phase, took in window.seconds.items() if phase not in ("fence", "cutover", BETWEEN)}
    if not rounds:
        basis = f"{window.basis}; change-over and last round are ASSUMED, a rehearsal in mode online measures rounds"
        return Expected(kept | ASSUMED_ONLINE, basis, ONLINE_OUTAGE)
    # The fence waits for the transactions that have written, and the last round brings what they have left.
    found = {
        CHANGE_OVER: round(ASSUMED_ONLINE[CHANGE_OVER] + rounds["oldest_writer_seconds"], 3),
        LAST_ROUND: rounds["p95_seconds"],
    }
    said = f"{window.basis}; 95 of 100 of its {rounds['rounds']} rounds took no longer than the last round here"
    return Expected(kept | found, said, ONLINE_OUTAGE)


def _reports(base: Path) -> Iterator[Json]:
    """The newest first; one that cannot be read is no report."""
    for path in sorted(base.glob("*/report.json"), reverse=True):
        try:
            yield json.loads(evidence.read(path) or "")
        except ValueError:
            continue


def _measured(database: Mapping[str, Any], size_bytes: int) -> dict[str, float]:
    """Seconds by phase for a database of that size now."""
    then = sum(table.get("bytes") or 0 for table in database.get("tables", []))
    found = {}
    measured = 0.0
    for phase in database.get("journal", {}).get("phases", []):
        name = PHASES.get(phase["name"])
        begun, ended = outcome.time_of(phase.get("started_at")), outcome.time_of(phase.get("finished_at"))
        if name and phase.get("state") == "done" and begun and ended:
            seconds = (ended - begun).total_seconds()
            scale = size_bytes / then if name in SCALES and then else 1.0
            found[name] = round(seconds * max(scale, 0.01), 3)
            measured += seconds if name in OUTAGE and name != "services" else 0.0
    own, clients = (_first(database, name) for name in ("outages", "service_outages"))
    if own:
        found[BETWEEN] = round(max(0.0, own - measured), 3)
    if own and clients:  # they write while the smoke test goes on
        found[SMOKE_TEST] = found.pop("services", 0.0)
        found["services"] = round(max(0.0, clients - own), 3)
    return found


def _first(database: Mapping[str, Any], outages: str) -> float | None:
    """How long the migration's was."""
    return next((outage.get("seconds") for outage in database.get(outages) or []), None)
