"""Many readers see one moment, and no one goes on reading for a process that has ended."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict

import psycopg2
import pytest

from consolidation.postgres.queries import execute, value
from consolidation.postgres.snapshot import frozen
from tests.cluster import Database

SLEEPER = """
import json, sys
from consolidation.postgres.connection import Settings
from consolidation.postgres.queries import execute
from consolidation.postgres.snapshot import frozen
with frozen(Settings(**json.loads(sys.argv[1])), "sleeper", 2) as snapshot:
    works = [snapshot.submit(lambda conn: execute(conn, "SELECT pg_sleep(60)")) for _ in range(2)]
    print("asleep", flush=True)
    works[0].result()
"""


def sleepers(database: Database) -> int:
    """Sessions that are in a long statement."""
    return database.value(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE state = 'active' AND query ~ 'pg_sleep' AND pid <> pg_backend_pid()"
    )


def wait_for(database: Database, count: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while sleepers(database) != count and time.monotonic() < deadline:
        time.sleep(0.1)
    return sleepers(database) == count


@pytest.mark.every_pair
def test_all_readers_see_the_same_moment_and_cannot_write(source: Database) -> None:
    source.execute("CREATE TABLE t (id integer)", role="campaign_owner")
    with frozen(source.settings, "test", 3) as snapshot:
        source.execute("INSERT INTO t VALUES (1)", user="campaign_app")
        counts = [snapshot.submit(lambda conn: value(conn, "SELECT count(*) FROM public.t")) for _ in range(9)]
        assert {count.result() for count in counts} == {0}
        with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
            snapshot.submit(lambda conn: execute(conn, "DELETE FROM public.t")).result()
        assert [snapshot.submit(lambda conn: value(conn, "SELECT 1")).result() for _ in range(3)] == [1, 1, 1]


def test_an_interrupt_cancels_what_is_running(source: Database) -> None:
    started = time.monotonic()

    def interrupted() -> None:
        with frozen(source.settings, "test", 2) as snapshot:
            snapshot.submit(lambda conn: execute(conn, "SELECT pg_sleep(60)"))
            assert wait_for(source, 1, 5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - started < 10
    assert wait_for(source, 0, 2)


@pytest.mark.every_pair
def test_a_killed_process_leaves_no_statement_behind(source: Database) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, json.dumps(asdict(source.settings))], stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"asleep\n"
        assert wait_for(source, 2, 5)
        process.kill()
    assert wait_for(source, 0, 6)
