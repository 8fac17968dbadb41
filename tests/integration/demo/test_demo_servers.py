"""The servers and fixtures keep what the other tests rely on."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from demo import servers, supervisor
from demo.servers import Server, ServerError
from tests.cluster import Cluster, Database, digest_of_everything


@pytest.mark.every_pair
def test_servers_have_the_versions_asked_for(source: Database, target: Database, versions: tuple[int, int]) -> None:
    found = tuple(int(db.value("SHOW server_version_num")) // 10000 for db in (source, target))
    assert found == versions
    assert source.server.port != target.server.port


def test_roles_are_those_of_production(source: Database, image_source: Database, target: Database) -> None:
    for database in (source, image_source, target):
        assert database.value("SELECT current_user", user="consolidation") == "consolidation"
        assert database.rows("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = 'consolidation'") == [
            (False, False)
        ]
    source.execute("CREATE TABLE t (id int PRIMARY KEY)", role="campaign_owner")
    source.execute("INSERT INTO t VALUES (1)", user="campaign_app")
    assert source.rows("SELECT id FROM t", user="consolidation_reader") == [(1,)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        source.execute("INSERT INTO t VALUES (2)", user="consolidation_reader")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        source.execute("DROP TABLE t", user="campaign_app")
    with pytest.raises(psycopg2.OperationalError, match="CONNECT privilege"):
        image_source.rows("SELECT 1", user="campaign_app")


def test_runbook_acts_as_owner_and_as_application(source: Database, target: Database) -> None:
    source.execute("CREATE SCHEMA consolidation", user="consolidation")
    source.execute("SET ROLE campaign_owner; CREATE TABLE t (id int)", user="consolidation")
    source.execute("SET ROLE campaign_app; INSERT INTO t VALUES (1)", user="consolidation")
    target.execute("CREATE SCHEMA campaign_db; CREATE SCHEMA consolidation", user="consolidation")
    target.execute("SET ROLE storage_service", user="consolidation")


def test_wrong_password_is_refused(source: Database, cluster: Cluster) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(
            host="127.0.0.1", port=source.server.port, dbname="campaign", user="campaign_app", password="x"
        )
    assert stat.S_IMODE(cluster.passfile.stat().st_mode) == 0o600


OF_THE_SERVER = (
    "CREATE ROLE left_over; CREATE TABLE t (id int); GRANT SELECT ON t TO left_over",
    "CREATE ROLE left_over; GRANT left_over TO consolidation",
    "ALTER ROLE consolidation SET timezone = 'Asia/Tokyo'",
    "ALTER ROLE ALL SET timezone = 'Asia/Tokyo'",
    "ALTER ROLE campaign_app NOLOGIN",
    "ALTER ROLE campaign_app PASSWORD 'another'",
    "ALTER ROLE campaign_app RENAME TO renamed",
    "REVOKE campaign_owner FROM consolidation",
    "GRANT pg_read_all_data TO campaign_app",
    "GRANT SET ON PARAMETER lc_messages TO campaign_app",
)


@pytest.mark.parametrize("change", OF_THE_SERVER)
def test_next_test_finds_an_empty_server(cluster: Cluster, source_server: Server, change: str) -> None:
    cluster.bare(source_server)
    source = cluster.source(source_server, "campaign")
    before = everything_of_roles(source.server)
    source.execute(change)
    source.execute("CREATE TABLE left_over (id int)")
    server = cluster.server("source", source.server.major)
    assert set(digest_of_everything(server)) == {"", "postgres", "template1"}
    again = cluster.source(server, "campaign")
    assert everything_of_roles(server) == before
    assert again.value("SELECT to_regclass('left_over') IS NULL AND current_setting('timezone') = 'UTC'")
    assert again.value("SELECT 1", user="campaign_app") == 1


def test_a_role_that_a_test_made_by_hand_gets_its_own_password_again(cluster: Cluster, source_server: Server) -> None:
    cluster.bare(source_server)
    with closing(source_server.connect()) as conn:
        conn.cursor().execute("CREATE ROLE campaign_app LOGIN")
    cluster.give_passwords(source_server, ["campaign_app"])
    server = cluster.server("source", source_server.major)
    assert cluster.source(server, "campaign").value("SELECT 1", user="campaign_app") == 1


def everything_of_roles(server: Server) -> str:
    """All but their passwords."""
    dumped = server.run([server.bin / "pg_dumpall", "--roles-only", "--no-role-passwords"])
    return "\n".join(line for line in dumped.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))


@pytest.mark.every_pair
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE t SET a = 2",
        "ALTER TABLE t ADD b int",
        "SELECT nextval('s')",
        "GRANT SELECT ON t TO PUBLIC",
        "CREATE ROLE r",
    ],
)
def test_digest_sees_every_change_and_nothing_else(source: Database, change: str) -> None:
    source.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE SEQUENCE s")
    before = digest_of_everything(source.server)
    assert digest_of_everything(source.server) == before
    source.execute(change)
    assert digest_of_everything(source.server) != before


def test_stopped_server_starts_again_on_the_same_port(source: Database) -> None:
    source.server.stop("immediate")
    with pytest.raises(psycopg2.OperationalError):
        source.rows("SELECT 1")
    source.server.start()
    assert source.value("SELECT 1") == 1


def test_unknown_version_is_a_clear_error(cluster: Cluster) -> None:
    with pytest.raises(ServerError, match="no PostgreSQL 9 on this machine"):
        Server.create("old", 9, cluster.directory / "old")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's servers run as another account")
def test_root_runs_a_copy_of_programs_that_the_account_cannot_reach(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path_factory.mktemp("closed")
    closed.chmod(0o700)
    programs = servers.installations()[18]
    package = programs.parent.parent
    for directory in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(directory, closed / directory.name, symlinks=True)
    moved = closed / programs.relative_to(package.parent)
    monkeypatch.setattr(servers, "installations", lambda: {18: moved})
    server = Server.create("copied", 18, cluster.directory / "copied")
    try:
        assert server.bin.is_relative_to(cluster.directory)
        assert server.running
    finally:
        server.destroy()


def test_a_port_that_was_taken_meanwhile_leads_to_another_one(
    cluster: Cluster, source: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_port = servers._free_port
    ports = iter([source.server.port])
    monkeypatch.setattr(servers, "_free_port", lambda: next(ports, None) or free_port())
    server = Server.create("second", source.server.major, cluster.directory / "second")
    try:
        assert server.running
        assert server.port != source.server.port
    finally:
        server.destroy()


def test_a_port_that_was_taken_since_is_named_with_what_to_do(cluster: Cluster, tmp_path: Path) -> None:
    server = Server.create("taken", next(iter(servers.installations())), cluster.directory / "taken")
    try:
        server.stop()
        with socket.create_server((server.host, server.port)):
            with pytest.raises(
                ServerError, match=f"Port {server.port} is taken by another program, ss -ltnp shows which"
            ):
                server.start()
            (tmp_path / supervisor.SOCKET_FILE).write_text(f"{server.host}:{server.port}\n")
            with pytest.raises(
                OSError, match=f"nothing can listen at {server.host}:{server.port}, perhaps another program"
            ):
                supervisor._start_keeper(tmp_path, os.open(os.devnull, os.O_WRONLY))
    finally:
        server.destroy()


def test_failed_creation_leaves_nothing(cluster: Cluster) -> None:
    major = next(iter(servers.installations()))
    with pytest.raises(ServerError, match="did not start"):
        Server.create("broken", major, cluster.directory / "broken", {"shared_buffers": "'much'"})
    assert not (cluster.directory / "broken").exists()
