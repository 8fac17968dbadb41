"""The capture: made, seen, switched, taken away; and what it does to those who write."""

from __future__ import annotations

import psycopg2
import pytest

from consolidation.capture import state as capture
from consolidation.capture import trigger
from consolidation.errors import FenceError
from consolidation.postgres.connection import session
from tests.cluster import Database, digest_of_everything
from tests.following import Online, started

TABLES = """
CREATE TABLE plain (id int PRIMARY KEY, v text);
CREATE TABLE "odd %s" ("select" int, "B b" text, PRIMARY KEY ("B b", "select"));
CREATE TABLE no_key (v text);
CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
"""


@pytest.fixture
def online(source: Database, target: Database) -> Online:
    return started(source, target, TABLES)


def states(online: Online) -> set[str]:
    return {table.state for table in online.captured()}


@pytest.mark.every_pair
def test_it_is_made_switched_and_taken_away_without_a_trace(source: Database, target: Database) -> None:
    source.execute(TABLES, role="campaign_owner")
    source.execute("CREATE SCHEMA consolidation", user="consolidation")
    before = digest_of_everything(source.server)
    online = started(source, target, "CREATE TABLE unused ()")
    source.execute("DROP TABLE unused CASCADE")
    for state in (capture.PREPARED, capture.ON, capture.PREPARED, capture.ON):
        online.capture(state)
        assert states(online) == {state}
        again = {table.name: table.mark for table in online.captured()}
        assert {table.name: table.mark for table in online.capture(state)} == again, "idempotent"
    source.execute("INSERT INTO plain VALUES (1); INSERT INTO parted_1 VALUES (1)", user="campaign_app")
    side = online.window.database.source_side
    with session(side.settings, "test") as conn:
        trigger.turn_off(conn, side, 5)
        assert capture.of_all(capture.read(conn, side)) == capture.PREPARED
        assert set(trigger.remove(conn, side, 5)) == {"plain", "odd %s", "no_key", "parted"}
        assert capture.of_all(capture.read(conn, side)) == capture.ABSENT
    source.execute("DELETE FROM plain; DELETE FROM parted")
    assert digest_of_everything(source.server) == before


def test_prepared_notes_nothing_and_costs_nothing(online: Online) -> None:
    online.capture(capture.PREPARED)
    online.source.execute("INSERT INTO plain VALUES (1, 'a')", user="campaign_app")
    [plain] = [table for table in online.captured() if table.name == "plain"]
    assert plain.log_bytes == 0


