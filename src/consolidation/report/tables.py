"""One line for each table of a run: what the copy carried, and what the comparison found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from consolidation.borders import Json
from consolidation.report.outcome import Facts, phase, time_of
from consolidation.text import rate

EQUAL, NOT_VERIFIED = "equal", "not compared"


@dataclass(frozen=True)
class TableReport:
    """Figures of one table; None where no phase left any."""

    name: str
    source_rows: int | None
    target_rows: int | None
    bytes: int | None
    """Bytes of COPY data."""
    seconds: float | None
    """Of the copy."""
    digest: str
    outcome: str
    """``equal``, ``different``, ``could not compare``, or ``not compared`` where no comparison left a result."""
    reason: str
    """Why it is not equal."""

    @property
    def bytes_per_second(self) -> float | None:
        """Speed of the copy."""
        return rate(self.bytes, self.seconds)

    def as_result(self) -> Json:
        """For report.json."""
        return {**asdict(self), "bytes_per_second": self.bytes_per_second}


def tables(database: Facts) -> tuple[TableReport, ...]:
    """Every table that any phase knows of: those that are not equal first, then the largest."""
    loads = _by_name(database.get("loads"))
    copied = _by_name(phase(database, "copy").get("result", {}).get("tables"))
    verified = _by_name(comparison(database).get("tables"))
    backed_up = _by_name(phase(database, "backup").get("result", {}).get("tables"))
    found = [
        _table(name, {**loads.get(name, {}), **copied.get(name, {})}, verified.get(name, {}))
        for name in loads.keys() | copied.keys() | verified.keys() | backed_up.keys()
    ]
    return tuple(sorted(found, key=lambda table: (table.outcome == EQUAL, -(table.bytes or 0), table.name)))


def comparison(database: Facts) -> Facts:
    """The result of the verification; empty where it does not hold for what the copy brought last.

    A comparison that was begun again and cut off still shows the result of the one before it.
    """
    verify, copy = phase(database, "verify"), phase(database, "copy")
    compared_at, copied_at = time_of(verify.get("finished_at")), time_of(copy.get("finished_at"))
    if compared_at is None or (copied_at is not None and compared_at < copied_at):
        return {}
    result: Facts = verify["result"]
    return result


def _table(name: str, copied: Facts, verified: Facts) -> TableReport:
    return TableReport(
        name=name,
        source_rows=verified.get("source_rows"),
        target_rows=verified.get("target_rows", copied.get("rows")),
        bytes=copied.get("bytes"),
        seconds=copied.get("seconds"),
        digest=str(verified.get("source_digest") or copied.get("digest") or ""),
        outcome=str(verified.get("outcome", NOT_VERIFIED)).replace("_", " "),
        reason=str(verified.get("reason") or ""),
    )


def _by_name(entries: Any) -> dict[str, Facts]:
    """A phase's ``tables``: a list of entries that name their table."""
    if not isinstance(entries, list):
        return {}
    return {entry["name"]: entry for entry in entries if isinstance(entry, Mapping) and "name" in entry}
