"""The copy of a source that is written meanwhile, cut off and resumed; the rounds make it equal."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import pytest

from consolidation.capture import state as capture
from consolidation.copy import phase as copy
from consolidation.errors import StepRefused
from consolidation.follow.comparison import Options, compare
from tests.cluster import Database
from tests.following import Online, Writers, started
from tests.integration.follow.test_follow import same

TABLES = """
CREATE TABLE big (id int PRIMARY KEY, place int UNIQUE, v text);
CREATE TABLE no_key (n int UNIQUE, v text);
CREATE TABLE parted (id int, part int, v text, PRIMARY KEY (part, id)) PARTITION BY LIST (part);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
CREATE TABLE child (id int PRIMARY KEY, big int REFERENCES big ON DELETE CASCADE);
"""
ROWS = """
INSERT INTO big SELECT n, n, repeat('x', 200) FROM generate_series(1, 20000) n;
INSERT INTO no_key SELECT n, repeat('y', 200) FROM generate_series(1, 2000) n;
INSERT INTO parted SELECT n, 1 + n % 2, 'v' FROM generate_series(1, 500) n;
INSERT INTO child SELECT n, n FROM generate_series(1, 500) n;
"""
STATEMENTS = (
    "UPDATE big SET v = repeat('{0}', 250) WHERE id % 400 = {1} % 400",
    "UPDATE big SET place = NULL WHERE id IN ({0}, {1}); UPDATE big SET place = -{0} WHERE id = {1}",
    "DELETE FROM big WHERE id = {0}",
    "INSERT INTO big VALUES (30000 + {0}, NULL, 'new') ON CONFLICT (id) DO UPDATE SET v = 'again'",
    "UPDATE no_key SET v = repeat('z', 300) WHERE n % 100 = {1} % 100",
    "DELETE FROM no_key WHERE n = {0} % 2000",
    "UPDATE parted SET part = 3 - part WHERE id = 1 + {0} % 500",
    "INSERT INTO child VALUES (1000 + {0}, {1}) ON CONFLICT DO NOTHING",
)


def write(conn: Any, chance: random.Random) -> None:
    statement = chance.choice(STATEMENTS).format(chance.randint(1, 20000), chance.randint(1, 20000))
    with conn.cursor() as cursor:
        cursor.execute(f"SET LOCAL search_path = public; SET LOCAL lock_timeout = '2s'; {statement}")


@pytest.fixture
def online(source: Database, target: Database) -> Online:
    return started(source, target, TABLES, ROWS)


def options(online: Online) -> dict[str, Any]:
    return {**online.window.options, "mode": "online"}


def copied(online: Online) -> dict[str, Any]:
    database = replace(online.window.database, mode="online")
    return copy.apply(copy.plan(database), 2)


COPY = """
import json, sys
from consolidation.copy import chunks, phase
from consolidation.model import Database
chunks.CHUNK_BYTES = 8192
options = json.load(sys.stdin)
phase.apply(phase.plan(Database.from_options(options)), 2)
"""


def killed_midway(online: Online) -> int:
    """A copy in small chunks whose process is killed when some of them are in; how many chunks were not."""
    process = subprocess.Popen([sys.executable, "-c", COPY], stdin=subprocess.PIPE, text=True)
    assert process.stdin
    process.stdin.write(json.dumps(options(online)))
    process.stdin.close()
    count = "SELECT count(*) FILTER (WHERE state = 'done'), count(*) FROM consolidation.chunk"
    deadline = time.monotonic() + 60
    while online.target.rows(count)[0][0] < 50:
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1)  # its workers end with it
    [(done, chunks)] = online.target.rows(count)
    return int(chunks - done)


@pytest.mark.parametrize("versions", [(16, 18), (15, 15)], indirect=True)
def test_a_copy_under_load_that_was_cut_off_becomes_equal(online: Online) -> None:
    with Writers(online.source, write).writing(7):
        assert killed_midway(online) > 50
        time.sleep(0.5)
        result = copied(online)
        with online.follower() as follower:
            first = follower.round()
            assert set(first.whole) <= {"no_key"}, "all else is brought by its keys"
            assert first.keys > 0
            assert {found.outcome for found in compare(follower, Options())} == {"equal"}
    with online.follower() as follower:
        while not follower.round().idle:
            pass
    assert same(online)
    assert result["copy_id"]
    keys = "SELECT count(*) FROM pg_constraint WHERE contype IN ('p', 'u', 'f') AND connamespace = %s::regnamespace"
    assert online.target.value(keys, ["campaign_db"]) == online.source.value(keys, ["public"])


def test_a_table_emptied_during_the_copy_is_seen(online: Online) -> None:
    """An older snapshot sees it empty, whatever it held then and holds now."""
    copied(online)
    online.source.execute("TRUNCATE no_key; INSERT INTO no_key VALUES (1, 'after')")
    with online.follower() as follower:
        assert follower.round().whole == ("no_key",)
    assert same(online)


def test_without_the_capture_nothing_is_copied(online: Online) -> None:
    online.capture(capture.PREPARED)
    with pytest.raises(StepRefused, match="would be lost"):
        copied(online)


def test_workers_hold_no_lock_between_chunks(online: Online) -> None:
    """Or the application's TRUNCATE would wait for the end of the copy, and everybody behind it."""
    with Writers(online.source, truncate, number=1, user="postgres").writing(1) as writers:
        copied(online)
    assert writers.done > 1
    with online.follower() as follower:
        follower.round()
    assert same(online)


def truncate(conn: Any, chance: random.Random) -> None:
    with conn.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '1s'; TRUNCATE public.no_key")
        cursor.execute("INSERT INTO public.no_key VALUES (%s, 'x')", [chance.randint(1, 100)])
