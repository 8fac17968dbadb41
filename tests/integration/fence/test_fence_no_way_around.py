"""No way around a closed fence: what fires no statement trigger is refused, or seen by verify and by the cutover."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from consolidation.errors import StepRefused
from consolidation.fence import state as fence
from consolidation.fence import trigger
from consolidation.postgres.connection import session
from consolidation.preflight.phase import Options, examine
from consolidation.verify import phase as verify
from demo.servers import Server, installations
from tests.cluster import TEST_SETTINGS, Cluster, Database, directory_of_servers
from tests.window import Window

INHERITED = (
    "CREATE TABLE base.stamped (is_deleted boolean NOT NULL DEFAULT false, deleted_at timestamptz);"
    "ALTER TABLE public.chapters INHERIT base.stamped;"
    "GRANT USAGE ON SCHEMA base TO campaign_app; GRANT SELECT, UPDATE, DELETE ON base.stamped TO campaign_app"
)


def outcome(window: Window) -> str:
    return str(verify.apply(verify.plan(window.database), verify.Options())["outcome"])


@pytest.mark.parametrize(
    "statement", ["DELETE FROM base.stamped", "UPDATE base.stamped SET is_deleted = true", "TRUNCATE base.stamped"]
)
def test_a_parent_in_another_schema_is_no_way_around(campaign: Database, target: Database, statement: str) -> None:
    """UPDATE and DELETE of a parent fire the parent's statement triggers only."""
    campaign.execute("CREATE SCHEMA base AUTHORIZATION campaign_owner")
    campaign.execute(INHERITED, role="campaign_owner")
    window = Window(campaign, target)
    window.begin()
    window.fence("source", "closed")
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        campaign.execute(statement, role="campaign_owner")
    window.lift()
    campaign.execute("UPDATE base.stamped SET is_deleted = true", user="campaign_app")


@pytest.mark.every_pair
def test_the_row_trigger_lets_the_runbook_pass_and_nobody_else(source: Database, target: Database) -> None:
    ddl = "CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent);"
    source.execute(ddl + "INSERT INTO child VALUES (1)", role="campaign_owner")
    window = Window(source, target)
    window.begin()
    window.fence("source", "closed")
    source.execute("DROP TRIGGER aa_consolidation_fence ON parent; DROP TRIGGER aa_consolidation_fence ON child")
    statement = "SET LOCAL consolidation.pass = 'on'; UPDATE parent SET id = 2"
    for user in ("postgres", "campaign_app"):
        with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction) as refused:
            source.execute(statement, user=user)
        assert refused.value.diag.constraint_name == fence.TRIGGER
    source.execute(statement, user="consolidation")


LEAF = """
CREATE TABLE api.events (at date NOT NULL, note text) PARTITION BY RANGE (at);
CREATE TABLE public.events_2026 PARTITION OF api.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO api.events SELECT '2026-03-01', 'x' FROM generate_series(1, 500);
GRANT USAGE ON SCHEMA api TO campaign_app, consolidation;
GRANT SELECT, INSERT ON api.events TO campaign_app; GRANT SELECT ON api.events TO consolidation
"""


def test_a_partition_in_the_schema_whose_root_is_elsewhere_is_named(
    campaign: Database, target: Database, tmp_path: Path
) -> None:
    """500 rows of schema public: in no finding, not copied, and verify says equal."""
    campaign.execute("CREATE SCHEMA api AUTHORIZATION campaign_owner")
    campaign.execute(LEAF, role="campaign_owner")
    options = Options(backup_directory=tmp_path, postgresql_bin=installations()[18])
    found = examine(Window(campaign, target).database, options).findings
    assert any("events_2026" in finding.subject and finding.severity == "blocker" for finding in found)


@pytest.fixture(scope="module")
def publisher() -> Iterator[Server]:
    """A server that others subscribe to."""
    with directory_of_servers() as directory:
        settings = TEST_SETTINGS | {"wal_level": "logical", "max_replication_slots": "10"}
        server = Server.create("publisher", 16, directory / "publisher", settings)
        server.start()
        try:
            yield server
        finally:
            server.destroy()


