"""A lost source comes back from its dump as it was: content, owners, grants, settings; and only with consent."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from consolidation.backup import manifest
from consolidation.errors import BackupError, ConfigurationError, StepRefused
from consolidation.fence import trigger
from consolidation.journal import records, runs
from consolidation.model import Database
from consolidation.postgres.connection import session
from consolidation.rollback import restore
from tests import backups
from tests.cluster import Database as OnServer
from tests.cluster import digest_of_everything
from tests.leftovers import drop_templates

SETTINGS = """
ALTER DATABASE campaign SET search_path = public, other, "Mixed Case";
ALTER DATABASE campaign SET work_mem = '5MB';
ALTER DATABASE campaign SET default_transaction_read_only = off;
ALTER DATABASE campaign CONNECTION LIMIT 77;
COMMENT ON DATABASE campaign IS 'our ''campaigns''';
GRANT TEMPORARY ON DATABASE campaign TO consolidation_reader WITH GRANT OPTION;
REVOKE DELETE ON public.chapters FROM campaign_app;
GRANT UPDATE (name) ON public.campaigns TO consolidation_reader;
"""


@pytest.fixture
def dumps(tmp_path: Path) -> Path:
    return tmp_path / "dumps"


@pytest.fixture
def database(source: OnServer, target: OnServer, dumps: Path) -> Database:
    """Backed up, and being rolled back."""
    backups.fill(source)
    source.execute(SETTINGS)
    database = backups.begin(source, target)
    backups.dump(database, dumps)
    backups.roll_back(database)
    return database


def plan(database: Database, dumps: Path) -> restore.Plan:
    return restore.plan(database, dumps, backups.tools())


def run(database: Database, dumps: Path) -> dict[str, Any]:
    planned = plan(database, dumps)
    return restore.apply(planned, planned.sentence)


def lose(source: OnServer) -> None:
    with closing(source.server.connect()) as conn:
        conn.cursor().execute("DROP DATABASE campaign")


def databases_of(server: OnServer) -> list[str]:
    statement = "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1"
    return [name for (name,) in server.in_database("postgres").rows(statement)]


def content_of(source: OnServer) -> list[str]:
    """The dump as SQL, without the fence."""
    options = ["--create", "--exclude-schema=consolidation", "--inserts", f"--dbname={source.name}"]
    lines = source.server.run([source.server.bin / "pg_dump", *options]).splitlines()
    left_out = re.compile(r"\\(un)?restrict|.*aa_consolidation_fence|COMMENT ON DATABASE|--|$")
    return sorted(line for line in lines if not left_out.match(line))


@pytest.mark.every_pair
def test_lost_database_comes_back_as_it_was(
    database: Database, dumps: Path, source: OnServer, target: OnServer
) -> None:
    before = content_of(source)
    assert any("CONNECTION LIMIT" in line for line in before)
    lose(source)
    everything = [digest_of_everything(server) for server in (source.server, target.server)]
    planned = plan(database, dumps)
    assert planned.changed
    assert "not there" in planned.diff()["before"]
    for consent in ("", planned.sentence + " ", "yes"):
        with pytest.raises(StepRefused, match=re.escape(planned.sentence)) as refused:
            restore.apply(planned, consent)
        assert refused.value.facts == {"consent": planned.sentence}
    assert everything == [digest_of_everything(server) for server in (source.server, target.server)]

    done = restore.apply(planned, planned.sentence)
    assert done["settings_not_restored"] == []
    assert done["kept_as"] is None
    assert databases_of(source) == ["campaign", "postgres"]
    assert content_of(source) == before
    assert source.value("SELECT count(*) FROM chapters", user="campaign_app") == 1500
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction, match="fenced by the storage consolidation"):
        source.execute("INSERT INTO campaigns (name) VALUES ('early')", user="campaign_app")

    again = plan(database, dumps)
    assert not again.changed
    assert again.diff()["before"] == again.diff()["after"]
    assert "already" in restore.apply(again, "")["msg"]
    with session(database.source, "test") as conn:
        trigger.open_side(conn, database.source_side, 10)
    source.execute("INSERT INTO campaigns (name) VALUES ('late')", user="campaign_app")


def test_sentence_names_the_database_and_the_moment(database: Database, dumps: Path) -> None:
    planned = plan(database, dumps)
    seconds = planned.made.snapshot_at[:19]
    assert planned.sentence == f"lose writes to campaign_db since {seconds}Z"
    assert planned.facts().consent == planned.sentence


def test_what_was_there_is_kept(database: Database, dumps: Path, source: OnServer) -> None:
    source.execute("DROP TABLE chapters; INSERT INTO campaigns (name) VALUES ('newer')")
    done = run(database, dumps)
    kept = f"campaign_lost_{done['run_id']}"
    assert done["kept_as"] == kept
    assert databases_of(source) == ["campaign", kept, "postgres"]
    assert source.in_database(kept).value("SELECT count(*) FROM campaigns WHERE name = 'newer'") == 1
    assert source.value("SELECT count(*) FROM campaigns WHERE name = 'newer'") == 0
    assert source.value("SELECT count(*) FROM chapters") == 1500


def test_sessions_of_others_are_named_and_the_restored_database_waits(
    database: Database, dumps: Path, source: OnServer
) -> None:
    with source.connection("campaign_app") as service, source.connection("consolidation") as _:
        pid = service.info.backend_pid
        with pytest.raises(StepRefused, match=rf"in use by 2 sessions: .*pid {pid}, user campaign_app"):
            run(database, dumps)
    waiting = plan(database, dumps)
    assert waiting.mark in waiting.present[waiting.restored]
    oid = source.value("SELECT oid FROM pg_database WHERE datname = %s", [waiting.restored])
    with session(database.source, "of our own"):
        restore.apply(waiting, waiting.sentence)
        assert source.value("SELECT oid FROM pg_database WHERE datname = 'campaign'") == oid
        with session(database.target, "still there") as other, other.cursor() as cursor:
            cursor.execute("SELECT 1")


@pytest.fixture
def half_restored(database: Database, dumps: Path, source: OnServer) -> Iterator[OnServer]:
    """What a process that was killed while it restored leaves behind, with its last session."""
    name = plan(database, dumps).restored
    with closing(source.server.connect()) as conn:
        conn.cursor().execute(f'CREATE DATABASE "{name}" OWNER campaign_owner')
    left_over = source.in_database(name)
    left_over.execute("CREATE TABLE campaigns (id int)", role="campaign_owner")
    with left_over.connection("consolidation"):
        yield left_over


@pytest.mark.usefixtures("half_restored")
def test_a_half_restored_database_is_replaced(database: Database, dumps: Path, source: OnServer) -> None:
    lose(source)
    run(database, dumps)
    assert source.value("SELECT count(*) FROM chapters") == 1500
    assert databases_of(source) == ["campaign", "postgres"]


def test_killed_after_the_swap(database: Database, dumps: Path, source: OnServer, target: OnServer) -> None:
    run(database, dumps)
    target.execute("UPDATE consolidation.phase SET state = 'running' WHERE name = 'rollback_restore'")
    done = databases_of(source)
    again = plan(database, dumps)
    assert not again.changed
    restore.apply(again, "")
    assert databases_of(source) == done
    assert target.value("SELECT state FROM consolidation.phase WHERE name = 'rollback_restore'") == "done"


def test_a_failed_restore_leaves_nothing(database: Database, dumps: Path, source: OnServer) -> None:
    planned = plan(database, dumps)
    other = {name: table | {"digest": "0" * 32} for name, table in planned.made.tables.items()}
    wrong = replace(planned, made=replace(planned.made, tables=other))
    with pytest.raises(BackupError, match="other content"):
        restore.apply(wrong, wrong.sentence)
    assert databases_of(source) == ["campaign", "postgres"]
    run(database, dumps)


def test_damaged_dump_is_refused(database: Database, dumps: Path, source: OnServer) -> None:
    lose(source)
    os.truncate(plan(database, dumps).directory / manifest.DUMP / "toc.dat", 100)
    with pytest.raises(BackupError, match=r"toc\.dat has 100 bytes"):
        plan(database, dumps)
    assert databases_of(source) == ["postgres"]


def test_rebuilt_server_needs_its_roles_first(database: Database, dumps: Path, source: OnServer) -> None:
    lose(source)
    drop_templates(source.server)
    source.in_database("postgres").execute("DROP ROLE campaign_owner, campaign_app, consolidation_reader")
    with pytest.raises(ConfigurationError, match="campaign_app, campaign_owner, consolidation_reader") as missing:
        plan(database, dumps)
    script = next(dumps.rglob("globals.sql"))
    assert f"psql -f {script}" in missing.value.hint
    source.server.run([source.server.bin / "psql", "--quiet", "--output=/dev/null", "--file", script])
    run(database, dumps)
    assert source.value("SELECT count(*) FROM chapters") == 1500


def test_role_that_may_not_act_as_the_owner(database: Database, dumps: Path, source: OnServer) -> None:
    lose(source)
    source.in_database("postgres").execute("REVOKE campaign_owner FROM consolidation")
    with pytest.raises(ConfigurationError, match="no member of campaign_owner") as refused:
        plan(database, dumps)
    assert "GRANT campaign_owner TO consolidation" in refused.value.hint


def test_run_without_a_backup(source: OnServer, target: OnServer, dumps: Path) -> None:
    database = backups.begin(source, target)
    with pytest.raises(StepRefused, match="knows no proved dump of run"):
        plan(database, dumps)


def test_needs_a_rollback_under_way(source: OnServer, target: OnServer, dumps: Path) -> None:
    backups.fill(source)
    database = backups.begin(source, target)
    backups.dump(database, dumps)
    with pytest.raises(StepRefused, match="not being rolled back"):
        run(database, dumps)
    assert databases_of(source) == ["campaign", "postgres"]


def test_dump_of_an_earlier_run(database: Database, dumps: Path, source: OnServer) -> None:
    with session(database.target, "test") as conn:
        earlier = records.latest_run(conn, "campaign_db")
        assert earlier is not None
        runs.finish(conn, earlier, records.ROLLED_BACK)
    with session(database.target, "test") as conn:
        wait_for_another_second(earlier.id)
        runs.begin(conn, "campaign_db", backups.control(2), None, rollback=False)
    backups.roll_back(database)
    with pytest.raises(StepRefused, match="knows no proved dump"):
        plan(database, dumps)
    planned = restore.plan(database, dumps, backups.tools(), backup_run_id=earlier.id)
    assert planned.run_id > earlier.id
    restore.apply(planned, planned.sentence)
    assert databases_of(source) == ["campaign", f"campaign_lost_{planned.run_id}", "postgres"]


def wait_for_another_second(run_id: str) -> None:
    """Ids of runs are moments."""
    while run_id == f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}":
        time.sleep(0.1)


def test_moved_tables_are_not_swapped(database: Database, dumps: Path) -> None:
    moved = replace(database, source=database.target)
    with pytest.raises(StepRefused, match="are in the storage database itself"):
        plan(moved, dumps)
