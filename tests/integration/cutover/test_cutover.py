"""The target opens only after a fence that holds, a copy that is done and a verification that found all equal."""

from __future__ import annotations

import psycopg2
import pytest

from consolidation.cutover import phase as cutover
from consolidation.errors import FenceError, StepRefused
from consolidation.journal import records
from consolidation.verify import phase as verify
from tests.cluster import Cluster, Database
from tests.window import Window

WRITE = "DELETE FROM campaign_db.campaigns WHERE false"


@pytest.fixture
def window(cluster: Cluster, campaign: Database, target: Database) -> Window:
    window = Window(campaign, target)

    def fenced() -> None:
        window.begin()
        window.schema()
        window.fence("source", "closed")

    cluster.prepared("fenced", (campaign, target), fenced)
    return window


def verified(window: Window) -> Window:
    window.copy()
    verify.apply(verify.plan(window.database), verify.Options())
    return window


@pytest.mark.every_pair
def test_opened_measured_and_not_opened_again(window: Window) -> None:
    verified(window)
    plan = cutover.plan(window.database)
    assert plan.changed
    assert "open campaign_db.campaigns" in plan.diff()["prepared"]
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        window.target.execute(WRITE, user="storage_service")
    result = window.cutover()
    window.target.execute(WRITE, user="storage_service")
    assert result["outage_seconds"] > 0
    assert not cutover.plan(window.database).changed
    assert window.cutover()["opened_at"] == result["opened_at"]
    window.end(records.MIGRATED)
    assert "already" in window.cutover()["msg"]


def test_refused_before_each_of_its_conditions(window: Window) -> None:
    with pytest.raises(StepRefused, match="phase copy is not done"):
        window.cutover()
    window.copy()
    with pytest.raises(StepRefused, match="phase verify is not done"):
        window.cutover()
    verify.apply(verify.plan(window.database), verify.Options())
    window.source.execute("ALTER TABLE campaigns DISABLE TRIGGER aa_consolidation_fence")
    with pytest.raises(StepRefused, match="the source is not fenced"):
        window.cutover()
    assert "cutover" not in window.phases(), "what was refused must not look like a target that was open"
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        window.target.execute(WRITE, user="storage_service")


def test_a_verification_of_another_copy_or_behind_another_closing_is_none(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified(window)
    for word in ("DISABLE", "ENABLE"):
        window.source.execute(f"ALTER TABLE campaigns {word} TRIGGER aa_consolidation_fence")
    with pytest.raises(StepRefused, match="lifted and closed again"):
        window.cutover()
    window.fence("source", "closed")
    with pytest.raises(StepRefused, match="not of this copy behind this closing"):
        window.cutover()
    verified(window)
    window.target.execute("UPDATE consolidation.table_load SET source_filenode = 0")  # as after a rewrite
    with monkeypatch.context() as patched:  # killed when all is loaded and restored
        patched.setattr("consolidation.copy.phase.uuid4", lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            window.copy()
    window.copy()
    with pytest.raises(StepRefused, match="not of this copy behind this closing"):
        window.cutover()
    assert "cutover" not in window.phases()


def test_a_verification_that_found_a_difference_keeps_it_closed(window: Window) -> None:
    verified(window)
    window.target.execute(
        "UPDATE consolidation.phase SET result = result || '{\"outcome\": \"different\"}' WHERE name = 'verify'"
    )
    with pytest.raises(StepRefused, match="did not find both sides equal"):
        window.cutover()


OTHERS_RULE = (
    "ALTER TABLE campaign_db.chapters ENABLE ROW LEVEL SECURITY;"
    "CREATE POLICY p ON campaign_db.chapters FOR SELECT TO storage_service USING (true)"
)
CANNOT = {
    "no DELETE": "REVOKE DELETE ON campaign_db.chapters FROM storage_service",
    "no INSERT": "REVOKE INSERT ON campaign_db.chapters FROM storage_service",
    "no UPDATE": "REVOKE UPDATE ON campaign_db.chapters FROM storage_service",
    "read-only role": "ALTER ROLE storage_service SET default_transaction_read_only = on",
    "read-only role here": "ALTER ROLE storage_service IN DATABASE storage SET default_transaction_read_only = on",
    "read-only database": "ALTER DATABASE storage SET default_transaction_read_only = on",
    "row security": OTHERS_RULE,
}


@pytest.mark.parametrize("done", CANNOT.values(), ids=CANNOT.keys())
def test_a_role_that_could_not_write_is_seen_before_the_target_opens(window: Window, done: str) -> None:
    verified(window)
    window.target.execute(f"SET default_transaction_read_only = off; {done}")
    with pytest.raises(FenceError, match=r"storage_service cannot write campaign_db\.\w+ of the target once it opens"):
        window.cutover()
    assert "cutover" not in window.phases()


def test_a_role_that_cannot_write_after_the_opening_is_not_passed_over(window: Window) -> None:
    verified(window)
    window.target.execute(
        "CREATE FUNCTION campaign_db.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END';"
        "CREATE TRIGGER refuse BEFORE DELETE ON campaign_db.chapters EXECUTE FUNCTION campaign_db.refuse()"
    )
    with pytest.raises(FenceError, match=r"storage_service cannot write campaign_db\.chapters after the opening"):
        window.cutover()
    assert window.phases()["cutover"].state == "failed"


def test_the_source_does_not_open_again_while_the_target_has_writes_of_its_own(window: Window) -> None:
    verified(window)
    window.cutover()
    with pytest.raises(StepRefused, match="its writes are not on the source yet"):
        window.fence("source", "open", "rollback_open")
    window.end(records.MIGRATED)
    window.begin(records.ROLLING_BACK)
    with pytest.raises(StepRefused, match="its writes are not on the source yet"):
        window.fence("source", "open", "rollback_open")
