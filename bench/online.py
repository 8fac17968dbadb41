"""What online mode costs and does: the writers' cost of the capture, rows a second of the rounds, the write outage.

Beside the rounds, which compare what they bring, a native subscription catches up with the same changes, alone and
with a comparison of the changed rows.

``python -m bench.online [--directory DIR] [--rows N]``: about two minutes on a quiet machine; prints, and writes
``results/online.json``. Ratios of one run count, not seconds of two.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.errors
from psycopg2 import sql

from bench import subscription
from bench.place import SETTINGS
from consolidation import files
from consolidation.capture import state as capture
from consolidation.capture import trigger
from consolidation.capture.memory import Memory
from consolidation.fence import state as fence
from consolidation.fence import trigger as fence_trigger
from consolidation.follow.changeover import Options, catch_up, change_over
from consolidation.follow.comparison import Options as CompareOptions
from consolidation.follow.comparison import compare
from consolidation.follow.rounds import Follower, following
from consolidation.follow.way import Way
from consolidation.journal import records
from consolidation.journal import runs as run
from consolidation.model import Database
from consolidation.postgres.connection import Settings, session
from demo import roles
from demo.servers import Server

TABLES = """
CREATE TABLE item (id bigint PRIMARY KEY, n int NOT NULL, body text NOT NULL);
CREATE TABLE tiny (id bigint PRIMARY KEY, n int NOT NULL);
"""
NAME = "campaign_db"
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class World:
    """Two servers with one service database between them, captured and followed."""

    source: Server
    target: Server
    database: Database

    @contextmanager
    def follower(self, to: str = "target") -> Iterator[Follower]:
        with session(self.database.target, "bench journal", autocommit=True) as journal:
            found = records.latest_run(journal, NAME)
            assert found is not None  # noqa: S101 - begun below
            with following(Way(self.database, to), Memory(journal, found, to)) as follower:
                yield follower

    def app(self) -> Any:
        """A session of the application's role, in autocommit."""
        passfile = self.database.source.passfile
        conn = psycopg2.connect(**Settings(**{**self.database.source.keywords(), "user": "campaign_app"}).keywords())
        assert passfile  # noqa: S101 - written below
        conn.autocommit = True
        return conn


def build(directory: Path, versions: Sequence[int], rows: int) -> World:
    """Servers, roles, tables with rows on the source; the target closed."""
    source, target = (
        Server.create(f"{side}{major}", major, directory / side, SETTINGS | subscription.SETTINGS)
        for side, major in zip(("source", "target"), versions, strict=True)
    )
    lines = roles.give_passwords(source, roles.create_source(source, "campaign"))
    lines += roles.give_passwords(target, roles.create_target(target, "storage"))
    passfile = directory / "passfile"
    files.write(passfile, "".join(lines))
    here, there = (
        Settings(server.host, dbname, "consolidation", server.port, str(passfile))
        for server, dbname in ((source, "campaign"), (target, "storage"))
    )
    database = Database(NAME, here, "public", (), there, ("campaign_app",), ("storage_service",))
    with source.connect("campaign") as conn, conn.cursor() as cursor:
        cursor.execute(f"SET ROLE campaign_owner; {TABLES}")
        cursor.execute(
            "INSERT INTO item SELECT n, 0, substr(repeat(md5(n::text), 32), 1, 1000) FROM generate_series(1, %s) n",
            [rows],
        )
        cursor.execute("INSERT INTO tiny SELECT n, 0 FROM generate_series(1, %s) n", [rows])
        cursor.execute("RESET ROLE; ANALYZE")
    caller = run.Caller({"host": "bench", "pid": os.getpid(), "started": "1"}, None, "")
    run.apply(run.plan(database, records.MIGRATING, caller), caller)
    with session(there, "bench") as conn, conn.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {NAME}; SET search_path = {NAME}; {TABLES}")
        cursor.execute(f"GRANT USAGE ON SCHEMA {NAME} TO storage_service")
        cursor.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA {NAME} TO storage_service")
        conn.commit()
        fence_trigger.close_side(conn, database.target_side, 10)
    with session(here, "bench") as conn:
        fence_trigger.prepare(conn, database.source_side, 10)
    return World(source, target, database)


def cpu_seconds(pid: int) -> float:
    """Of a backend so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


WRITES = {
    # what: (statement, how often, rows of each); %(k)s runs
    "insert, a transaction each": ("INSERT INTO tiny VALUES (10000000 + %(k)s, 0)", 10_000, 1),
    "update, a transaction each": ("UPDATE tiny SET n = n + 1 WHERE id = 1 + %(k)s", 10_000, 1),
    "delete, a transaction each": ("DELETE FROM tiny WHERE id = 10000000 + %(k)s", 10_000, 1),
    "insert in bulk": ("INSERT INTO tiny SELECT 20000000 + n, 0 FROM generate_series(1, 100000) n", 1, 100_000),
    "update in bulk": ("UPDATE tiny SET n = n + 1 WHERE id > 20000000", 1, 100_000),
    "delete in bulk": ("DELETE FROM tiny WHERE id > 20000000", 1, 100_000),
}


def writers_cost(world: World, turns: int = 3) -> dict[str, dict[str, float]]:
    """Microseconds of the backend's CPU for a row, without and with the capture, in turns."""
    found: dict[str, dict[str, list[float]]] = {what: {"without": [], "with": []} for what in WRITES}
    for _ in range(turns):
        for how, wanted in (("without", capture.PREPARED), ("with", capture.ON)):
            with session(world.database.source, "bench") as conn:
                trigger.install(conn, world.database.source_side, wanted, 10)
            conn = world.app()
            with conn.cursor() as cursor:
                cursor.execute("SET synchronous_commit = off")
                for what, (statement, times, rows) in WRITES.items():
                    before = cpu_seconds(conn.info.backend_pid)
                    for k in range(times):
                        cursor.execute(statement, {"k": k})
                    spent = cpu_seconds(conn.info.backend_pid) - before
                    found[what][how].append(spent / (times * rows) * 1e6)
            conn.close()
    return {what: {how: round(min(each), 2) for how, each in both.items()} for what, both in found.items()}


