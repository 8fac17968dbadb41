"""What a run in mode online has on the source until it ends, in words."""

from __future__ import annotations

from collections.abc import Iterator

from consolidation.journal import records
from consolidation.journal.results import Phase
from consolidation.report.outcome import Facts, moment, phase


def left(database: Facts) -> Iterator[str]:
    """A sentence for each. Once the target is open the source is closed, and its triggers have nothing to note."""
    noted = phase(database, Phase.CAPTURE).get("result", {}).get("source", {})
    removed = phase(database, Phase.ROLLBACK_CAPTURE).get("result", {}).get("source", {})
    goes_on = database["state"] in (records.MIGRATING, records.ROLLING_BACK) and not phase(database, Phase.CUTOVER)
    if noted and goes_on and not removed:
        yield (
            f"Capture: triggers on {len(noted['tables'])} tables of the source note what changes since"
            f" {moment(noted['at'])}, which every writer pays for and which grows. migrate.yml goes on from there;"
            " rollback.yml removes them, without a write outage."
        )
