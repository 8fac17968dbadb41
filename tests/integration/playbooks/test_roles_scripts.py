"""The roles scripts for production: what a live service has, it keeps; what the runbook needs, it has."""

from __future__ import annotations

from pathlib import Path

import psycopg2
import pytest

from consolidation import model
from consolidation.preflight import phase as preflight
from demo.servers import Server, ServerError
from tests.cluster import Cluster, Database
from tests.leftovers import drop_templates

SCRIPTS = Path(__file__).parents[3] / "docs" / "sql"
SCHEMA = "Inventory data"
ROLES = ("inventory_user", 'the "jobs"\'s')
MADE = """
CREATE ROLE inventory_owner NOLOGIN; CREATE ROLE inventory_user LOGIN; CREATE ROLE "the ""jobs""'s" LOGIN;
CREATE DATABASE inventory;
"""
TABLES = """
CREATE SCHEMA "Inventory data" AUTHORIZATION inventory_owner;
SET ROLE inventory_owner;
CREATE TABLE "Inventory data".items (id serial PRIMARY KEY);
GRANT USAGE ON SCHEMA "Inventory data" TO inventory_user;
GRANT SELECT, INSERT ON "Inventory data".items TO inventory_user WITH GRANT OPTION;
RESET ROLE;
CREATE TABLE public.beside (id int PRIMARY KEY);
"""
PRIVILEGES = """
SELECT 'd', datname::text, a.* FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) a
UNION ALL SELECT 'n', nspname, a.* FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a
UNION ALL SELECT 'r', relname, a.* FROM pg_class,
 aclexplode(coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, relowner))) a
UNION ALL SELECT 'o', nspname, nspowner, nspowner, '', false FROM pg_namespace
UNION ALL SELECT 'o', relname, relowner, relowner, '', false FROM pg_class WHERE relkind IN ('r', 'S')
"""


@pytest.fixture
def source_server(cluster: Cluster, source_server: Server) -> Server:
    """Without the roles of production."""
    cluster.bare(source_server)
    return source_server


def made_by_hand(server: Server) -> None:
    """As most databases are: made by postgres, used by roles that connect because PUBLIC may."""
    for dbname, statements in (("postgres", MADE), ("inventory", TABLES)):
        conn = server.connect(dbname)
        for statement in statements.strip().split(";")[:-1]:
            conn.cursor().execute(statement)
        conn.close()


def privileges(server: Server) -> set[tuple[object, ...]]:
    conn = server.connect("inventory")
    with conn.cursor() as cursor:
        cursor.execute(PRIVILEGES)
        found = set(cursor.fetchall())
    conn.close()
    return found


@pytest.mark.every_pair
def test_the_scripts_give_what_preflight_asks_for_and_take_nothing(
    cluster: Cluster, source_server: Server, target_server: Server, tmp_path: Path
) -> None:
    made_by_hand(source_server)
    target = cluster.target(target_server)
    drop_templates(target_server)
    target.execute("DROP OWNED BY consolidation, storage_service; DROP ROLE consolidation; DROP ROLE storage_service")
    before = privileges(source_server)
    for _ in range(2):
        source_server.psql(SCRIPTS / "roles_source.sql", "inventory", schema=SCHEMA, application_roles=",".join(ROLES))
        target_server.psql(SCRIPTS / "roles_target.sql", "storage")
    assert before - privileges(source_server) == set()
    cluster.passwords[target_server.name] = []
    cluster.give_passwords(source_server, ["consolidation", "consolidation_reader", *ROLES[:1]])
    cluster.give_passwords(target_server, ["consolidation", "storage_service"])
    source, target = cluster.database(source_server, "inventory"), cluster.database(target_server, "storage")
    psycopg2.connect(**source.as_role("inventory_user").keywords()).close()

    database = model.Database("image_db", source.settings, SCHEMA, (), target.settings, ROLES, ("storage_service",))
    report = preflight.examine(database, preflight.Options(tmp_path, target_server.bin))
    assert [f"{found.id} {found.subject} {found.what}" for found in report.findings if "role" in found.id] == []
    options = preflight.Options(tmp_path, target_server.bin, preflight.Reader("consolidation_reader"))
    assert [found for found in preflight.examine(database, options).findings if "check.failed" in found.id] == []


def test_a_wrong_name_changes_nothing(source_server: Server) -> None:
    made_by_hand(source_server)
    for schema, role, said in (("none", ROLES[0], "has no schema none"), (SCHEMA, "no one", "no such role: no one")):
        with pytest.raises(ServerError, match=said):
            source_server.psql(SCRIPTS / "roles_source.sql", "inventory", schema=schema, application_roles=role)
    conn = source_server.connect()
    with conn.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'consolidation'")
        assert cursor.fetchone() == (0,)
    conn.close()


def test_the_demos_script_refuses_a_live_service(source_server: Server) -> None:
    made_by_hand(source_server)
    before = privileges(source_server)
    with pytest.raises(ServerError, match="inventory is not the demo's"):
        source_server.psql(SCRIPTS.parents[1] / "demo" / "roles_source.sql", service="inventory")
    assert privileges(source_server) == before


def test_a_superusers_tables_make_the_runbook_no_superuser(source: Database) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    source.server.psql(SCRIPTS / "roles_source.sql", "campaign", application_roles="campaign_app")
    assert source.value("SELECT pg_has_role('consolidation', 'postgres', 'MEMBER')") is False
