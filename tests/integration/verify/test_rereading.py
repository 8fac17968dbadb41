"""Tables read again while others load: the verify phase takes what was read only of rows that are still the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from consolidation.compare.reread import Range, Readers, RereadFailed
from consolidation.copy import restore
from consolidation.errors import VerificationFailed
from consolidation.fence.state import ROW_TRIGGER, TRIGGER
from tests import rereading
from tests.cluster import BEHIND_THE_FENCE, Database
from tests.window import Window

FENCE_OFF = f"ALTER TABLE {{t}} DISABLE TRIGGER {TRIGGER}, DISABLE TRIGGER {ROW_TRIGGER}"
FENCE_ON = f"ALTER TABLE {{t}} ENABLE ALWAYS TRIGGER {TRIGGER}, ENABLE ALWAYS TRIGGER {ROW_TRIGGER}"
UPDATE = "UPDATE {t} SET w = 'other' WHERE id = 5"

DAMAGE = {
    "fence_lifted": f"{FENCE_OFF}; {UPDATE}; {FENCE_ON}",
    "as_replica": f"SET session_replication_role = replica; {FENCE_OFF}; {UPDATE}; {FENCE_ON}",
    "passed": f"{BEHIND_THE_FENCE}; {UPDATE}",
    "a_row_less": f"{BEHIND_THE_FENCE}; DELETE FROM {{t}} WHERE id = 5",
    "a_row_more": f"{BEHIND_THE_FENCE}; INSERT INTO {{t}} VALUES (0, 'a', 'b')",
    "written_again": f"{BEHIND_THE_FENCE}; DELETE FROM {{t}} WHERE id = 5; INSERT INTO {{t}} VALUES (5, 'v 5', 'x')",
    "emptied": f"{BEHIND_THE_FENCE}; TRUNCATE {{t}}",
    "rewritten": "ALTER TABLE {t} ALTER w TYPE text USING upper(w)",
    "columns_swapped": "ALTER TABLE {t} RENAME v TO x; ALTER TABLE {t} RENAME w TO v; ALTER TABLE {t} RENAME x TO w",
}
"""A table's name -> what is done to it, by a superuser, once it was read again."""
OTHERS = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE as_text (id integer, feeling mood);
CREATE TABLE divided (id integer PRIMARY KEY, v text) PARTITION BY HASH (id);
CREATE TABLE divided_0 PARTITION OF divided FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE UNLOGGED TABLE unlogged (id integer PRIMARY KEY, v text);
CREATE TABLE stored_otherwise (id integer PRIMARY KEY, v text);
CREATE TABLE computed (id integer PRIMARY KEY, twice integer GENERATED ALWAYS AS (id * 2) STORED);
"""
"""Left to the verify phase."""
ROWS = """
INSERT INTO as_text SELECT n, 'sad' FROM generate_series(1, 100) n;
INSERT INTO divided SELECT n, 'v' FROM generate_series(1, 100) n;
INSERT INTO unlogged SELECT n, 'v' FROM generate_series(1, 100) n;
INSERT INTO stored_otherwise SELECT n, 'v' FROM generate_series(1, 100) n;
INSERT INTO computed (id) SELECT n FROM generate_series(1, 100) n;
"""
PLAIN = ("sound", "referring", *DAMAGE)


def _ddl() -> str:
    tables = "".join(
        f"CREATE TABLE {name} (id bigint PRIMARY KEY, v text, w text); CREATE INDEX ON {name} (v, w);" for name in PLAIN
    )
    return tables + "ALTER TABLE referring ADD FOREIGN KEY (id) REFERENCES sound;" + OTHERS


@pytest.fixture
def window(source: Database, target: Database, monkeypatch: pytest.MonkeyPatch) -> Window:
    """Behind both fences, ready for the copy."""
    rereading.allow(monkeypatch)
    rows = "".join(f"INSERT INTO {name} SELECT n, 'v ' || n, 'w' FROM generate_series(1, 500) n;" for name in PLAIN)
    source.execute(_ddl() + rows + ROWS, role="campaign_owner")
    window = Window(source, target, readers=2)
    window.begin()
    window.own_schema(_ddl())
    target.execute(
        "CREATE ACCESS METHOD another TYPE TABLE HANDLER heap_tableam_handler;"
        " ALTER TABLE campaign_db.stored_otherwise SET ACCESS METHOD another"
    )
    window.fence("source", "closed")
    return window


def different(window: Window) -> set[str]:
    with pytest.raises(VerificationFailed) as raised:
        window.verify()
    return {table["name"] for table in raised.value.facts["tables"] if table["outcome"] == "different"}


@pytest.mark.every_pair
def test_what_was_read_while_others_loaded_is_not_read_again(window: Window) -> None:
    window.copy()
    result = window.verify()
    assert result["outcome"] == "equal"
    assert rereading.proved_earlier(result) == set(PLAIN)
    assert rereading.proved_earlier(window.verify()) == set(PLAIN)


def test_rows_that_changed_since_are_seen_whoever_changed_them(window: Window) -> None:
    window.copy()
    assert window.verify()["outcome"] == "equal"
    for name, statements in DAMAGE.items():
        window.target.execute(statements.replace("{t}", f"campaign_db.{name}"))
    with pytest.raises(VerificationFailed) as raised:
        window.verify()
    facts = raised.value.facts
    assert {table["name"] for table in facts["tables"] if table["outcome"] == "different"} == DAMAGE.keys()
    assert rereading.proved_earlier(facts) == {"sound", "referring"}


def test_a_write_that_the_fence_of_a_load_lets_through_is_seen(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement on a parent elsewhere: only row triggers refuse it, and they are off until all is loaded."""
    parent = (
        "CREATE TABLE public.parent (id bigint, v text, w text); ALTER TABLE campaign_db.sound INHERIT public.parent"
    )
    window.target.execute(parent)

    def written_before(*given: Any) -> None:
        wait_until_read(window, "sound")
        window.target.execute("UPDATE public.parent SET w = 'other' WHERE id = 5")
        make(*given)

    make: Callable[..., None] = restore.tables
    monkeypatch.setattr(restore, "tables", written_before)
    window.copy()
    assert different(window) == {"sound"}


