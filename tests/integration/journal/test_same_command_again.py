"""It stopped, or you stopped it: the same command again ends where an undisturbed run ends."""

from __future__ import annotations

from typing import Any

import pytest

from consolidation.errors import VerificationFailed
from consolidation.rollback import reconcile
from consolidation.verify import phase as verify
from tests.cluster import BEHIND_THE_FENCE, Database
from tests.window import Window


def _verify(window: Window) -> dict[str, Any]:
    return verify.apply(verify.plan(window.database), verify.Options())


def test_the_same_command_again_after_a_stop_before_the_cutover(campaign: Database, target: Database) -> None:
    window = Window(campaign, target)
    for _ in range(2):  # Ctrl-C after the verification, then the same command
        window.begin()
        window.schema()
        window.fence("source", "closed")
        window.copy()
        assert _verify(window)["outcome"] == "equal"
    assert window.cutover()["outage_seconds"] > 0


def test_repair_then_the_same_command(campaign: Database, target: Database) -> None:
    """The operator guide's way after `not proved equal`."""
    window = Window(campaign, target)
    window.begin()
    window.schema()
    window.fence("source", "closed")
    window.copy()
    target.execute(f"{BEHIND_THE_FENCE}; UPDATE campaign_db.chapters SET title = title || '!'")
    with pytest.raises(VerificationFailed, match="not proved equal"):
        _verify(window)
    damaged = window.state().copy.copy_id
    reconcile.apply(reconcile.plan(window.database, "target"))
    assert window.state().copy.copy_id not in {damaged, None}, "what was verified before is another copy"
    window.copy()
    assert _verify(window)["outcome"] == "equal"
    assert window.cutover()["outage_seconds"] > 0
