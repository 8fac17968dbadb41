"""Stopped after any phase, or within it: the same command, or rollback instead, ends where an undisturbed run ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from consolidation.copy import undo
from consolidation.errors import ConsolidationError, StepRefused
from consolidation.journal import records
from consolidation.move import phase as move
from consolidation.preflight import phase as preflight
from consolidation.rollback import reconcile
from demo.servers import installations
from tests.cluster import Cluster, Database
from tests.window import Window

Step = Callable[[Window], Any]
MIGRATE: dict[str, Step] = {
    "begin": Window.begin,
    "fence_reopen": lambda window: window.fence("source", "open", "fence_reopen"),
    "schema": Window.schema,
    "fence_prepare": lambda window: window.fence("source", "prepared", "fence_prepare"),
    "fence": lambda window: window.fence("source", "closed"),
    "capture": Window.capture,
    "copy": Window.copy,
    "follow": Window.follow,
    "verify": Window.verify,
    "cutover": Window.cutover,
    "end": lambda window: window.end(records.MIGRATED),
    "proof": Window.prove,
}
"""Phase -> what migrate.yml does in it."""
ONLINE = ("fence_reopen", "capture", "follow")
"""Those that migrate.yml leaves out where the source is not followed."""


def first_open(window: Window) -> None:
    if window.state().authoritative == "source":
        window.fence("source", "open", "rollback_open")


def behind_the_fence(window: Window) -> None:
    """What is only done where the keys do not name everything."""
    if "opened_at" in window.change_back():
        return
    window.fence("target", "closed", "rollback_fence")
    reconcile.apply(reconcile.plan(window.database, "source"))
    undo.apply(undo.plan(window.database), 10)
    move.apply(move.plan(window.database, back=True), 10)
    window.fence("source", "open", "rollback_open")


ROLLBACK: dict[str, Step] = {
    "begin": lambda window: window.begin(records.ROLLING_BACK),
    "first_open": first_open,
    "change_back": behind_the_fence,
    "capture": lambda window: [window.capture(side, "absent") for side in ("source", "target")],
    "end": lambda window: window.end(records.ROLLED_BACK),
}
"""The same of rollback.yml."""
BY_CONTENT: dict[str, Step] = {
    "begin": ROLLBACK["begin"],
    "first_open": first_open,
    "rollback_fence": lambda window: window.fence("target", "closed", "rollback_fence"),
    "reconcile": lambda window: reconcile.apply(reconcile.plan(window.database, "source")),
    "rollback_copy": lambda window: undo.apply(undo.plan(window.database), 10),
    "rollback_move": lambda window: move.apply(move.plan(window.database, back=True), 10),
    "rollback_open": lambda window: window.fence("source", "open", "rollback_open"),
    "capture": ROLLBACK["capture"],
    "end": ROLLBACK["end"],
}
"""The same where the target has not noted all that changed; each phase a step of its own."""
WRITE = (
    "INSERT INTO {0}.campaigns (id, name, creator_id, owner_id)"
    " SELECT gen_random_uuid(), 'new', id, id FROM {0}.campaigns"
)
CONTENT = "SELECT array_agg(c::text ORDER BY id) FROM {}.campaigns c"


def play(window: Window, steps: dict[str, Step], until: str = "") -> None:
    """Do the steps up to one, or all."""
    for name, step in steps.items():
        if steps is not MIGRATE or window.mode == "online" or name not in ONLINE:
            step(window)
        if name == until:
            return


Reached = Callable[..., Window]


def reaching(cluster: Cluster, campaign: Database, target: Database) -> Reached:
    """reached(stop, mode): a window whose migrate.yml has come that far; at once where that was done before."""

    def reached(stop: str, mode: str = "window") -> Window:
        window = Window(campaign, target, mode=mode)
        cluster.prepared(f"{mode}_{stop}", (campaign, target), lambda: play(window, MIGRATE, stop))
        return window

    return reached


@pytest.fixture
def reached(cluster: Cluster, campaign: Database, target: Database) -> Reached:
    return reaching(cluster, campaign, target)


def kill(window: Window, phase: str) -> None:
    """As if the process had died after its work and before the journal had it."""
    window.target.execute(
        "UPDATE consolidation.phase SET state = 'running', finished_at = NULL WHERE name = %s", [phase]
    )


def is_migrated(window: Window) -> None:
    """What an undisturbed migrate.yml leaves."""
    assert window.state().standing == "migrated"
    missing = "SELECT count(*) FROM campaign_db.campaigns c WHERE c.id::text = ANY (%s)"
    ids = [key for (key,) in window.source.rows("SELECT id::text FROM campaigns")]
    assert window.target.value(missing, [ids]) == len(ids)
    window.target.execute(WRITE.format("campaign_db"), user="storage_service")
    assert closed(window.source, "public", "campaign_app")


def is_rolled_back(window: Window, content: list[str]) -> None:
    """What an undisturbed rollback.yml leaves."""
    assert window.state().standing == "rolled back"
    assert window.source.value(CONTENT.format("public")) == content
    window.source.execute(WRITE.format("public"), user="campaign_app")
    if window.target.value("SELECT to_regclass('campaign_db.campaigns') IS NOT NULL"):
        assert closed(window.target, "campaign_db", "storage_service")


def closed(database: Database, schema: str, role: str) -> bool:
    try:
        database.execute(f"DELETE FROM {schema}.campaigns WHERE false", user=role)
    except Exception as error:  # noqa: BLE001 - its SQLSTATE says
        return getattr(error, "pgcode", "") == "25006"
    return False


STOPS = [name for name in MIGRATE if name not in (*ONLINE, "end", "proof")]
HOW = pytest.mark.parametrize(("mode", "killed"), [("window", False), ("online", True)], ids=["stopped", "killed"])


@pytest.mark.parametrize(
    ("stop", "mode", "killed"),
    [*((stop, "window", False) for stop in STOPS), *((stop, "online", True) for stop in [*STOPS, *ONLINE])],
)
def test_migrate_again_after_every_stop(reached: Reached, stop: str, mode: str, killed: bool) -> None:
    window = reached(stop, mode)
    if killed:
        kill(window, stop)
    play(window, MIGRATE, stop)  # and stopped there once more
    if killed:
        kill(window, stop)
    play(window, MIGRATE)
    is_migrated(window)
    play(window, MIGRATE)  # finished: nothing is done
    is_migrated(window)


@pytest.mark.parametrize("mode", ["window", "online"])
@pytest.mark.parametrize("stop", ["schema", "copy", "verify", "cutover"])
def test_phases_alone_and_in_any_order_then_migrate(reached: Reached, stop: str, mode: str) -> None:
    """What --tags can do. A phase that comes too early or too late is refused, and nothing hangs on it later."""
    window = reached(stop, mode)
    for name in [*reversed(MIGRATE), *MIGRATE][:-2]:
        if name != "end" and (mode == "online" or name not in ONLINE):
            with suppress(ConsolidationError):
                MIGRATE[name](window)
    play(window, MIGRATE)
    is_migrated(window)


@HOW
@pytest.mark.parametrize("stop", [*STOPS, "end"])
def test_rollback_after_every_stop_then_migrate(reached: Reached, stop: str, mode: str, killed: bool) -> None:
    window = reached(stop, mode)
    if killed:
        kill(window, stop)
    content = window.source.value(CONTENT.format("public"))
    if stop in ("cutover", "end"):
        window.target.execute(WRITE.format("campaign_db"), user="storage_service")
        content = window.target.value(CONTENT.format("campaign_db"))
    play(window, ROLLBACK)
    is_rolled_back(window, content)
    window.control["started"] = "later"
    play(window, MIGRATE)
    is_migrated(window)


BACK = [
    *(("copy", BY_CONTENT, stop, False) for stop in BY_CONTENT if stop != "end"),
    *(("end", BY_CONTENT, stop, True) for stop in BY_CONTENT if stop != "end"),
    *(("end", ROLLBACK, stop, False) for stop in ("change_back", "capture")),
]
"""What migrate.yml has reached, the way back, the phase that it stops after, and whether that was killed."""


@pytest.mark.parametrize("case", BACK, ids=lambda case: f"{case[0]}-{case[2]}-{'killed' if case[3] else 'stopped'}")
def test_rollback_again_after_every_stop(reached: Reached, case: tuple[str, dict[str, Step], str, bool]) -> None:
    until, steps, stop, killed = case
    window = reached(until)
    content = window.source.value(CONTENT.format("public"))
    if until == "end":
        window.target.execute(WRITE.format("campaign_db"), user="storage_service")
        content = window.target.value(CONTENT.format("campaign_db"))
    play(window, steps, stop)
    if killed:
        kill(window, stop)
    with pytest.raises(StepRefused, match="is being rolled back"):
        window.begin()  # migrate.yml instead: it is told what comes first
    play(window, ROLLBACK)
    is_rolled_back(window, content)


@pytest.mark.parametrize(
    ("stop", "behind"), [("fence_prepare", False), ("fence", True), ("verify", True), ("cutover", False)]
)
def test_a_run_that_resumes_behind_its_fence_is_not_examined_again(
    reached: Reached, tmp_path: Path, stop: str, behind: bool
) -> None:
    """What ends the write outage comes first."""
    window = reached(stop)
    tools = installations()[max(installations())]
    for resume in (False, True):
        found = preflight.examine(window.database, preflight.Options(tmp_path, tools, resume=resume)).findings
        assert ([each.id for each in found] == ["run.behind_fence"]) == (resume and behind)
