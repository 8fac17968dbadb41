"""Under random load every snapshot of the source is what the target holds; and what goes wrong is seen.

The checker is independent of the product: plain SELECTs of both sides, sorted, at the round's exported snapshot.
"""

# ruff: noqa: E501 - a statement each
from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg2
import pytest

from consolidation.errors import ConsolidationError, StepRefused, VerificationFailed
from consolidation.follow.comparison import Options, compare
from consolidation.follow.rounds import Follower
from consolidation.follow.way import Followed
from tests.cluster import BEHIND_THE_FENCE, Cluster, Database
from tests.following import Online, Writers, started
from tests.integration.follow.test_follow import rows_of, same
from tests.window import Window

SECONDS = float(os.environ.get("FOLLOW_SECONDS", "8"))
ENOUGH = 4
"""Snapshots to compare, however slow the machine is."""
TABLES = """
CREATE TABLE plain (id int PRIMARY KEY, v text, n int NOT NULL DEFAULT 0);
CREATE TABLE swapped (id int PRIMARY KEY, place int UNIQUE DEFERRABLE);
CREATE TABLE no_key (v text);
CREATE TABLE parted (id int, part int, v text, PRIMARY KEY (part, id)) PARTITION BY LIST (part);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE often_emptied (id int PRIMARY KEY, v text);
"""
ROWS = """
INSERT INTO plain SELECT n, 'v' FROM generate_series(1, 300) n;
INSERT INTO swapped SELECT n, n FROM generate_series(1, 60) n;
INSERT INTO parted SELECT n, 1 + n % 2, 'v' FROM generate_series(1, 100) n;
INSERT INTO parent SELECT n FROM generate_series(1, 40) n;
INSERT INTO child SELECT n, 1 + n % 40 FROM generate_series(1, 80) n;
INSERT INTO no_key SELECT 'v' || n FROM generate_series(1, 20) n;
"""
STATEMENTS: list[Callable[[random.Random], str]] = [
    lambda r: f"UPDATE plain SET n = n + 1 WHERE id = {r.randint(1, 300)}",
    lambda r: f"UPDATE plain SET n = n + 1 WHERE id % 7 = {r.randint(0, 6)}",
    lambda r: f"INSERT INTO plain VALUES ({r.randint(1, 400)}, 'i') ON CONFLICT (id) DO UPDATE SET v = plain.v || '+'",
    lambda r: f"DELETE FROM plain WHERE id = {r.randint(1, 400)}",
    lambda r: f"UPDATE plain SET id = {r.randint(1, 400)} WHERE id = {r.randint(1, 400)}",
    lambda _: "INSERT INTO plain SELECT n, 'bulk' FROM generate_series(1000, 1400) n ON CONFLICT DO NOTHING",
    lambda _: "DELETE FROM plain WHERE id >= 1000",
    lambda r: (
        f"SET CONSTRAINTS ALL DEFERRED; UPDATE swapped SET place = 61 - place WHERE place IN ({(n := r.randint(1, 60))}, {61 - n})"
    ),
    lambda r: f"INSERT INTO no_key VALUES ('{r.randint(1, 9)}')",
    lambda _: "DELETE FROM no_key WHERE ctid = (SELECT min(ctid) FROM no_key)",
    lambda r: f"UPDATE parted SET part = 3 - part WHERE id = {r.randint(1, 100)}",
    lambda r: f"UPDATE parted_{r.randint(1, 2)} SET v = '{r.randint(0, 99)}' WHERE id % 5 = 0",
    lambda r: f"INSERT INTO parent VALUES ({r.randint(1, 60)}) ON CONFLICT DO NOTHING",
    lambda r: f"DELETE FROM parent WHERE id = {r.randint(1, 60)}",
    lambda r: f"UPDATE parent SET id = {r.randint(1, 60)} WHERE id = {r.randint(1, 60)}",
    lambda r: f"INSERT INTO child SELECT {r.randint(1, 200)}, min(id) FROM parent ON CONFLICT DO NOTHING",
    lambda r: f"INSERT INTO often_emptied VALUES ({r.randint(1, 999)}, 'v') ON CONFLICT DO NOTHING",
    lambda r: "TRUNCATE often_emptied" if r.random() < 0.2 else "SELECT",
    lambda r: (
        f"SAVEPOINT s; UPDATE plain SET v = 'undone' WHERE id % 3 = 0; ROLLBACK TO s; UPDATE plain SET v = 'kept' WHERE id = {r.randint(1, 300)}"
    ),
]


def write(conn: Any, chance: random.Random) -> None:
    with conn.cursor() as cursor:
        cursor.execute("SET LOCAL search_path = public; SET LOCAL lock_timeout = '2s'")
        for _ in range(chance.randint(1, 4)):
            cursor.execute(chance.choice(STATEMENTS)(chance))
    if chance.random() < 0.1:
        conn.rollback()


