"""The ticket of a rehearsal: what was measured, of what, and until when it says something about the window.

It has the form of one database in a run's report, so that the same code reads durations out of either. No row data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from consolidation import evidence
from consolidation.report.outcome import time_of

RUN_ID, PHASE = "rehearsal", "ticket"
FORMAT = 1

Ticket = Mapping[str, Any]


def read(base: Path, database: str) -> Ticket:
    """The newest ticket of a database, below the folder of the run directories; empty where there is none."""
    try:
        found = json.loads(evidence.read(base / RUN_ID / database / f"{PHASE}.json") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) and found.get("format") == FORMAT else {}


def fault(ticket: Ticket, now: datetime, days: float, subject: Mapping[str, Any]) -> str:
    """Why it says nothing about a window now; '' where it does. ``subject``: versions and heads as they are now."""
    made = time_of(ticket.get("made_at"))
    if ticket.get("format") != FORMAT or made is None:
        return "there is none"
    if now - made > timedelta(days=days):
        return f"it is of {made:%Y-%m-%d}, more than {days:g} days ago"
    then = ticket.get("subject") or {}
    other = [
        f"{name} was {then.get(name, 'unknown')} and is {value}"
        for name, value in subject.items()
        if then.get(name) != value
    ]
    return "; ".join(other)