CATCH_UP = {
    "updates in one transaction": ("id <= {n}", ["UPDATE item SET n = n + 1 WHERE id <= {n}"]),
    "inserts in one transaction": (
        "id > 50000000",
        [
            "INSERT INTO item SELECT 50000000 + n, 0, substr(repeat(md5(n::text), 32), 1, 1000)"
            " FROM generate_series(1, {n}) n"
        ],
    ),
    "deletes in one transaction": ("id > 50000000", ["DELETE FROM item WHERE id > 50000000"]),
}
"""What: (which rows, by which statements)."""


def catching_up(world: World, rows: int) -> dict[str, float]:
    """Rows a second of one round, compared on both sides; and of rounds over single-row transactions."""
    found: dict[str, float] = {}
    conn = world.app()
    with world.follower() as follower, conn.cursor() as cursor:
        for what, (_, statements) in CATCH_UP.items():
            for statement in statements:
                cursor.execute(statement.format(n=rows))
            done = follower.round()
            found[what] = round(rows / done.seconds)
        singles = min(20_000, rows)
        cursor.execute("SET synchronous_commit = off")
        for k in range(singles):
            cursor.execute("UPDATE item SET n = n + 1 WHERE id = %s", [1 + k])
        done = follower.round()
        found["single-row transactions"] = round(singles / done.seconds)
    conn.close()
    return found


def outage(world: World, to: str) -> dict[str, float]:
    """Seconds in which a writer was refused or waited, while the side changes over."""
    gaps: list[float] = []
    stop = threading.Event()
    options = Options()

    def write() -> None:
        sides = [(world.database.source, "campaign_app", "public"), (world.database.target, "storage_service", NAME)]
        conns = []
        for settings, user, _ in sides:
            conns.append(psycopg2.connect(**Settings(**{**settings.keywords(), "user": user}).keywords()))
            conns[-1].autocommit = True
        at, last, k = (0 if to == "target" else 1), time.monotonic(), 0
        while not stop.is_set():
            k += 1
            try:
                table = sql.Identifier(sides[at][2], "tiny")
                update = sql.SQL("UPDATE {} SET n = n + 1 WHERE id = %s").format(table)
                conns[at].cursor().execute(update, [1 + k % 1000])
                gaps.append(time.monotonic() - last)
                last = time.monotonic()
            except psycopg2.errors.ReadOnlySqlTransaction:
                at = 1 - at
                time.sleep(0.001)

    if to == "source":
        with session(world.database.source, "bench") as conn:
            trigger.turn_off(conn, world.database.source_side, 10)
    else:
        with session(world.database.target, "bench") as conn:
            trigger.install(conn, world.database.target_side, capture.PREPARED, 10)
    thread = threading.Thread(target=write)
    thread.start()
    try:
        with world.follower(to) as follower:
            catch_up(follower, options)
            done = change_over(follower, options, lambda _: None)
        time.sleep(0.2)
    finally:
        stop.set()
        thread.join()
    return {
        "longest_wait_seconds": round(max(gaps), 3),
        "median_seconds": round(statistics.median(gaps), 5),
        "change_over_seconds": round(done.outage_seconds, 3),
    }


def main() -> None:
    """Measure all, print and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"))  # noqa: S108 - as the other benchmarks
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--versions", type=int, nargs=2, default=(16, 18))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="consolidation-bench-", dir=given.directory) as name:
        Path(name).chmod(0o711)
        world = build(Path(name), given.versions, given.rows)
        try:
            found: dict[str, Any] = {"versions": list(given.versions), "rows": given.rows}
            found["cpu_microseconds_a_row"] = writers_cost(world)
            started = time.monotonic()
            with world.follower() as follower:
                follower.round()
                found["first_round_whole_seconds"] = round(time.monotonic() - started, 2)
                started = time.monotonic()
                outcomes = {result.outcome for result in compare(follower, CompareOptions())}
                found["comparison"] = {"outcomes": sorted(outcomes), "seconds": round(time.monotonic() - started, 2)}
            found["catching_up_rows_a_second"] = catching_up(world, given.rows)
            found["outage"] = {to: outage(world, to) for to in ("target", "source")}
            servers = world.source, world.target
            alone, compared = subscription.catching_up(servers, "campaign", TABLES, CATCH_UP, given.rows)
            found["native_subscription_rows_a_second"] = alone
            found["native_subscription_compared_rows_a_second"] = compared
            with session(world.database.source, "bench") as conn:
                assert not fence.is_closed(conn, world.database.source_side)  # noqa: S101 - it has been back
        finally:
            world.source.destroy()
            world.target.destroy()
    print(json.dumps(found, indent=2))
    given.results.mkdir(exist_ok=True)
    (given.results / "online.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
