"""The schema phase: the Alembic lineage of one database, and the grants of the roles that use it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy.exc
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from psycopg2 import sql
from sqlalchemy import Connection, create_engine, pool

from consolidation.errors import StatementFailed, StepRefused, describe
from consolidation.installation import script_directory
from consolidation.journal import journal
from consolidation.lineage.models import (
    VERSION_SCHEMA,
    VERSION_TABLE,
    comparison_options,
    lineage_metadata,
    lineages,
)
from consolidation.model import Database
from consolidation.postgres.catalog import definitions
from consolidation.postgres.connection import Settings, connect, session
from consolidation.postgres.queries import execute, query, rows, value


@dataclass(frozen=True)
class Revision:
    """One Alembic revision that is not applied yet."""

    id: str
    title: str
    sql: str
    """What it would run."""


@dataclass(frozen=True)
class Plan:
    """The revisions that lead a lineage to its head."""

    database: Database
    before: tuple[str, ...]
    """Revisions of the lineage that the target has."""
    pending: tuple[Revision, ...]

    @property
    def changed(self) -> bool:
        """Whether anything is to be applied."""
        return bool(self.pending)

    def diff(self) -> dict[str, str]:
        """The SQL of the pending revisions."""
        text = "".join(f"-- {revision.id}: {revision.title}\n{revision.sql}\n" for revision in self.pending)
        return {"prepared": text or f"lineage {self.database.name}: at head {', '.join(self.before)}\n"}


def plan(database: Database) -> Plan:
    """Which revisions of the database's lineage are pending. Raises StepRefused for a lineage or revision unknown."""
    scripts = ScriptDirectory.from_config(_config())
    if database.name not in lineages():
        raise StepRefused(
            f"{database.name}: no Alembic lineage of that name in {script_directory() / 'versions'}",
            hint=f"add alembic/versions/{database.name} with a base revision that has the branch label {database.name}",
        )
    applied = _applied(database.target, scripts)
    before = tuple(sorted(revision.revision for revision in applied if database.name in revision.branch_labels))
    # Tables that are moved are not created: their lineage is stamped when they have arrived.
    pending = () if database.moves else _pending(scripts, database.name, before)
    return Plan(database, before, pending)


def apply(plan: Plan) -> dict[str, Any]:
    """Upgrade the lineage to its head, and prove that the schema is what the models say."""
    database = plan.database
    with session(database.target, "schema plan") as target:
        run = journal.current_run(target, database.name, journal.MIGRATING, journal.MIGRATED)
        done = journal.phases(target, run)
    if not plan.pending and "schema" in done and done["schema"].state == "done":
        # A copy that was cut off left keys and indexes aside; it restores them when it goes on.
        loading = "copy" in done and done["copy"].state != "done"
        if not database.moves and not loading:
            check(database.target, database.name)
        return done["schema"].result
    with journal.phase(database, "schema", journal.MIGRATING, journal.MIGRATED) as work:
        if plan.pending:
            upgrade(database.target, database.name)
        if not database.moves:
            check(database.target, database.name)
        scripts = ScriptDirectory.from_config(_config())
        heads = [revision.revision for revision in scripts.get_revisions(f"{database.name}@head")]
        applied = work.result.get("revisions", []) + [revision.id for revision in plan.pending]
        work.result.update(run_id=work.run.id, heads=heads, revisions=applied)
        with session(database.target, "schema") as target:
            work.result["definitions"] = definitions(target, database.name)
        return dict(work.result)


def upgrade(settings: Settings, lineage: str, revision: str = "head") -> None:
    """``alembic upgrade LINEAGE@REVISION``. Raises StatementFailed."""
    with alembic_session(settings) as (config, _):
        command.upgrade(config, f"{lineage}@{revision}")


def downgrade(settings: Settings, lineage: str, revision: str = "base") -> None:
    """``alembic downgrade LINEAGE@REVISION``: drops the lineage's tables and what is in them."""
    with alembic_session(settings) as (config, _):
        command.downgrade(config, f"{lineage}@{revision}")


def stamp(conn: Connection, lineage: str, revision: str) -> None:
    """Note in the connection's transaction that a lineage is at ``head``, or at ``base``: gone."""
    options = {"version_table": VERSION_TABLE, "version_table_schema": VERSION_SCHEMA}
    MigrationContext.configure(conn, opts=options).stamp(
        ScriptDirectory.from_config(_config()), f"{lineage}@{revision}"
    )


def differences(conn: Connection, lineage: str) -> list[str]:
    """What ``alembic check`` would find for one lineage, one line each; empty where schema and models say the same."""
    metadata = lineage_metadata(lineage)
    context = MigrationContext.configure(conn, opts=comparison_options([metadata]))
    found: list[str] = []
    for entry in compare_metadata(context, metadata):
        for change in entry if isinstance(entry, list) else [entry]:
            found.append(" ".join(str(part) for part in change if isinstance(part, str) or hasattr(part, "name")))
    return found


