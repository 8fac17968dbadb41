"""The grants of the roles that use the target."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2 import sql

from consolidation.borders import Json
from consolidation.journal import records
from consolidation.journal.phase import require_entered
from consolidation.lineage.models import (
    VERSION_SCHEMA,
    VERSION_TABLE,
)
from consolidation.model import Database
from consolidation.postgres.connection import session
from consolidation.postgres.queries import execute, query, rows


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


def apply_grants(plan: Grants) -> Json:
    """Grant what is lacking."""
    require_entered(plan.database)
    with session(plan.database.target, "grants") as conn:
        # All databases share the journal's schema: two that grant on it at once fail ("tuple concurrently updated").
        execute(conn, "SELECT pg_advisory_xact_lock(%s, hashtext('grants'))", [records.LOCK_SPACE])
        for statement in plan.statements:
            execute(conn, statement)
    return {"granted": list(plan.statements)}
