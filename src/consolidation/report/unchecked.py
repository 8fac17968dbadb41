"""What a run did not check, in words: what could not be checked is never reported as passed."""

from __future__ import annotations

from collections.abc import Iterator

from consolidation.journal.results import Phase
from consolidation.report.outcome import Facts, moment, phase
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
    yield from _proof(database)
    if not has_services:
        yield "Services: the inventory names none for this database; no one wrote through them."
    elif phase(database, Phase.CUTOVER_SERVICES).get("state") != "done":
        yield "Services: no smoke test passed; that they work on the storage database was not seen."
    else:
        yield "Services: one row was written and read through each; nothing else of them was tried, nor any load."


def _proof(database: Facts) -> Iterator[str]:
    """Of a run in mode online that has cut over: in the others every row was compared behind the closed fence."""
    found = phase(database, Phase.PROOF)
    if not phase(database, Phase.CUTOVER) or not phase(database, Phase.CAPTURE):
        return
    if found.get("state") != "done":
        upto = moment(phase(database, Phase.FENCE).get("result", {}).get("closed_at"))
        yield f"Proof: pending, verified up to {upto}. The closed source was not compared with the open target yet."
    for table in found.get("result", {}).get("tables", []):
        if table["outcome"] != EQUAL:
            yield f"Proof: {table['name']} {str(table['outcome']).replace('_', ' ')}: {table['reason']}."


def _accepted(preflight: Facts) -> Iterator[str]:
    for finding in preflight.get("findings", []):
        if str(finding.get("what", "")).startswith("accepted: "):
            yield f"Accepted by the operator: {finding['id']} {finding.get('subject', '')}."
