"""A pair that is written while it is compared: what lags is not called different, what is lost is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Event
from typing import Any

import psycopg2
import pytest

from consolidation.model import Database as Service
from tests.cluster import Database
from tests.modules import run_module

LAG_SECONDS = 0.4
DDL = """
CREATE TABLE accounts (id int PRIMARY KEY, note text, n int);
CREATE TABLE trail (what text);
CREATE TABLE calm (id int PRIMARY KEY);
"""
ROWS = """
INSERT INTO accounts SELECT n, 'note ' || n, 0 FROM generate_series(1, 3000) n;
INSERT INTO trail SELECT 'written ' || n FROM generate_series(1, 1000) n;
INSERT INTO calm VALUES (1);
"""


@dataclass
class Pair:
    """Two sides, a writer of the source, and a follower that does the same on the target somewhat later."""

    source: Database
    target: Database
    stopped: Event = field(default_factory=Event)
    log: SimpleQueue[tuple[float, str] | None] = field(default_factory=SimpleQueue)
    lost: Callable[[int], bool] = lambda _number: False
    """Which writes the follower loses."""
    written: int = 0

    def write(self) -> None:
        """One write after another, each to rows of its own."""
        with psycopg2.connect(**self.source.as_role("campaign_app").keywords()) as conn, conn.cursor() as cursor:
            for number in range(1, 1000):
                row = number * 3
                statement = (
                    f"UPDATE accounts SET n = n + 1, note = 'new' WHERE id = {row};"
                    f"DELETE FROM accounts WHERE id = {row + 1};"
                    f"INSERT INTO accounts VALUES ({row + 10_000}, '', 1);"
                    f"INSERT INTO trail VALUES ('written {number}'), ('more {number}')"
                )
                cursor.execute(statement)
                conn.commit()
                if not self.lost(number):
                    self.log.put((time.monotonic(), statement))
                self.written = number
                if self.stopped.wait(0.02):
                    break
        self.log.put(None)

    def follow(self) -> None:
        """Do the same on the target, LAG_SECONDS later."""
        with psycopg2.connect(**self.target.settings.keywords()) as conn, conn.cursor() as cursor:
            cursor.execute("SET search_path = campaign_db")
            while (entry := self.log.get()) is not None:
                at, statement = entry
                time.sleep(max(0.0, at + LAG_SECONDS - time.monotonic()))
                cursor.execute(statement)
                conn.commit()

    @contextmanager
    def written_on(self) -> Iterator[None]:
        """Both running, with some writes under way."""
        with ThreadPoolExecutor(2) as pool:
            threads = [pool.submit(self.write), pool.submit(self.follow)]
            try:
                while self.written < 5:
                    time.sleep(0.01)
                yield
            finally:
                self.stopped.set()
                for thread in threads:
                    thread.result()


@pytest.fixture
def live(source: Database, target: Database) -> Pair:
    source.execute(DDL + ROWS + "GRANT ALL ON ALL TABLES IN SCHEMA public TO campaign_app", role="campaign_owner")
    target.execute(f"CREATE SCHEMA campaign_db; SET search_path = campaign_db; {DDL}{ROWS}", user="consolidation")
    return Pair(source, target)


def compare(capsys: pytest.CaptureFixture[str], pair: Pair, **given: Any) -> dict[str, Any]:
    """What pg_verify_info finds; the comparison of every table under its name."""
    service = Service("campaign_db", pair.source.settings, "public", (), pair.target.settings)
    database = {"name": service.name, "source": service.source.keywords(), "target": service.target.keywords()}
    result = run_module(capsys, "pg_verify_info", False, {"database": database, **given})
    return {**result, "by_name": {entry["name"]: entry for entry in result["tables"]}}


def test_what_lags_is_not_different(live: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    with live.written_on():
        once = compare(capsys, live, recheck_seconds=0)
        again = compare(capsys, live)
        during = live.written
    assert (once["failed"], once["outcome"]) == (True, "different")
    assert again["outcome"] == "equal", again["msg"]
    assert "differed at first" in again["by_name"]["accounts"]["reason"]
    assert "differed at first" in again["by_name"]["trail"]["reason"]
    assert again["by_name"]["calm"]["reason"] == ""
    assert during < 900, "the writer had nothing to do any more"


def test_what_is_lost_is_named_although_the_writer_goes_on(live: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    live.lost = lambda number: number == 3
    with live.written_on():
        found = compare(capsys, live, recheck_seconds=3)
        live.source.execute("UPDATE accounts SET n = n + 1 WHERE id = 9", user="campaign_app")
        still = compare(capsys, live, recheck_seconds=3)
    for result in (found, still):
        differences = result["by_name"]["accounts"]["differences"]
        assert differences["keys"] == {
            "missing": [{"id": "10009"}],
            "extra": [{"id": "10"}],
            "different": [{"id": "9"}],
        }
        assert (differences["missing"], differences["extra"], differences["different"]) == (1, 1, 1)
        trail = result["by_name"]["trail"]["differences"]
        assert (trail["missing"], trail["extra"]) == (2, 0)


def test_a_row_that_never_rests_is_not_called_equal(live: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    hot = "UPDATE calm SET id = id + 1"
    stopped = Event()

    def count(database: Database, schema: str, start: int) -> None:
        with psycopg2.connect(**database.settings.keywords()) as conn, conn.cursor() as cursor:
            cursor.execute(f"SET search_path = {schema}; UPDATE calm SET id = {start}")
            while not stopped.wait(0.005):
                cursor.execute(hot)
                conn.commit()

    live.source.execute("DROP TABLE accounts, trail; ALTER TABLE calm DROP CONSTRAINT calm_pkey", role="campaign_owner")
    live.target.execute(
        "SET search_path = campaign_db; DROP TABLE accounts, trail; ALTER TABLE calm DROP CONSTRAINT calm_pkey;"
        "ALTER TABLE calm ADD key int PRIMARY KEY DEFAULT 1",
        user="consolidation",
    )
    live.source.execute("ALTER TABLE calm ADD key int PRIMARY KEY DEFAULT 1", role="campaign_owner")
    with ThreadPoolExecutor(2) as pool:
        pool.submit(count, live.source, "public", 1_000_000)
        pool.submit(count, live.target, "campaign_db", 1)
        try:
            result = compare(capsys, live, recheck_seconds=2)
        finally:
            stopped.set()
    assert result["failed"]
    assert result["by_name"]["calm"]["outcome"] == "could_not_compare"
    assert "1 rows changed on both sides all the time" in result["by_name"]["calm"]["reason"]
