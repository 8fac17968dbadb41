"""Rounds bring over exactly what changed, whatever it was and whoever wrote it."""

# ruff: noqa: E501 - a statement each
from __future__ import annotations

import io
import time

import pytest

from consolidation.errors import StatementFailed, VerificationFailed
from demo.servers import Server
from tests import builtin_types
from tests.cluster import TEST_SETTINGS, Cluster, Database, quoted, standby_away
from tests.following import Online, started
from tests.integration.copy.test_anything import DATA, NAME, ROWS, TABLES, WRITES, types_of_both
from tests.window import Window

KINDS = (DATA / "followed_tables.sql").read_text()
KIND_ROWS = (DATA / "followed_rows.sql").read_text()

WRITTEN = {
    # what it is: SQL, as the application. Each is a transaction.
    "insert": "INSERT INTO plain VALUES (100, 'new')",
    "update": "UPDATE plain SET v = v || '!' WHERE id <= 10",
    "delete": "DELETE FROM plain WHERE id BETWEEN 11 AND 15",
    "again after deletion": "INSERT INTO plain VALUES (11, 'again')",
    "key changed": "UPDATE plain SET id = id + 1000 WHERE id < 4",
    "keys swapped": "UPDATE plain SET id = -1 WHERE id = 16; UPDATE plain SET id = 16 WHERE id = 17;"
    " UPDATE plain SET id = 17 WHERE id = -1",
    "part of a key changed": 'UPDATE "Two keys" SET "b b" = \'other\' WHERE a < 5',
    "on conflict": "INSERT INTO plain VALUES (20, 'x'), (2000, 'y')"
    " ON CONFLICT (id) DO UPDATE SET v = excluded.v || '?'",
    "in a CTE": "WITH gone AS (DELETE FROM plain WHERE id = 21 RETURNING *)"
    " INSERT INTO plain SELECT id + 3000, v FROM gone",
    "merge": "MERGE INTO plain p USING (VALUES (22, 'm'), (23, NULL), (4000, 'n')) s (id, v) ON p.id = s.id"
    " WHEN MATCHED AND s.v IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET v = s.v"
    " WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v)",
    "savepoints": "INSERT INTO plain VALUES (5000, 'a'); SAVEPOINT s; UPDATE plain SET v = 'lost' WHERE id < 40;"
    " ROLLBACK TO s; UPDATE plain SET v = 'kept' WHERE id = 24",
    "caught error": "DO $$ BEGIN UPDATE plain SET v = 'half' WHERE id = 25;"
    " BEGIN UPDATE plain SET v = 'no' WHERE id = 26; PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN DELETE FROM plain WHERE id = 27; END; END $$",
    "no key: insert": "INSERT INTO no_key VALUES ('a', 1), ('b', 2)",
    "no key: one of two alike": "DELETE FROM no_key WHERE ctid = (SELECT min(ctid) FROM no_key)",
    "enum as key": "UPDATE by_mood SET m = 'happy' WHERE m = 'sad'",
    "identity": "INSERT INTO reckoned (a) VALUES (77); UPDATE reckoned SET a = -a WHERE id < 5",
    "generated key": "UPDATE by_reckoned SET a = a + 100 WHERE a < 5; DELETE FROM by_reckoned WHERE twice = 20",
    "json to jsonb": """UPDATE document SET d = '{"z": 1,   "a": [1, 2.0]}' WHERE length(big) < 4000""",
    "a megabyte": "INSERT INTO document (d, big)"
    " SELECT NULL, string_agg(md5(n::text), '') FROM generate_series(1, 32768) n",
    "through the root": "INSERT INTO parted VALUES (100, 1, 'r'), (100, 2, 'r'), (100, 9, 'r')",
    "through a leaf": "INSERT INTO parted_1 VALUES (101, 1, 'l'); UPDATE parted_2_2 SET v = 'l' WHERE id < 10;"
    " DELETE FROM parted_rest WHERE id = 3; UPDATE parted_2 SET v = 'm' WHERE id > 30",
    "to another partition": "UPDATE parted SET part = 3 - part WHERE part IN (1, 2) AND id BETWEEN 21 AND 50",
    "partitions without a key": "DELETE FROM parted_no_key_0 WHERE id < 3",
    "inheritance": "UPDATE animal SET name = name || '!'; INSERT INTO dog VALUES (3, 'new', '');"
    " DELETE FROM ONLY animal",
    "unique values swapped": "UPDATE swapped SET place = NULL WHERE id = 1; UPDATE swapped SET place = 1 WHERE id = 2;"
    " UPDATE swapped SET place = 2 WHERE id = 1",
    "deferred key": "UPDATE late SET id = 21 - id, place = 21 - place",
    "exclusion": "UPDATE booked SET during = NULL WHERE id < 3; UPDATE booked SET during = '[10,20)' WHERE id = 2;"
    " UPDATE booked SET during = '[20,30)' WHERE id = 1",
    "cascading delete": "DELETE FROM parent WHERE id IN (1, 2)",
    "cascading update": "UPDATE parent SET id = id + 50 WHERE id IN (3, 4)",
    "a circle": "INSERT INTO hen VALUES (9, 9); INSERT INTO egg VALUES (9, 9); DELETE FROM egg WHERE id = 1;"
    " UPDATE hen SET egg = NULL WHERE id = 1",
    "cascade to and from partitions": "DELETE FROM parted WHERE id IN (4, 5)",
    "own triggers": "UPDATE stamped SET v = 'w' WHERE id < 3; INSERT INTO stamped (id) VALUES (50)",
    "everything deleted": "DELETE FROM swapped",
}
BY_THE_OWNER = {
    "truncate": "TRUNCATE late",
    "truncate and insert": "TRUNCATE plain; INSERT INTO plain VALUES (1, 'first')",
    "truncate restarted, cascaded": "TRUNCATE parent RESTART IDENTITY CASCADE",
    "truncate of a leaf": "TRUNCATE parted_rest CASCADE",
    "truncate, then undone": "SAVEPOINT s; TRUNCATE booked; ROLLBACK TO s; DELETE FROM booked WHERE id = 20",
    "replica role": "SET LOCAL session_replication_role = replica; INSERT INTO plain VALUES (7000, 'r');"
    " UPDATE parted SET v = 'r' WHERE part = 1; DELETE FROM stamped WHERE id = 1; INSERT INTO no_key VALUES ('r', 0)",
    "triggers of the user disabled": "ALTER TABLE stamped DISABLE TRIGGER USER;"
    " ALTER TABLE stamped ENABLE ALWAYS TRIGGER zz_consolidation_capture_insert, ENABLE ALWAYS TRIGGER zz_consolidation_capture_change, ENABLE ALWAYS TRIGGER"
    " zz_consolidation_capture_key; UPDATE stamped SET v = 'quiet'; ALTER TABLE stamped ENABLE TRIGGER stamp",
    "rewrite": "ALTER TABLE plain ALTER v TYPE text USING v || '.'",
    "cluster": 'CLUSTER "Two keys" USING "Two keys_pkey"; UPDATE "Two keys" SET v = \'c\' WHERE a = 9',
    "partition detached and attached": "ALTER TABLE parted DETACH PARTITION parted_1; UPDATE parted_1 SET v = 'away';"
    " ALTER TABLE parted ATTACH PARTITION parted_1 FOR VALUES IN (1)",
    "later partition": "CREATE TABLE parted_7 PARTITION OF parted FOR VALUES IN (77);"
    " INSERT INTO parted_7 VALUES (1, 77, 'n'); SET LOCAL session_replication_role = replica; INSERT INTO parted_7 VALUES (2, 77, 'n')",
}
"""As a superuser with the owner's privileges, in one transaction each."""


