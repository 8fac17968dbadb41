"""Every row arrives exactly once, whatever it holds and whatever dies on the way; keys and triggers come back."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # it brings no types
import pytest

from consolidation.copy import chunks
from consolidation.copy import phase as copy
from consolidation.copy import undo as discard
from consolidation.copy.pool import Queue, started
from consolidation.errors import CopyError, FenceError, RunInProgress, StatementFailed, StepRefused
from consolidation.journal import records
from consolidation.journal.phase import recorded
from consolidation.postgres.locks import hold
from consolidation.verify import by_row_hash as copied
from consolidation.verify import phase as verify
from tests.cluster import BEHIND_THE_FENCE, Cluster, Database, digest_of_everything, quoted
from tests.window import Window

DATA = Path(__file__).parents[2] / "data"
NASTY_ROWS = (DATA / "nasty_rows.sql").read_text()
TRIGGERS = """
CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''a trigger fired''; END';
CREATE TRIGGER spoil BEFORE INSERT ON parent FOR EACH ROW EXECUTE FUNCTION spoil();
CREATE TRIGGER always AFTER INSERT OR UPDATE ON a_child FOR EACH STATEMENT EXECUTE FUNCTION spoil();
ALTER TABLE a_child ENABLE ALWAYS TRIGGER always;
CREATE TRIGGER off AFTER INSERT ON a_child FOR EACH ROW EXECUTE FUNCTION spoil();
ALTER TABLE a_child DISABLE TRIGGER off;
"""
TABLES = ['"Ta""b.le\nx"', "empty", "nothing", "no_key", "parent", "a_child", "parted"]


def nasty_tables(json_type: str = "json") -> str:
    return (DATA / "nasty_tables.sql").read_text().replace("{json}", json_type)


def ready(source: Database, target: Database, script: str, target_script: str) -> Window:
    """A window up to the fence."""
    source.execute(script, role="campaign_owner")
    window = Window(source, target)
    window.begin()
    window.own_schema(target_script)
    window.fence("source", "closed")
    return window


def content(database: Database, schema: str, cast: str = "") -> dict[str, list[tuple[object, ...]]]:
    """Every table as sorted text of its rows; `cast` names a column to compare as jsonb."""
    found = {}
    for name in TABLES:
        columns = [
            column
            for (column,) in database.rows(
                "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY 1",
                [f"{schema}.{name}"],
            )
        ]
        shown = [f"{column}::jsonb::text" if column == cast else f"{column}::text" for column in columns]
        query = f"SELECT {', '.join(shown)} FROM {schema}.{name}"
        found[name] = sorted(database.rows(query), key=repr)
    return found


def definitions(database: Database, schema: str) -> list[tuple[object, ...]]:
    """Constraints, indexes and triggers with names, definitions, validity and comments."""
    return database.rows(
        """
        SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated::text,
               obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE connamespace = %(schema)s::regnamespace
        UNION ALL
        SELECT 'index', indrelid::regclass::text, indexrelid::regclass::text, pg_get_indexdef(indexrelid),
               indisvalid::text, obj_description(indexrelid, 'pg_class')
          FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE c.relnamespace = %(schema)s::regnamespace
        UNION ALL
        SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(t.oid), tgenabled::text, NULL
          FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
         WHERE c.relnamespace = %(schema)s::regnamespace AND NOT tgisinternal
           AND tgname <> 'aa_consolidation_fence_rows' AND NOT starts_with(tgname, 'zz_consolidation_capture_')
        ORDER BY 1, 2, 3""",
        {"schema": quoted(schema)},
    )


@pytest.mark.every_pair
def test_every_kind_of_row_arrives_and_everything_deferred_is_back(source: Database, target: Database) -> None:
    window = ready(source, target, nasty_tables() + NASTY_ROWS, nasty_tables() + TRIGGERS)
    before = definitions(target, "campaign_db")

    plan = copy.plan(window.database)
    assert plan.changed
    untouched = digest_of_everything(target.server)
    assert copy.plan(window.database).diff()["prepared"].count("campaign_db.") == len(TABLES)
    assert digest_of_everything(target.server) == untouched

    result = window.copy()
    assert content(source, "public") == content(target, "campaign_db")
    assert definitions(target, "campaign_db") == before
    assert target.value("SELECT nextval('campaign_db.parent_id_seq')") == 42
    assert (
        target.value("""SELECT count(*) FROM pg_stats WHERE schemaname = 'campaign_db' AND tablename = 'parent'""") > 0
    )
    assert {table["name"]: table["rows"] for table in result["tables"]}["parted"] == 3
    assert not any(table["binary"] for table in result["tables"] if table["name"].startswith("Ta"))

    assert not copy.plan(window.database).changed
    window.copy()
    assert content(source, "public") == content(target, "campaign_db")


@pytest.mark.parametrize(("here", "there"), [("json", "jsonb"), ("jsonb", "json")])
def test_json_and_jsonb_are_converted(source: Database, target: Database, here: str, there: str) -> None:
    window = ready(source, target, nasty_tables(here) + NASTY_ROWS, nasty_tables(there))
    window.copy()
    assert content(source, "public", cast="j") == content(target, "campaign_db", cast="j")


def test_a_sequence_that_only_the_target_has_goes_on_after_the_rows(source: Database, target: Database) -> None:
    numbered = "id int GENERATED BY DEFAULT AS IDENTITY{} PRIMARY KEY"
    there = "CREATE TABLE up ({}); CREATE TABLE down ({}); CREATE TABLE none ({}); CREATE TABLE below ({})"
    window = ready(
        source,
        target,
        there.format(*4 * ("id int PRIMARY KEY",)) + "; INSERT INTO up SELECT generate_series(1, 10);"
        "INSERT INTO down SELECT generate_series(-10, -1); INSERT INTO below VALUES (-5)",
        there.format(numbered.format(""), numbered.format(" (INCREMENT -1)"), "id serial", numbered.format("")),
    )
    result = window.copy()
    assert {entry["name"] for entry in result["sequences"]} == {"up_id_seq", "down_id_seq"}
    verified = verify.compare(window.database, verify.Options()).as_json()
    assert verified["outcome"] == "equal"
    assert {entry["name"] for entry in verified["sequences"]} == {"up_id_seq", "down_id_seq", "below_id_seq"}

    for name, following in (("up", 11), ("down", -11), ("none", 1), ("below", 1)):
        insert = f"SET consolidation.pass = 'on'; INSERT INTO campaign_db.{name} DEFAULT VALUES"
        target.execute(insert, user="consolidation")
        assert target.value(f"SELECT count(*) FROM campaign_db.{name} WHERE id = %s", [following]) == 1
    target.execute("SELECT setval('campaign_db.up_id_seq', 9), setval('campaign_db.down_id_seq', -9)")
    behind = verify.compare(window.database, verify.Options()).as_json()["sequences"]
    assert {entry["name"] for entry in behind if entry["outcome"] == "different"} == {"up_id_seq", "down_id_seq"}


def test_it_refuses_while_the_source_is_open(source: Database, target: Database) -> None:
    window = ready(source, target, "CREATE TABLE t (id int)", "CREATE TABLE t (id int)")
    window.lift()
    with pytest.raises(StepRefused, match="the source is not fenced"):
        window.copy()


def test_it_refuses_rows_it_did_not_bring(source: Database, target: Database) -> None:
    ddl = "CREATE TABLE t (id int);"
    window = ready(source, target, ddl, ddl + "INSERT INTO t VALUES (1)")
    with pytest.raises(StepRefused, match="holds rows that this runbook did not load"):
        window.copy()
    assert target.value("SELECT count(*) FROM campaign_db.t") == 1


def test_it_refuses_a_column_the_target_lacks(source: Database, target: Database) -> None:
    window = ready(source, target, "CREATE TABLE t (id int, extra int)", "CREATE TABLE t (id int)")
    with pytest.raises(StepRefused, match="no columns extra"):
        window.copy()


def test_rows_that_do_not_load_stop_it_without_showing_them(source: Database, target: Database) -> None:
    window = ready(
        source,
        target,
        "CREATE TABLE t (id int, v text); INSERT INTO t VALUES (1, 'a secret value')",
        "CREATE TABLE t (id int, v varchar(3))",
    )
    with pytest.raises(CopyError, match="StringDataRightTruncation") as caught:
        window.copy()
    record = window.phases()["copy"]
    assert "secret" not in str(caught.value) + (record.error or "") + json.dumps(record.result)
    assert record.state == "failed"


def test_an_orphan_stops_the_restore_and_a_run_after_the_fix_goes_through(source: Database, target: Database) -> None:
    window = ready(
        source,
        target,
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int); INSERT INTO c VALUES (7)",
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p)",
    )
    for _ in range(2):
        with pytest.raises(StatementFailed, match="c_p_fkey"):
            window.copy()
    window.begin(records.ROLLING_BACK)
    with window.target.connection() as reader, reader.cursor() as cursor:
        cursor.execute("SELECT FROM campaign_db.p")
        with pytest.raises(FenceError, match=rf"in the way: pid {reader.info.backend_pid}, user postgres"):
            discard.apply(discard.plan(window.database), 0.1)
    discard.apply(discard.plan(window.database), 10)
    window.fence("source", "open", "rollback_open")
    window.end(records.ROLLED_BACK)
    source.execute("INSERT INTO p VALUES (7)", user="campaign_app")
    window.control = {**window.control, "started": "2"}
    window.begin()
    window.fence("source", "closed")
    window.copy()
    assert target.value("SELECT convalidated FROM pg_constraint WHERE conname = 'c_p_fkey'") is True
    assert target.value("SELECT p FROM campaign_db.c") == 7


def test_foreign_keys_that_wait_for_each_other_are_all_made(source: Database, target: Database) -> None:
    """Whichever of `a` and `c` comes first to `z` needs the other one next: every ALTER TABLE takes its time."""
    tables = ["CREATE TABLE z (id int PRIMARY KEY)", "CREATE TABLE c (id int PRIMARY KEY, first int REFERENCES z)"]
    tables += ["CREATE TABLE a (id int PRIMARY KEY, first int REFERENCES z, second int REFERENCES c)"]
    tables += ["ALTER TABLE c ADD COLUMN second int REFERENCES a"]
    window = ready(source, target, "; ".join(tables), "; ".join(tables))
    target.execute(
        "CREATE FUNCTION public.linger() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); END';"
        " CREATE EVENT TRIGGER linger ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION public.linger()"
    )
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    before = target.value(deadlocks)
    window.copy()
    deadline = time.monotonic() + 10  # the server counts when the session that gave way has ended
    while target.value(deadlocks) == before:
        assert time.monotonic() < deadline, "this test has lost its point"
        time.sleep(0.1)
    made = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'campaign_db'::regnamespace"
    assert target.value(made) == 4
    target.execute("DROP EVENT TRIGGER linger")


def test_rows_that_changed_behind_a_fence_are_missed_by_nobody(source: Database, target: Database) -> None:
    """A superuser may get past a fence: the copy counts what the source has, and does not believe its chunks."""
    window = ready(source, target, "CREATE TABLE t (id int); INSERT INTO t VALUES (1)", "CREATE TABLE t (id int)")
    window.copy()
    source.execute(f"{BEHIND_THE_FENCE}; INSERT INTO t VALUES (2)")
    target.execute("UPDATE consolidation.table_load SET state = 'loading', deferred = '[]'")
    with pytest.raises(CopyError, match="t has 2 rows on the source, 1 were loaded"):
        window.copy()


def test_a_table_that_is_rewritten_at_the_start_is_not_copied_as_empty(
    source: Database, target: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot older than the end of a rewrite sees an empty table; the fence does not stop DDL."""
    window = ready(source, target, "CREATE TABLE t (id int, a text)", "CREATE TABLE t (id int, a text)")
    source.execute(f"{BEHIND_THE_FENCE}; INSERT INTO t SELECT i, 'a' FROM generate_series(1, 100) i")
    with ThreadPoolExecutor(1) as pool, source.connection() as owner, owner.cursor() as cursor:

        def end_the_rewrite() -> None:
            deadline = time.monotonic() + 30
            while source.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0:
                assert time.monotonic() < deadline, "the copy does not wait for the rewrite"
                time.sleep(0.01)
            owner.commit()

        def lock_behind_a_rewrite(*arguments: Any) -> None:
            cursor.execute("ALTER TABLE t ALTER COLUMN a TYPE text USING a || ''")
            rewriting.append(pool.submit(end_the_rewrite))
            hold(*arguments)

        rewriting: list[Future[None]] = []
        with monkeypatch.context() as patched:
            patched.setattr(copy, "hold", lock_behind_a_rewrite)
            with pytest.raises(StepRefused, match="a table was altered"):
                window.copy()
        [each.result() for each in rewriting]
    window.fence("source", "closed")
    window.copy()
    assert target.value("SELECT count(*) FROM campaign_db.t") == 100


