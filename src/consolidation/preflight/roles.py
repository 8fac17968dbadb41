"""Checks of the runbook's role on each side: what it may do, and whom it may act as."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg2 import sql

from consolidation.postgres.catalog import Table
from consolidation.postgres.queries import Row, dicts, query, rows, value
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import found
from consolidation.preflight.side import Check, Side, privilege

JOURNAL_SCHEMA = "consolidation"


def checks(side: Side, application_roles: tuple[str, ...], *, has_drill: bool = True) -> Iterator[Check]:
    """Checks of one side's role; none of the others when there is no such role.

    has_drill: whether the restore drill is on this side's server, where it is the target's.
    """
    facts = _facts(side)
    if facts is None:
        yield Check("the runbook's role", lambda: _missing(side))
        return
    yield Check("the role's login", lambda: _login(side, facts))
    yield Check("the role's right to create schemas", lambda: _schemas(side, facts))
    yield Check("the role's right to create temporary tables", lambda: _temporary(side))
    if side.name == "source" or has_drill:
        yield Check("the role's right to create databases", lambda: _create_database(side, facts))
    yield Check("the ownership of the tables", lambda: _ownership(side))
    yield Check("the roles of the application", lambda: _application(side, application_roles))
    yield Check("the role's view of other sessions", lambda: _statistics(side))
    if side.name == "source":
        yield Check("the role's right to read", lambda: _reading(side))
        yield Check("the role's right to write", lambda: _writing(side))
        yield Check("row security", lambda: _row_security(side, facts))


def _facts(side: Side) -> Row | None:
    statement = (
        "SELECT rolsuper, rolbypassrls, rolcreatedb, rolcanlogin,"
        " has_database_privilege(oid, current_database(), 'CONNECT') AS may_connect,"
        " has_database_privilege(oid, current_database(), 'CREATE') AS may_create"
        " FROM pg_roles WHERE rolname = %s"
    )
    read = dicts(side.conn, statement, [side.role])
    side.conn.rollback()
    return read[0] if read else None


def _missing(side: Side) -> Iterator[Finding]:
    what = f"role {side.role} does not exist; its privileges could not be checked"
    yield found(f"{side.name}.role.missing", side.role, what, side.paste("CREATE ROLE {} LOGIN;", side.role))


def _login(side: Side, facts: Row) -> Iterator[Finding]:
    if not facts["rolcanlogin"]:
        what, fix = f"role {side.role} is NOLOGIN", side.paste("ALTER ROLE {} LOGIN;", side.role)
        yield found(f"{side.name}.role.cannot_connect", side.role, what, fix)
    elif not facts["may_connect"]:
        what = f"role {side.role} may not connect to {side.settings.dbname}"
        fix = side.paste("GRANT CONNECT ON DATABASE {} TO {};", side.settings.dbname, side.role)
        yield found(f"{side.name}.role.cannot_connect", side.role, what, fix)


def _schemas(side: Side, facts: Row) -> Iterator[Finding]:
    # The source needs the fence's schema, the target the tables' besides.
    for schema in (JOURNAL_SCHEMA, side.schema)[: 1 if side.name == "source" else 2]:
        if value(side.conn, "SELECT count(*) FROM pg_namespace WHERE nspname = %s", [schema]) == 0:
            if not facts["may_create"]:
                what = f"role {side.role} may not create schema {schema} in {side.settings.dbname}"
                fix = side.paste("GRANT CREATE ON DATABASE {} TO {};", side.settings.dbname, side.role)
                yield found(f"{side.name}.role.cannot_create_schema", schema, what, fix)
        elif not privilege(side, "has_schema_privilege", schema, "CREATE"):
            what = f"schema {schema} exists, and role {side.role} may not create in it"
            fix = side.paste("ALTER SCHEMA {} OWNER TO {};", schema, side.role)
            yield found(f"{side.name}.role.cannot_use_schema", schema, what, fix)


def _temporary(side: Side) -> Iterator[Finding]:
    if not privilege(side, "has_database_privilege", side.settings.dbname, "TEMPORARY"):
        what = f"role {side.role} may not create temporary tables: the verification tests itself with one"
        fix = side.paste("GRANT TEMPORARY ON DATABASE {} TO {};", side.settings.dbname, side.role)
        yield found(f"{side.name}.role.cannot_create_temporary", side.role, what, fix)


def _create_database(side: Side, facts: Row) -> Iterator[Finding]:
    if not (facts["rolcreatedb"] or facts["rolsuper"]):
        why = "to restore a lost source" if side.name == "source" else "for the restore drill"
        what = f"role {side.role} may not create a database {why}"
        fix = side.paste("ALTER ROLE {} CREATEDB;", side.role)
        yield found(f"{side.name}.role.cannot_create_database", side.role, what, fix)


def _ownership(side: Side) -> Iterator[Finding]:
    superusers = _superusers(side)
    owned: dict[str, list[Table]] = {}
    for table in side.tables:
        owned.setdefault(table.owner, []).append(table)
    for owner, tables in owned.items():
        inherits = privilege(side, "pg_has_role", owner, "USAGE")
        if inherits and may_become(side, owner):
            continue
        lacks = "may not SET ROLE to it" if inherits else "does not act as it"
        what = f"{owner} owns {len(tables)} table(s), role {side.role} {lacks}: no fence trigger, no rollback"
        fix = _other_owner(side, tables) if owner in superusers else grant(side, owner)
        yield found(f"{side.name}.role.cannot_fence", owner, what, fix)


def _superusers(side: Side) -> set[str]:
    return {name for (name,) in rows(side.conn, "SELECT rolname FROM pg_roles WHERE rolsuper")}


def _other_owner(side: Side, tables: list[Table]) -> str:
    """Membership in a superuser's role would make the runbook one: the tables get an owner that is none."""
    owner = f"{side.settings.dbname}_owner"
    change = [side.paste("ALTER TABLE {} OWNER TO {};", table.identifier, owner) for table in tables]
    known = value(side.conn, "SELECT count(*) FROM pg_roles WHERE rolname = %s", [owner])
    create = [] if known else [side.paste("CREATE ROLE {} NOLOGIN;", owner)]
    return "\n".join([*create, *change, grant(side, owner)])


