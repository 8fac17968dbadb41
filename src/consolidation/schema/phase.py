"""The schema phase: the Alembic lineage of one database, and the grants of the roles that use it."""

from __future__ import annotations

from dataclasses import dataclass

from alembic.script import ScriptDirectory
from psycopg2 import sql

from consolidation.borders import Json
from consolidation.errors import StepRefused
from consolidation.installation import script_directory
from consolidation.journal import state
from consolidation.journal.phase import recorded
from consolidation.journal.results import Phase, SchemaResult
from consolidation.lineage.alembic import Revision, applied_revisions, check, configuration, pending_revisions, upgrade
from consolidation.lineage.models import (
    lineages,
)
from consolidation.model import Database
from consolidation.postgres.catalog import definitions
from consolidation.postgres.connection import session
from consolidation.postgres.queries import execute, value


@dataclass(frozen=True)
class Plan:
    """The schema, and the revisions that lead its lineage to the head."""

    database: Database
    before: tuple[str, ...]
    """Revisions of the lineage that the target has."""
    pending: tuple[Revision, ...]
    create: str
    """The statement that creates the schema; '' where it is there."""

    @property
    def changed(self) -> bool:
        """Whether anything is to be applied."""
        return bool(self.create or self.pending)

    def diff(self) -> dict[str, str]:
        """The SQL."""
        text = f"{self.create};\n" if self.create else ""
        text += "".join(f"-- {revision.id}: {revision.title}\n{revision.sql}\n" for revision in self.pending)
        return {"prepared": text or f"lineage {self.database.name}: at head {', '.join(self.before)}\n"}


def plan(database: Database) -> Plan:
    """Which revisions of the database's lineage are pending. Raises StepRefused for a lineage or revision unknown."""
    scripts = ScriptDirectory.from_config(configuration())
    if database.name not in lineages():
        raise StepRefused(
            f"{database.name}: no Alembic lineage of that name in {script_directory() / 'versions'}",
            hint=f"add alembic/versions/{database.name} with a base revision that has the branch label {database.name}",
        )
    applied = applied_revisions(database.target, scripts)
    before = tuple(sorted(revision.revision for revision in applied if database.name in revision.branch_labels))
    # Tables that are moved are not created: their lineage is stamped when they have arrived.
    pending = pending_revisions(scripts, database.name, before) if database.strategy.two_copies else ()
    with session(database.target, "schema plan") as conn:
        name = sql.Identifier(database.name).as_string(conn)
        is_there = value(conn, "SELECT to_regnamespace(%s)", [name]) is not None
    return Plan(database, before, pending, "" if is_there else f"CREATE SCHEMA {name}")


def apply(plan: Plan) -> Json:
    """Upgrade the lineage to its head, and prove that the schema is what the models say."""
    database = plan.database
    with session(database.target, "schema plan") as target:
        run = state.read(target, database)
    run.require(Phase.SCHEMA)
    if not plan.changed and run.done(Phase.SCHEMA):
        # A copy that was cut off left keys and indexes aside; it restores them when it goes on.
        loading = Phase.COPY in run.phases and not run.done(Phase.COPY)
        if database.strategy.two_copies and not loading:
            check(database.target, database.name)
        return dict(run.phases[Phase.SCHEMA].result)
    with recorded(database, Phase.SCHEMA) as work:
        if plan.create:
            with session(database.target, "schema") as target:
                execute(target, plan.create)
        if plan.pending:
            upgrade(database.target, database.name)
        if database.strategy.two_copies:
            check(database.target, database.name)
        applied = (*(work.found(SchemaResult).revisions or ()), *(revision.id for revision in plan.pending))
        with session(database.target, "schema") as target:
            made = definitions(target, database.name)
        work.note(SchemaResult(made, applied, heads(database.name)))
        return dict(work.result)


def heads(database: str) -> tuple[str, ...]:
    """The newest revisions of a database's lineage."""
    scripts = ScriptDirectory.from_config(configuration())
    return tuple(revision.revision for revision in scripts.get_revisions(f"{database}@head") if revision)