def test_a_copy_that_a_rollback_has_emptied_is_nobodys_newest_rows(source: Database, target: Database) -> None:
    """Else a source that is lost and restored after that would be made like it: empty."""
    window = ready(source, target, "CREATE TABLE t (id int)", "CREATE TABLE t (id int)")
    window.copy()
    window.begin(records.ROLLING_BACK)
    emptying = discard.plan(window.database)
    with recorded(window.database, "rollback_restore"):
        pass
    assert window.state().authoritative == "target"
    with pytest.raises(StepRefused, match="holds rows that the source may not have"):
        discard.apply(emptying, 10)
    target.execute("DELETE FROM consolidation.phase WHERE name = 'rollback_restore'")
    discard.apply(emptying, 10)
    with recorded(window.database, "rollback_restore"):
        pass
    assert window.state().authoritative == "source"


BIG = """
CREATE TABLE big (id int PRIMARY KEY, pad text); CREATE INDEX big_pad ON big (pad);
CREATE TABLE other (id int PRIMARY KEY REFERENCES big);
"""
ROWS = 300_000
BIG_ROWS = f"""
INSERT INTO big SELECT i, md5(i::text) || E'\\n' FROM generate_series(1, {ROWS}) i;
INSERT INTO other SELECT id FROM big WHERE id % 10 = 0;
"""
# As in production: the test servers' own setting may lose the newest commits in a crash, rows and journal alike.
DURABLE = "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = on', current_database()); END$$"
# Chunks small enough that there is always a next one to be interrupted in. Tests that a shell has put into the
# background inherit that SIGINT is ignored; the driver does not, as our modules do not.
DRIVER = """
import json, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from consolidation.copy import chunks
from consolidation.copy import phase as copy
from consolidation.model import Database
chunks.CHUNK_BYTES = 400_000
options = json.load(sys.stdin)
copy.apply(copy.plan(Database.from_options(options)), 2)
"""
# The same as the module `pg_copy_helper` does on another host.
HELPER = """
import json, socket, sys
from consolidation.copy import helper
from consolidation.model import Database
socket.gethostname = lambda: "runner-2"
options = json.load(sys.stdin)
print(json.dumps(helper.join(Database.from_options(options), 2, 20)))
"""