@pytest.fixture
def online(cluster: Cluster, source: Database, target: Database) -> Iterator[Online]:
    cluster.prepared("compared", (source, target), lambda: started(source, target, TABLES, ROWS))
    source.execute("GRANT campaign_owner TO campaign_app")  # for TRUNCATE
    yield Online(Window(source, target))
    source.execute("REVOKE campaign_owner FROM campaign_app")


def check(online: Online, snapshot: str) -> None:
    """Both sides, the source at the snapshot, by plain SELECTs."""
    with online.source.connection() as here, online.target.connection() as there:
        here.set_session(isolation_level="REPEATABLE READ")
        seen = []
        for conn, schema in ((here, "public"), (there, online.window.name)):
            with conn.cursor() as cursor:
                if conn is here:
                    cursor.execute("SET TRANSACTION SNAPSHOT %s", [snapshot])
                found = {}
                for name in ("plain", "swapped", "no_key", "parted", "parent", "child"):
                    cursor.execute(f"SELECT t::text FROM {schema}.{name} t ORDER BY 1")
                    found[name] = cursor.fetchall()
                seen.append(found)
    for name in seen[0]:
        assert seen[0][name] == seen[1][name], name


@pytest.mark.every_pair
def test_every_snapshot_is_what_the_target_holds(online: Online) -> None:
    seed = random.randrange(10**6)  # noqa: S311 - printed, to be tried again
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    chance, rounds, compared, keys, cuts = random.Random(seed), 0, 0, 0, 0  # noqa: S311 - reproducible
    deadline = time.monotonic() + SECONDS
    with Writers(online.source, write).writing(seed):
        while time.monotonic() < deadline or compared < ENOUGH:
            assert time.monotonic() < deadline + 60, f"{compared} snapshots compared"
            stop_at = chance.randint(1, 20) if chance.random() < 0.5 else 0
            try:
                with online.follower(step=Stop(stop_at)) as follower:
                    for _ in range(chance.randint(1, 6)):
                        done = follower.round(entries=chance.choice([10, 100, 10**6]))
                        rounds, keys = rounds + 1, keys + done.keys
                    snapshot_checked = []

                    def during(snapshot: str, tables: Mapping[str, Followed]) -> None:
                        del tables
                        check(online, snapshot)
                        snapshot_checked.append(snapshot)  # noqa: B023 - called before the next turn

                    follower.round(during=during)
                    compared += len(snapshot_checked)
            except Stopped:
                cuts += 1
            if chance.random() < 0.2:
                with online.follower() as follower:
                    results = compare(follower, Options())
                    outcomes = {result.name: result.outcome for result in results if result.name != "often_emptied"}
                    assert set(outcomes.values()) == {"equal"}, results
    with online.follower() as follower:
        while not follower.round().idle:
            pass
    assert same(online)
    print(f"{rounds} rounds, {keys} keys, {compared} snapshots compared, {cuts} cut off")  # noqa: T201
    assert keys > 100


class Stopped(Exception):
    """The process that followed is gone."""


class Stop:
    """Ends a follower at its n-th step; 0: never."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, step: str) -> None:
        self.left -= 1
        if self.left == 0:
            raise Stopped(step)


STEPS = (
    "snapshot taken",
    "brought plain",
    "before the destination's commit",
    "after the destination's commit",
    "remembered",
    "before the log's commit",
    "after the log's commit",
)


@pytest.mark.parametrize("how", ["process", "origin", "destination"])
def test_cut_off_anywhere_and_again(online: Online, how: str) -> None:
    """The process killed, or a server's backends terminated, at every step of a round."""
    with online.follower() as follower:
        follower.round()
    for number, step in enumerate(STEPS):
        online.source.execute(
            f"UPDATE plain SET n = n + 1 WHERE id % 3 = 0; DELETE FROM plain WHERE id = {number + 1};"
            f"INSERT INTO no_key VALUES ('{number}'); UPDATE parent SET id = id + 100 WHERE id = {number + 5}",
            user="campaign_app",
        )
        if how == "process":
            assert killed_at(online, step) == 9
        else:
            terminated_at(online, step, online.source if how == "origin" else online.target)
        with online.follower() as follower:
            follower.round()
            assert same(online), step
            assert follower.round().idle, step
            assert not follower.waiting()


def killed_at(online: Online, step: str) -> int:
    """A process of its own that follows, and is gone without a word at the step; its exit code."""
    child = os.fork()
    if not child:

        def die(done: str) -> None:
            if done == step:
                os._exit(9)

        try:
            with online.follower(step=die) as follower:
                follower.round()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def terminated_at(online: Online, step: str, side: Database) -> None:
    def terminate(done: str) -> None:
        if done == step:
            side.rows(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE application_name LIKE 'consolidation follow%' AND datname = current_database()"
            )

    try:
        with online.follower(step=terminate) as follower:
            follower.round()
    except ConsolidationError:
        pass


