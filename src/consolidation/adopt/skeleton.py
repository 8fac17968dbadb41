"""A further database's files: written from what its source is, never over anything that is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, pool

from consolidation.adopt import ddl, models
from consolidation.errors import ConfigurationError
from consolidation.postgres.catalog import read_tables
from consolidation.postgres.connection import Settings, connect, session
from consolidation.postgres.queries import query, rows

REVISION = '''"""create the schema as its service has it

Revision ID: {name}_0001
Revises:
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "{name}_0001"
down_revision = None
branch_labels = ("{name}",)
depends_on = None


def upgrade() -> None:
    # CREATE SCHEMA IF NOT EXISTS needs CREATE on the database even where the schema is there already.
    op.execute("DO $$BEGIN IF to_regnamespace('{name}') IS NULL THEN CREATE SCHEMA {name}; END IF; END$$")
    ddl = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.execute(sa.text(ddl.replace(":", r"\\:")))  # a colon begins no parameter here


def downgrade() -> None:
    op.execute("DROP SCHEMA {name} CASCADE")
'''
PACKAGE = '''"""The database of schema {name}."""

HEAD = "{name}_0001"
"""The revision that the models are at."""
'''
HOST = """---
# Runs on this host of group `runners`.
consolidation_runner: runner-1  # CHANGE

# online: writes are refused for the change-over alone. window: from before the copy to the cutover.
consolidation_mode: window

consolidation_database:
  name: {name}
  source:
    host: {source.host}
    port: {source.port}
    dbname: {source.dbname}
    user: consolidation
    passfile: "{{{{ consolidation_passfile }}}}"
    sslmode: verify-full
    sslrootcert: "{{{{ consolidation_ca_certificate }}}}"
  source_schema: {schema}
  mode: "{{{{ consolidation_mode }}}}"
  # Tables to migrate; empty: all of the schema.
  tables: []
  # Roles the service writes with: the fence is probed as each of them.
  application_roles: []  # CHANGE
  target: "{{{{ consolidation_target }}}}"
  # Roles that read and write the target schema after the cutover.
  target_roles:
    - storage_service

# Hosts of the service that uses this database; [] migrates the database alone.
consolidation_services: []  # CHANGE
"""
IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,40}")


@dataclass(frozen=True)
class File:
    """One file to write."""

    path: Path
    text: str


@dataclass(frozen=True)
class Skeleton:
    """What adopting a database writes, and what remains to be done by hand."""

    files: tuple[File, ...]
    next_steps: tuple[str, ...]

    def report(self) -> str:
        """For the terminal."""
        lines = [f"{len(file.text.splitlines()):6} lines  {file.path}" for file in self.files]
        steps = [f"  {number}. {step}" for number, step in enumerate(self.next_steps, 1)]
        return "\n".join([*lines, "Next:", *steps])


def adopt(  # noqa: PLR0913 - one for each thing that a command line gives
    name: str,
    source: Settings,
    schema: str,
    pg_dump: Path,
    *,
    root: Path,
    inventory: Path | None = None,
    tables: tuple[str, ...] = (),
) -> Skeleton:
    """Read the source and write package, lineage and inventory below ``root``; nothing that exists is touched.

    name: of the target schema, the lineage and the inventory host. tables: to migrate; empty: all.
    Raises ConfigurationError where a file is there already or the source has no table.
    """
    planned = plan(name, source, schema, pg_dump, root=root, inventory=inventory, tables=tables)
    present = [str(file.path) for file in planned.files if file.path.exists()]
    if present:
        raise ConfigurationError(
            f"{', '.join(present)}: there already, nothing was written",
            hint="adopt a database once; later changes are revisions of its lineage",
        )
    for file in planned.files:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        with file.path.open("x", encoding="utf-8") as opened:
            opened.write(file.text)
    return planned


def plan(  # noqa: PLR0913 - see adopt
    name: str,
    source: Settings,
    schema: str,
    pg_dump: Path,
    *,
    root: Path,
    inventory: Path | None = None,
    tables: tuple[str, ...] = (),
) -> Skeleton:
    """What ``adopt`` would write."""
    if not IDENTIFIER.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot name a schema, a package and an inventory host at once",
            hint="lower-case letters, digits and _: inventory_db, for instance",
        )
    text, code, by_hand = _read(name, source, schema, pg_dump, tables)
    lineage = root / "alembic/versions" / name / f"{name}_0001_create_the_schema.py"
    package = root / "services/storage/src/storage_service/databases" / name
    files = [
        File(package / "__init__.py", PACKAGE.format(name=name)),
        File(package / "models.py", _formatted(code)),
        File(lineage, REVISION.format(name=name)),
        File(lineage.with_suffix(".sql"), text),
    ]
    if inventory is not None:
        host = HOST.format(name=name, source=source, schema=schema)
        files.append(File(inventory / "host_vars" / f"{name}.yml", host))
    steps = [
        f'pyproject.toml, version_locations: "%(here)s/alembic/versions/{name}"',
        f"hosts.yml of the inventory, group databases: {name}; in its host_vars what is marked CHANGE",
        f"on the source: psql --dbname={source.dbname} --set=schema={schema} --set=application_roles=…"
        " --file=docs/sql/roles_source.sql",
        *by_hand,
        "ansible-playbook playbooks/runner.yml -i INVENTORY: the runners get the lineage",
        f"ansible-playbook playbooks/preflight.yml -i INVENTORY --limit {name}",
    ]
    return Skeleton(tuple(files), tuple(steps))


def _read(
    name: str, source: Settings, schema: str, pg_dump: Path, wanted: tuple[str, ...]
) -> tuple[str, str, list[str]]:
    """DDL, models' code, and what remains to be done by hand about them."""
    with session(source, "adopt") as conn:
        everything = read_tables(conn, schema)
        tables = read_tables(conn, schema, wanted) if wanted else everything
        of_extensions = ddl.names_of_extensions(conn, schema)
        outside = rows(conn, query("adopt/outside"), {"oids": [table.oid for table in tables]})
        by_hand = [f"foreign key {key}, which is not migrated: take it out of the SQL" for (key,) in outside]
        for (extension,) in rows(conn, query("adopt/extensions")):
            by_hand.append(f"on the storage database, as a superuser, if it is used: CREATE EXTENSION {extension};")
    if not tables:
        raise ConfigurationError(
            f"{source}: schema {schema} has no table that {source.user} could see", hint="correct the schema's name"
        )

    def rename(text: str) -> str:
        return ddl.renamed(text, schema, name, of_extensions).rstrip("\n")

    left = {table.name for table in everything} - {table.name for table in tables}
    script = ddl.renamed(ddl.dump_schema(pg_dump, source, schema, left), schema, name, of_extensions)
    engine = create_engine("postgresql+psycopg2://", creator=lambda: connect(source, "adopt"), poolclass=pool.NullPool)
    with engine.connect() as connection:
        code = models.code(models.reflect(connection, tables, name, rename), connection)
    reason = "-- The tables are new: no one waits for them. They are as their service has them."
    return f"-- squawk-ignore-file\n{reason}\n{script}", code, by_hand


def _formatted(code: str) -> str:
    """As `make lint` wants it, where ruff is installed."""
    ruff = shutil.which("ruff") or shutil.which("ruff", path=str(Path(sys.executable).parent))
    if ruff is None:
        return code
    command = [ruff, "format", "--line-length=120", "--quiet", "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout if done.returncode == 0 else code
