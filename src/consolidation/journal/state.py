"""What a run's phases mean: which side is authoritative, what was verified."""

from __future__ import annotations

from consolidation.journal.records import EMPTIED, PhaseRecord


def target_in_charge(done: dict[str, PhaseRecord]) -> bool:
    """Whether the target holds rows that the source may not have: a rollback brings them back before the source opens.

    So it is once the target was opened, and where the source was restored from a dump older than the copy.
    """
    restored = "rollback_restore" in done and done["rollback_restore"].state == "done"
    copied = "copy" in done and done["copy"].state == "done" and not done["copy"].result.get(EMPTIED)
    return "cutover" in done or (restored and copied)


def closed_at(done: dict[str, PhaseRecord]) -> str | None:
    """When the source's fence was closed; another moment means that it was open in between."""
    return done["fence"].result.get("closed_at") if "fence" in done else None


def verified(done: dict[str, PhaseRecord]) -> bool:
    """Whether both sides were found equal behind the fence that the source has now."""
    found = done.get("verify")
    return found is not None and found.state == "done" and found.result.get("closed_at") == closed_at(done)
