"""What a run did not check, in words: what could not be checked is never reported as passed."""

from __future__ import annotations

from collections.abc import Iterator

from consolidation.journal.results import Phase
from consolidation.report.outcome import Facts, phase
from consolidation.report.tables import EQUAL, comparison, tables


def not_checked(database: Facts, preflight: Facts | None, *, has_services: bool) -> Iterator[str]:
    """A sentence for each."""
    if preflight is None:
        yield "Preflight: no result is kept with this run."
    yield from _accepted(preflight or {})
    backup = phase(database, "backup")
    if backup.get("state") != "done":
        yield "Backup: no dump was made and verified by a test restore in this run."
    if not comparison(database):
        yield "Content: both sides were not compared after the last copy."
    else:
        names = [table.name for table in tables(database) if table.outcome != EQUAL]
        if names:
            yield f"Content: not shown to be equal: {', '.join(names)}."
    if not has_services:
        yield "Services: the inventory names none for this database; no one wrote through them."
    elif phase(database, Phase.CUTOVER_SERVICES).get("state") != "done":
        yield "Services: no smoke test passed; that they work on the storage database was not seen."
    else:
        yield "Services: one row was written and read through each; nothing else of them was tried, nor any load."


def _accepted(preflight: Facts) -> Iterator[str]:
    for finding in preflight.get("findings", []):
        if str(finding.get("what", "")).startswith("accepted: "):
            yield f"Accepted by the operator: {finding['id']} {finding.get('subject', '')}."
