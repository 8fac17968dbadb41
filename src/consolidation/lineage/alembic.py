"""Alembic: a lineage's revisions, applied, pending, checked."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg2
import sqlalchemy.exc
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, pool

from consolidation.errors import StatementFailed, StepRefused, describe, next_step
from consolidation.installation import script_directory
from consolidation.lineage.models import (
    VERSION_SCHEMA,
    VERSION_TABLE,
    comparison_options,
    lineage_metadata,
    lineages,
)
from consolidation.postgres.connection import Settings, connect, session
from consolidation.postgres.queries import rows, value


@dataclass(frozen=True)
class Revision:
    """One Alembic revision that is not applied yet."""

    id: str
    title: str
    sql: str
    """What it would run."""


def upgrade(settings: Settings, lineage: str, revision: str = "head") -> None:
    """``alembic upgrade LINEAGE@REVISION``. Raises StatementFailed."""
    with alembic_session(settings) as (config, _):
        command.upgrade(config, f"{lineage}@{revision}")


def stamp(conn: Connection, lineage: str, revision: str) -> None:
    """Note in the connection's transaction that a lineage is at ``head``, or at ``base``: gone."""
    options = {"version_table": VERSION_TABLE, "version_table_schema": VERSION_SCHEMA}
    MigrationContext.configure(conn, opts=options).stamp(
        ScriptDirectory.from_config(configuration()), f"{lineage}@{revision}"
    )


def differences(conn: Connection, lineage: str) -> list[str]:
    """What ``alembic check`` would find for one lineage, one line each; empty where schema and models say the same."""
    metadata = lineage_metadata(lineage)
    context = MigrationContext.configure(conn, opts=comparison_options([metadata], conn))
    found: list[str] = []
    with warnings.catch_warnings():
        # What SQLAlchemy does not know of the database, extensions' types for instance: preflight and the look at the
        # built target compare them.
        warnings.simplefilter("ignore", sqlalchemy.exc.SAWarning)
        compared = compare_metadata(context, metadata)
    for entry in compared:
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
            hint="the schema was changed by hand, or a revision is missing: alembic check shows the same",
        )


def applied_revisions(settings: Settings, scripts: ScriptDirectory) -> list[Script]:
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


def pending_revisions(scripts: ScriptDirectory, lineage: str, before: tuple[str, ...]) -> tuple[Revision, ...]:
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


def configuration() -> Config:
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
    config = configuration()
    try:
        with engine.connect() as conn:
            config.attributes["connection"] = conn
            yield config, conn
    except sqlalchemy.exc.DBAPIError as error:
        if not isinstance(error.orig, psycopg2.Error):
            raise
        raise StatementFailed(f"{settings}: alembic: {describe(error.orig)}", hint=next_step(error.orig)) from error
    except CommandError as error:
        raise StatementFailed(
            f"{settings}: alembic: {error}", hint="the schema and the lineage's models must say the same"
        ) from error