def wait_until_read(window: Window, name: str) -> None:
    limit = time.monotonic() + 20
    read = "SELECT reread IS NOT NULL FROM consolidation.table_load WHERE table_name = %s"
    while not window.target.value(read, [name]):
        assert time.monotonic() < limit, f"{name} is not read again"
        time.sleep(0.01)


def test_what_was_read_of_another_load_or_before_a_restart_does_not_count(window: Window) -> None:
    window.copy()
    window.target.execute("UPDATE consolidation.table_load SET reread = jsonb_set(reread, '{digest}', '\"1\"')")
    result = window.verify()
    assert (result["outcome"], rereading.proved_earlier(result)) == ("equal", set())

    window.lift("source")
    window.fence("source", "closed")
    window.copy()
    assert rereading.proved_earlier(window.verify()) == set(PLAIN)

    window.target.server.stop()
    window.target.server.start()
    result = window.verify()
    assert (result["outcome"], rereading.proved_earlier(result)) == ("equal", set())


def test_reading_that_fails_costs_nothing_but_its_gain(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(reading: Readers, ranges: Sequence[Range]) -> None:
        """With a reader that still holds its lock on the table."""
        list(honest(reading, [replace(each, lets_go=False) for each in ranges]))
        raise RereadFailed("a reading process ended", hint="")

    honest = Readers.sums
    monkeypatch.setattr(Readers, "sums", fail)
    window.copy()
    monkeypatch.undo()
    result = window.verify()
    assert (result["outcome"], rereading.proved_earlier(result)) == ("equal", set())


def test_workers_come_first_where_cores_are_few(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    window.copy(workers=2)
    assert rereading.proved_earlier(window.verify()) == set()