BREAKS = {
    "a trigger disabled": "ALTER TABLE plain DISABLE TRIGGER zz_consolidation_capture_change",
    "a trigger no replica fires": "ALTER TABLE plain ENABLE TRIGGER zz_consolidation_capture_key",
    "a trigger dropped": "DROP TRIGGER zz_consolidation_capture_insert ON plain",
    "a partition's trigger disabled": "ALTER TABLE parted_1 DISABLE TRIGGER zz_consolidation_capture_insert",
    "all disabled": "ALTER TABLE plain DISABLE TRIGGER ALL",
    "a new table": "SET ROLE campaign_owner; CREATE TABLE fresh (id int PRIMARY KEY)",
    "another key": "ALTER TABLE plain DROP CONSTRAINT plain_pkey; ALTER TABLE plain ADD PRIMARY KEY (v)",
    "no key": "ALTER TABLE plain DROP CONSTRAINT plain_pkey",
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_not_captured_any_more_is_seen_and_put_right(online: Online, what: str) -> None:
    before = {table.name: table.mark for table in online.captured()}
    online.source.execute(BREAKS[what])
    broken = {table.name: table.mark for table in online.captured() if table.state != capture.ON}
    assert len(broken) == 1
    online.source.execute("INSERT INTO plain VALUES (5, 'x')", user="campaign_app")

    online.capture()
    assert states(online) == {capture.ON}
    [name] = broken
    marks = {table.name: table.mark for table in online.captured()}
    assert {other for other, mark in marks.items() if before.get(other) != mark} == {name}


MARKED = {
    "off and on": "ALTER TABLE plain DISABLE TRIGGER zz_consolidation_capture_key;"
    "ALTER TABLE plain ENABLE ALWAYS TRIGGER zz_consolidation_capture_key",
    "truncated": "TRUNCATE plain",
    "rewritten": "ALTER TABLE plain ALTER v TYPE int USING 1",
    "a column more": "ALTER TABLE plain ADD w int",
    "the function replaced": "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN RETURN NULL; END'",
    "the log emptied": "TRUNCATE {log}",
    "a partition": "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200)",
    "a partition truncated": "TRUNCATE parted_1",
    "a partition gone": "DROP TABLE parted_1",
}


@pytest.mark.parametrize("what", MARKED)
def test_the_mark_changes_when_the_keys_do_not_tell_all(online: Online, what: str) -> None:
    before = {table.name: table for table in online.captured()}
    plain = before["plain"]
    log, function = (f"consolidation.{word}_{plain.oid}" for word in ("changed", "note_new"))
    online.source.execute(MARKED[what].format(log=log, function=function))
    changed = {table.name for table in online.captured() if table.mark != before[table.name].mark}
    assert changed == {"parted" if "partition" in what else "plain"}
    assert states(online) == {capture.ON}


def test_a_type_that_changes_what_rows_hold_is_another_mark(source: Database, target: Database) -> None:
    """No row is written, none is noted; a table of built-in types only is not compared for it."""
    types = "CREATE TYPE mood AS ENUM ('glad'); CREATE TYPE pair AS (a int, b int); CREATE TABLE row_of (a int, b int);"
    own = "CREATE TABLE own (id int PRIMARY KEY, m mood, p pair, r row_of);"
    online = started(source, target, f"{types} {own} CREATE TABLE plain (id int PRIMARY KEY, v text)")
    for statement in (
        "ALTER TYPE mood RENAME VALUE 'glad' TO 'merry'",
        "ALTER TYPE pair DROP ATTRIBUTE b",
        "ALTER TYPE pair ADD ATTRIBUTE c int",
        "ALTER TABLE row_of ADD c int",
    ):
        before = {table.name: table.mark for table in online.captured()}
        source.execute(statement, role="campaign_owner")
        changed = {table.name for table in online.captured() if table.mark != before[table.name]}
        assert changed - {"row_of"} == {"own"}, statement


def test_what_does_not_matter_leaves_the_marks_alone(online: Online) -> None:
    before = {table.name: table.mark for table in online.captured()}
    online.source.execute(
        "INSERT INTO plain VALUES (1, 'a'); CREATE INDEX ON plain (v); ANALYZE plain; COMMENT ON TABLE plain IS 'x';"
        "ALTER TABLE plain ADD CHECK (id > 0); GRANT SELECT ON plain TO PUBLIC"
    )
    online.window.fence("source", "closed")
    assert {table.name: table.mark for table in online.captured()} == before


def test_the_owner_may_still_make_partitions(online: Online) -> None:
    """Whatever the default privileges of functions are."""
    statement = "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200)"
    online.source.execute(statement, role="campaign_owner")
    assert states(online) == {capture.ON}


def test_it_says_who_keeps_it_waiting(source: Database, target: Database) -> None:
    online = started(source, target, "CREATE TABLE plain (id int PRIMARY KEY)")
    side = online.window.database.source_side
    online.capture(capture.PREPARED)
    with source.connection("campaign_app") as writer, session(side.settings, "test") as conn:
        writer.cursor().execute("INSERT INTO plain VALUES (1)")
        with pytest.raises(FenceError, match="user campaign_app"):
            trigger.install(conn, side, capture.ON, 0.1)
        writer.rollback()
        trigger.install(conn, side, capture.ON, 5)
    assert states(online) == {capture.ON}


def test_writers_need_no_right_of_ours(online: Online) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        online.source.rows(f"SELECT * FROM {log_of(online, 'plain')}", user="campaign_app")
    online.source.execute("INSERT INTO plain VALUES (1, 'a')", user="campaign_app")
    assert online.source.rows(f"SELECT * FROM {log_of(online, 'plain')}") == [(1,)]


def log_of(online: Online, name: str) -> str:
    [oid] = [table.oid for table in online.captured() if table.name == name]
    return f"consolidation.changed_{oid}"
