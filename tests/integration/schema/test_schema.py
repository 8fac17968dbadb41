"""The lineages lead to what the models say, in both directions, by the runbook and by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command

from consolidation.errors import StatementFailed, StepRefused
from consolidation.lineage import alembic as lineage
from consolidation.lineage import models as lineages
from consolidation.schema import grants
from consolidation.schema import phase as schema
from tests.cluster import Database, digest_of_everything
from tests.window import Window

ROOT = Path(__file__).parents[3]


@pytest.fixture
def window(source: Database, target: Database) -> Window:
    window = Window(source, target)
    window.begin()
    return window


@pytest.mark.every_pair
def test_planned_upgraded_checked_and_not_changed_again(window: Window) -> None:
    before = digest_of_everything(window.target.server)
    plan = schema.plan(window.database)
    assert [revision.id for revision in plan.pending] == ["campaign_db_0001", "campaign_db_0002", "campaign_db_0003"]
    assert plan.diff()["prepared"].startswith('CREATE SCHEMA "campaign_db";\n')
    assert "CREATE TABLE campaign_db.campaigns" in plan.diff()["prepared"]
    lacking = grants.plan_grants(window.database)
    assert any("ALL TABLES" in statement for statement in lacking.statements)
    assert digest_of_everything(window.target.server) == before

    result = window.schema()
    assert result["heads"] == ["campaign_db_0003"]
    assert not schema.plan(window.database).changed
    assert not grants.plan_grants(window.database).changed
    assert schema.apply(schema.plan(window.database)) == result


def test_tables_that_are_moved_get_their_schema_from_no_lineage(target: Database) -> None:
    window = Window(target, target, application_roles=[])
    window.begin()
    planned = schema.plan(window.database)
    assert (planned.pending, planned.create) == ((), 'CREATE SCHEMA "campaign_db"')
    schema.apply(planned)
    assert (
        target.value("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'campaign_db'")
        == "consolidation"
    )
    assert not schema.plan(window.database).changed


def test_the_plan_is_what_is_run(window: Window) -> None:
    planned = "\n".join(revision.sql for revision in schema.plan(window.database).pending)
    window.target.execute(planned, user="consolidation")
    by_hand = columns(window.target)
    window.target.execute("DROP SCHEMA campaign_db CASCADE", user="consolidation")
    window.schema()
    assert columns(window.target) == by_hand
    assert len(by_hand) == 28


def columns(database: Database) -> list[tuple[object, ...]]:
    return database.rows(
        "SELECT table_name, column_name, data_type, is_nullable, column_default, character_maximum_length"
        " FROM information_schema.columns WHERE table_schema = 'campaign_db' ORDER BY 1, ordinal_position"
    )


@pytest.mark.parametrize("name", lineages.lineages())
def test_every_lineage_goes_up_down_and_up_again(target: Database, name: str) -> None:
    lineage.upgrade(target.settings, name)
    lineage.check(target.settings, name)
    empty = (
        "SELECT count(*) FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = to_regnamespace(%s) AND relname <> 'alembic_version'"
    )
    schema_name = lineages.lineage_metadata(name).schema
    assert target.value(empty, [schema_name]) > 0
    with lineage.alembic_session(target.settings) as (config, _):
        command.downgrade(config, f"{name}@base")
    assert target.value(empty, [schema_name]) == 0
    lineage.upgrade(target.settings, name)
    lineage.check(target.settings, name)


def alembic(target: Database, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = target.settings
    environment = {
        **os.environ,
        "PGHOST": settings.host,
        "PGPORT": str(settings.port),
        "PGUSER": settings.user,
        "PGDATABASE": settings.dbname,
        "PGPASSFILE": str(settings.passfile),
    }
    command = [sys.executable, "-m", "alembic", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_alembic_by_hand_needs_nothing_but_libpqs_variables(target: Database) -> None:
    for name in lineages.lineages():
        done = alembic(target, "upgrade", f"{name}@head")
        assert done.returncode == 0, done.stderr
    checked = alembic(target, "check")
    assert checked.returncode == 0, checked.stderr
    assert alembic(target, "current", "--check-heads").returncode == 0
    assert alembic(target, "downgrade", "campaign_db@base").returncode == 0
    assert target.value("SELECT to_regclass('campaign_db.campaigns') IS NULL") is True


def test_the_roles_get_what_they_need_and_nothing_else(window: Window) -> None:
    window.schema()
    rights = window.target.rows(
        "SELECT has_table_privilege('storage_service', 'campaign_db.campaigns', p) FROM unnest(ARRAY['SELECT',"
        " 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p"
    )
    assert [granted for (granted,) in rights] == [True] * 4 + [False] * 3
    assert window.target.value("SELECT has_table_privilege('storage_service', 'consolidation.run', 'SELECT')") is False
    assert window.target.value("SELECT has_schema_privilege('storage_service', 'campaign_db', 'CREATE')") is False


def test_a_schema_changed_by_hand_is_found(window: Window) -> None:
    window.schema()
    window.target.execute("ALTER TABLE campaign_db.campaigns ALTER name DROP NOT NULL, ADD extra int")
    with pytest.raises(StatementFailed, match="extra"):
        schema.apply(schema.plan(window.database))


def test_a_revision_that_this_release_does_not_know_is_refused(window: Window) -> None:
    window.schema()
    window.target.execute(
        "UPDATE consolidation.alembic_version SET version_num = 'future' WHERE version_num LIKE 'camp%'"
    )
    with pytest.raises(StepRefused, match="does not know"):
        schema.plan(window.database)


def test_a_database_without_a_lineage_is_refused_with_what_to_add(source: Database, target: Database) -> None:
    with pytest.raises(StepRefused, match=r"no Alembic lineage .* in"):
        schema.plan(Window(source, target, "unknown_db").database)
