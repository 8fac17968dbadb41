"""What no lineage carries over is said, with a statement that does it; so is an age that would hold the fence up."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from consolidation.errors import FenceError
from consolidation.preflight.findings import WARNING
from tests.cluster import Database
from tests.service_schemas import NAME, Service, key, models, service

MADE = (
    "CREATE TABLE {s}t (id int PRIMARY KEY, n text, CONSTRAINT ck CHECK (id > 0));"
    'CREATE TABLE {s}"U" (id int PRIMARY KEY);'
    "CREATE SEQUENCE {s}sq; CREATE INDEX ix ON {s}t (n); CREATE VIEW {s}v AS SELECT id FROM {s}t;"
    "CREATE TABLE {s}p (id int PRIMARY KEY, n text) PARTITION BY RANGE (id);"
    'CREATE TABLE {s}"P 1" PARTITION OF {s}p FOR VALUES FROM (1) TO (9);'
)


@pytest.fixture
def svc(
    make_source: Callable[[str], Database], target: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Service:
    made = service(make_source("svc"), target, tmp_path, monkeypatch)
    made.owner(MADE.format(s=""))
    column = sa.Column("n", sa.Text, comment="known")
    made.lay(
        MADE.format(s=f"{NAME}.")
        + f"COMMENT ON COLUMN {NAME}.t.n IS 'known'; ALTER TABLE {NAME}.t ALTER n SET STORAGE EXTERNAL",
        models(
            ("t", key(), column, sa.CheckConstraint("id > 0", name="ck"), sa.Index("ix", "n")),
            ("U", key()),
            ("p", key(), sa.Column("n", sa.Text)),
        ),
    )
    return made


LEFT = """
CREATE ROLE "the ""reader"" x" NOLOGIN;
GRANT SELECT ON t, "U" TO "the ""reader"" x"; GRANT UPDATE (n) ON t TO "the ""reader"" x";
GRANT DELETE ON "P 1" TO "the ""reader"" x"; GRANT SELECT ON v TO "the ""reader"" x" WITH GRANT OPTION;
GRANT SELECT ON t TO PUBLIC; GRANT USAGE ON SEQUENCE sq TO "the ""reader"" x";
COMMENT ON COLUMN t.n IS 'known'; COMMENT ON COLUMN "U".id IS 'it''s {} new'; COMMENT ON TABLE t IS 'new';
COMMENT ON CONSTRAINT ck ON t IS '{{}} ck'; COMMENT ON INDEX ix IS '{} ix'; COMMENT ON TABLE "P 1" IS 'part';
ALTER TABLE "P 1" SET (autovacuum_vacuum_threshold = 7); ALTER TABLE "P 1" ALTER n SET STORAGE MAIN;
ALTER TABLE t CLUSTER ON t_pkey; ALTER TABLE t ALTER n SET STORAGE EXTERNAL;
ALTER TABLE t REPLICA IDENTITY FULL; ALTER TABLE t SET (fillfactor = 70, toast.autovacuum_enabled = false);
ALTER TABLE "U" ALTER id SET STATISTICS 50; ALTER TABLE t ALTER n SET (n_distinct = 3);
ALTER DATABASE svc SET timezone = 'Europe/Prague'; ALTER ROLE svc_app SET search_path = public, "Other";
ALTER ROLE svc_app IN DATABASE svc SET work_mem = '5MB'; ALTER DATABASE svc SET app.secret = 'hidden';
ALTER ROLE consolidation SET work_mem = '6MB'; ALTER ROLE "the ""reader"" x" IN DATABASE svc SET work_mem = '7MB';
"""
# On 14 or newer, as the only version without is not in the pairs.
LEFT_OF_COLUMNS = 'ALTER TABLE "P 1" ALTER n SET COMPRESSION pglz'

STATE = """
SELECT 'acl', c.relname::text, coalesce(pg_get_userbyid(nullif(a.grantee, 0)), 'PUBLIC'),
       a.privilege_type || a.is_grantable
  FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = %(s)s::regnamespace AND a.grantee <> c.relowner
UNION ALL
SELECT 'column acl', a.attname::text, pg_get_userbyid(x.grantee), x.privilege_type
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) x
 WHERE c.relnamespace = %(s)s::regnamespace
