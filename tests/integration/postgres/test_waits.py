"""Every wait in the outage has a limit, and says who is in the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
import pytest

from consolidation.copy import phase as copy
from consolidation.copy import undo
from consolidation.errors import ConsolidationError, CopyError, FenceError, StepRefused
from consolidation.journal import records
from consolidation.postgres import locks
from consolidation.verify import phase as verify
from tests.cluster import Cluster, Database, standby_away
from tests.window import Window

DDL = "CREATE TABLE t (id int PRIMARY KEY, a text); CREATE TABLE u (id int PRIMARY KEY, t int REFERENCES t);"
IDLE = "pid {}, user storage_service, application watching, idle in transaction, transaction open for"


@pytest.fixture
def window(cluster: Cluster, source: Database, target: Database) -> Window:
    window = Window(source, target)

    def fenced() -> None:
        source.execute(f"{DDL} INSERT INTO t SELECT i, 'a' FROM generate_series(1, 100) i", role="campaign_owner")
        window.begin()
        window.own_schema(DDL)
        window.fence("source", "closed")

    cluster.prepared("waits", (source, target), fenced)
    return window


@contextmanager
def reader(database: Database, table: str, user: str) -> Iterator[int]:
    """A session that has read a table and stays in its transaction; its pid."""
    conn = psycopg2.connect(**database.as_role(user).keywords(), application_name="watching")
    try:
        conn.cursor().execute(f"SELECT count(*) FROM {table}")
        yield conn.info.backend_pid
    finally:
        conn.close()


@contextmanager
def wanting_it_alone(database: Database, statement: str) -> Iterator[int]:
    """A session that asks for ACCESS EXCLUSIVE, and has to wait for it; its pid."""
    conn = psycopg2.connect(**database.as_role("postgres").keywords(), application_name="deploy")
    conn.autocommit = True

    def ask() -> None:
        with suppress(psycopg2.Error):
            conn.cursor().execute(statement)

    asking = threading.Thread(target=ask)
    asking.start()
    pid = conn.info.backend_pid
    deadline = time.monotonic() + 10
    while not database.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = %s", [pid]):
        assert time.monotonic() < deadline, "it did not have to wait"
        time.sleep(0.01)
    try:
        yield pid
    finally:
        database.value("SELECT pg_terminate_backend(%s)", [pid])
        asking.join()
        conn.close()


@pytest.mark.parametrize("statement", ["ALTER TABLE t ADD b int", "VACUUM FULL u"])
def test_ddl_that_queues_behind_the_copy_does_not_hang_it(
    window: Window, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    """It waits for the coordinator, the workers behind it, and the coordinator for them."""
    require, waiting = copy._require_fences, []

    def then_a_deploy(*arguments: Any) -> None:
        require(*arguments)
        waiting.append(deploy := wanting_it_alone(window.source, statement))
        pids.append(deploy.__enter__())

    pids: list[int] = []
    monkeypatch.setattr(copy, "_require_fences", then_a_deploy)
    started = time.monotonic()
    try:
        with pytest.raises(CopyError) as refused:
            window.copy()
    finally:
        for each in waiting:
            each.__exit__(None, None, None)
    assert time.monotonic() - started < 20
    assert f"pid {pids[0]}, user postgres, application deploy, active" in refused.value.message
    assert "waits for AccessExclusiveLock on public." in refused.value.message


def test_the_workers_have_their_locks_before_they_read(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for a table once they are running waits for the copy's end, the copy for no one."""
    count = copy._count

    def count_beside_a_deploy(*arguments: Any) -> Any:
        deadline = time.monotonic() + 10
        held = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE application_name ="
        held += " 'consolidation copy worker' AND relation = 'u'::regclass AND mode = 'AccessShareLock'"
        while not window.source.value(held):
            assert time.monotonic() < deadline, "a worker does not lock the table that it has no chunk of"
        return count(*arguments)

    monkeypatch.setattr(copy, "_count", count_beside_a_deploy)
    hold = "LOCK TABLE consolidation.chunk IN SHARE MODE"  # no chunk can be taken
    with window.target.connection() as holding:
        enqueue = copy.loads.enqueue

        def then_hold(*arguments: Any) -> None:
            enqueue(*arguments)
            holding.cursor().execute(hold)
            threading.Timer(1, holding.rollback).start()

        monkeypatch.setattr(copy.loads, "enqueue", then_hold)
        assert {table["name"] for table in window.copy()["tables"]} == {"t", "u"}