@pytest.fixture
def online(cluster: Cluster, source: Database, target: Database) -> Online:
    tables, lineage = KINDS.format(json="json"), KINDS.format(json="jsonb")
    ready = lambda: started(source, target, tables, KIND_ROWS.format(), lineage=lineage)  # noqa: E731 - one line
    cluster.prepared("kinds_followed", (source, target), ready)
    return Online(Window(source, target))


@pytest.mark.every_pair
def test_every_kind_of_write_is_followed(online: Online) -> None:
    source = online.source
    with online.follower() as follower:
        follower.round()
        assert same(online)
        for what, statements in WRITTEN.items():
            source.execute(f"SET search_path = public; {statements}", user="campaign_app")
            done = follower.round()
            assert not done.idle, what
            assert same(online), what
            keyless = {"no_key", "parted_no_key"}
            assert set(done.whole) <= keyless, f"{what}: brought over whole: {done.whole}"
            assert follower.round().idle, what
        for what, statements in BY_THE_OWNER.items():
            source.execute(f"SET search_path = public; {statements}")
            follower.round()
            assert same(online), what
            assert follower.round().idle, what

        prepared_and_copied(source)
        follower.round()
        assert same(online)


@pytest.mark.parametrize("what", ["unique values swapped", "exclusion"])
def test_values_swapped_between_two_parts_of_a_log(online: Online, what: str) -> None:
    """The rows of one part would take the values that the rows of the next one still have."""
    with online.follower() as follower:
        follower.round()
        online.source.execute(f"SET search_path = public; {WRITTEN[what]}", user="campaign_app")
        for _ in range(10):
            if follower.round(entries=1).complete:
                break
        assert same(online)


