"""The fence refuses everyone, waits for open writers, names who is in the way, and is believed only after a probe."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg2
import pytest

from consolidation.errors import FenceError, StepRefused
from consolidation.fence import phase as fence_phase
from consolidation.fence import probe, trigger
from consolidation.fence import state as fence
from consolidation.journal import records
from consolidation.journal.phase import recorded
from consolidation.postgres.connection import session
from tests.cluster import Database, digest_of_everything
from tests.window import Window

TABLES = """
CREATE TABLE "Plain" (id int PRIMARY KEY, "order" text);
CREATE TABLE parted (id int, part int) PARTITION BY LIST (part);
CREATE TABLE parted_one PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent);
CREATE TABLE "new
line" (id int GENERATED ALWAYS AS IDENTITY, doubled int GENERATED ALWAYS AS (1 + 1) STORED);
INSERT INTO "Plain" VALUES (1, 'a');
"""


@pytest.fixture
def window(source: Database, target: Database) -> Window:
    source.execute(TABLES, role="campaign_owner")
    window = Window(source, target)
    window.begin()
    return window


def refused(database: Database, statement: str, *, user: str = "campaign_app", role: str | None = None) -> bool:
    try:
        database.execute(statement, user=user, role=role)
    except psycopg2.errors.ReadOnlySqlTransaction:
        return True
    return False


@pytest.mark.every_pair
def test_a_closed_fence_refuses_every_writer_and_an_open_one_none(window: Window) -> None:
    result = window.fence("source", "closed")
    assert {table["state"] for table in result["tables"]} == {"closed"}
    assert {probed["outcome"] for probed in result["probes"]} == {"refused by the fence"}
    assert {probed["role"] for probed in result["probes"]} == {"campaign_app", "consolidation"}

    writes = [
        """INSERT INTO "Plain" VALUES (2, 'b')""",
        """UPDATE "Plain" SET "order" = 'x' WHERE false""",
        """DELETE FROM "Plain" """,
        """INSERT INTO "Plain" VALUES (1, 'c') ON CONFLICT (id) DO UPDATE SET "order" = 'c'""",
        """WITH gone AS (DELETE FROM "Plain" RETURNING *) SELECT * FROM gone""",
        "INSERT INTO parted VALUES (1, 1)",
        "INSERT INTO parted_one VALUES (1, 1)",
        "INSERT INTO child VALUES (1)",
    ]
    for statement in writes:
        assert refused(window.source, statement), statement
        assert refused(window.source, statement, user="postgres"), statement
    assert refused(window.source, 'TRUNCATE "Plain"', user="postgres", role="campaign_owner")
    assert window.source.value("""SELECT count(*) FROM "Plain" """, user="campaign_app") == 1

    window.lift()
    for statement in writes:
        assert not refused(window.source, statement), statement


def test_only_the_runbook_passes_and_only_when_it_asks(window: Window) -> None:
    window.fence("source", "closed")
    statement = """INSERT INTO "Plain" VALUES (3, 'c')"""
    assert refused(window.source, statement, user="consolidation")
    assert refused(window.source, f"SET LOCAL consolidation.pass = 'on'; {statement}", user="postgres")
    assert not refused(window.source, f"SET LOCAL consolidation.pass = 'on'; {statement}", user="consolidation")


def test_planning_changes_nothing_and_closing_again_neither(window: Window) -> None:
    before = digest_of_everything(window.source.server)
    plan = fence_phase.plan(window.database, "source", "closed")
    assert plan.changed
    assert "source public.Plain: absent\n" in plan.diff()["before"]
    assert "source public.Plain: closed\n" in plan.diff()["after"]
    assert digest_of_everything(window.source.server) == before
    first = window.fence("source", "closed")
    assert not fence_phase.plan(window.database, "source", "closed").changed
    assert not fence_phase.plan(window.database, "source", "prepared").changed
    assert window.fence("source", "closed")["closed_at"] == first["closed_at"]


def test_a_prepared_fence_lets_writers_through(window: Window) -> None:
    window.fence("source", "prepared", "fence_prepare")
    assert not refused(window.source, """INSERT INTO "Plain" VALUES (4, 'd')""")
    assert not fence_phase.plan(window.database, "source", "prepared").changed
    assert fence_phase.plan(window.database, "source", "closed").changed


@pytest.fixture
def open_writer(window: Window) -> Iterator[psycopg2.extensions.connection]:
    conn = psycopg2.connect(**window.source.as_role("campaign_app").keywords(), application_name="campaign_service")
    conn.cursor().execute("""INSERT INTO "Plain" VALUES (5, 'late')""")
    yield conn
    conn.close()


def test_it_waits_for_an_open_writer_whose_row_is_then_there(
    window: Window, open_writer: psycopg2.extensions.connection
) -> None:
    done = threading.Timer(1.0, open_writer.commit)
    done.start()
    started = time.monotonic()
    window.fence("source", "closed", timeout=20)
    done.join()
    assert time.monotonic() - started >= 0.9
    assert window.source.value("""SELECT count(*) FROM "Plain" WHERE "order" = 'late'""") == 1


def test_it_gives_up_with_the_name_of_who_is_in_the_way_and_leaves_all_open(
    window: Window, open_writer: psycopg2.extensions.connection
) -> None:
    pid = open_writer.info.backend_pid
    with pytest.raises(FenceError, match=f"pid {pid}, user campaign_app, application campaign_service, idle in trans"):
        window.fence("source", "closed", timeout=1)
    assert not refused(window.source, "INSERT INTO child VALUES (1)")
    assert window.phases()["fence"].state == "failed"


def test_a_reader_with_an_open_transaction_is_not_in_the_way(window: Window) -> None:
    with window.source.connection("campaign_app") as reader:
        cursor = reader.cursor()
        cursor.execute("""SELECT count(*) FROM "Plain" """)
        window.fence("source", "closed", timeout=1)
        cursor.execute("""SELECT count(*) FROM "Plain" """)
        assert cursor.fetchone() == (1,)


def test_a_prepared_transaction_is_named(window: Window) -> None:
    window.source.execute("""BEGIN; INSERT INTO "Plain" VALUES (6, 'p'); PREPARE TRANSACTION 'left'""")
    with pytest.raises(FenceError, match="prepared transaction"):
        window.fence("source", "closed", timeout=1)


def test_a_fence_that_does_not_hold_is_not_believed(window: Window) -> None:
    window.fence("source", "closed")
    # The function is replaced: the triggers look closed.
    window.source.execute(
        "CREATE OR REPLACE FUNCTION consolidation.fence() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    )
    with pytest.raises(FenceError, match="WRITE WENT THROUGH"):
        probe.probe(window.database.source_side)
    assert window.source.value("""SELECT count(*) FROM "Plain" """) == 1


def test_a_role_that_cannot_be_probed_is_not_reported_as_refused(window: Window) -> None:
    window.source.execute("CREATE ROLE stranger")
    window.application_roles = ["campaign_app", "stranger"]
    with pytest.raises(FenceError, match=r"as stranger .* could not probe \(SQLSTATE 42501\)"):
        window.fence("source", "closed")


def test_a_source_without_tables_is_not_a_closed_one(source: Database, target: Database) -> None:
    window = Window(source, target)
    window.begin()
    with pytest.raises(FenceError, match="no tables to fence"):
        window.fence("source", "closed")


def test_databases_that_share_a_target_are_fenced_at_the_same_time(window: Window) -> None:
    side = window.database.source_side

    def prepare(_: int) -> None:
        with session(side.settings, "test") as conn:
            for _ in range(20):
                trigger.prepare(conn, side, 10)

    prepare(0)  # the tables are each database's own
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(prepare, range(6)))


def test_a_probe_waits_no_longer_than_its_limit(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    window.fence("source", "closed")
    monkeypatch.setattr(probe, "PROBE_TIMEOUT", "300ms")
    with window.source.connection() as other:
        other.cursor().execute('BEGIN; LOCK TABLE "Plain" IN SHARE MODE')
        with pytest.raises(FenceError, match="could not probe, another session held the table for 300ms"):
            probe.probe(window.database.source_side)


def test_a_session_of_a_replication_tool_is_refused_too(window: Window) -> None:
    window.fence("source", "closed")
    replica = "SET session_replication_role = replica; DELETE FROM parent"
    assert refused(window.source, replica, user="postgres")


def test_row_security_of_the_application_is_no_leak(window: Window) -> None:
    window.source.execute('ALTER TABLE "Plain" ENABLE ROW LEVEL SECURITY')
    window.source.execute('CREATE POLICY p ON "Plain" TO campaign_app USING (true)')
    probes = window.fence("source", "closed")["probes"]
    assert {probed["outcome"] for probed in probes} == {"refused by the fence"}


@pytest.mark.parametrize(
    ("again_by", "triggers"),
    [("ENABLE", "USER"), ("ENABLE", "ALL"), ("ENABLE ALWAYS", "aa_consolidation_fence")],  # the last one as we close it
)
def test_a_fence_that_was_lifted_and_closed_again_is_another_closing(
    window: Window, again_by: str, triggers: str
) -> None:
    first = window.fence("source", "closed")
    assert window.fence("source", "closed") | {"probes": 0} == first | {"probes": 0}
    for word in ("DISABLE", again_by):
        window.source.execute(f"ALTER TABLE parent {word} TRIGGER {triggers}")
    with window.source.connection() as source, pytest.raises(StepRefused, match="lifted and closed again"):
        fence.require_unbroken(source, window.database, window.state())
    again = window.fence("source", "closed")
    assert again["closed_at"] > first["closed_at"]
    with window.source.connection() as source:
        fence.require_unbroken(source, window.database, window.state())


def test_killed_while_it_closes_it_is_not_taken_for_the_closing_before(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = window.fence("source", "closed")
    window.source.execute("ALTER TABLE parent DISABLE TRIGGER aa_consolidation_fence")
    with monkeypatch.context() as patched:
        patched.setattr("consolidation.fence.phase.probe", lambda *_, **__: os._exit(9))
        killed = os.fork()
        if not killed:
            window.fence("source", "closed")
        assert os.waitpid(killed, 0)[1] != 0
    killed_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    assert {table.state for table in fence_phase.plan(window.database, "source", "closed").before} == {"closed"}
    assert first["closed_at"] < window.fence("source", "closed")["closed_at"] <= killed_at, "writers were refused then"


def test_a_target_that_is_coordinator_is_not_closed_again(window: Window) -> None:
    """The same command again after a crash: services may write there already."""
    window.own_schema("CREATE TABLE t (id int)")
    with recorded(window.database, "cutover"):
        pass
    with session(window.database.target, "test") as conn:
        trigger.open_side(conn, window.database.target_side, 10)
    assert not fence_phase.plan(window.database, "target", "closed").changed
    window.begin(records.ROLLING_BACK)
    assert fence_phase.plan(window.database, "target", "closed", rollback=True).changed


def test_a_source_opens_before_all_else_where_its_target_was_never_open(window: Window) -> None:
    """Whatever is in the way on the target: no one waits for it."""
    window.own_schema("CREATE TABLE t (id int)")
    window.fence("source", "closed")
    window.begin(records.ROLLING_BACK)
    early = fence_phase.plan(window.database, "source", "open", rollback=True, early=True)
    assert early.changed
    fence_phase.apply(early, 10)
    window.source.execute("INSERT INTO parent DEFAULT VALUES", user="campaign_app")


RULES = {
    "soft delete": "CREATE RULE r AS ON DELETE TO t DO INSTEAD UPDATE t SET gone = true WHERE t.id = old.id",
    "nothing at all": "CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING; CREATE RULE s AS ON INSERT TO t DO INSTEAD"
    " NOTHING; CREATE RULE u AS ON UPDATE TO t DO INSTEAD NOTHING",
    "elsewhere": "CREATE RULE r AS ON DELETE TO t DO INSTEAD INSERT INTO elsewhere.log VALUES (old.id)",
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES.keys())
def test_a_rule_that_takes_a_statement_elsewhere_is_no_hole_of_the_fence(
    source: Database, target: Database, rules: str
) -> None:
    source.execute("CREATE SCHEMA elsewhere AUTHORIZATION campaign_owner")
    source.execute(f"CREATE TABLE elsewhere.log (id int); CREATE TABLE t (id int, gone bool); {rules}",
                   role="campaign_owner")  # fmt: skip
    window = Window(source, target)
    window.begin()
    assert {probed["outcome"] for probed in window.fence("source", "closed")["probes"]} == {"refused by the fence"}


def test_the_probe_asks_for_no_words_of_the_server(window: Window) -> None:
    """A server that speaks another language: a role that only reads is no leak, and our refusal is known as ours."""
    window.source.execute('REVOKE ALL ON "Plain" FROM campaign_app; GRANT SELECT ON "Plain" TO campaign_app')
    window.fence("source", "prepared", "fence_prepare")
    replaced = window.source.value("SELECT prosrc FROM pg_proc WHERE oid = 'consolidation.fence()'::regprocedure")
    translated = replaced.replace("is fenced by the storage consolidation", "ist eingezäunt")
    window.fence("source", "closed")
    body = f"CREATE OR REPLACE FUNCTION consolidation.fence() RETURNS trigger LANGUAGE plpgsql AS $${translated}$$"
    window.source.execute(body)
    outcomes = {
        (probed["role"], probed["table"]): probed["outcome"] for probed in probe.probe(window.database.source_side)
    }
    assert outcomes.pop(("campaign_app", "public.Plain")) == "role cannot write"
    assert set(outcomes.values()) == {"refused by the fence"}


ROWS_NEED = {
    "a sequence": ("REVOKE USAGE ON SEQUENCE t_id_seq FROM storage_service", "sequence campaign_db.t_id_seq"),
    "a function of a default": (
        "CREATE FUNCTION d() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE EXECUTE ON FUNCTION d() FROM PUBLIC;"
        "ALTER TABLE t ALTER n SET DEFAULT d()",
        r"function campaign_db.d\(\)",
    ),
    "a function of an index": (
        "CREATE FUNCTION i(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; CREATE INDEX ON t (i(n));"
        "REVOKE EXECUTE ON FUNCTION i(int) FROM PUBLIC",
        r"function campaign_db.i\(integer\)",
    ),
    "a server that begins read-only": ("", "read-only"),
    "a connection": ("REVOKE CONNECT ON DATABASE storage FROM PUBLIC, storage_service", "may not connect"),
    "the role it becomes": (
        "CREATE ROLE plain; GRANT plain TO storage_service; ALTER ROLE storage_service SET role = 'plain'",
        "role cannot write",
    ),
}


@pytest.fixture
def read_only_target(target: Database) -> Iterator[None]:
    conn = target.server.connect()
    cursor = conn.cursor()
    cursor.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    cursor.execute("SELECT pg_reload_conf(), pg_sleep(0.3)")
    yield
    cursor.execute("SET default_transaction_read_only = off")
    cursor.execute("ALTER SYSTEM RESET default_transaction_read_only")
    cursor.execute("SELECT pg_reload_conf(), pg_sleep(0.3)")
    conn.close()


@pytest.mark.parametrize(("done", "said"), ROWS_NEED.values(), ids=ROWS_NEED)
def test_what_no_statement_without_a_row_asks_for_is_looked_at(
    window: Window, request: pytest.FixtureRequest, done: str, said: str
) -> None:
    window.own_schema("CREATE TABLE t (id serial PRIMARY KEY, n int)")
    side = window.database.target_side
    assert {each["outcome"] for each in probe.probe(side, opens=True)} == {probe.REFUSED}
    if done:
        window.target.execute(f"SET search_path = campaign_db; {done}")
    else:
        request.getfixturevalue("read_only_target")
    with pytest.raises(
        FenceError, match=f"storage_service cannot write campaign_db.t of the target .*{said}"
    ) as raised:
        probe.probe(side, opens=True)
    assert "storage_service" in raised.value.hint
    window.begin(records.ROLLING_BACK)
    result = window.fence("target", "closed", "rollback_fence")
    assert result["probes"], "it does not open any more: no one needs to be able to write it"
    window.shut("source")
    assert {each["outcome"] for each in probe.probe(window.database.source_side)} == {probe.REFUSED}


def test_a_role_is_probed_with_the_settings_of_its_sessions(window: Window) -> None:
    """Of the database, of the role, of the application's own; the role's win."""
    window.own_schema("CREATE TABLE t (id int)")
    window.target.execute(
        "CREATE FUNCTION campaign_db.f() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN IF current_setting(''app.tenant'') <> ''ours'' THEN RAISE ''no''; END IF; PERFORM pg_sleep(0.05);"
        " RETURN NULL; END';"
        "CREATE TRIGGER f BEFORE DELETE ON campaign_db.t EXECUTE FUNCTION campaign_db.f();"
        "ALTER ROLE ALL SET app.tenant = 'all'; ALTER DATABASE storage SET app.tenant = 'theirs';"
        "ALTER ROLE storage_service SET app.tenant = 'ours'; ALTER ROLE storage_service SET statement_timeout = '1ms'"
    )
    try:
        with session(window.database.target, "test") as conn:
            trigger.open_side(conn, window.database.target_side, 10)
        probe.require_open(window.database.target_side)
        window.target.execute("ALTER ROLE storage_service RESET app.tenant")
        with pytest.raises(FenceError, match="after the opening"):
            probe.require_open(window.database.target_side)
        window.target.execute("ALTER DATABASE storage SET app.tenant = 'ours'")
        probe.require_open(window.database.target_side)
        window.target.execute(
            "ALTER ROLE storage_service SET app.tenant = 'ours';"
            "ALTER ROLE storage_service IN DATABASE storage SET app.tenant = 'theirs'"
        )
        with pytest.raises(FenceError, match="after the opening"):
            probe.require_open(window.database.target_side)
    finally:
        window.target.execute("ALTER ROLE ALL RESET app.tenant")


def test_a_leak_is_one_also_where_a_policy_lets_no_row_in(window: Window) -> None:
    window.source.execute('ALTER TABLE "Plain" ENABLE ROW LEVEL SECURITY; ALTER TABLE "Plain" FORCE ROW LEVEL SECURITY')
    window.source.execute('CREATE POLICY p ON "Plain" FOR DELETE TO campaign_app USING (true)')
    window.fence("source", "closed")
    window.source.execute('ALTER TABLE "Plain" DISABLE TRIGGER aa_consolidation_fence')
    with pytest.raises(FenceError, match=r"as campaign_app on public\.Plain: WRITE WENT THROUGH"):
        probe.probe(window.database.source_side)