def test_a_reader_of_the_target_is_named_and_does_not_hold_the_copy_up_for_ever(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LOCK_SECONDS", 0.5)
    with (
        reader(window.target, "campaign_db.t", "storage_service") as pid,
        pytest.raises(StepRefused, match=IDLE.format(pid)),
    ):
        window.copy()
    assert window.copy()["tables"]


def test_a_reader_of_the_target_is_named_before_the_outage_begins(source: Database, target: Database) -> None:
    source.execute(DDL, role="campaign_owner")
    window = Window(source, target)
    window.begin()
    window.own_schema(DDL)
    with (
        reader(target, "campaign_db.u", "storage_service") as pid,
        pytest.raises(FenceError, match=IDLE.format(pid)),
    ):
        window.fence("source", "closed", timeout=0.5)
    source.execute("INSERT INTO t VALUES (1000)", user="campaign_app")
    window.fence("source", "closed")


def test_a_reader_that_comes_while_rows_are_loaded_is_named_too(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys wait for it."""
    monkeypatch.setattr(locks, "LOCK_SECONDS", 0.5)
    with monkeypatch.context() as patched:
        watching = reader(window.target, "campaign_db.t", "storage_service")
        pids: list[int] = []
        patched.setattr(copy, "_require_counts", lambda *_: pids.append(watching.__enter__()))
        with pytest.raises(ConsolidationError) as refused:
            window.copy()
        watching.__exit__(None, None, None)
    assert IDLE.format(pids[0]) in str(refused.value)
    window.copy()
    assert window.target.value("SELECT count(*) FROM pg_constraint WHERE connamespace = 'campaign_db'::regnamespace"
                               " AND contype IN ('p', 'f')") == 3  # fmt: skip


def test_a_fence_that_no_standby_has_opens_again_in_time(source: Database, target: Database) -> None:
    """It held its locks, and waited for ever."""
    source.execute(DDL, role="campaign_owner")
    window = Window(source, target)
    window.begin()
    started = time.monotonic()
    with standby_away(source), pytest.raises(ConsolidationError, match=r"no synchronous standby \(away\)"):
        window.fence("source", "closed", timeout=2)
    assert time.monotonic() - started < 15
    source.execute("INSERT INTO t VALUES (1000)", user="campaign_app")
    window.fence("source", "closed", timeout=2)


def test_a_cutover_that_no_standby_of_the_target_has_is_refused(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consolidation.cutover.phase.STANDBY_SECONDS", 1.0)
    window.copy()
    with standby_away(window.target):
        verify.apply(verify.plan(window.database), verify.Options())
        with pytest.raises(ConsolidationError, match=r"no synchronous standby \(away\)"):
            window.cutover()
    assert "cutover" not in window.phases()
    window.cutover()


def test_a_source_that_no_standby_has_is_not_opened(window: Window) -> None:
    """A failover would lose what was brought back."""
    window.copy()
    window.begin(records.ROLLING_BACK)
    with standby_away(window.source), pytest.raises(ConsolidationError, match=r"no synchronous standby \(away\)"):
        window.fence("source", "open", "rollback_open", timeout=1)
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        window.source.execute("INSERT INTO t VALUES (1000)", user="campaign_app")
    window.fence("source", "open", "rollback_open")
    window.source.execute("INSERT INTO t VALUES (1000)", user="campaign_app")


def test_a_reader_is_named_when_a_load_is_taken_back(window: Window) -> None:
    window.copy()
    window.begin(records.ROLLING_BACK)
    plan = undo.plan(window.database)
    with (
        reader(window.target, "campaign_db.u", "storage_service") as pid,
        pytest.raises(FenceError, match=IDLE.format(pid)),
    ):
        undo.apply(plan, 0.5)
    assert undo.apply(undo.plan(window.database), 5)["emptied"] == ["t", "u"]


def test_a_fence_that_gives_up_has_closed_nothing(source: Database, target: Database) -> None:
    """Tables are closed one by one: what was closed by then opens again."""
    names = [f"t{number}" for number in range(12)]
    source.execute("".join(f"CREATE TABLE {name} (id int);" for name in names), role="campaign_owner")
    window = Window(source, target)
    window.begin()
    window.fence("source", "prepared", "fence_prepare")  # else it gives up while it makes the triggers
    writer = psycopg2.connect(**source.as_role("campaign_app").keywords(), application_name="writing")
    writer.cursor().execute("INSERT INTO t7 VALUES (1)")
    with pytest.raises(FenceError, match=f"pid {writer.info.backend_pid}, user campaign_app, application writing"):
        window.fence("source", "closed", timeout=1)
    for name in names:
        source.execute(f"INSERT INTO {name} VALUES (1)", user="campaign_app")
    writer.close()
    assert {table["state"] for table in window.fence("source", "closed")["tables"]} == {"closed"}


def test_writers_of_many_tables_are_stalled_by_no_fence_for_long(source: Database, target: Database) -> None:
    """Busy writers of several tables each: one lock on all tables tried and tried, and stalled them meanwhile."""
    names = [f"t{number}" for number in range(12)]
    source.execute("".join(f"CREATE TABLE {name} (id int);" for name in names), role="campaign_owner")
    window = Window(source, target)
    window.begin()
    window.fence("source", "prepared", "fence_prepare")
    written: dict[int, int] = {}

    def busy(number: int) -> None:
        with source.connection("campaign_app") as conn, suppress(psycopg2.errors.ReadOnlySqlTransaction):
            while True:
                cursor = conn.cursor()
                for step in range(4):
                    cursor.execute(f"INSERT INTO t{(number * 3 + step * 5) % 12} VALUES (%s)", [number])
                    time.sleep(0.01)
                conn.commit()
                written[number] = written.get(number, 0) + 4

    writers = [threading.Thread(target=busy, args=(number,)) for number in range(4)]
    for each in writers:
        each.start()
    time.sleep(0.3)
    result = window.fence("source", "closed", timeout=30)
    for each in writers:
        each.join()
    counted = sum(source.value(f"SELECT count(*) FROM {name}") for name in names)
    assert counted == sum(written.values()), "what was acknowledged is there, and nothing else"
    assert result["waited_seconds"] < 5