@pytest.mark.parametrize(("table", "column"), [("plain", "v"), ("reckoned", "a")], ids=["by row hash", "by SQL"])
def test_a_round_that_arrives_otherwise_than_it_was_sent_is_not_kept(online: Online, table: str, column: str) -> None:
    """A trigger of the destination that bears a name of the runbook's is not stood aside: it alters what comes in."""
    there, trigger = f"{online.window.name}.{table}", "zz_consolidation_capture_other"
    with online.follower() as follower:
        follower.round()
        online.target.execute(
            "CREATE FUNCTION public.alter_it() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN NEW.{column} = NULL; RETURN NEW; END $$;"
            f"CREATE TRIGGER {trigger} BEFORE INSERT ON {there} FOR EACH ROW EXECUTE FUNCTION public.alter_it();"
            f"ALTER TABLE {there} ENABLE ALWAYS TRIGGER {trigger}"
        )
        online.source.execute(f"UPDATE public.{table} SET {column} = {column} WHERE id = 3", user="campaign_app")
        with pytest.raises(VerificationFailed, match=f"{table} is not equal to"):
            follower.round()
        online.target.execute(f"DROP TRIGGER {trigger} ON {there}")
        assert follower.round().keys == 1
        assert same(online)


def prepared_and_copied(source: Database) -> None:
    """Two-phase commits and COPY, which `Database.execute` cannot do."""
    with source.connection("campaign_app") as conn, conn.cursor() as cursor:
        for gid, end in (("kept", "COMMIT"), ("undone", "ROLLBACK")):
            cursor.execute(f"INSERT INTO public.plain VALUES ({len(gid)}000, '{gid}'); PREPARE TRANSACTION '{gid}'")
            conn.rollback()
            conn.autocommit = True
            cursor.execute(f"{end} PREPARED '{gid}'")
            conn.autocommit = False
        cursor.copy_expert("COPY public.parted FROM STDIN", io.StringIO("500\t1\tcopied\n501\t8\tcopied\n"))
        conn.commit()