UNION ALL
SELECT 'comment', c.relname || '.' || d.objsubid, d.description, ''
  FROM pg_class c JOIN pg_description d ON d.objoid = c.oid WHERE c.relnamespace = %(s)s::regnamespace
UNION ALL
SELECT 'comment', k.conname, d.description, ''
  FROM pg_constraint k JOIN pg_description d ON d.objoid = k.oid WHERE k.connamespace = %(s)s::regnamespace
UNION ALL
SELECT 'schema', '', pg_get_userbyid(a.grantee), a.privilege_type
  FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = %(s)s AND pg_get_userbyid(a.grantee) LIKE 'the%%'
UNION ALL
SELECT 'clustered', x.relname, '', ''
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
 WHERE i.indisclustered AND x.relnamespace = %(s)s::regnamespace
UNION ALL
SELECT 'table', c.relname, c.relreplident::text, concat(c.reloptions, t.reloptions)
  FROM pg_class c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
 WHERE c.relnamespace = %(s)s::regnamespace AND c.relkind = 'r'
UNION ALL
SELECT 'column', c.relname, a.attname,
       concat(nullif(a.attstattarget, -1), a.attoptions, a.attstorage, to_jsonb(a) ->> 'attcompression')
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
 WHERE c.relnamespace = %(s)s::regnamespace AND c.relkind = 'r'
