"""Tables that already lie in the storage database are moved, not copied; the lineage is stamped only if they fit."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest

from consolidation.errors import FenceError, StepRefused, VerificationFailed
from consolidation.finalize import phase as finalize
from consolidation.journal import records
from consolidation.lineage import alembic as lineage
from consolidation.move import phase as move
from consolidation.move import verification as moved
from consolidation.schema import phase as schema
from consolidation.verify import phase as verify
from tests import backups
from tests.cluster import BEHIND_THE_FENCE, Database, digest_of_everything
from tests.integration.finalize.test_finalize import go, ours_on_target, planned
from tests.integration.journal.test_every_stop import MIGRATE
from tests.window import Window

TABLES = ["campaigns", "chapters"]


@pytest.fixture
def window(target: Database) -> Window:
    """The Campaign Service's tables in schema public of the storage database."""
    target.execute("GRANT storage_owner TO consolidation; GRANT CREATE, USAGE ON SCHEMA public TO storage_owner")
    head = schema.plan(Window(target, target, application_roles=[]).database)
    assert not head.pending
    lineage = "\n".join(revision.sql for revision in pending_of_a_copy(target))
    target.execute("CREATE SCHEMA campaign_db AUTHORIZATION consolidation")
    target.execute(lineage.replace("campaign_db.", "public."), role="storage_owner")
    target.execute(
        "CREATE SEQUENCE alone START 7; ALTER SEQUENCE alone OWNER TO storage_owner; SELECT nextval('alone')"
    )
    target.execute(
        "INSERT INTO campaigns (id, name, creator_id, owner_id) SELECT gen_random_uuid(), i::text, gen_random_uuid(),"
        " gen_random_uuid() FROM generate_series(1, 100) i;"
        " INSERT INTO chapters (id, campaign_id, title, sequence_number) SELECT id, id, name, 1 FROM campaigns;"
        " GRANT SELECT, INSERT, UPDATE, DELETE ON campaigns, chapters TO storage_service"
    )
    window = Window(target, target, application_roles=["storage_service"])
    window.begin()
    return window


def pending_of_a_copy(target: Database) -> tuple[lineage.Revision, ...]:
    """The lineage's revisions, as they are for a database that is copied."""
    elsewhere = target.in_database("storage")
    options = Window(elsewhere, target).options
    options["source"] = {**options["source"], "dbname": "elsewhere"}
    return schema.plan(type(Window(target, target).database).from_options(options)).pending


def where(target: Database) -> list[tuple[str, str]]:
    query = (
        "SELECT relnamespace::regnamespace::text, relname FROM pg_class"
        " WHERE relname IN ('campaigns', 'chapters', 'alone') ORDER BY 1, 2"
    )
    return target.rows(query)


def content(target: Database, name: str) -> list[tuple[object, ...]]:
    return target.rows(f"SELECT t::text FROM {name}.campaigns t ORDER BY 1") + target.rows(
        f"SELECT t::text FROM {name}.chapters t ORDER BY 1"
    )


def test_moved_verified_opened_and_moved_back(window: Window) -> None:
    rows = content(window.target, "public")
    before = digest_of_everything(window.target.server)
    plan = move.plan(window.database)
    assert plan.changed
    assert "TABLE campaigns: public -> campaign_db\n" in plan.diff()["prepared"]
    assert "SEQUENCE alone" in plan.diff()["prepared"]
    assert digest_of_everything(window.target.server) == before

    window.fence("target", "closed", "schema_fence")
    window.fence("source", "closed")
    move.apply(plan, 10)
    assert where(window.target) == [(("campaign_db"), name) for name in ("alone", "campaigns", "chapters")]
    assert content(window.target, "campaign_db") == rows
    heads = window.target.rows("SELECT version_num FROM consolidation.alembic_version ORDER BY 1")
    assert ("campaign_db_0003",) in heads
    assert not move.plan(window.database).changed

    insert = "DELETE FROM campaign_db.campaigns WHERE false"
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        window.target.execute(insert, user="storage_service")
    result = verify.apply(verify.plan(window.database), verify.Options())
    assert result["outcome"] == "equal"
    assert {entry["target_rows"] for entry in result["tables"]} == {100}
    window.cutover()
    window.target.execute(insert, user="storage_service")
    window.end(records.MIGRATED)

    window.target.execute("UPDATE campaign_db.campaigns SET name = 'later' WHERE name = '1'", user="storage_service")
    window.begin(records.ROLLING_BACK)
    window.fence("target", "closed", "rollback_fence")
    move.apply(move.plan(window.database, back=True), 10)
    assert {schema_name for schema_name, _ in where(window.target)} == {"public"}
    assert window.target.value("SELECT count(*) FROM campaigns WHERE name = 'later'") == 1
    heads = window.target.rows("SELECT version_num FROM consolidation.alembic_version")
    assert ("campaign_db_0003",) not in heads
    window.fence("source", "open", "rollback_open")
    window.target.execute("DELETE FROM campaigns WHERE false", user="storage_service")
    assert not move.plan(window.database, back=True).changed


KILLED = """
import json, os, sys
from consolidation.move import phase as move
from consolidation.schema import grants
from consolidation.model import Database
grants.apply_grants = lambda *_: os._exit(9)
move.apply(move.plan(Database.from_options(json.load(sys.stdin))), 10)
"""