BEHIND = {
    "insert": ("source", "INSERT INTO {} VALUES (2, 'behind'), (3, 'behind')", 3),
    "insert, target": ("target", "INSERT INTO {} VALUES (2, 'behind')", 2),
    "update": ("source", "UPDATE {0} SET id = 5; INSERT INTO {0} VALUES (2, 'behind')", 2),
    "delete": ("source", "DELETE FROM {}", 0),
    "truncate": ("source", "TRUNCATE {}", 0),
}


@pytest.mark.parametrize(("side", "behind", "left"), BEHIND.values(), ids=BEHIND)
def test_an_apply_worker_is_refused_and_goes_on_after_the_opening(  # noqa: PLR0917 - three are fixtures
    source: Database, target: Database, publisher: Server, side: str, behind: str, left: int
) -> None:
    """Its writes fire no statement trigger; it stops, tries again, and loses nothing."""
    ddl = "CREATE TABLE t (id int PRIMARY KEY, a text)"
    source.execute(ddl, role="campaign_owner")
    window = Window(source, target)
    window.begin()
    window.own_schema(ddl)
    schema, database = ("public", source) if side == "source" else ("campaign_db", target)
    conn = publisher.connect("postgres")
    conn.autocommit = True
    cursor = conn.cursor()
    cursor.execute(f"DROP SCHEMA IF EXISTS campaign_db CASCADE; CREATE SCHEMA IF NOT EXISTS {schema}")
    cursor.execute(f"DROP TABLE IF EXISTS {schema}.t; CREATE TABLE {schema}.t (id int PRIMARY KEY, a text)")
    cursor.execute(f"DROP PUBLICATION IF EXISTS p_{side}")
    cursor.execute(f"CREATE PUBLICATION p_{side} FOR TABLE {schema}.t")
    window.lift("target")
    password = publisher.passfile.read_text().strip().rsplit(":", 1)[1]  # the subscriber's server cannot read the file
    connection = f"host={publisher.host} port={publisher.port} dbname=postgres user=postgres password={password}"
    with database.connection() as subscriber:
        subscriber.autocommit = True
        subscriber.cursor().execute(f"CREATE SUBSCRIPTION s_{side} CONNECTION '{connection}' PUBLICATION p_{side}")

    def holds(count: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while database.value(f"SELECT count(*) FROM {schema}.t") != count:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    try:
        cursor.execute(f"INSERT INTO {schema}.t VALUES (1, 'before')")
        assert holds(1, 20)
        with session(window.database.side(side).settings, "test") as closing:
            trigger.close_side(closing, window.database.side(side), 10)
        cursor.execute(behind.format(f"{schema}.t"))
        assert not holds(left, 2), "an apply worker wrote behind the closed fence"
        window.lift(side)
        assert holds(left, 30)
    finally:
        with database.connection() as subscriber:
            subscriber.autocommit = True
            subscriber.cursor().execute(f"DROP SUBSCRIPTION s_{side}")
        conn.close()


def test_a_partition_in_another_schema_is_no_way_around(source: Database, target: Database) -> None:
    """The statement trigger of its root does not fire for a statement that names the partition."""
    source.execute(
        "CREATE SCHEMA elsewhere AUTHORIZATION campaign_owner; GRANT USAGE ON SCHEMA elsewhere TO campaign_app"
    )
    ddl = "CREATE TABLE t (id int) PARTITION BY LIST (id); CREATE TABLE elsewhere.one PARTITION OF t FOR VALUES IN (1)"
    source.execute(f"{ddl}; GRANT ALL ON elsewhere.one TO campaign_app", role="campaign_owner")
    window = Window(source, target)
    window.begin()
    window.fence("source", "closed")
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        source.execute("INSERT INTO elsewhere.one VALUES (1)", user="campaign_app")


TABLES = """
CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE TYPE pair AS (a int, b int);
CREATE TYPE shade AS ENUM ('dark', 'light'); CREATE TYPE tint AS (s shade); CREATE DOMAIN tone AS tint[];
CREATE TYPE shades AS RANGE (subtype = shade);
CREATE TABLE elsewhere.row_of (a int, b int); CREATE TABLE elsewhere.other (a int, b int);
CREATE TABLE t (id int PRIMARY KEY, a text, m mood, doubled int GENERATED ALWAYS AS (id * 2) STORED,
                p pair, ps pair[], r elsewhere.row_of[], x tone, y shades);
CREATE TABLE other (LIKE t INCLUDING ALL);
CREATE TABLE parted (id int, part int) PARTITION BY LIST (part);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE loose (id int, part int);
INSERT INTO t VALUES (1, 'a', 'glad', DEFAULT, (1, 2), ARRAY[(1, 2)::pair], ARRAY[(1, 2)::elsewhere.row_of]);
INSERT INTO parted VALUES (1, 1);
"""
REPLACED = (
    "CREATE OR REPLACE FUNCTION consolidation.fence() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
    "UPDATE t SET a = 'b'"
)
BEHIND_IT = [
    "ALTER TABLE t ALTER a TYPE varchar(50) USING 'changed'",
    "ALTER TABLE t ALTER a TYPE text USING 'changed'",
    "ALTER TABLE t ADD b text DEFAULT 'all'",
    "ALTER TABLE t DROP a",
    "ALTER TABLE t RENAME a TO b",
    "ALTER TABLE t RENAME TO t0; ALTER TABLE other RENAME TO t; ALTER TABLE t0 RENAME TO other",
    "ALTER TABLE parted DETACH PARTITION parted_1",
    "ALTER TABLE parted ATTACH PARTITION loose FOR VALUES IN (2)",
    "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2)",
    "CREATE TABLE heir () INHERITS (loose)",
    "DROP TABLE loose",
    "CREATE TABLE fresh (id int)",
    "ALTER TYPE mood RENAME VALUE 'glad' TO 'merry'",
    "ALTER TYPE shade RENAME VALUE 'dark' TO 'dim'",
    "ALTER TYPE tint ADD ATTRIBUTE n int",
    "ALTER TYPE pair DROP ATTRIBUTE b",
    "ALTER TYPE pair ADD ATTRIBUTE c int",
    "ALTER TABLE elsewhere.row_of DROP b",
    "ALTER TABLE t SET UNLOGGED; ALTER TABLE t SET LOGGED",
    "ALTER TABLE t DISABLE TRIGGER aa_consolidation_fence_rows; ALTER TABLE t ENABLE ALWAYS TRIGGER"
    " aa_consolidation_fence_rows",
    "DROP TRIGGER aa_consolidation_fence_rows ON t",
    "ALTER FUNCTION consolidation.fence() SET search_path = pg_catalog",
    REPLACED,
]


@pytest.mark.parametrize("versions", [(18, 18), (15, 15)], indirect=True, ids=["18", "15"])
def test_what_could_change_content_is_another_epoch(source: Database, target: Database) -> None:
    source.execute("CREATE SCHEMA elsewhere AUTHORIZATION campaign_owner")
    source.execute(TABLES, role="campaign_owner")
    window = Window(source, target)
    window.begin()
    window.fence("source", "closed")
    window.fence("source", "closed")
    side = window.database.source_side
    with source.connection() as conn:
        before = fence.epoch(fence.read(conn, side))
        conn.cursor().execute(
            "ANALYZE; GRANT SELECT ON t TO PUBLIC; COMMENT ON TABLE t IS 'x'; CREATE INDEX ON t (a);"
            "ALTER TABLE elsewhere.other DROP b; CREATE TABLE elsewhere.fresh (id int);"
            "CREATE TYPE elsewhere.colour AS ENUM ('red'); ALTER TYPE elsewhere.colour RENAME VALUE 'red' TO 'blue';"
            "CREATE TYPE elsewhere.two AS (a int, b int); ALTER TYPE elsewhere.two DROP ATTRIBUTE b"
        )
        assert fence.epoch(fence.read(conn, side)) == before, "what cannot change content breaks nothing"
        conn.rollback()
        for statement in BEHIND_IT:
            conn.cursor().execute(statement)
            assert fence.epoch(fence.read(conn, side)) != before, statement
            conn.rollback()
        assert fence.epoch(fence.read(conn, side)) == before


@pytest.mark.parametrize("versions", [(18, 18)], indirect=True, ids=["18"])
def test_another_expression_of_a_virtual_column_is_another_epoch(source: Database, target: Database) -> None:
    """No row is rewritten for it, so the table keeps its file."""
    ddl = "CREATE TABLE t (id int PRIMARY KEY, doubled int GENERATED ALWAYS AS (id * 2) VIRTUAL)"
    source.execute(ddl, role="campaign_owner")
    window = Window(source, target)
    window.begin()
    window.fence("source", "closed")
    with source.connection() as conn:
        before = fence.epoch(fence.read(conn, window.database.source_side))
        conn.cursor().execute("ALTER TABLE t ALTER doubled SET EXPRESSION AS (id * 3)")
        assert fence.epoch(fence.read(conn, window.database.source_side)) != before


RETYPED = "ALTER TABLE t ALTER a TYPE text USING 'changed'"


@pytest.fixture
def copied(cluster: Cluster, source: Database, target: Database) -> Window:
    window = Window(source, target)

    def copied() -> None:
        ddl = "CREATE TABLE t (id int PRIMARY KEY, a text);"
        source.execute(f"{ddl} INSERT INTO t VALUES (1, 'a')", role="campaign_owner")
        window.begin()
        window.own_schema(ddl)
        window.fence("source", "closed")
        window.copy()

    cluster.prepared("one_row_copied", (source, target), copied)
    return window


def test_ddl_between_copy_and_verify_is_seen_by_verify(copied: Window) -> None:
    copied.source.execute(RETYPED, role="campaign_owner")
    with pytest.raises(StepRefused, match="not as this run has fenced it"):
        outcome(copied)


def test_ddl_while_it_is_verified_is_seen_by_verify(copied: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    compare = verify.compare

    def then_retype(*arguments: object) -> object:
        found = compare(*arguments)  # type: ignore[arg-type]
        copied.source.execute(RETYPED, role="campaign_owner")
        return found

    monkeypatch.setattr(verify, "compare", then_retype)
    with pytest.raises(StepRefused, match="not as this run has fenced it"):
        outcome(copied)


def test_ddl_after_verify_is_seen_by_the_cutover_and_the_same_command_leads_on(copied: Window) -> None:
    assert outcome(copied) == "equal"
    copied.source.execute(RETYPED, role="campaign_owner")
    with pytest.raises(StepRefused, match="not as this run has fenced it"):
        copied.cutover()
    copied.fence("target", "closed", "schema_fence")
    copied.fence("source", "closed")
    copied.copy()
    assert outcome(copied) == "equal"
    copied.cutover()
    assert copied.target.value("SELECT a FROM campaign_db.t") == "changed"


@pytest.mark.parametrize(
    "lifted",
    [
        "ALTER TABLE campaign_db.t DISABLE TRIGGER aa_consolidation_fence, DISABLE TRIGGER aa_consolidation_fence_rows;"
        "UPDATE campaign_db.t SET a = 'b'; ALTER TABLE campaign_db.t ENABLE ALWAYS TRIGGER aa_consolidation_fence,"
        " ENABLE ALWAYS TRIGGER aa_consolidation_fence_rows",
        "ALTER TABLE campaign_db.t ALTER a TYPE text USING 'changed'",
    ],
)
def test_a_target_that_was_written_after_it_was_verified_is_not_opened(copied: Window, lifted: str) -> None:
    assert outcome(copied) == "equal"
    copied.target.execute(lifted, user="consolidation")
    with pytest.raises(StepRefused, match="opened or altered after it was verified"):
        copied.cutover()


def test_a_cutover_that_was_killed_while_it_opened_goes_on(copied: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome(copied) == "equal"
    with monkeypatch.context() as patched:
        patched.setattr("consolidation.fence.probe.require_open", lambda _: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            copied.cutover()
    copied.cutover()
    copied.target.execute("UPDATE campaign_db.t SET a = 'c'", user="storage_service")
