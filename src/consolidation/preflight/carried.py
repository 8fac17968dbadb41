"""What no lineage carries over: said, with the statement that does it on the target."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from psycopg2 import sql

from consolidation.model import Database
from consolidation.postgres.queries import Row, dicts, query, rows
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
PLACE = re.compile(r"\{\{\}\}|\{\}")
WORDS = {
    "comment": "comments",
    "replica_identity": "a replica identity",
    "storage_parameter": "storage parameters, statistics targets, or a place of its own",
}


def checks(source: Side, target: Side | None, database: Database, lineage: Lineage) -> Iterator[Check]:
    """Checks of what a copy leaves behind; tables that are moved keep it."""
    if not database.strategy.two_copies:
        return
    yield Check("the rights of other roles", lambda: _grants(source, database))
    yield Check("the settings of database and roles", lambda: _settings(source, database))
    if target is not None:
        yield Check("what the settings of both servers change", lambda: _results(source, target, database))
    yield Check("comments, replica identities, storage", lambda: _properties(source, target, database, lineage))


def _grants(source: Side, database: Database) -> Iterator[Finding]:
    known = [*database.application_roles, source.role, source.connected_as]
    parameters = {"schema": source.schema, "oids": [table.oid for table in source.tables], "roles": known}
    read = dicts(source.conn, query("preflight/grants"), parameters)
    for grantee, group in groupby(read, key=lambda row: row["grantee"]):
        to, rights = sql.Identifier(grantee) if grantee else sql.SQL("PUBLIC"), list(group)
        lines = [_grant(source, database, list(same), to) for _, same in groupby(rights, key=_alike)]
        if any(row["enters"] for row in rights):
            lines.insert(0, source.paste("GRANT USAGE ON SCHEMA {} TO {};", database.name, to))
        what = f"{grantee or 'PUBLIC'} has rights that the target's tables do not give it"
        note = (
            "on the target, once it is built; the role must be there" if grantee else "on the target, once it is built"
        )
        yield found("source.grant.left", grantee or "PUBLIC", what, "\n".join([f"-- {note}", *lines]))


def _alike(row: Row) -> tuple[str, bool, bool, str | None]:
    """Rights that one statement gives; of columns a table each."""
    return row["privileges"], row["is_sequence"], row["is_grantable"], row["name"] if row["column_name"] else None


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
    option = " WITH GRANT OPTION" if first["is_grantable"] else ""
    return source.paste(f"GRANT {{}} ON {{}}{{}} TO {{}}{option};", sql.SQL(privileges), sql.SQL(kind), on, to)


def _settings(source: Side, database: Database) -> Iterator[Finding]:
    for row in _own_settings(source, database):
        name, role = row["name"], row["role"]
        where = {"database": f"database {source.settings.dbname}", "all": "all roles"}.get(row["place"], f"role {role}")
        kind = "source.setting.results" if name.lower() in CHANGES_RESULTS else "source.setting.left"
        # A setting of an extension or of the application's own may be a secret.
        value = sql.SQL("…") if "." in name else _value(row["value"], name, source, database)
        roles = [role] if row["place"] == "other" else database.target_roles
        what = f"{name} is set for {where}; sessions of the target do not have it"
        yield found(kind, f"{where}: {name}", what, _alter(source, database, roles, name, value))


def _results(source: Side, target: Side, database: Database) -> Iterator[Finding]:
    """What the servers' own files say otherwise, and no finding about a setting of the source's has named."""
    names = sorted(CHANGES_RESULTS - {"lc_messages", *(row["name"].lower() for row in _own_settings(source, database))})
    here, there = (
        {(name.lower(), text) for _, name, text in rows(side.conn, query("postgres/begun_with"), parameters)}
        for side, parameters in (
            (source, {"roles": list(database.application_roles), "settings": _spelt(source, names)}),
            (target, {"roles": list(database.target_roles), "settings": _spelt(target, names)}),
        )
    )
    for name in sorted({name for name, _ in here} & {name for name, _ in there}):
        ours, theirs = ({text for other, text in side if other == name} for side in (here, there))
        if ours != theirs:
            pair = f"{', '.join(sorted(ours))} on the source, {', '.join(sorted(theirs))} on the target"
            value = _value(sorted(ours)[0], name, source, database)
            fix = _alter(source, database, database.target_roles, name, value)
            yield found("source.setting.results", f"server: {name}", f"{name} of the services' sessions: {pair}", fix)


def _own_settings(source: Side, database: Database) -> list[Row]:
    parameters = {"roles": list(database.application_roles), "left_out": [source.role, source.connected_as]}
    return dicts(source.conn, query("preflight/own_settings"), parameters)


def _spelt(side: Side, names: list[str]) -> list[str]:
    """Names of settings as this server writes them."""
    statement = "SELECT name FROM pg_settings WHERE lower(name) = ANY (%s)"
    return [name for (name,) in rows(side.conn, statement, [names])]


def _alter(source: Side, database: Database, roles: Iterable[str], name: str, value: sql.Composable) -> str:
    lines = [
        source.paste("ALTER ROLE {} IN DATABASE {} SET {} = {};", role, database.target.dbname, name, value)
        for role in roles
    ]
    return "\n".join(["-- on the target, unless the services set it themselves or do not rely on it", *lines])


def _value(text: str, name: str, source: Side, database: Database) -> sql.Composable:
    """As ALTER ROLE … SET takes it; the service's schema by its name in the target."""
    if name != "search_path":
        return sql.Literal(text)
    paths = [part.strip().strip('"') for part in text.split(",")]
    here = [database.name if part == source.schema else part for part in paths if part]
    return sql.SQL(", ").join([sql.Identifier(part) for part in here]) if here else sql.Literal("")


def _properties(source: Side, target: Side | None, database: Database, lineage: Lineage) -> Iterator[Finding]:
    built = {(row["name"], row["statement"]) for row in _read_properties(target)} if target else set()
    wanted = [
        row
        for row in _read_properties(source)
        if (row["name"], row["statement"]) not in built and not (row["comment"] and row["comment"] in lineage.comments)
    ]
    for (name, sort), same in groupby(wanted, key=lambda row: (row["name"], row["sort"])):
        names = {
            "{}": source.paste("{}", sql.Identifier(database.name, name)),
            "{{}}": source.paste("{}", database.name),
        }
        lines = [PLACE.sub(lambda place: names[place.group()], row["statement"], count=1) for row in same]  # noqa: B023
        what = f"{WORDS[sort]} that the lineage does not have"
        fix = "\n".join(["-- on the target, once it is built, or by a revision of the lineage", *lines])
        yield found(f"source.{sort}.left", f"{source.schema}.{name}", what, fix)


def _read_properties(side: Side) -> list[Row]:
    parameters = {"schema": side.schema, "oids": [table.oid for table in side.tables]}
    return dicts(side.conn, query("preflight/properties"), parameters)
