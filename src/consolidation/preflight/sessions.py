"""Checks of what sessions begin with: settings that no one but a superuser can change, roles that cannot write."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg2 import sql

from consolidation.model import Database
from consolidation.postgres.queries import query, rows
from consolidation.postgres.roles import begin_read_only
from consolidation.postgres.settings import REQUIRED
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import found
from consolidation.preflight.roles import grant
from consolidation.preflight.side import Check, Side


def checks(side: Side, database: Database) -> Iterator[Check]:
    """Checks of one side."""
    yield Check("the settings of the role's sessions", lambda: _required(side))
    closes_first = database.strategy.two_copies and not database.strategy.follows
    if side.name == "source" and not database.tables and closes_first:
        yield Check("the ownership of the sequences", lambda: _sequences(side))
    if side.name == "target":
        yield Check("whether the target's roles may write", lambda: _read_only(side, database))


def _required(side: Side) -> Iterator[Finding]:
    parameters = {"roles": [side.role], "settings": list(REQUIRED)}
    for role, name, value in rows(side.conn, query("postgres/begun_with"), parameters):
        if value.lower() != REQUIRED[name]:
            what = f"{name} = {value} for role {role}: rows could be lost unseen, no session of the runbook begins"
            fix = side.paste(
                f"ALTER ROLE {{}} IN DATABASE {{}} SET {name} = {REQUIRED[name]};", role, side.settings.dbname
            )
            yield found(f"{side.name}.role.setting", name, what, fix)


def _sequences(side: Side) -> Iterator[Finding]:
    """Those that a column owns have the table's owner; an extension's are left to it."""
    statement = (
        "SELECT o.rolname, o.rolsuper, array_agg(c.relname ORDER BY c.relname)"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles o ON o.oid = c.relowner"
        " JOIN pg_roles r ON r.rolname = %s"  # one that is missing is a finding of its own
        " WHERE c.relkind = 'S' AND n.nspname = %s AND NOT pg_has_role(r.oid, c.relowner, 'USAGE') AND NOT EXISTS"
        " (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')"
        " GROUP BY 1, 2 ORDER BY 1"
    )
    owners = sorted({table.owner for table in side.tables})
    for owner, is_superuser, names in rows(side.conn, statement, [side.role, side.schema]):
        if owner not in owners:
            what = f"{owner} owns {len(names)} sequence(s), role {side.role} does not act as it: no cutover"
            fix = grant(side, owner)
            if is_superuser:  # membership would make the runbook one
                to = owners[0] if owners else side.role
                moves = [
                    side.paste("ALTER SEQUENCE {} OWNER TO {};", sql.Identifier(side.schema, name), to)
                    for name in names
                ]
                fix = "\n".join(moves)
            yield found("source.role.cannot_fence", owner, what, fix)


def _read_only(side: Side, database: Database) -> Iterator[Finding]:
    for role in sorted(begin_read_only(side.conn, database.target_roles)):
        name = "default_transaction_read_only"
        what = f"{name} = on for role {role}: the service could write nothing after the cutover"
        fix = side.paste(f"ALTER ROLE {{}} IN DATABASE {{}} SET {name} = off;", role, side.settings.dbname)
        yield found("target.application_role.read_only", role, what, fix)
