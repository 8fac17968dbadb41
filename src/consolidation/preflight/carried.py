"""What no lineage carries over: said, with the statement that does it on the target."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from psycopg2 import sql

from consolidation.model import Database, Mode
from consolidation.postgres.queries import Row, dicts, query
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import found
from consolidation.preflight.models import Lineage
from consolidation.preflight.side import Check, Side

# Another value gives other results, or refuses what was accepted.
CHANGES_RESULTS = frozenset(
    {
        "array_nulls",
        "backslash_quote",
        "bytea_output",
        "datestyle",
        "default_text_search_config",
        "default_transaction_isolation",
        "default_transaction_read_only",
        "extra_float_digits",
        "intervalstyle",
        "lc_messages",
        "lc_monetary",
        "lc_numeric",
        "lc_time",
        "role",
        "row_security",
        "search_path",
        "session_replication_role",
        "standard_conforming_strings",
        "timezone",
        "timezone_abbreviations",
        "transform_null_equals",
        "xmlbinary",
        "xmloption",
    }
)
WORDS = {"comment": "comments", "replica_identity": "a replica identity", "storage_parameter": "storage parameters"}


def checks(source: Side, database: Database, lineage: Lineage) -> Iterator[Check]:
    """Checks of what a copy leaves behind; tables that are moved keep it."""
    if database.mode is Mode.MOVE:
        return
    yield Check("the rights of other roles", lambda: _grants(source, database))
    yield Check("the settings of database and roles", lambda: _settings(source, database))
    yield Check("comments, replica identities and storage parameters", lambda: _properties(source, database, lineage))


def _grants(source: Side, database: Database) -> Iterator[Finding]:
    known = [*database.application_roles, source.role, source.connected_as]
    parameters = {"schema": source.schema, "oids": [table.oid for table in source.tables], "roles": known}
    read = dicts(source.conn, query("preflight/grants"), parameters)
    for grantee, rights in groupby(read, key=lambda row: row["grantee"]):
        to = sql.Identifier(grantee) if grantee else sql.SQL("PUBLIC")
        lines = [_grant(source, database, list(same), to) for _, same in groupby(rights, key=_alike)]
        what = f"{grantee or 'PUBLIC'} has rights that the target's tables do not give it"
        note = (
            "on the target, once it is built; the role must be there" if grantee else "on the target, once it is built"
        )
        yield found("source.grant.left", grantee or "PUBLIC", what, "\n".join([f"-- {note}", *lines]))


def _alike(row: Row) -> tuple[str, bool, str | None]:
    """Rights that one statement gives; of columns a table each."""
    return row["privileges"], row["is_sequence"], row["name"] if row["column_name"] else None


def _grant(source: Side, database: Database, rights: list[Row], to: sql.Composable) -> str:
    first = rights[0]
    privileges = first["privileges"]
    if first["column_name"]:
        columns = sql.SQL(", ").join([sql.Identifier(row["column_name"]) for row in rights])
        parts = [source.paste(f"{word} ({{}})", columns) for word in privileges.split(", ")]
        privileges, names = ", ".join(parts), [first["name"]]
    else:
        names = [row["name"] for row in rights]
    on = sql.SQL(", ").join([sql.Identifier(database.name, name) for name in names])
    kind = "SEQUENCE " if first["is_sequence"] else ""
    return source.paste("GRANT {} ON {}{} TO {};", sql.SQL(privileges), sql.SQL(kind), on, to)


def _settings(source: Side, database: Database) -> Iterator[Finding]:
    for row in dicts(source.conn, query("preflight/own_settings"), {"roles": list(database.application_roles)}):
        name, role = row["name"], row["role"]
        where = f"role {role}" if role else f"database {source.settings.dbname}"
        kind = "source.setting.results" if name.lower() in CHANGES_RESULTS else "source.setting.left"
        # A setting of an extension or of the application's own may be a secret.
        value = sql.SQL("…") if "." in name else _value(row["value"], name, source, database)
        lines = [
            source.paste("ALTER ROLE {} IN DATABASE {} SET {} = {};", target, database.target.dbname, name, value)
            for target in database.target_roles
        ]
        what = f"{name} is set for {where}; sessions of the target do not have it"
        fix = "\n".join(["-- on the target, unless the services set it themselves or do not rely on it", *lines])
        yield found(kind, f"{where}: {name}", what, fix)


def _value(text: str, name: str, source: Side, database: Database) -> sql.Composable:
    """As ALTER ROLE … SET takes it; the service's schema by its name in the target."""
    if name != "search_path":
        return sql.Literal(text)
    paths = [part.strip().strip('"') for part in text.split(",")]
    here = [database.name if part == source.schema else part for part in paths if part]
    return sql.SQL(", ").join([sql.Identifier(part) for part in here]) if here else sql.Literal("")


def _properties(source: Side, database: Database, lineage: Lineage) -> Iterator[Finding]:
    oids = {"oids": [table.oid for table in source.tables]}
    read = dicts(source.conn, query("preflight/properties"), oids)
    wanted = [row for row in read if not (row["comment"] and row["comment"] in lineage.comments)]
    for (name, sort), same in groupby(wanted, key=lambda row: (row["name"], row["sort"])):
        table = source.paste("{}", sql.Identifier(database.name, name))
        lines = [row["statement"].replace("{}", table, 1) for row in same]
        what = f"{WORDS[sort]} that the lineage does not have"
        fix = "\n".join(["-- on the target, once it is built, or by a revision of the lineage", *lines])
        yield found(f"source.{sort}.left", f"{source.schema}.{name}", what, fix)