def test_killed_right_after_the_move_it_is_verified_by_digests_from_before(window: Window) -> None:
    window.fence("target", "closed", "schema_fence")
    window.fence("source", "closed")
    driver = [sys.executable, "-c", KILLED]
    killed = subprocess.run(driver, input=json.dumps(window.options), text=True, capture_output=True, check=False)
    assert killed.returncode == 9, killed.stderr
    assert window.phases()["copy"].state == "running"
    assert where(window.target)[1] == ("campaign_db", "campaigns")
    result = move.apply(move.plan(window.database), 10)
    assert [entry["rows"] for entry in result["tables"]] == [100, 100]
    assert verify.apply(verify.plan(window.database), verify.Options())["outcome"] == "equal"


def test_of_a_shared_schema_only_the_sequences_of_the_tables_go_along(window: Window) -> None:
    window.target.execute(
        "CREATE SEQUENCE used; ALTER SEQUENCE used OWNER TO storage_owner; CREATE SEQUENCE campaign_db.there;"
        "ALTER SEQUENCE campaign_db.there OWNER TO consolidation;"
        "ALTER TABLE chapters ALTER content SET DEFAULT nextval('used')::text::json"
    )
    listed = replace(window.database, tables=("campaigns", "chapters"))
    assert move.plan(listed).sequences == ("used",)
    assert move.plan(window.database).sequences == ("alone", "used")
    window.target.execute("ALTER TABLE chapters ALTER content SET DEFAULT '{}'")

    window.fence("source", "closed")
    assert move.apply(move.plan(window.database), 10)["sequences"] == ["alone", "used"]
    assert move.plan(window.database, back=True).sequences == ("alone", "used")  # not `there`


def test_tables_that_do_not_fit_the_lineage_stay(window: Window) -> None:
    window.target.execute(
        "ALTER TABLE campaigns ADD COLUMN extra int; DROP INDEX ix_chapters_campaign_id_sequence_number"
    )
    window.fence("source", "closed")
    with pytest.raises(StepRefused, match="extra") as caught:
        move.apply(move.plan(window.database), 10)
    assert "ix_chapters_campaign_id_sequence_number" in str(caught.value)
    assert {schema_name for schema_name, _ in where(window.target)} == {"public"}
    assert ("campaign_db_0003",) not in window.target.rows("SELECT version_num FROM consolidation.alembic_version")


def test_a_write_between_move_and_verification_is_found(window: Window) -> None:
    window.fence("source", "closed")
    move.apply(move.plan(window.database), 10)
    window.target.execute(f"{BEHIND_THE_FENCE}; UPDATE campaign_db.campaigns SET name = 'x' WHERE name = '5'")
    assert [(entry.name, entry.outcome) for entry in moved.compare(window.database)] == [
        ("campaigns", "different"),
        ("chapters", "equal"),
    ]


def test_a_definition_lost_after_the_move_is_found(window: Window) -> None:
    window.target.execute("ALTER TABLE campaigns ADD CONSTRAINT named CHECK (name <> '')")
    window.fence("target", "closed", "schema_fence")
    window.fence("source", "closed")
    move.apply(move.plan(window.database), 10)
    assert verify.apply(verify.plan(window.database), verify.Options())["faults"] == []
    window.target.execute("ALTER TABLE campaign_db.campaigns DROP CONSTRAINT named")
    with pytest.raises(VerificationFailed, match="constraint named of campaigns is not as before"):
        verify.apply(verify.plan(window.database), verify.Options())


def test_it_waits_for_readers_and_names_who_is_in_the_way(window: Window) -> None:
    window.fence("source", "closed")
    with window.target.connection("storage_service") as reader:
        reader.cursor().execute("SELECT * FROM campaigns")
        with pytest.raises(FenceError, match="user storage_service"):
            move.apply(move.plan(window.database), 1)
    assert {schema_name for schema_name, _ in where(window.target)} == {"public"}


def test_it_refuses_an_open_source(window: Window) -> None:
    with pytest.raises(StepRefused, match="the source is not fenced"):
        move.apply(move.plan(window.database), 1)


def test_of_moved_tables_the_fence_goes_and_what_was_left_behind(window: Window, tmp_path: Path) -> None:
    options = finalize.Options(tmp_path / "dumps", backups.tools(), None, "postgres", 10)
    storage = window.target
    storage.execute("CREATE TABLE alembic_version (version_num text)", role="storage_owner")
    for step in ("fence_prepare", "fence"):
        MIGRATE[step](window)
    move.apply(move.plan(window.database), 5)
    for step in ("verify", "cutover", "end"):
        MIGRATE[step](window)
    assert planned(window, options).archive is None  # no row is left behind
    go(window, options, "retire")
    assert ours_on_target(window) == 0
    storage.execute("DELETE FROM campaign_db.chapters", user="storage_service")
    run_id = window.begin()["run_id"].lower()
    assert storage.value("SELECT relname FROM pg_class WHERE relname ~ '^alembic_version_' AND relkind = 'r'").endswith(
        run_id
    )
    with pytest.raises(StepRefused, match="is finalized"):
        window.begin(records.ROLLING_BACK)
    go(window, options, "drop")
    assert not storage.value("SELECT count(*) FROM pg_class WHERE relname ~ '^alembic_version_' AND relkind = 'r'")
    assert planned(window, options).step == finalize.NOTHING
