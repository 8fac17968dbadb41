"""The demo's proof is worth something: it fails on every damage, and on a fence missing or on the wrong side."""

from __future__ import annotations

import io
from pathlib import Path

import psycopg2
import pytest

from demo import data, steps
from demo.environment import Environment
from demo.steps import DemoError
from tests.cluster import Database

FENCE = """
CREATE FUNCTION {schema}.refuse() RETURNS trigger LANGUAGE plpgsql
AS $$BEGIN RAISE EXCEPTION 'fenced' USING ERRCODE = 'read_only_sql_transaction'; END$$;
"""


def fence(database: Database, schema: str, tables: tuple[str, ...]) -> None:
    trigger = "CREATE TRIGGER fence BEFORE INSERT OR UPDATE OR DELETE ON {0}.{1} EXECUTE FUNCTION {0}.refuse();"
    database.execute(FENCE.format(schema=schema) + "".join(trigger.format(schema, table) for table in tables))


@pytest.fixture
def migrated(campaign: Database, image: Database, target: Database, tmp_path: Path) -> Environment:
    """Both services migrated by the simplest means: the same tables, COPY, and a fence on the sources."""
    for source, service in ((campaign, "campaign"), (image, "image")):
        schema = f"{service}_db"
        ddl = (data.SQL / f"{service}.sql").read_text()
        target.execute(f"CREATE SCHEMA {schema}; SET search_path = {schema}; {ddl}")
        target.execute(
            f"GRANT USAGE ON SCHEMA {schema} TO storage_service;"
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO storage_service"
        )
        for table in data.SERVICES[service]:
            copied = io.StringIO()
            with source.connection() as conn, conn.cursor() as cursor:
                cursor.copy_expert(f"COPY {table} TO STDOUT", copied)
            copied.seek(0)
            with target.connection() as conn, conn.cursor() as cursor:
                cursor.copy_expert(f"COPY {schema}.{table} FROM STDIN", copied)
                conn.commit()
        fence(source, "public", data.SERVICES[service])
    servers = {"campaign": campaign.server, "image": image.server, "storage": target.server}
    return Environment(tmp_path, servers)


@pytest.mark.every_pair
def test_true_migration_is_proven(migrated: Environment) -> None:
    steps.prove(migrated, steps.contents(migrated, "services"), served_by="storage")


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM campaign_db.chapters WHERE id = (SELECT max(id::text)::uuid FROM campaign_db.chapters)",
        "INSERT INTO image_db.overlays SELECT gen_random_uuid(), image_id, 'x', '1' FROM image_db.overlays LIMIT 1",
        "UPDATE campaign_db.campaigns SET theme_data = replace(theme_data::text, '{', '{ ')::json",
        "UPDATE image_db.overlays SET updated_at = updated_at + interval '1 microsecond'",
        "UPDATE campaign_db.campaigns SET description = '' WHERE description IS NULL",
        "UPDATE campaign_db.campaigns SET creator_id = owner_id, owner_id = creator_id",
        """UPDATE campaign_db.chapters AS one SET sequence_number = other.sequence_number
           FROM (SELECT c.id, lead(sequence_number) OVER w AS sequence_number FROM campaign_db.chapters AS c
                 WINDOW w AS (ORDER BY sequence_number, id)) AS other
           WHERE one.id = other.id AND other.sequence_number IS NOT NULL""",
    ],
)
def test_damage_fails_the_proof(migrated: Environment, target: Database, damage: str) -> None:
    expected = steps.contents(migrated, "services")
    target.execute(damage)
    with pytest.raises(DemoError, match="do not hold what was written"):
        steps.prove(migrated, expected, served_by="storage")


def test_missing_fence_fails_the_proof(migrated: Environment, image: Database) -> None:
    expected = steps.contents(migrated, "services")
    image.execute("ALTER TABLE overlays DISABLE TRIGGER fence")
    with pytest.raises(DemoError, match="overlays takes writes of image_app"):
        steps.prove(migrated, expected, served_by="storage")


def test_closed_storage_fails_the_proof(migrated: Environment, target: Database) -> None:
    expected = steps.contents(migrated, "services")
    fence(target, "campaign_db", ("campaigns",))
    with pytest.raises(DemoError, match="campaigns refuses writes of storage_service"):
        steps.prove(migrated, expected, served_by="storage")


def test_writes_change_every_table_of_the_side_that_serves(migrated: Environment) -> None:
    before = steps.contents(migrated, "storage")
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        steps.write(migrated, "services")
    steps.write(migrated, "storage")
    after = steps.contents(migrated, "storage")
    assert all(before[table] != after[table] for table in before)
    with pytest.raises(DemoError):
        steps.prove(migrated, before, served_by="storage")


def test_second_generation_is_refused(migrated: Environment) -> None:
    with pytest.raises(DemoError, match="filled already"):
        steps.generate(migrated, 1, 1)
