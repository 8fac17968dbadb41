"""Preflight's look at the ticket: is there one that says something about a window now?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from consolidation.borders import Json
from consolidation.errors import ConnectionFailed
from consolidation.journal import state
from consolidation.journal.decisions import Standing
from consolidation.model import Database
from consolidation.postgres.connection import session
from consolidation.preflight.findings import BLOCKER, Finding, in_order, summary, text_table
from consolidation.preflight.kinds import found
from consolidation.rehearse import phase, ticket

BEFORE_A_WINDOW = (Standing.NO_RUN, Standing.ROLLED_BACK)
FIX = "ansible-playbook rehearse.yml, with the same inventory; it fences nothing and leaves nothing behind"


@dataclass(frozen=True)
class Wanted:
    """What the inventory asks of a ticket."""

    days: float
    """How long it is valid."""
    required: bool
    """Whether a run without one is refused."""


def look(database: Database, made: ticket.Ticket, wanted: Wanted) -> Json:
    """The findings, in the form of preflight's."""
    try:
        seen = list(_findings(database, made, wanted.days))
    except ConnectionFailed as error:  # preflight may look as other roles
        seen = [found("rehearsal.missing", database.name, f"its ticket could not be checked: {error.message}", FIX)]
    findings = in_order(replace(each, severity=BLOCKER) if wanted.required else each for each in seen)
    return {
        "findings": [each.as_result() for each in findings],
        "summary": summary(findings),
        "table": text_table(database.name, findings),
    }


def _findings(database: Database, made: ticket.Ticket, days: float) -> Iterator[Finding]:
    if not database.strategy.two_copies:
        return  # it takes a moment
    with session(database.target, "rehearsal look") as target:
        standing = state.read(target, database).standing
    if standing not in BEFORE_A_WINDOW:
        return
    if not made:
        what = "its migration was not rehearsed: how long the window takes is assumed, not measured"
        yield found("rehearsal.missing", database.name, what, FIX)
    elif fault := ticket.fault(made, datetime.now(UTC), days, phase.subject(database)):
        what = f"the rehearsal of {made.get('made_at')} says nothing about a window now: {fault}"
        yield found("rehearsal.outdated", database.name, what, FIX)
