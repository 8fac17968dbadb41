"""What adopt writes for a service's schema leads through a whole window, and is clean to the project's own tools."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from consolidation.adopt.skeleton import adopt
from consolidation.errors import ConfigurationError
from tests.cluster import Database
from tests.service_schemas import NAME, Service, service

ROOT = Path(__file__).parents[3]
SCHEMA = "App data"
MADE = r"""
CREATE SCHEMA "App data";
SET search_path = "App data";
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE TYPE pair AS (a int, b text);
CREATE SEQUENCE numbers;
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN
-- SET search_path: no preamble
  NEW.at = now(); -- 'a:b'
  RETURN NEW;
END $f$;
CREATE TABLE "User" (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), no int GENERATED ALWAYS AS IDENTITY, name varchar(20) NOT NULL,
  lower text GENERATED ALWAYS AS (lower(name)) STORED, mood mood DEFAULT 'ok', moods mood[], age positive, p pair,
  at timestamptz DEFAULT now(), tags text[] DEFAULT '{}', doc jsonb DEFAULT '{"a": 1}',
  n bigint DEFAULT nextval('numbers'),
  place point, price numeric(12, 2) DEFAULT 0.00, code char(3) COLLATE "C", "Odd %% :name" text DEFAULT 'a:b%%',
  CONSTRAINT named CHECK (name <> ':x' AND price >= 0), UNIQUE (name, code)
);
CREATE TABLE "order" (id serial PRIMARY KEY, user_id uuid NOT NULL REFERENCES "User" ON DELETE CASCADE, total int);
CREATE INDEX ON "order" (user_id) WHERE total > 0;
CREATE INDEX lowered ON "User" USING btree (lower(name), code DESC);
CREATE INDEX docs ON "User" USING gin (doc);
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
CREATE TABLE part (at date PRIMARY KEY, v text) PARTITION BY RANGE (at);
CREATE TABLE part_26 PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE other (id int PRIMARY KEY, at date REFERENCES part);
CREATE TRIGGER touch BEFORE UPDATE ON "User" FOR EACH ROW EXECUTE FUNCTION touched();
CREATE VIEW orders AS SELECT u.name, count(*) FROM "User" u JOIN "order" o ON o.user_id = u.id GROUP BY u.id;
CREATE MATERIALIZED VIEW total AS SELECT sum(total) FROM "order";
ALTER TABLE "order" ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_of_it ON "order" USING (true);
CREATE RULE noted AS ON DELETE TO "order" DO ALSO NOTHING;
COMMENT ON TABLE "User" IS 'it''s :x';
INSERT INTO "User" (name, age, p, mood, moods) VALUES ('A', 1, '(1,x)', 'sad', '{ok}'), ('B', NULL, NULL, NULL, NULL);
INSERT INTO "order" (user_id, total) SELECT id, 1 FROM "User";
INSERT INTO part VALUES ('2026-02-02', 'x');
INSERT INTO other VALUES (1, '2026-02-02');
"""


@pytest.fixture
def svc(
    make_source: Callable[[str], Database], target: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Service:
    made = service(make_source("svc"), target, tmp_path, monkeypatch)
    made.source_schema = SCHEMA
    made.source.execute("ALTER ROLE consolidation BYPASSRLS")
    return made


def adopted(svc: Service, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    pg_dump = svc.target.server.bin / "pg_dump"
    made = adopt(NAME, svc.source.settings, SCHEMA, pg_dump, root=svc.directory, inventory=svc.directory / "inventory")
    module = f"storage_service.databases.{NAME}.models"
    path = next(file.path for file in made.files if file.path.name == "models.py")
    spec = importlib.util.spec_from_file_location(module, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    monkeypatch.setitem(sys.modules, module, loaded)
    assert all(str(file.path) in made.report() for file in made.files)
    return [file.path for file in made.files]


def prepare(svc: Service, more: str = "") -> None:
    svc.source.execute(MADE.replace("%%", "%") + more, role="svc_owner")
    svc.source.execute(f'GRANT USAGE ON SCHEMA "{SCHEMA}" TO svc_app')
    svc.source.execute(f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{SCHEMA}" TO svc_app')


@pytest.mark.every_pair
def test_what_is_written_leads_through_a_window(svc: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(svc)
    adopted(svc, monkeypatch)
    found = [f"{f.id} {f.subject}: {f.what}" for f in svc.findings() if f.id.startswith(("schema.", "source.object"))]
    assert [line for line in found if not line.startswith(("source.object.announced", "source.object.default_"))] == []
    assert svc.blockers() == set()
    svc.target.execute("ALTER ROLE consolidation BYPASSRLS")
    svc.migrate()
    assert [found.what for found in svc.findings() if found.id == "source.object.differs"] == []


def test_it_is_clean_to_the_projects_tools_and_never_written_over(
    svc: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(svc)
    files = adopted(svc, monkeypatch)
    assert len(files) == 5
    before = {path: path.read_bytes() for path in files}
    with pytest.raises(ConfigurationError, match="nothing was written"):
        adopted(svc, monkeypatch)
    assert {path: path.read_bytes() for path in files} == before
    programs = Path(sys.executable).parent
    for path in files:
        # Whose imports are the project's own depends on the package around a file.
        place = ROOT / str(path.relative_to(svc.directory)).replace(f"/{NAME}/", "/image_db/")
        stdin = ["-", f"--stdin-filename={place}"]
        for command in {
            ".py": (["ruff", "check", *stdin], ["ruff", "format", "--check", *stdin]),
            ".yml": (["yamllint", "--strict", "-"],),
            ".sql": (),
        }[path.suffix]:
            done = subprocess.run(
                [programs / command[0], *command[1:]], cwd=ROOT, input=before[path], capture_output=True, check=False
            )
            assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    script = next(path for path in files if path.suffix == ".sql")
    squawk = [programs / "squawk", "--config", ROOT / ".squawk.toml", script]
    done = subprocess.run(squawk, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("versions", [(18, 18)], indirect=True, ids=["18"])
def test_an_extensions_types_stay_where_they_are(svc: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    svc.source.execute("CREATE EXTENSION vector")
    svc.target.execute("CREATE EXTENSION vector")
    prepare(
        svc, "CREATE TABLE vectors (id int PRIMARY KEY, e public.vector(3), CHECK (e OPERATOR(public.<>) '[0,0,0]'))"
    )
    adopted(svc, monkeypatch)
    assert svc.blockers() <= {"source.backup.extension"}
    svc.target.execute("ALTER ROLE consolidation BYPASSRLS")
    svc.migrate()


@pytest.mark.parametrize("name", ["Inventory", "a-b", "1a", "a.b", ""])
def test_a_name_must_be_a_schemas_and_a_packages(svc: Service, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot name"):
        adopt(name, svc.source.settings, SCHEMA, Path("pg_dump"), root=svc.directory)
