"""The proof sees where a service's writes and sessions are, and leaves nothing behind."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from consolidation.errors import ServiceError
from consolidation.journal import records
from consolidation.rollback import reconcile
from consolidation.services import back
from consolidation.services import proof as service_proof
from consolidation.services.proof import Row, Waits
from tests.cluster import Cluster, Database
from tests.modules import run_module
from tests.window import Window

INSERT = "INSERT INTO {}.campaigns (id, name, creator_id, owner_id) VALUES (%s, 'proof', %s, %s)"


@pytest.fixture
def window(cluster: Cluster, campaign: Database, target: Database) -> Window:
    """The target is open, as after the cutover of the databases."""
    window = Window(campaign, target)

    def opened() -> None:
        campaign.execute("TRUNCATE campaigns, chapters")
        window.open()

    cluster.prepared("empty_opened", (campaign, target), opened)
    return window


def written(window: Window, schema: str = "campaign_db") -> Row:
    """A row as the service writes it."""
    row = Row("campaigns", str(uuid4()))
    side = window.target if schema == "campaign_db" else window.source
    side.execute(INSERT.format(schema), [row.id] * 3, user="storage_service" if schema == "campaign_db" else "postgres")
    return row


def rows(window: Window) -> int:
    count: int = window.target.value("SELECT count(*) FROM campaign_db.campaigns")
    return count


def prove(
    window: Window, *found: Row, timeout: float = 0.5, quiet: float = 0.3, since: datetime | None = None
) -> dict[str, object]:
    return service_proof.apply(service_proof.plan(window.database, found), Waits(timeout, quiet, since))


def test_a_write_in_the_new_schema_is_seen_and_taken_away(window: Window) -> None:
    row = written(window)
    plan = service_proof.plan(window.database, [row])
    assert plan.changed
    assert rows(window) == 1, "a plan changes nothing"
    with window.target.connection("storage_service"):
        result = prove(window, row)
    assert (result["rows"], result["sessions"]) == (1, 1)
    assert result["outage_seconds"] > 0  # type: ignore[operator]  # a float
    assert rows(window) == 0
    assert window.phases()["cutover_services"].state == "done"
    window.end(records.MIGRATED)
    assert not service_proof.plan(window.database, [row]).changed


def seconds(begin: str | None, end: str | None) -> float:
    assert begin is not None
    assert end is not None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def test_the_outage_ends_when_the_last_host_was_healthy(window: Window) -> None:
    """So long after the opening, by the journal's clock; never later than the smoke test, which has seen it over."""
    for after in (0.002, 1000.0, None):
        with window.target.connection("storage_service"):
            found = service_proof.apply(service_proof.plan(window.database, [written(window)]), Waits(0.5, 0.1), after)
        run = window.state()
        end = found.get("healthy_at", found["written_at"])
        assert found["outage_seconds"] == pytest.approx(seconds(run.fence.locking_at, end), abs=0.001)
        if after == 0.002:
            assert seconds(run.cutover.opened_at, end) == pytest.approx(0.002, abs=0.001)
        else:
            assert end == found["written_at"]
        assert ("healthy_at" in found) == (after is not None)
    assert seconds(run.fence.locking_at, run.fence.closed_at) >= 0, "who waits for the fence's locks waits, too"


@pytest.mark.parametrize("noted", [True, False])
def test_the_rollback_notes_when_the_services_were_back(
    window: Window, capsys: pytest.CaptureFixture[str], noted: bool
) -> None:
    """By noted keys the hosts see the opening of the source; where rows are compared they do not."""
    with window.target.connection("storage_service"):
        prove(window, written(window))
    given = {"database": window.options, "run_id": window.state().run.id, "state": "returned"}
    window.end(records.MIGRATED)
    window.begin(records.ROLLING_BACK)
    if noted:
        window.change_back()
    else:
        window.fence("target", "closed", "rollback_fence")
        reconcile.apply(reconcile.plan(window.database, "source"))
        window.fence("source", "open", "rollback_open")
    assert run_module(capsys, "service_proof", True, given)["changed"]
    assert "rollback_services" not in window.phases()
    result = run_module(capsys, "service_proof", False, given | {"healthy_after_seconds": 0.002})
    run = window.state()
    opening = run.source_opening
    assert result["outage_seconds"] == pytest.approx(
        seconds(run.target_fence.clients_wait_from, result["healthy_at"]), abs=0.001
    )
    if noted:
        assert seconds(opening.handed_over_at, result["healthy_at"]) == pytest.approx(0.002, abs=0.001)
        assert seconds(opening.opened_at, opening.handed_over_at) >= 0
    else:
        assert seconds(opening.opened_at, result["healthy_at"]) > 0
    again = run_module(capsys, "service_proof", False, given)
    assert seconds(result["healthy_at"], again["healthy_at"]) > 0, "a command that is given again restarts them again"
    window.end(records.ROLLED_BACK)
    assert not run_module(capsys, "service_proof", False, given)["changed"]


def test_a_rollback_before_the_cutover_has_no_service_to_note(campaign: Database, target: Database) -> None:
    window = Window(campaign, target)
    window.begin()
    window.begin(records.ROLLING_BACK)
    assert not back.plan(window.database).changed


