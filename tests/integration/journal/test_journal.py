"""The journal tells a run that works from one that died, resumes the one and refuses beside the other."""

from __future__ import annotations

import threading
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, tzinfo

import psycopg2
import pytest

from consolidation.errors import ConsolidationError, RunInProgress, StatementFailed, StepRefused
from consolidation.journal import records
from consolidation.journal import runs as run
from consolidation.journal.phase import recorded
from consolidation.postgres.queries import query, rows
from tests.cluster import Database, digest_of_everything
from tests.window import Window


@pytest.fixture
def window(source: Database, target: Database) -> Window:
    return Window(source, target)


@pytest.mark.every_pair
def test_planning_a_run_changes_nothing_beginning_it_does_and_only_once(window: Window) -> None:
    before = digest_of_everything(window.target.server)
    caller = run.Caller(window.control, None, "")
    assert run.plan(window.database, records.MIGRATING, caller).changed
    assert digest_of_everything(window.target.server) == before
    first = window.begin()
    assert first["run"]["state"] == "migrating"
    assert not run.plan(window.database, records.MIGRATING, caller).changed
    assert window.begin()["run_id"] == first["run_id"]
    assert window.target.value("SELECT count(*) FROM consolidation.run_database") == 1


def test_databases_of_one_process_share_a_run_and_those_of_another_do_not(window: Window) -> None:
    other = Window(window.source, window.target, "image_db", control=window.control)
    with ProcessPoolExecutor(2) as pool:  # as Ansible's forks do
        assert len({result["run_id"] for result in pool.map(Window.begin, (window, other))}) == 1


def test_a_process_that_goes_there_and_back_begins_a_new_run(window: Window) -> None:
    """Such as a program that calls the entry points in turn, and is taken for their ansible-playbook."""
    first = window.begin()["run_id"]
    caller = run.Caller(window.control, None, "")
    for state in (records.ROLLING_BACK, records.ROLLED_BACK):
        run.apply(run.plan(window.database, state, caller), caller)
    assert window.begin()["run_id"] != first