def test_what_an_apply_worker_writes_is_followed(online: Online, cluster: Cluster, source_server: Server) -> None:
    """It writes as a replica, and no statement trigger fires for it."""
    key = f"publisher{source_server.major}"
    settings = {**TEST_SETTINGS, "wal_level": "logical"}
    publisher = cluster.servers[key] = Server.create(key, source_server.major, cluster.directory / key, settings)
    publisher.start()
    try:
        run(publisher, "CREATE TABLE plain (id int PRIMARY KEY, v text)", "CREATE PUBLICATION p FOR TABLE plain")
        run(publisher, "INSERT INTO plain VALUES (900, 'copied')")
        password = publisher.passfile.read_text().strip().split(":")[4]
        conninfo = f"host={publisher.host} port={publisher.port} dbname=postgres user=postgres password={password}"
        subscriber = online.source.server
        run(subscriber, f"CREATE SUBSCRIPTION s CONNECTION '{conninfo}' PUBLICATION p", dbname=online.source.name)
        arrives(online.source, "SELECT count(*) = 1 FROM plain WHERE id = 900")
        with online.follower() as follower:
            follower.round()
            run(publisher, "INSERT INTO plain VALUES (901, 'applied')", "UPDATE plain SET v = 'too' WHERE id = 900")
            arrives(online.source, "SELECT count(*) = 2 FROM plain WHERE v IN ('applied', 'too')")
            done = follower.round()
            assert (done.keys, done.whole) == (2, ())
            assert same(online)
        run(subscriber, "DROP SUBSCRIPTION s", dbname=online.source.name)
    finally:
        del cluster.servers[key]
        publisher.destroy()


def run(server: Server, *statements: str, dbname: str = "postgres") -> None:
    """Each on its own, as a superuser in autocommit."""
    conn = server.connect(dbname)
    for statement in statements:
        conn.cursor().execute(statement)
    conn.close()


def arrives(database: Database, question: str) -> None:
    deadline = time.monotonic() + 20
    while not database.value(question):
        assert time.monotonic() < deadline, question
        time.sleep(0.05)


def same(online: Online) -> bool:
    """Whether both sides hold the same rows."""
    return rows_of(online.source, "public") == rows_of(online.target, online.window.name)


def rows_of(database: Database, schema: str) -> dict[str, list[str]]:
    """Every table as sorted text, without those that inherit from it, but with its partitions; json as jsonb."""
    found = {}
    with database.connection() as conn, conn.cursor() as cursor:
        cursor.execute(
            "SELECT relname, CASE relkind WHEN 'r' THEN 'ONLY ' ELSE '' END || oid::regclass FROM pg_class"
            " WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition",
            [quoted(schema)],
        )
        for name, qualified in cursor.fetchall():
            shown = "(id, d::jsonb, big)" if name == "document" else "t"
            cursor.execute(f"SELECT {shown}::text FROM {qualified} AS t ORDER BY 1")
            found[name] = [text for (text,) in cursor.fetchall()]
    return found


def test_anything_is_followed(source: Database, target: Database) -> None:
    types = types_of_both(source, target)
    online = started(source, target, TABLES + builtin_types.tables(types), ROWS + builtin_types.rows(types), name=NAME)
    with online.follower() as follower:
        first = follower.round()
        assert set(first.whole) == set(first.tables)
        assert same(online)
        assert follower.round().idle

        source.execute(f"SET search_path = public, pg_catalog; {WRITES}", user="campaign_app")
        second = follower.round()
        assert second.complete
        assert same(online)
        keyless = {table.name for table in online.captured() if not table.key}
        assert set(second.whole) <= keyless
        assert follower.round().idle


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_standby_that_is_away_is_not_waited_for_without_end(
    source: Database, target: Database, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    """And no key is forgotten before the standby has its row."""
    monkeypatch.setattr("consolidation.follow.rounds.STANDBY_SECONDS", 1.0)
    online = started(source, target, "CREATE TABLE plain (id int PRIMARY KEY)")
    source.execute("INSERT INTO plain VALUES (1)", user="campaign_app")
    with online.follower() as follower:
        follower.limit(0)
        with standby_away(source if side == "source" else target):
            begun = time.monotonic()
            with pytest.raises(StatementFailed, match=r"no synchronous standby \(away\)"):
                follower.round()
            assert time.monotonic() - begun < 15
            assert follower.waiting(), "the key is kept"
        follower.round()
        assert not follower.waiting()
    assert target.value("SELECT count(*) FROM campaign_db.plain") == 1