@pytest.fixture
def big(cluster: Cluster, source: Database, target: Database) -> Window:
    window = Window(source, target)
    cluster.prepared("big", (source, target), lambda: ready(source, target, BIG + BIG_ROWS, BIG))
    target.execute(DURABLE)
    return window


def begin_process(program: str, options: dict[str, Any]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdin is not None
    process.stdin.write(json.dumps(options))
    process.stdin.close()
    process.stdin = None
    return process


@contextmanager
def copying(window: Window) -> Iterator[subprocess.Popen[str]]:
    """A copy in a process of its own, that has loaded a few chunks and has many to go."""
    process = begin_process(DRIVER, window.options)
    deadline = time.monotonic() + 30
    while done_chunks(window) < 3:
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline, "the copy does not get on"
        time.sleep(0.01)
    yield process
    process.communicate(timeout=60)


def done_chunks(window: Window) -> int:
    return int(window.target.value("SELECT count(*) FROM consolidation.chunk WHERE state = 'done'"))


def wait_until_alone(*databases: Database) -> None:
    """No backend of the runbook is left."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'consolidation%'"
    deadline = time.monotonic() + 20
    while any(database.value(query) for database in databases):
        assert time.monotonic() < deadline, "backends of the runbook are left"
        time.sleep(0.1)


def assert_undisturbed(window: Window) -> None:
    """The target is what an undisturbed run makes of it."""
    sums = "SELECT count(*), count(DISTINCT id), sum(hashtext(pad)) FROM {}.big"
    assert window.target.rows(sums.format("campaign_db")) == window.source.rows(sums.format("public"))
    assert window.target.value("SELECT count(*) FROM campaign_db.other") == ROWS // 10
    names = [name for _, _, name, *_ in definitions(window.target, "campaign_db")]
    assert {"big_pkey", "other_pkey", "other_id_fkey", "campaign_db.big_pad"} <= set(names)


def kill(process: subprocess.Popen[str], window: Window) -> None:
    process.send_signal(signal.SIGKILL)


def terminate(process: subprocess.Popen[str], window: Window) -> None:
    process.send_signal(signal.SIGTERM)


def interrupt(process: subprocess.Popen[str], window: Window) -> None:
    process.send_signal(signal.SIGINT)


def kill_a_worker(process: subprocess.Popen[str], window: Window) -> None:
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout
    os.kill(int(children.split()[0]), signal.SIGKILL)


def terminate_backend_of_the_target(process: subprocess.Popen[str], window: Window) -> None:
    window.target.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%copy worker' LIMIT 1"
    )


def terminate_backends_of_the_source(process: subprocess.Popen[str], window: Window) -> None:
    window.source.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'consolidation copy%'"
    )


def stop_the_target(process: subprocess.Popen[str], window: Window) -> None:
    window.target.server.stop("immediate")


def stop_the_source(process: subprocess.Popen[str], window: Window) -> None:
    window.source.server.stop("immediate")


@pytest.mark.parametrize(
    "disturb",
    [
        kill,
        terminate,
        interrupt,
        terminate_backends_of_the_source,
        stop_the_target,
        stop_the_source,
    ],
)
def test_interrupted_anywhere_and_run_again_it_ends_as_undisturbed(big: Window, disturb) -> None:
    with copying(big) as process:
        disturb(process, big)
    assert process.returncode != 0
    big.source.server.start()
    big.target.server.start()
    wait_until_alone(big.source, big.target)
    done = done_chunks(big)
    assert 0 < done < big.target.value("SELECT count(*) FROM consolidation.chunk")
    finished = big.target.value("SELECT max(finished_at) FROM consolidation.chunk")
    big.copy()
    assert_undisturbed(big)
    resumed = "SELECT count(*) FROM consolidation.chunk WHERE finished_at <= %s"
    assert big.target.value(resumed, [finished]) == done, "chunks that were done are not done again"


@pytest.mark.parametrize("disturb", [kill_a_worker, terminate_backend_of_the_target])
def test_a_worker_that_dies_leaves_its_chunk_to_the_others(big: Window, disturb) -> None:
    with copying(big) as process:
        disturb(process, big)
    assert process.returncode == 0
    wait_until_alone(big.source, big.target)
    assert_undisturbed(big)


def loaded_by(window: Window) -> dict[str, int]:
    """Host -> chunks."""
    query = "SELECT split_part(worker, ':', 1), count(*)::int FROM consolidation.chunk WHERE state = 'done' GROUP BY 1"
    return dict(window.target.rows(query))


@contextmanager
def halted(lead: subprocess.Popen[str]) -> Iterator[None]:
    """Its workers load nothing meanwhile: else they might have loaded all before the helper begins."""
    workers = psutil.Process(lead.pid).children(recursive=True)
    for worker in workers:
        worker.suspend()
    try:
        yield
    finally:
        for worker in workers:
            worker.resume()


def wait_for_the_helper(window: Window, lead: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    with halted(lead):
        while loaded_by(window).get("runner-2", 0) < 3:
            assert time.monotonic() < deadline, "the helper loads nothing"
            time.sleep(0.01)


def test_a_second_host_loads_chunks_of_the_same_queue_and_a_late_one_finds_nothing(big: Window) -> None:
    helper = begin_process(HELPER, big.options)
    with copying(big) as lead:
        wait_for_the_helper(big, lead)
    said, complaint = helper.communicate(timeout=30)
    assert (lead.returncode, helper.returncode) == (0, 0), complaint
    assert_undisturbed(big)
    hosts = loaded_by(big)
    assert hosts.keys() == {socket.gethostname(), "runner-2"}, hosts
    assert min(hosts.values()) > 2
    assert json.loads(said)["chunks"] == hosts["runner-2"]
    told = {host["host"]: host["chunks"] for host in big.phases()["copy"].result["hosts"]}
    assert told == hosts
    late = begin_process(HELPER, big.options)
    assert "found nothing to load" in late.communicate(timeout=10)[0]


def test_a_worker_that_comes_after_the_last_chunk_has_nothing_to_load_and_before_it_fails(big: Window) -> None:
    """It knows the copy from before, and its snapshot has ended with the copy."""
    big.copy()
    queue = Queue(big.state().run.id, "00000003-00000001-1", attempt=1, lead=1)
    with started(1) as workers:
        assert workers.run(big.database, queue) == []
    big.target.execute(
        "UPDATE consolidation.chunk SET state = 'queued' WHERE ctid = (SELECT min(ctid) FROM consolidation.chunk)"
    )
    with started(1) as workers:
        assert workers.run(big.database, queue) == ["InvalidParameterValue (SQLSTATE 22023)"]


def test_a_helper_that_is_killed_leaves_its_chunks_to_the_lead(big: Window) -> None:
    helper = begin_process(HELPER, big.options)
    with copying(big) as lead:
        wait_for_the_helper(big, lead)
        kill(helper, big)
    helper.communicate()
    assert lead.returncode == 0
    assert_undisturbed(big)


def test_a_helper_that_cannot_reach_the_source_takes_nothing(big: Window) -> None:
    there = {**big.options["source"], "dbname": "nowhere"}
    helper = begin_process(HELPER, {**big.options, "source": there})
    with copying(big) as lead, halted(lead):
        complaint = helper.communicate(timeout=30)[1]
    assert (lead.returncode, helper.returncode) == (0, 1)
    assert "runner-2: 2 of 2 workers stopped: cannot connect to nowhere" in complaint
    assert loaded_by(big).keys() == {socket.gethostname()}
    assert_undisturbed(big)


def test_a_helper_does_not_work_on_without_its_lead(big: Window) -> None:
    """Its snapshot may be older than the rows that the next attempt is to load."""
    helper = begin_process(HELPER, big.options)
    with copying(big) as lead:
        wait_for_the_helper(big, lead)
        kill(lead, big)
    complaint = helper.communicate(timeout=30)[1]
    assert helper.returncode == 1
    assert "the copy that this worker belongs to has ended" in complaint
    wait_until_alone(big.source, big.target)
    done = done_chunks(big)
    assert 0 < done < big.target.value("SELECT count(*) FROM consolidation.chunk")
    big.copy()
    assert_undisturbed(big)


def test_a_lead_waits_for_the_chunk_in_the_hands_of_a_helper_and_loads_what_it_leaves(big: Window) -> None:
    claim = "SELECT number FROM consolidation.chunk WHERE state = 'queued' LIMIT 1 FOR UPDATE SKIP LOCKED"
    with big.target.connection() as conn, conn.cursor() as cursor, copying(big) as lead:
        cursor.execute(claim)
        assert cursor.rowcount == 1
        chunks = big.target.value("SELECT count(*) FROM consolidation.chunk")
        deadline = time.monotonic() + 30
        while done_chunks(big) < chunks - 1:
            assert time.monotonic() < deadline, "the coordinator does not load the other chunks"
            time.sleep(0.05)
        time.sleep(0.5)
        assert lead.poll() is None
        assert big.phases()["copy"].state == "running"
        conn.rollback()
    assert lead.returncode == 0
    assert_undisturbed(big)


def test_what_was_copied_is_proved_by_reading_it_again_however_it_is_cut(
    big: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    big.copy()
    monkeypatch.setattr(chunks, "CHUNK_BYTES", chunks.CHUNK_BYTES // 64)
    result = verify.apply(verify.plan(big.database), verify.Options())
    assert {table["method"] for table in result["tables"]} == {copied.METHOD}


def test_a_second_copy_refuses_while_one_works_and_says_whose(big: Window) -> None:
    with copying(big) as process:
        process.send_signal(signal.SIGSTOP)  # it ends no sooner
        with pytest.raises(RunInProgress, match=r"another process works on it: backend \d+ of consolidation"):
            big.copy()
        assert process.poll() is None
        process.kill()
    wait_until_alone(big.source, big.target)


def test_a_source_that_was_open_in_between_is_copied_anew(big: Window) -> None:
    with copying(big) as process:
        process.kill()
    wait_until_alone(big.source, big.target)
    big.lift()
    big.source.execute("UPDATE big SET pad = 'changed' WHERE id <= 1000", user="campaign_app")
    big.fence("source", "closed")
    big.copy()
    assert_undisturbed(big)
    assert big.target.value("SELECT count(*) FROM campaign_db.big WHERE pad = 'changed'") == 1000


def test_a_rollback_empties_the_target_and_brings_its_keys_back(big: Window) -> None:
    before = definitions(big.target, "campaign_db")
    with copying(big) as process:
        process.kill()
    wait_until_alone(big.source, big.target)
    assert definitions(big.target, "campaign_db") != before
    big.begin(records.ROLLING_BACK)
    plan = discard.plan(big.database)
    assert plan.changed
    discard.apply(plan, 10)
    assert definitions(big.target, "campaign_db") == before
    assert big.target.value("SELECT count(*) FROM campaign_db.big") == 0
    assert not discard.plan(big.database).changed


def test_a_referenced_table_rewritten_after_its_load_is_loaded_anew(source: Database, target: Database) -> None:
    ddl = "CREATE TABLE one (id int PRIMARY KEY); CREATE TABLE many (id int PRIMARY KEY, one int REFERENCES one);"
    filled = "INSERT INTO one SELECT generate_series(1, 100); INSERT INTO many SELECT id, id FROM one;"
    window = ready(source, target, ddl + filled, ddl)
    window.copy()
    source.execute("CLUSTER one USING one_pkey")  # as VACUUM FULL, a new file
    with pytest.raises(StepRefused, match="a table was altered"):
        window.copy()
    window.fence("source", "closed")
    assert {table["rows"] for table in window.copy()["tables"]} == {100}
    assert verify.compare(window.database, verify.Options()).comparison.outcome == "equal"
    assert target.value("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conname = 'many_one_fkey'") == 1


def test_a_run_after_a_rollback_copies_into_what_that_one_left(big: Window) -> None:
    big.copy()
    big.begin(records.ROLLING_BACK)
    big.end(records.ROLLED_BACK)
    big.control = {**big.control, "started": "2"}
    big.begin()
    big.fence("source", "closed")
    assert "emptied first" in copy.plan(big.database).diff()["prepared"]
    big.copy()
    assert_undisturbed(big)


def test_a_target_that_was_opened_is_never_loaded_again(big: Window) -> None:
    big.copy()
    with recorded(big.database, "cutover"):
        pass  # cut off after the target was opened
    big.target.execute("UPDATE consolidation.table_load SET fence_epoch = 'another'")
    before = copy.plan(big.database)
    assert not before.changed
    big.copy()
    stale = copy.Plan(big.database, (), "")
    with pytest.raises(StepRefused, match="the target is authoritative"):
        copy.apply(stale, 2)
    assert_undisturbed(big)
