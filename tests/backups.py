"""A service database full of nasty things, in a run that has begun: for the tests of backup and restore."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from consolidation.backup import phase as backup
from consolidation.journal import runs
from consolidation.lineage import alembic as lineage
from consolidation.model import Database
from consolidation.postgres.connection import session
from demo.servers import installations
from tests.cluster import Database as OnServer

NASTY = """
CREATE TYPE mood AS ENUM ('a''b', 'C "d"');
CREATE DOMAIN short AS text CHECK (length(value) < 9);
CREATE TABLE "Select" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "it's" text, "new
line" json, b jsonb, f float8, n numeric, t timestamptz, i interval, u uuid, y bytea, m mood, s short,
  a text[], c char(5), lower_it text GENERATED ALWAYS AS (lower("it's")) STORED, UNIQUE (c));
INSERT INTO "Select" ("it's", "new
line", b, f, n, t, i, u, y, m, s, a, c) VALUES
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  ('', '{"a" : 1.0, "a": 2}', '{"a": 1.00}', 'NaN', 'NaN', 'infinity', '-1 mon +2 days', gen_random_uuid(), '\\x00ff',
   'C "d"', '', '{NULL,"",NULL}', ''),
  (E'\\\\.\\ntab\\t\\\\N ÄÖ\u2028', '[]', 'null', '-0', 1.500, '2026-10-25 00:30:00.000001+00', '0', NULL, '', 'a''b',
   'ä', '{}', 'a'),
  ('0', '"\\u0000"', '""', '-infinity', '-infinity', '-infinity', NULL, NULL, NULL, NULL, NULL, NULL, 'b    ');
CREATE TABLE campaigns (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
CREATE TABLE chapters (id serial PRIMARY KEY, campaign_id uuid REFERENCES campaigns ON DELETE CASCADE,
  "references" json);
CREATE INDEX ON chapters (campaign_id);
INSERT INTO campaigns SELECT md5(n::text)::uuid, 'campaign ' || n FROM generate_series(1, 300) n;
INSERT INTO chapters (campaign_id, "references")
  SELECT id, json_build_array(name) FROM campaigns, generate_series(1, 5);
CREATE TABLE empty_one (id int);
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('abc');
CREATE TABLE parts (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO parts SELECT n, '2026-03-29' FROM generate_series(1, 10) n;
CREATE VIEW named AS SELECT name FROM campaigns;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := NEW.name; RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON campaigns FOR EACH ROW EXECUTE FUNCTION touch();
"""


def fill(source: OnServer) -> None:
    """Create the nasty tables as the service's owner, and one outside of the source schema."""
    source.execute(NASTY, role="campaign_owner")
    source.execute("CREATE SCHEMA other AUTHORIZATION campaign_owner")
    source.execute("CREATE TABLE other.thing AS SELECT 1 AS id", role="campaign_owner")


def begin(source: OnServer, target: OnServer, name: str = "campaign_db", pid: int = 1) -> Database:
    """The service database as the inventory names it, in a run that has begun."""
    database = Database(name, source.settings, "public", (), target.settings, ("campaign_app",), ("storage_service",))
    lineage.upgrade(target.settings, "journal")
    with session(target.settings, "test") as conn:
        runs.begin(conn, name, control(pid), None, rollback=False)
    return database


def roll_back(database: Database) -> None:
    """Begin to roll the run back."""
    with session(database.target, "test") as conn:
        runs.begin(conn, database.name, control(1), None, rollback=True)


def control(pid: int) -> dict[str, Any]:
    """The ansible-playbook process that the journal notes."""
    return {"host": "here", "pid": pid, "started": 1}


def tools() -> Path:
    """The newest client programs of this machine."""
    return installations()[max(installations())]


def dump(database: Database, directory: Path, programs: Path | None = None) -> dict[str, Any]:
    """Back the database up."""
    return backup.apply(backup.plan(database, directory, programs or tools()))
