"""Databases like others: encodings, locales, names."""

from __future__ import annotations

import time
from typing import Any

import psycopg2
import pytest

from consolidation.backup import databases
from consolidation.postgres.connection import session
from consolidation.postgres.queries import query, value
from tests.cluster import Database as OnServer

LOCALES = [
    {"encoding": "UTF8", "locale_provider": "c", "collate": "xx_XX.UTF-8", "ctype": "xx_XX.UTF-8", "locale": None},
    {"encoding": "LATIN1", "locale_provider": "c", "collate": "xx_XX", "ctype": "xx_XX", "locale": None},
    {"encoding": "UTF8", "locale_provider": "i", "collate": "xx_XX", "ctype": "C", "locale": "de-DE"},
    {"encoding": "UTF8", "locale_provider": "b", "collate": "xx_XX", "ctype": "C", "locale": "unknown"},
]


def properties_of(server: OnServer, name: str) -> dict[str, Any]:
    with session(server.in_database(name).settings, "test") as conn:
        found: dict[str, Any] = value(conn, query("backup/database_properties"))
    return found


@pytest.mark.every_pair
def test_database_is_like_the_other(source: OnServer, target: OnServer) -> None:
    wanted = properties_of(source, "campaign")
    with session(target.settings, "test", autocommit=True) as conn:
        databases.create(conn, "new", wanted)
        found = properties_of(target, "new")
        for name in ("encoding", "locale_provider", "collate", "ctype", "locale"):
            assert found[name] == wanted[name]
        assert {grant["role"] for grant in found["grants"]} == {"consolidation"}
        databases.drop(conn, "new")
        databases.drop(conn, "new")
        assert value(conn, "SELECT count(*) FROM pg_database WHERE datname = 'new'") == 0


@pytest.mark.parametrize("wanted", LOCALES, ids=lambda wanted: f"{wanted['locale_provider']}-{wanted['encoding']}")
def test_scratch_database_does_without_the_locale(target: OnServer, wanted: dict[str, Any]) -> None:
    with session(target.settings, "test", autocommit=True) as conn:
        with pytest.raises(psycopg2.Error):
            databases.create(conn, "new", wanted)
        databases.create_scratch(conn, "new", wanted)
    found = properties_of(target, "new")
    assert (found["encoding"], found["collate"]) == (wanted["encoding"], "C")


def test_long_names_are_not_cut_by_postgresql(target: OnServer) -> None:
    names = ["consolidation_drill_20261122T010203Z_" + "ä" * 40 + end for end in ("", "a", "b")]
    fitted = [databases.fitted(name) for name in names]
    assert len(set(fitted)) == 3
    with session(target.settings, "test") as conn:
        assert [value(conn, "SELECT (%s::name)::text", [name]) for name in fitted] == fitted
    assert databases.fitted("x" * 63) == "x" * 63


def test_database_is_dropped_while_it_is_vacuumed(target: OnServer) -> None:
    with session(target.settings, "test", autocommit=True) as conn:
        databases.create(conn, "new", properties_of(target, "storage"))
        superuser = target.server.connect()
        superuser.cursor().execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        target.in_database("new").execute("""
            SELECT pg_reload_conf();
            CREATE TABLE t (i int, x text) WITH (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
            INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 50000) AS i;
            UPDATE t SET i = i + 1;
        """)
        working = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND datname = 'new'"
        deadline = time.monotonic() + 60
        while not target.value(working):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        databases.drop(conn, "new")
        assert value(conn, "SELECT count(*) FROM pg_database WHERE datname = 'new'") == 0
        superuser.cursor().execute("ALTER SYSTEM RESET autovacuum_naptime")
        superuser.close()
