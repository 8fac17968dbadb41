"""Whether the writers of each database are refused right now, as far as this command has seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consolidation import text as figures
from consolidation.console.figures import clock
from consolidation.report.outage import open_outage
from consolidation.report.outcome import time_of

Values = Mapping[str, Any]
OPENING = {"pg_cutover", "pg_rollback", "pg_cancel_rollback", "pg_abandon"}
"""Modules that open a side, besides pg_fence."""


class Writes:
    """Follows modules as they begin and end."""

    def __init__(self) -> None:
        self._refused: dict[str, str] = {}
        """Database -> since when, ISO 8601; '' where writers are accepted."""
        self._unsure: dict[str, str] = {}
        """Database -> what was under way that decides it."""

    def begins(self, database: str, module: str, arguments: Values) -> None:
        """A module begins to work."""
        if module == "pg_fence" and _decides(arguments):
            if arguments.get("state") == "closed":
                self._unsure[database] = "the fence was being closed"
            elif self._refused.get(database) != "":  # an open one stays open
                self._unsure[database] = "the fence was being opened"
        if module == "pg_cutover":
            self._unsure[database] = "the storage database was being opened"
        if module == "pg_rollback":
            self._unsure[database] = "the source was being opened"

    def ends(self, database: str, module: str, arguments: Values, values: Values) -> None:
        """A module has ended well, and what it returned."""
        if module == "run_journal_info":
            for facts in values.get("databases") or []:
                shut = open_outage(facts)
                self._refused[facts["name"]] = shut.closed_at.isoformat() if shut else ""
        if module == "pg_fence" and _decides(arguments):
            if "closed_at" in values:
                self._refused[database] = str(values["closed_at"])
            if "opened_at" in values:
                self._refused[database] = ""
        if module in OPENING and "opened_at" in values:
            self._refused[database] = ""
        if module in ("pg_fence", "pg_cutover", "pg_rollback"):
            self._unsure.pop(database, None)

    def refused(self) -> dict[str, str]:
        """Database -> since when its writers are refused."""
        return {database: since for database, since in self._refused.items() if since}

    def lines(self, now: Any = None) -> list[str]:
        """One for each database that is known."""
        found = []
        for database in sorted({*self._refused, *self._unsure}):
            since = self._refused.get(database, "")
            if database in self._unsure:
                state = f"NOT CERTAIN, {self._unsure[database]}: see the status below"
            elif since:
                begun = time_of(since)
                lasts = f" ({figures.duration((now - begun).total_seconds())})" if now and begun else ""
                state = f"REFUSED since {clock(since)}{lasts}"
            else:
                state = "accepted"
            found.append(f"{database}: {state}")
        return found


def _decides(arguments: Values) -> bool:
    """The source's fence, or the target's once it was cut over: the target's own one before it keeps no one out."""
    closes = arguments.get("state") in ("closed", "open")
    return closes and (arguments.get("side") == "source" or bool(arguments.get("rollback")))