"""


@pytest.mark.every_pair
def test_the_statements_carry_over_what_is_left_behind(svc: Service) -> None:
    left = [found.subject for found in svc.findings() if found.id.endswith((".left", ".results"))]
    assert left == ["consolidation_reader"]
    for statement in [*LEFT.strip().split(";\n"), LEFT_OF_COLUMNS]:
        svc.source.execute(statement)
    findings = [
        found
        for found in svc.findings()
        if found.id.endswith((".left", ".results")) and found.subject != "consolidation_reader"
    ]
    assert {found.id for found in findings} == {
        "source.grant.left", "source.setting.left", "source.setting.results", "source.comment.left",
        "source.replica_identity.left", "source.storage_parameter.left",
    }  # fmt: skip
    results = {found.subject for found in findings if found.id == "source.setting.results"}
    assert results == {"database svc: TimeZone", "role svc_app: search_path"}
    assert {found.severity for found in findings if found.id == "source.setting.results"} == {WARNING}
    assert "hidden" not in str(findings)
    svc.window.begin()
    svc.window.schema()
    svc.target.execute('CREATE ROLE "the ""reader"" x" NOLOGIN')
    for found in findings:
        if "app.secret" not in found.fix:
            svc.target.execute(found.fix)
    assert [
        f.subject for f in svc.findings() if f.id.endswith(("comment.left", "identity.left", "parameter.left"))
    ] == []
    ours = {row for row in svc.source.rows(STATE, {"s": "public"}) if row[2] not in ("svc_app", "consolidation_reader")}
    theirs = {row for row in svc.target.rows(STATE, {"s": NAME}) if row[2] != "storage_service"}
    assert ours - theirs == set()
    svc.target.execute(f"SELECT n FROM {NAME}.t", role='the "reader" x')  # the schema lets it in, as the source's does
    paths = "SELECT array_to_string(setconfig, ' ') FROM pg_db_role_setting WHERE setrole = 'storage_service'::regrole"
    settings = svc.target.value(paths)
    assert re.search(rf'search_path={NAME}, "Other"', settings)
    assert "TimeZone=Europe/Prague" in settings
    assert "work_mem=5MB" in settings
    others = "SELECT setconfig FROM pg_db_role_setting WHERE setrole = to_regrole(%s)"
    assert svc.target.value(others, ['"the ""reader"" x"']) == ["work_mem=7MB"]


def test_what_the_servers_themselves_say_otherwise_changes_results(svc: Service) -> None:
    """As a line of postgresql.conf does, or ALTER ROLE ALL: no setting of database or role names it."""
    assert svc.found("source.setting") == []
    conn = svc.target.server.connect()
    cursor = conn.cursor()
    try:
        for name, value in (("TimeZone", "Asia/Tokyo"), ("default_text_search_config", "pg_catalog.german")):
            cursor.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        cursor.execute("SELECT pg_reload_conf(), pg_sleep(0.3)")
        found = {each.subject: each for each in svc.found("source.setting.results")}
        assert found.keys() == {"server: timezone", "server: default_text_search_config"}
        assert "on the source, Asia/Tokyo on the target" in found["server: timezone"].what
        for each in found.values():
            svc.target.execute(each.fix)
        assert svc.found("source.setting") == []
    finally:
        for name in ("TimeZone", "default_text_search_config"):
            cursor.execute(f"ALTER SYSTEM RESET {name}")
        cursor.execute("SELECT pg_reload_conf(), pg_sleep(0.3)")
        conn.close()
    svc.source.execute("ALTER ROLE ALL SET bytea_output = escape")
    try:
        assert [each.subject for each in svc.found("source.setting.results")] == ["all roles: bytea_output"]
    finally:
        svc.source.execute("ALTER ROLE ALL RESET bytea_output")


def test_a_place_of_its_own_is_left_behind(svc: Service) -> None:
    conn = svc.source.server.connect("svc")
    cursor = conn.cursor()
    cursor.execute("SET allow_in_place_tablespaces = on")
    cursor.execute("CREATE TABLESPACE fast LOCATION ''")
    try:
        cursor.execute('ALTER TABLE "U" SET TABLESPACE fast; ALTER INDEX t_pkey SET TABLESPACE fast')
        fixes = "\n".join(each.fix for each in svc.found("source.storage_parameter.left"))
        assert f'ALTER TABLE "{NAME}"."U" SET TABLESPACE fast;' in fixes
        assert f'ALTER INDEX "{NAME}".t_pkey SET TABLESPACE fast;' in fixes
        cursor.execute('ALTER TABLE "U" SET TABLESPACE pg_default; ALTER INDEX t_pkey SET TABLESPACE pg_default')
    finally:
        cursor.execute("DROP TABLESPACE fast")
        conn.close()


def test_a_table_whose_wraparound_autovacuum_is_near(svc: Service) -> None:
    svc.owner("ALTER TABLE t SET (autovacuum_freeze_max_age = 100000, autovacuum_enabled = false)")
    assert svc.found("source.table.age") == []
    svc.owner(
        "DO $$ BEGIN FOR n IN 1..95000 LOOP BEGIN INSERT INTO \"U\" VALUES (n); RAISE division_by_zero;"
        " EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$"
    )  # fmt: skip
    [found] = svc.found("source.table.age")
    assert (found.severity, found.subject) == (WARNING, "public.t")
    conn = svc.source.server.connect("svc")
    conn.cursor().execute(found.fix)
    conn.close()
    assert svc.found("source.table.age") == []


def test_the_fence_names_an_autovacuum_that_is_in_the_way(svc: Service) -> None:
    svc.owner("INSERT INTO t SELECT g, repeat('x', 900) FROM generate_series(1, 4000) g; DELETE FROM t WHERE id < 2000")
    svc.owner(
        "ALTER TABLE t SET (autovacuum_freeze_max_age = 100000, autovacuum_vacuum_cost_delay = 100,"
        " autovacuum_vacuum_cost_limit = 1)"
    )
    svc.owner(
        "DO $$ BEGIN FOR n IN 1..101000 LOOP BEGIN INSERT INTO \"U\" VALUES (n); RAISE division_by_zero;"
        " EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$"
    )  # fmt: skip
    conn = svc.source.server.connect()
    conn.cursor().execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
    conn.cursor().execute("SELECT pg_reload_conf()")
    try:
        deadline = time.monotonic() + 30
        running = "SELECT count(*) FROM pg_stat_progress_vacuum WHERE relid = 't'::regclass"
        while svc.source.value(running) == 0:
            assert time.monotonic() < deadline, "no autovacuum came"
            time.sleep(0.2)
        svc.window.begin()
        svc.window.schema()
        with pytest.raises(FenceError, match=r"user autovacuum worker, application autovacuum: VACUUM .*public\.t "):
            svc.window.fence("source", "closed", timeout=2)
    finally:
        conn.cursor().execute("ALTER SYSTEM RESET autovacuum_naptime")
        conn.cursor().execute("SELECT pg_reload_conf()")
        conn.cursor().execute("SELECT pg_terminate_backend(pid) FROM pg_stat_progress_vacuum")
        conn.close()