def may_become(side: Side, role: str) -> bool:
    """Whether the runbook's role may SET ROLE to another."""
    return privilege(side, "pg_has_role", role, "SET" if side.major >= 16 else "MEMBER")


def grant(side: Side, role: str) -> str:
    """The statement that lets the runbook's role act as another."""
    # Spelt out since 16: a grant made earlier may lack either.
    options = " WITH INHERIT TRUE, SET TRUE" if side.major >= 16 else ""
    return side.paste("GRANT {} TO {}{};", role, side.role, sql.SQL(options))


def _application(side: Side, roles: tuple[str, ...]) -> Iterator[Finding]:
    option = "application_roles" if side.name == "source" else "target_roles"
    if not roles:
        what = "the inventory names no role of the application: the fence is probed as the runbook's role only"
        fix = f"consolidation_database.{option}: [role, …]"
        yield found(f"{side.name}.application_role.none", option, what, fix)
    superusers = _superusers(side)
    known = {name for (name,) in rows(side.conn, "SELECT rolname FROM pg_roles")}
    for role in roles:
        if role not in known:
            what = f"role {role} of consolidation_database.{option} does not exist on the {side.name}"
            fix = f"{side.paste('CREATE ROLE {} LOGIN;', role)} or correct consolidation_database.{option}"
            yield found(f"{side.name}.application_role.missing", role, what, fix)
            continue
        if not may_become(side, role):
            what = f"role {side.role} may not SET ROLE to {role}: the fence cannot be probed as the application"
            fix = (
                f"take {role}, a superuser, out of consolidation_database.{option}: the fence stops superusers as well"
            )
            yield found(f"{side.name}.role.cannot_probe", role, what, fix if role in superusers else grant(side, role))
        if side.name == "target" and _is_shut_out(side, role):
            what = f"role {role} logs in, and may not connect to {side.settings.dbname}: the service could not go there"
            fix = side.paste("GRANT CONNECT ON DATABASE {} TO {};", side.settings.dbname, role)
            yield found("target.application_role.cannot_connect", role, what, fix)


def _is_shut_out(side: Side, role: str) -> bool:
    statement = "SELECT rolcanlogin AND NOT has_database_privilege(oid, %s, 'CONNECT') FROM pg_roles WHERE rolname = %s"
    return bool(value(side.conn, statement, [side.settings.dbname, role]))


def _statistics(side: Side) -> Iterator[Finding]:
    if not privilege(side, "pg_has_role", "pg_read_all_stats", "USAGE"):
        what = f"role {side.role} does not see what other sessions do: who holds the fence up would stay unknown"
        fix = side.paste("GRANT pg_read_all_stats TO {};", side.role)
        yield found(f"{side.name}.role.cannot_see_sessions", side.role, what, fix)


def _reading(side: Side) -> Iterator[Finding]:
    for schema, relations in rows(side.conn, query("preflight/unreadable"), {"role": side.role}):
        what = f"{relations} table(s) or sequence(s) of schema {schema} that role {side.role} may not read"
        fix = "\n".join(
            side.paste(template, schema, side.role)
            for template in (
                "GRANT USAGE ON SCHEMA {} TO {};",
                "GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {};",
                "GRANT SELECT ON ALL SEQUENCES IN SCHEMA {} TO {};",
            )
        )
        yield found("source.role.cannot_read", schema, f"{what}: the backup holds the whole database", fix)


def _writing(side: Side) -> Iterator[Finding]:
    for table in side.tables:
        lacks = [word for word in ("INSERT", "UPDATE", "DELETE") if not _may(side, table, word)]
        if lacks:
            what = f"role {side.role} may not {', '.join(lacks)}: rollback could not bring writes back"
            fix = side.paste(f"GRANT {', '.join(lacks)} ON {{}} TO {{}};", table.identifier, side.role)
            yield found("source.role.cannot_write", str(table), what, fix)


def _may(side: Side, table: Table, word: str) -> bool:
    return bool(value(side.conn, "SELECT has_table_privilege(%s, %s::oid, %s)", [side.role, table.oid, word]))


def _row_security(side: Side, facts: Row) -> Iterator[Finding]:
    if facts["rolsuper"] or facts["rolbypassrls"]:
        return
    for name, forced in rows(side.conn, query("preflight/row_security"), {"role": side.role}):
        what = f"row security {'is forced and ' if forced else ''}would hide rows from role {side.role}"
        fix = side.paste("ALTER ROLE {} BYPASSRLS;", side.role)
        yield found("source.role.row_security", name, what, fix)
