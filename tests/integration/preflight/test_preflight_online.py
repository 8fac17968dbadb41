"""What preflight finds about mode online, and only then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from consolidation.capture import state as capture
from consolidation.capture import trigger
from consolidation.modes.strategy import ONLINE, WINDOW
from consolidation.postgres.connection import session
from consolidation.preflight.findings import BLOCKER, INFO, WARNING
from tests.cluster import Database
from tests.preflight_world import World, create

FOUND = {
    ("online.table.no_key", INFO): "ALTER TABLE chapters DROP CONSTRAINT chapters_pkey",
    ("online.table.no_key_large", BLOCKER): (
        "ALTER TABLE chapters DROP CONSTRAINT chapters_pkey; ALTER TABLE chapters ALTER title SET STORAGE EXTERNAL,"
        " ALTER title TYPE text; UPDATE chapters SET title = repeat('x', 70000000)"
    ),
    ("online.table.unlogged", BLOCKER): "ALTER TABLE chapters SET UNLOGGED",
    ("online.key.other", BLOCKER): (
        "ALTER TABLE chapters DROP CONSTRAINT chapters_pkey; ALTER TABLE chapters ADD PRIMARY KEY (id, campaign_id)"
    ),
    ("online.publication", BLOCKER): "RESET ROLE; CREATE PUBLICATION everything FOR ALL TABLES",
}


@pytest.fixture
def world(source: Database, target: Database, tmp_path: Path) -> World:
    found = create(source, target, tmp_path)
    return replace(found, database=replace(found.database, mode=ONLINE))


@pytest.mark.parametrize(("kind", "severity"), FOUND)
def test_what_cannot_be_followed_is_found(world: World, kind: str, severity: str) -> None:
    assert world.database.strategy.follows
    before = {finding.id for finding in world.report().findings}
    assert "source.capture.cost" in before
    assert not {name for name in before if name.startswith("online.")}
    world.source.execute(f"SET ROLE campaign_owner; {FOUND[kind, severity]}")
    [found] = [finding for finding in world.report().findings if finding.id.startswith("online.")]
    assert (found.id, found.severity) == (kind, severity)
    window = replace(world, database=replace(world.database, mode=WINDOW))
    ids = {finding.id for finding in window.report().findings}
    assert not {name for name in ids if name.startswith(("online.", "source.capture"))}


def test_what_a_run_has_left_is_found_and_its_fix_removes_it(world: World) -> None:
    side = world.database.source_side
    with session(side.settings, "test") as conn:
        trigger.install(conn, side, capture.ON, 5)
    [found] = [finding for finding in world.report().findings if finding.id == "source.capture.left"]
    assert found.severity == WARNING
    assert not [finding for finding in world.report().findings if finding.id == "source.object.trigger"]
    world.source.execute(found.fix, user="consolidation")
    assert not [finding for finding in world.report().findings if finding.id == "source.capture.left"]
    world.source.execute("UPDATE campaigns SET name = 'still works'", user="campaign_app")