def test_a_write_that_went_elsewhere_is_no_proof(window: Window) -> None:
    with window.target.connection("storage_service"):
        with pytest.raises(ServiceError, match="is not in table campaigns of storage"):
            prove(window, Row("campaigns", str(uuid4())))
        here = written(window)
        window.source.execute(
            "ALTER TABLE campaigns DISABLE TRIGGER aa_consolidation_fence, DISABLE TRIGGER aa_consolidation_fence_rows"
        )
        window.source.execute(INSERT.format("public"), [here.id] * 3)
        with pytest.raises(ServiceError, match="is on the source"):
            prove(window, here)
    assert rows(window) == 0, "the row is taken away after a failure, too"
    assert window.phases()["cutover_services"].state == "failed"


def test_a_storage_service_without_a_session_on_the_target_is_no_proof(window: Window) -> None:
    with pytest.raises(ServiceError, match="no session of storage_service on storage"):
        prove(window, written(window))


def test_a_session_left_on_the_source_is_named(window: Window) -> None:
    with window.target.connection("storage_service"), window.source.connection("campaign_app") as left:
        pid = left.info.backend_pid
        with pytest.raises(ServiceError, match=f"pid {pid}, user campaign_app, application unnamed, from 127.0.0.1"):
            prove(window, written(window))


def test_a_session_that_leaves_in_time_is_waited_for_and_silence_is_counted_from_then_on(window: Window) -> None:
    with window.target.connection("storage_service"), window.source.connection("campaign_app") as left:
        threading.Timer(0.6, left.close).start()
        started = time.monotonic()
        prove(window, written(window), timeout=10, quiet=0.5)
    assert time.monotonic() - started >= 1.1


def test_the_services_are_watched_while_they_leave(window: Window, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"database": window.options, "run_id": window.state().run.id, "state": "announced", "watch_seconds": 0.6}
    now = "SELECT clock_timestamp()"
    with window.source.connection("campaign_app") as left:
        assert run_module(capsys, "service_proof", False, given)["quiet_since"] is None
        threading.Timer(0.3, left.close).start()
        began = window.source.value(now)
        since = datetime.fromisoformat(run_module(capsys, "service_proof", False, given)["quiet_since"])
    assert timedelta(seconds=0.2) < since - began < window.source.value(now) - began - timedelta(seconds=0.2)


def test_silence_counts_from_when_it_was_first_seen_and_its_end_is_watched(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_proof, "LAST_SECONDS", 0.6)
    long_ago = window.source.value("SELECT clock_timestamp() - interval '1 minute'")
    with window.target.connection("storage_service"):
        started = time.monotonic()
        prove(window, written(window), quiet=30, since=long_ago)
        assert 0.6 <= time.monotonic() - started < 5
        with window.source.connection("campaign_app") as left:
            threading.Timer(0.3, left.close).start()
            started = time.monotonic()
            prove(window, written(window), timeout=10, quiet=1.5, since=long_ago)
    assert time.monotonic() - started >= 1.8, "a session that is there ends what was seen before"


def test_the_rows_are_taken_away_behind_a_closed_fence(window: Window) -> None:
    row = written(window)
    assert service_proof.announce(service_proof.plan(window.database, [row]))
    assert not service_proof.announce(service_proof.plan(window.database, [row]))
    assert service_proof.remove(window.database, keep=True) == 1
    window.begin(records.ROLLING_BACK)
    window.fence("target", "closed", "rollback_fence")
    assert service_proof.remove(window.database) == 1
    assert service_proof.remove(window.database) == 0
    assert rows(window) == 0


def test_after_everything_died_in_the_proof_the_rollback_leaves_no_row_of_it(window: Window) -> None:
    row = Row("campaigns", str(uuid4()))
    service_proof.announce(service_proof.plan(window.database, [row]))
    window.target.execute(INSERT.format("campaign_db"), [row.id] * 3, user="storage_service")
    kept = written(window)
    window.begin(records.ROLLING_BACK)
    window.fence("target", "closed", "rollback_fence")
    assert service_proof.remove(window.database) == 1
    reconcile.apply(reconcile.plan(window.database, "source"))
    for side, schema in ((window.source, "public"), (window.target, "campaign_db")):
        found = f"SELECT count(*) FILTER (WHERE id = %s), count(*) FILTER (WHERE id = %s) FROM {schema}.campaigns"
        assert side.rows(found, [row.id, kept.id]) == [(0, 1)]
    assert service_proof.remove(window.database) == 0


def test_the_module_announces_once_and_takes_away_what_the_journal_has(
    window: Window, capsys: pytest.CaptureFixture[str]
) -> None:
    row = written(window)
    given = {"database": window.options, "run_id": window.state().run.id}
    announced = {**given, "state": "announced", "rows": {row.id: row.table}}
    assert not run_module(capsys, "service_proof", False, {**given, "state": "absent"})["changed"]
    assert run_module(capsys, "service_proof", False, announced)["changed"]
    assert not run_module(capsys, "service_proof", False, announced)["changed"]
    assert run_module(capsys, "service_proof", True, {**given, "state": "absent"})["removed"] == 1
    assert rows(window) == 1
    assert run_module(capsys, "service_proof", False, {**given, "state": "absent"})["removed"] == 1
    assert not run_module(capsys, "service_proof", False, {**given, "state": "absent"})["changed"]