def test_the_newest_run_is_not_found_by_a_clock(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failover the clock may be behind the last run's begin, or the same second may come again."""

    class Behind(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Behind:
            return cls(2001, 1, 1, tzinfo=tz)

    runs = [window.begin()["run_id"]]
    monkeypatch.setattr(run, "datetime", Behind)
    for _ in range(2):
        window.target.execute("UPDATE consolidation.run SET started_at = started_at + interval '1 day'")
        window.begin(records.ROLLING_BACK)
        window.end(records.ROLLED_BACK)
        runs.append(window.begin()["run_id"])
        current = window.state().run
        assert current is not None
        assert current.id == runs[-1]
    assert runs[1:] == ["20010101T000000Z", "20010101T000000Z-2"]


def test_a_run_whose_process_lives_is_refused_and_one_whose_process_died_is_resumed(window: Window) -> None:
    first = window.begin()
    theirs = window.control
    window.control = {**theirs, "pid": 1, "started": "2"}
    with pytest.raises(RunInProgress, match=f"is in progress, process {theirs['pid']}"):
        window.begin(alive=theirs)
    # The same process id, but another process: it was started at another time.
    assert window.begin(alive={**theirs, "started": "later"})["run_id"] == first["run_id"]


def test_a_run_of_another_control_node_needs_to_be_taken_over_by_name(window: Window) -> None:
    first = window.begin()
    window.control = {**window.control, "host": "there"}
    with pytest.raises(RunInProgress, match=f"consolidation_take_over={first['run_id']}"):
        window.begin()
    for wrong in ("", "another"):
        with pytest.raises(RunInProgress):
            run.apply(run.plan(window.database, records.MIGRATING, run.Caller(window.control, None, wrong)), None)
    caller = run.Caller(window.control, None, first["run_id"])
    assert run.apply(run.plan(window.database, records.MIGRATING, caller), caller)["run_id"] == first["run_id"]
    assert window.begin()["run_id"] == first["run_id"], "it is ours from then on"


def test_the_states_of_a_run(window: Window) -> None:
    with pytest.raises(StepRefused, match="the journal knows no run"):
        window.begin(records.ROLLING_BACK)
    first = window.begin()["run_id"]
    with pytest.raises(StepRefused):
        window.end(records.ROLLED_BACK)
    window.end(records.MIGRATED)
    window.control = {**window.control, "started": "2"}
    assert window.begin()["run"]["state"] == "migrated", "a finished run is not begun again"
    window.begin(records.ROLLING_BACK)
    with pytest.raises(StepRefused, match="is being rolled back"):
        window.begin()
    window.end(records.ROLLED_BACK)
    assert window.begin(records.ROLLING_BACK)["run"]["state"] == "rolled_back"
    window.control = {**window.control, "started": "3"}
    assert window.begin()["run_id"] > first or window.begin()["run"]["state"] == "migrating"


def test_a_phase_keeps_its_outcome_and_no_row_data(window: Window) -> None:
    window.begin()
    with pytest.raises(StatementFailed), recorded(window.database, "copy") as work:
        rows(work.journal, "SELECT 'secret row'::int")
    record = window.phases()["copy"]
    assert (record.state, record.attempts) == ("failed", 1)
    assert "secret" not in (record.error or "")
    with recorded(window.database, "copy") as work:
        work.result["rows"] = 1
    with recorded(window.database, "copy") as work:
        assert work.result == {"rows": 1}, "a phase done again begins with what it had"
    record = window.phases()["copy"]
    assert (record.state, record.attempts, record.result) == ("done", 3, {"rows": 1})
    assert record.finished_at is not None
    assert record.finished_at <= datetime.now(UTC)


def test_two_processes_cannot_work_on_one_database(window: Window) -> None:
    window.begin()
    with recorded(window.database, "copy"):
        who = r"backend \d+ of consolidation from 127.0.0.1"
        with pytest.raises(RunInProgress, match=who), recorded(window.database, "verify"):
            pass
        with pytest.raises(RunInProgress, match=who):
            window.begin(records.ROLLING_BACK)  # a module of the run before may have outlived its playbook
        assert window.phases().keys() == {"copy"}
        other = Window(window.source, window.target, "image_db", control=window.control)
        other.begin()
        with recorded(other.database, "copy"):
            pass


@pytest.mark.parametrize("take", ["recorded", "begin"])
def test_a_session_that_is_about_to_end_is_waited_for(window: Window, take: str) -> None:
    """A backend lets go of its locks a moment after its client has closed the connection."""
    window.begin()
    with window.target.connection("consolidation") as ending:
        lock = [records.LOCK_SPACE, window.name]
        ending.cursor().execute("SELECT pg_advisory_lock(%s, hashtext(%s))", lock)
        closing = threading.Timer(0.5, ending.close)
        closing.start()
        if take == "recorded":
            with recorded(window.database, "copy"):
                pass
        else:
            window.begin(records.ROLLING_BACK)
        closing.join()


def test_a_process_that_died_holds_nothing(window: Window) -> None:
    window.begin()
    with pytest.raises(ConsolidationError), recorded(window.database, "copy"):
        window.target.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%copy journal'"
        )
    assert window.phases()["copy"].state == "running", "no one could write down how it ended"
    with recorded(window.database, "copy"):
        pass
    assert window.phases()["copy"].state == "done"


def test_no_database_has_two_open_runs(window: Window) -> None:
    window.begin()
    with pytest.raises(psycopg2.errors.UniqueViolation):
        window.target.execute(
            "INSERT INTO consolidation.run (id, operator, control, version) VALUES ('2', '', '{}', '');"
            "INSERT INTO consolidation.run_database (run_id, database, state) VALUES ('2', 'campaign_db', 'migrating')"
        )


def test_the_next_chunk_is_looked_up_not_sorted_out(window: Window) -> None:
    """Otherwise each claim costs what the whole queue weighs."""
    window.begin()
    run_id = window.state().run.id
    window.target.execute(
        f"""INSERT INTO consolidation.table_load (run_id, database, table_name, state, deferred, "binary")
            VALUES ('{run_id}', 'campaign_db', 't', 'loading', '[]', true);
            INSERT INTO consolidation.chunk (run_id, database, table_name, number, state, estimated_bytes)
            SELECT '{run_id}', 'campaign_db', 't', n, CASE WHEN n > 100 THEN 'done' ELSE 'queued' END, n
              FROM generate_series(1, 20000) n;
            ANALYZE consolidation.chunk""",
        user="consolidation",
    )
    claim = query("copy/claim_chunk")
    with window.target.connection("consolidation") as conn:
        plan = rows(conn, "EXPLAIN " + claim, {"run_id": run_id, "database": "campaign_db"})
        [taken] = rows(conn, claim, {"run_id": run_id, "database": "campaign_db"})
    assert "Index Scan using ix_chunk_queued" in "\n".join(line for [line] in plan), plan
    assert taken[1] == 100, "the largest first"


def test_a_chunk_counts_in_the_throughput_of_all_its_time(window: Window) -> None:
    """By its end alone, the last long chunk of a copy is a peak that no line could carry."""
    window.begin()
    run_id = window.state().run.id
    window.target.execute(
        f"""INSERT INTO consolidation.table_load (run_id, database, table_name, state, deferred, "binary")
            VALUES ('{run_id}', 'campaign_db', 't', 'loading', '[]', true);
            INSERT INTO consolidation.chunk (run_id, database, table_name, number, state, estimated_bytes, rows, bytes,
                                             seconds, finished_at)
            VALUES ('{run_id}', 'campaign_db', 't', 1, 'done', 0, 600, 6000, 60, '2026-01-01 00:01:00Z'),
                   ('{run_id}', 'campaign_db', 't', 2, 'done', 0, 1, 60, 0, '2026-01-01 00:00:30.5Z')""",
        user="consolidation",
    )
    with window.target.connection("consolidation") as conn:
        found = rows(conn, query("copy/throughput"), [run_id, "campaign_db"])
    assert [(bytes_, rows_) for _, _, bytes_, rows_ in found] == [
        (160 if n == 30 else 100, 11 if n == 30 else 10) for n in range(60)
    ]
    assert {seconds for _, seconds, _, _ in found} == {1.0}
    assert (found[-1][0] - found[0][0]).total_seconds() == 59