def check(settings: Settings, lineage: str) -> None:
    """Raises StatementFailed where the schema is not what the lineage's models say."""
    with alembic_session(settings) as (_, conn):
        found = differences(conn, lineage)
    if found:
        raise StatementFailed(
            f"{settings}: schema {lineage} is not what its models say: {'; '.join(found)}",
            hint="somebody changed the schema by hand, or a revision is missing: alembic check shows the same",
        )


@dataclass(frozen=True)
class Grants:
    """The privileges that the target's roles lack."""

    database: Database
    statements: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether any privilege is missing."""
        return bool(self.statements)

    def diff(self) -> dict[str, str]:
        """The statements."""
        return {"prepared": "".join(f"{statement};\n" for statement in self.statements)}


def plan_grants(database: Database) -> Grants:
    """Which of the least privileges the target's roles lack; a schema that is not there yet lacks all."""
    statements = []
    with session(database.target, "grants plan") as conn:
        for role in database.target_roles:
            names = {
                "schema": sql.Identifier(database.name),
                "role": sql.Identifier(role),
                "journal": sql.Identifier(VERSION_SCHEMA),
                "versions": sql.Identifier(VERSION_SCHEMA, VERSION_TABLE),
            }
            lacking = rows(conn, query("schema/grants_lacking"), {"schema": database.name, "role": role})
            statements += [sql.SQL(text).format(**names).as_string(conn) for (text,) in lacking]
    return Grants(database, tuple(statements))


def apply_grants(plan: Grants) -> dict[str, Any]:
    """Grant what is lacking."""
    with session(plan.database.target, "grants") as conn:
        # All databases share the journal's schema: two that grant on it at once fail ("tuple concurrently updated").
        execute(conn, "SELECT pg_advisory_xact_lock(%s, hashtext('grants'))", [journal.LOCK_SPACE])
        for statement in plan.statements:
            execute(conn, statement)
    return {"granted": list(plan.statements)}


def _applied(settings: Settings, scripts: ScriptDirectory) -> list[Script]:
    with session(settings, "schema plan") as conn:
        if value(conn, "SELECT to_regclass(%s)", [f"{VERSION_SCHEMA}.{VERSION_TABLE}"]) is None:
            return []
        versions = [row[0] for row in rows(conn, f"SELECT version_num FROM {VERSION_SCHEMA}.{VERSION_TABLE}")]  # noqa: S608 - two constants
    try:
        return [scripts.get_revision(version) for version in versions]
    except (CommandError, ResolutionError) as error:
        raise StepRefused(
            f"{settings}: {VERSION_SCHEMA}.{VERSION_TABLE} names a revision that this version does not know: {error}",
            hint="run the release that made it, or a newer one",
        ) from error


def _pending(scripts: ScriptDirectory, lineage: str, before: tuple[str, ...]) -> tuple[Revision, ...]:
    pending = []
    for script in scripts.iterate_revisions(f"{lineage}@head", before or "base"):
        if script.revision not in before:
            buffer = io.StringIO()
            context = MigrationContext.configure(
                dialect_name="postgresql", opts={"as_sql": True, "output_buffer": buffer, "literal_binds": True}
            )
            with Operations.context(context):
                script.module.upgrade()
            pending.append(Revision(script.revision, script.doc, buffer.getvalue().strip()))
    return tuple(reversed(pending))


def _config() -> Config:
    directory = script_directory()
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(directory))
    config.set_main_option("path_separator", "os")
    locations = os.pathsep.join(str(directory / "versions" / name) for name in lineages(directory))
    config.set_main_option("version_locations", locations)
    return config


@contextmanager
def alembic_session(settings: Settings) -> Iterator[tuple[Config, Connection]]:
    """Alembic's configuration and an open connection. Its errors leave as StatementFailed."""
    engine = create_engine(
        "postgresql+psycopg2://", creator=lambda: connect(settings, "schema"), poolclass=pool.NullPool
    )
    config = _config()
    try:
        with engine.connect() as conn:
            config.attributes["connection"] = conn
            yield config, conn
    except sqlalchemy.exc.DBAPIError as error:
        text = describe(error.orig) if error.orig is not None else type(error).__name__  # type: ignore[arg-type]  # psycopg2's
        raise StatementFailed(f"{settings}: alembic: {text}", hint="mend the cause, then run again") from error
    except CommandError as error:
        raise StatementFailed(
            f"{settings}: alembic: {error}", hint="the schema and the lineage's models must say the same"
        ) from error
