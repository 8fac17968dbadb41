"""Behind the load: the largest table first, indexes side by side, with the means that the server has."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from consolidation.copy import undo as discard
from consolidation.journal import records
from tests.cluster import Database
from tests.integration.copy.test_copy import DRIVER, begin_process, definitions, ready, wait_until_alone
from tests.window import Window

LINGERS = """
CREATE FUNCTION public.lingers(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$BEGIN
  IF EXISTS (SELECT FROM public.lingering) THEN PERFORM pg_sleep(60); END IF; RETURN $1; END$$;
"""
TWO = "CREATE TABLE two (id int PRIMARY KEY, first int UNIQUE, second int)"
INDEXES = "; CREATE INDEX slow ON two (public.lingers(first)); CREATE INDEX swift ON two (second)"
ROWS = "; INSERT INTO two SELECT i, i, i FROM generate_series(1, 9) i"
WITNESS = """
CREATE TABLE public.seen (
  number serial, tag text, what text, memory text, parallel text, statistics bigint
);
CREATE FUNCTION public.see() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN
  INSERT INTO public.seen (tag, what, memory, parallel, statistics)
  SELECT command_tag, object_identity, current_setting('maintenance_work_mem'),
         current_setting('max_parallel_maintenance_workers'),
         (SELECT count(DISTINCT tablename) FROM pg_stats WHERE schemaname = 'campaign_db')
    FROM pg_event_trigger_ddl_commands(); END$$;
CREATE EVENT TRIGGER see ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'CREATE INDEX') EXECUTE FUNCTION public.see();
"""


def interrupted(source: Database, target: Database) -> Window:
    """A copy that was killed while one index of a table was made and another one was not."""
    target.execute(LINGERS + "CREATE TABLE public.lingering (); GRANT SELECT ON public.lingering TO PUBLIC")
    window = ready(source, target, TWO + ROWS, TWO + INDEXES)
    target.execute("INSERT INTO public.lingering DEFAULT VALUES")
    process = begin_process(DRIVER, window.options)
    deadline = time.monotonic() + 60
    loaded = "SELECT count(*) FROM consolidation.chunk WHERE state = 'done'"
    while not (target.value(loaded) and target.value("SELECT to_regclass('campaign_db.swift')::text")):
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline, "no index is made while another one of its table takes long"
        time.sleep(0.05)
    process.kill()
    process.communicate()
    target.execute(
        "DELETE FROM public.lingering; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ 'slow'"
        " AND pid <> pg_backend_pid()"
    )
    wait_until_alone(source, target)
    assert not target.value("SELECT to_regclass('campaign_db.slow')::text")
    return window


def run_again(window: Window) -> None:
    window.copy()


def roll_back(window: Window) -> None:
    window.begin(records.ROLLING_BACK)
    discard.apply(discard.plan(window.database), 10)


def copy_from_a_source_that_was_open(window: Window) -> None:
    window.lift()
    window.fence("source", "closed")
    window.copy()


@pytest.mark.parametrize(
    ("end", "rows"),
    [(run_again, 9), (roll_back, 0), (copy_from_a_source_that_was_open, 9)],
    ids=["again", "rollback", "open"],
)
def test_killed_between_two_indexes_of_a_table_it_ends_as_undisturbed(
    source: Database, target: Database, end: Callable[[Window], None], rows: int
) -> None:
    window = interrupted(source, target)
    end(window)
    names = {name for kind, _, name, *_ in definitions(target, "campaign_db") if kind != "trigger"}
    indexes = {f"campaign_db.{name}" for name in ("two_pkey", "two_first_key", "slow", "swift")}
    assert names >= {"two_pkey", "two_first_key", *indexes}
    assert target.value("SELECT count(*) FROM campaign_db.two") == rows


def test_the_largest_table_comes_first_and_foreign_keys_find_statistics(source: Database, target: Database) -> None:
    ddl = "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY REFERENCES a, pad text);"
    filled = "INSERT INTO a VALUES (1); INSERT INTO b SELECT 1, repeat('x', 100000);"
    window = ready(source, target, ddl + filled, ddl)
    target.execute(WITNESS)
    window.copy(workers=1)
    made = target.rows("SELECT what, statistics FROM public.seen WHERE tag = 'ALTER TABLE' ORDER BY number")
    dropped, made = made[:3], made[3:6]
    assert {table for table, _ in dropped} == {"campaign_db.a", "campaign_db.b"}
    assert made == [("campaign_db.b", 0), ("campaign_db.a", 1), ("campaign_db.b", 2)]


@pytest.mark.parametrize(
    ("settings", "memory", "parallel"),
    [
        ({}, "256MB", "2"),
        ({"maintenance_work_mem": "512MB", "max_parallel_workers": "12"}, "512MB", "6"),
        ({"max_parallel_workers": "2"}, "256MB", "2"),
    ],
    ids=["as it comes", "more", "fewer cores"],
)
def test_indexes_are_made_with_what_the_server_has(
    source: Database, target: Database, settings: dict[str, str], memory: str, parallel: str
) -> None:
    window = ready(source, target, TWO + ROWS, TWO + "; CREATE INDEX swift ON two (second)")
    target.execute(WITNESS)
    for name, value in settings.items():
        target.execute(
            f"DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET {name} = ''{value}''', current_database()); END$$"
        )
    window.copy()
    found = target.rows("SELECT DISTINCT memory, parallel FROM public.seen WHERE tag = 'CREATE INDEX'")
    assert found == [(memory, parallel)]
