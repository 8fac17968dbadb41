"""A rollback that is given up: the target takes writes again, and the next rollback brings all of them."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest

from consolidation.errors import StepRefused
from consolidation.fence import trigger
from consolidation.journal import phase, records, runs
from consolidation.postgres.connection import session
from consolidation.rollback import cancel, reconcile
from consolidation.verify import phase as verify
from tests.cluster import Cluster, Database, digest_of_everything
from tests.modules import run_module
from tests.window import Window

WRITE = (
    "INSERT INTO campaign_db.campaigns (id, name, creator_id, owner_id)"
    " VALUES (gen_random_uuid(), 'since', gen_random_uuid(), gen_random_uuid())"
)
COUNT = "SELECT count(*) FROM {}campaigns WHERE name = 'since'"


@pytest.fixture
def window(cluster: Cluster, campaign: Database, target: Database) -> Window:
    """A database that was cut over and has one new row."""
    window = Window(campaign, target)
    cluster.prepared("migrated", (campaign, target), window.migrate)
    target.execute(WRITE, user="storage_service")
    return window


def begin_rollback(window: Window, *, reconciled: bool = True) -> None:
    window.begin(records.ROLLING_BACK)
    window.fence("target", "closed", "rollback_fence")
    if reconciled:
        reconcile.apply(reconcile.plan(window.database, "source"))


def give_up(window: Window) -> dict[str, Any]:
    return cancel.apply(cancel.plan(window.database), 10)


def run_of(window: Window) -> str:
    with window.target.connection("consolidation") as conn:
        run = records.latest_run(conn, window.name)
        assert run is not None
        return run.state


@pytest.mark.parametrize("reconciled", [False, True], ids=["rows not brought", "rows brought"])
def test_the_target_takes_writes_and_the_next_rollback_brings_all_of_them(window: Window, reconciled: bool) -> None:
    begin_rollback(window, reconciled=reconciled)
    assert give_up(window)["state"] == records.MIGRATED
    window.target.execute(WRITE, user="storage_service")
    with pytest.raises(StepRefused, match="its writes are not on the source yet"):
        window.fence("source", "open", "rollback_open")
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        window.source.execute("DELETE FROM campaigns", user="campaign_app")
    assert not cancel.plan(window.database).changed

    begin_rollback(window, reconciled=False)
    with pytest.raises(StepRefused, match="its writes are not on the source yet"):
        window.fence("source", "open", "rollback_open")
    reconcile.apply(reconcile.plan(window.database, "source"))
    window.fence("source", "open", "rollback_open")
    window.end(records.ROLLED_BACK)
    assert window.source.value(COUNT.format("")) == window.target.value(COUNT.format("campaign_db.")) == 2
    with pytest.raises(StepRefused, match="was rolled back: the source takes writes"):
        cancel.plan(window.database)


def test_a_source_that_takes_writes_is_not_left_behind(window: Window) -> None:
    begin_rollback(window)
    planned = cancel.plan(window.database)
    window.fence("source", "open", "rollback_open")
    for attempt in (lambda: cancel.plan(window.database), lambda: cancel.apply(planned, 10)):
        with pytest.raises(StepRefused, match="the source is open"):
            attempt()
    with session(window.database.source, "test") as conn:
        trigger.close_side(conn, window.database.source_side, 10)
    with pytest.raises(StepRefused, match="was open to writers"):
        cancel.plan(window.database)
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        window.target.execute(WRITE, user="storage_service")


def test_a_rollback_before_the_cutover_has_nothing_to_give_up(campaign: Database, target: Database) -> None:
    window = Window(campaign, target)
    window.begin()
    window.schema()
    window.begin(records.ROLLING_BACK)
    with pytest.raises(StepRefused, match="has not opened the target"):
        cancel.plan(window.database)


def test_cut_off_anywhere_it_is_done_by_the_same_command(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    begin_rollback(window)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    for module, name in ((cancel.trigger, "open_side"), (runs, "finish")):
        monkeypatch.setattr(module, name, killed)
        with pytest.raises(KeyboardInterrupt):
            give_up(window)
        monkeypatch.undo()
        assert run_of(window) == records.ROLLING_BACK
        with pytest.raises(StepRefused):
            window.fence("source", "open", "rollback_open")
    window.target.execute(WRITE, user="storage_service")
    give_up(window)
    assert run_of(window) == records.MIGRATED


def test_cut_off_behind_its_last_step_it_is_not_said_to_be_under_way(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_rollback(window)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(phase, "_end", killed)
    with pytest.raises(KeyboardInterrupt):
        give_up(window)
    assert run_of(window) == records.MIGRATED
    done = window.phases()["rollback_cancel"]
    assert (done.state, done.result["state"]) == ("done", "migrated")
    assert not cancel.plan(window.database).changed


def test_a_cutover_that_was_not_finished_is_still_to_be(window: Window) -> None:
    window.target.execute(
        "INSERT INTO consolidation.phase (run_id, database, name, state)"
        " SELECT run_id, database, 'cutover_services', 'failed' FROM consolidation.run_database"
    )
    begin_rollback(window)
    assert "migrate.yml finishes the cutover" in give_up(window)["msg"]
    assert run_of(window) == records.MIGRATING
    window.begin()
    window.fence("source", "closed")
    window.fence("target", "closed", "schema_fence")
    window.copy()
    verify.apply(verify.plan(window.database), verify.Options())
    window.cutover()
    window.end(records.MIGRATED)
    window.target.execute(WRITE, user="storage_service")


def test_the_module_says_what_it_would_do(window: Window, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"database": window.options, "run_id": window.state().run.id}
    assert not run_module(capsys, "pg_cancel_rollback", False, given)["changed"]
    begin_rollback(window)
    before = digest_of_everything(window.target.server)
    planned = run_module(capsys, "pg_cancel_rollback", True, given)
    assert planned["changed"]
    assert "open target campaign_db.campaigns\n" in planned["diff"]["prepared"]
    assert digest_of_everything(window.target.server) == before
    done = run_module(capsys, "pg_cancel_rollback", False, given)
    assert (done["changed"], done["state"]) == (True, "migrated")
    assert not run_module(capsys, "pg_cancel_rollback", False, given)["changed"]
