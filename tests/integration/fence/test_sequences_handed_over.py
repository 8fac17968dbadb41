"""No number is handed out twice: nextval() goes on behind a closed fence, for readers may call it."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg2
import pytest

from consolidation.errors import StepRefused
from consolidation.follow import changeover
from consolidation.journal import records
from consolidation.rollback import reconcile
from consolidation.verify import phase as verify
from tests.cluster import Cluster, Database
from tests.window import Window

DDL = """
CREATE TABLE invoices (no bigint PRIMARY KEY); CREATE SEQUENCE invoice_no; CREATE SEQUENCE down INCREMENT -1;
CREATE TABLE numbered (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY); CREATE SEQUENCE "Never %s called";
CREATE SEQUENCE also OWNED BY numbered.id; CREATE SEQUENCE zz_too OWNED BY numbered.id;
"""
NAMES = ("invoice_no", "down", "numbered_id_seq", '"Never %s called"', "also", "zz_too")


@pytest.fixture
def window(cluster: Cluster, source: Database, target: Database) -> Window:
    window = Window(source, target)

    def verified() -> None:
        source.execute(f"SET search_path = public; {DDL.replace('%s', '%%s')} SELECT nextval('invoice_no')", [],
                       role="campaign_owner")  # fmt: skip
        window.begin()
        window.own_schema(DDL)
        window.fence("source", "closed")
        window.copy()
        assert verify.apply(verify.plan(window.database), verify.Options())["outcome"] == "equal"

    cluster.prepared("sequences", (source, target), verified)
    return window


def draw(database: Database, schema: str, user: str, times: int = 1) -> dict[str, list[int]]:
    return {
        name: [database.value(f"SELECT nextval('{schema}.{name}')", user=user) for _ in range(times)] for name in NAMES
    }


def drawn_twice(first: dict[str, list[int]], second: dict[str, list[int]]) -> dict[str, set[int]]:
    both = {name: set(first[name]) & set(second[name]) for name in NAMES}
    return {name: found for name, found in both.items() if found}


@pytest.mark.every_pair
def test_neither_the_target_nor_the_source_after_it_hands_out_a_number_again(window: Window) -> None:
    behind_the_fence = draw(window.source, "public", "campaign_app", 3)
    window.source.execute("SELECT setval('down', -100)", user="postgres")
    window.cutover()
    of_the_target = draw(window.target, "campaign_db", "storage_service", 3)
    assert drawn_twice(behind_the_fence, of_the_target) == {}
    assert of_the_target["down"] == [-101, -102, -103]
    assert of_the_target['"Never %s called"'][0] == behind_the_fence['"Never %s called"'][-1] + 1

    window.end(records.MIGRATED)
    window.begin(records.ROLLING_BACK)
    window.fence("target", "closed", "rollback_fence")
    reconcile.apply(reconcile.plan(window.database, "source"))
    behind_that_fence = draw(window.target, "campaign_db", "storage_service", 2)
    window.fence("source", "open", "rollback_open")
    after_all = draw(window.source, "public", "campaign_app")
    for before in (behind_the_fence, of_the_target, behind_that_fence):
        assert drawn_twice(before, after_all) == {}


def test_who_has_drawn_a_number_and_stays_is_named_before_anything_opens(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consolidation.cutover.phase.LOCK_SECONDS", 0.5)
    drawing = psycopg2.connect(**window.source.as_role("campaign_app").keywords(), application_name="drawing")
    drawing.cursor().execute("SELECT nextval('public.invoice_no')")
    with pytest.raises(StepRefused, match=f"pid {drawing.info.backend_pid}, .* application drawing, idle in transact"):
        window.cutover()
    drawing.close()
    assert "cutover" not in window.phases()
    window.cutover()


def test_a_number_drawn_at_the_last_moment_is_not_handed_out_again(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy drawer: whatever it got before the target opened, the target does not hand out."""
    stop, drawn, before = threading.Event(), [], []
    open_destination = changeover.open_destination

    def then_open(*arguments: Any) -> Any:
        time.sleep(0.2)  # who draws a number now has to wait
        before.extend(drawn)
        return open_destination(*arguments)

    monkeypatch.setattr(changeover, "open_destination", then_open)

    def busy() -> None:
        with window.source.connection("campaign_app") as conn:
            conn.autocommit = True
            cursor = conn.cursor()
            while not stop.is_set():
                cursor.execute("SELECT nextval('public.invoice_no')")
                drawn.append(cursor.fetchone()[0])

    drawing = threading.Thread(target=busy)
    drawing.start()
    window.cutover()
    stop.set()
    drawing.join()
    first = window.target.value("SELECT nextval('campaign_db.invoice_no')", user="storage_service")
    assert before
    assert max(before) < first


def test_the_source_is_left_as_it_was(window: Window) -> None:
    statement = "SELECT seqrelid::regclass, seqcache, seqmax, seqcycle, pg_relation_filenode(seqrelid) FROM pg_sequence"
    before = window.source.rows(statement)
    window.cutover()
    assert window.source.rows(statement) == before