def outcomes(follower: Follower) -> dict[str, str]:
    return {result.name: result.outcome for result in compare(follower, Options())}


def capture_off_for_a_moment(online: Online) -> None:
    online.source.execute("ALTER TABLE plain DISABLE TRIGGER zz_consolidation_capture_change")
    online.source.execute("UPDATE plain SET n = -1 WHERE id = 5", user="campaign_app")
    online.source.execute("ALTER TABLE plain ENABLE ALWAYS TRIGGER zz_consolidation_capture_change")


def test_a_capture_that_was_off_for_a_moment_is_seen_and_made_good(online: Online) -> None:
    with online.follower() as follower:
        follower.round()
        capture_off_for_a_moment(online)
        assert follower.round().whole == ("plain",)
        assert same(online)


def test_a_capture_that_is_off_stops_the_rounds(online: Online) -> None:
    with online.follower() as follower:
        follower.round()
        online.source.execute("ALTER TABLE plain DISABLE TRIGGER zz_consolidation_capture_change")
        with pytest.raises(StepRefused, match="plain"):
            follower.round()
    online.capture()
    with online.follower() as follower:
        assert follower.round().whole == ("plain",)


DAMAGE = {
    "log rows deleted": (
        "source",
        "UPDATE plain SET n = -1 WHERE id = 5; DO $$ BEGIN EXECUTE 'DELETE FROM consolidation.changed_'"
        " || 'public.plain'::regclass::oid; END $$",
    ),
    "a row of the target changed": ("target", "UPDATE campaign_db.plain SET n = -1 WHERE id = 5"),
    "a row of the target deleted": ("target", "DELETE FROM campaign_db.plain WHERE id = 5"),
    "a row more on the target": ("target", "INSERT INTO campaign_db.plain VALUES (99999)"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_the_comparison_does_not_trust_the_log(online: Online, what: str) -> None:
    side, statements = DAMAGE[what]
    with online.follower() as follower:
        follower.round()
        assert set(outcomes(follower).values()) == {"equal"}
        if side == "source":
            online.source.execute(statements)
        else:
            online.target.execute(f"{BEHIND_THE_FENCE}; {statements}")
        assert follower.round().idle
        found = outcomes(follower)
        assert {name for name, outcome in found.items() if outcome != "equal"} == {"plain"}
        assert follower.round().whole == ("plain",), "the next round repairs it"
        assert set(outcomes(follower).values()) == {"equal"}
        assert same(online)


def test_a_round_compares_what_it_brought(online: Online) -> None:
    """Here a trigger, which a round takes for the fence's own and leaves on, writes another value."""
    with online.follower() as follower:
        follower.round()
    online.target.execute(
        "CREATE FUNCTION campaign_db.cut() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.v := 'cut'; RETURN NEW; END $$"
    )
    online.target.execute(
        "CREATE TRIGGER aa_consolidation_fence_too BEFORE INSERT ON campaign_db.plain FOR EACH ROW"
        " EXECUTE FUNCTION campaign_db.cut()"
    )
    online.source.execute("UPDATE plain SET v = 'long' WHERE id = 1", user="campaign_app")
    before = rows_of(online.target, "campaign_db")
    with online.follower() as follower, pytest.raises(VerificationFailed, match="plain"):
        follower.round()
    assert rows_of(online.target, "campaign_db") == before


def test_nothing_is_brought_to_a_side_that_others_can_write(online: Online) -> None:
    online.source.execute("UPDATE plain SET n = 1", user="campaign_app")
    online.window.lift("target")
    with online.follower() as follower, pytest.raises(StepRefused, match="not fenced"):
        follower.round()
    online.window.shut()
    online.capture(side=online.window.database.target_side)
    with online.follower() as follower, pytest.raises(StepRefused, match="captures changes itself"):
        follower.round()


def test_foreign_keys_are_enforced_at_any_time_and_valid_in_the_end(online: Online) -> None:
    unvalidated = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated"
    with online.follower() as follower:
        follower.round()
        assert online.target.value(unvalidated) == 1
        with pytest.raises(psycopg2.errors.ForeignKeyViolation):
            online.target.execute(f"{BEHIND_THE_FENCE}; INSERT INTO campaign_db.child VALUES (-1, -1)")
        assert follower.memory.validate(follower.way.destination.settings) == 1
        assert online.target.value(unvalidated) == 0
        assert follower.memory.validate(follower.way.destination.settings) == 0
