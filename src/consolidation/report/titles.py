"""The names of the journal's phases, as people know them."""

from __future__ import annotations

TITLES = {
    "backup": "Backup",
    "schema": "Schema",
    "schema_fence": "Target closed",
    "fence_prepare": "Fence prepared",
    "fence_reopen": "Source open again",
    "fence": "Fence, writes refused",
    "capture": "Capture, changes noted",
    "copy": "Copy",
    "follow": "Follow",
    "verify": "Verify",
    "cutover": "Cutover, target open",
    "cutover_services": "Smoke test of services",
    "proof": "Proof after the opening",
    "follow_back": "Follow, to the source",
    "rollback_fence": "Target fenced",
    "rollback_restore": "Source restored",
    "reconcile": "Writes brought back",
    "rollback_copy": "Load undone",
    "rollback_open": "Source open",
    "rollback_services": "Services on the source",
    "rollback_capture": "Capture removed",
    "rollback_cancel": "Rollback given up",
    "repair": "Repair",
    "finalize_archive": "Last archive of the source",
    "finalize": "Source retired",
    "finalize_drop": "Source dropped",
}


def title(phase: str) -> str:
    """The name; a phase that has none is called as in the journal."""
    return TITLES.get(phase, phase.replace("_", " ").capitalize())
