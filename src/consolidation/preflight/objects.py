"""Checks of the source's objects that have no counterpart in the lineage: nothing is left behind unseen."""

from __future__ import annotations

from collections.abc import Iterator

from consolidation.fence.state import TRIGGER
from consolidation.model import Database
from consolidation.postgres.catalog import LEFT_BEHIND
from consolidation.postgres.queries import dicts, query, rows, value
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import KINDS, found
from consolidation.preflight.models import Lineage
from consolidation.preflight.side import Check, Side
from consolidation.text import count

ACCEPT = "preflight_accepted"
"""Variable of the role: the blockers that the operator has decided about."""


# What pg_identify_object and our own queries call an object -> the last word of the finding's id.
SORTS = {
    "view": "view",
    "materialized view": "materialized_view",
    "foreign table": "foreign_table",
    "function": "function",
    "procedure": "function",
    "aggregate": "function",
    "trigger": "trigger",
    "rule": "rule",
    "policy": "policy",
    "exclusion constraint": "exclusion",
    "inheritance": "inheritance",
    "sequence": "sequence",
    "type": "type",
    "composite type": "type",
    "publication": "publication",
    "logical replication slot": "publication",
    "event trigger": "event_trigger",
    "statistics object": "statistics",
    "default acl": "default_privileges",
}
SPOKEN = {"default acl": "default privileges", "inheritance": "inheritance between tables"}
# Those whose identity, as pg_identify_object prints it, is what DROP wants.
DROPPED_BY = {
    "view": "VIEW",
    "materialized view": "MATERIALIZED VIEW",
    "foreign table": "FOREIGN TABLE",
    "function": "FUNCTION",
    "procedure": "PROCEDURE",
    "aggregate": "AGGREGATE",
    "trigger": "TRIGGER",
    "rule": "RULE",
    "policy": "POLICY",
    "sequence": "SEQUENCE",
    "type": "TYPE",
    "composite type": "TYPE",
    "publication": "PUBLICATION",
    "event trigger": "EVENT TRIGGER",
    "statistics object": "STATISTICS",
}
NO_COUNTERPART = " without a counterpart in the lineage"
# What a lineage may have as well, but preflight does not compare: it must not say that it is missing there.
NOT_COMPARED = frozenset(f"source.object.{name}" for name in ("partitioned_table", "inheritance", "exclusion"))


def checks(source: Side, database: Database, lineage: Lineage) -> Iterator[Check]:
    """Checks of the source schema, of what hangs on its tables, and of the rest of the database."""
    yield Check("which tables are taken along", lambda: _tables(source, database))
    yield Check("the objects of the source schema", lambda: _objects(source, lineage))
    yield Check("what hangs on the tables", lambda: _attached(source, lineage))
    yield Check("objects of the whole database", lambda: _database_wide(source, database))


def decision(kind: str, subject: str, lineage: str, drop: str = "") -> str:
    """The fix for an object without counterpart: the ways there are."""
    if not KINDS[kind].acceptable:
        return f"nothing to do, or create it by a revision of alembic/versions/{lineage}"
    if kind in NOT_COMPARED:
        return (
            f"compare it by hand with alembic/versions/{lineage}, bring in by a revision what shall stay,"
            f" then accept it: {ACCEPT}: ['{kind} {subject}']"
        )
    ways = [f"leave it behind: {ACCEPT}: ['{kind} {subject}']"]
    if drop:
        ways.append(f"or drop it: {drop}")
    return "\n".join([*ways, f"or create it by a revision of alembic/versions/{lineage}, and accept it here"])


def _without_counterpart(sort: str, identity: str, lineage: str) -> Finding:
    kind = f"source.object.{SORTS.get(sort, 'other')}"
    drop = f"DROP {DROPPED_BY[sort]} {identity};" if sort in DROPPED_BY else ""
    unlike = ": preflight does not compare it with the lineage's" if kind in NOT_COMPARED else NO_COUNTERPART
    what = SPOKEN.get(sort, sort) + unlike
    return found(kind, identity, what, decision(kind, identity, lineage, drop))


def _tables(source: Side, database: Database) -> Iterator[Finding]:
    present = {table.name for table in source.tables}
    option = "consolidation_database.tables"
    for name in sorted(set(database.tables) - present):
        what = f"{option} names it; schema {source.schema} of {source.settings.dbname} has no such table"
        yield found("source.table.missing", f"{source.schema}.{name}", what, f"correct {option}")
    if not present and not database.tables:
        what = f"schema {source.schema} of {source.settings.dbname} has no table that {source.connected_as} could see"
        yield found("source.table.none", source.schema, what, "correct consolidation_database.source_schema or .source")
    for table in source.tables:
        if not table.primary_key:
            what = "no primary key: verification counts differing rows but cannot name them"
            fix = source.paste("ALTER TABLE {} ADD PRIMARY KEY (…);", table.identifier)
            yield found("source.table.no_primary_key", str(table), what, fix)
        if table.persistence == "u":
            fix = source.paste("ALTER TABLE {} SET LOGGED;", table.identifier)
            yield found("source.table.unlogged", str(table), "unlogged: a crash of the source empties it", fix)
        if table.kind == "p":
            kind = "source.object.partitioned_table"
            what = "partitioned: preflight does not compare how with the lineage's table"
            yield found(kind, str(table), what, decision(kind, str(table), database.name))


def _objects(source: Side, lineage: Lineage) -> Iterator[Finding]:
    taken = {table.name for table in source.tables}
    for row in dicts(source.conn, query("preflight/objects"), {"schema": source.schema}):
        sort, name = row["sort"], row["name"]
        if sort == "table":
            if name not in taken and name not in LEFT_BEHIND:
                what = f"schema {source.schema} holds it, consolidation_database.tables does not name it"
                fix = f"add {name} to consolidation_database.tables, unless it shall stay behind"
                yield found("source.table.left_behind", f"{source.schema}.{name}", what, fix)
        elif name not in lineage.type_names | lineage.sequences:
            yield _without_counterpart(sort, row["identity"], lineage.name)


def _attached(source: Side, lineage: Lineage) -> Iterator[Finding]:
    parameters = {"oids": [table.oid for table in source.tables], "fence": TRIGGER}
    for sort, identity in rows(source.conn, query("preflight/attached"), parameters):
        yield _without_counterpart(sort, identity, lineage.name)


def _database_wide(source: Side, database: Database) -> Iterator[Finding]:
    parameters = {"schema": source.schema, "oids": [table.oid for table in source.tables]}
    for sort, identity in rows(source.conn, query("preflight/database_objects"), parameters):
        yield _without_counterpart(sort, identity, database.name)
    large = value(source.conn, "SELECT count(*) FROM pg_largeobject_metadata")
    if large:
        kind, dbname = "source.object.large_object", source.settings.dbname
        what = f"{count(large)} large objects in {dbname}: they are not copied"
        fix = f"store them as bytea in a table first, or {decision(kind, dbname, database.name)}"
        yield found(kind, dbname, what, fix)
    if database.moves:  # the other schemas of the storage database are other services'
        return
    for schema, tables in rows(source.conn, query("preflight/other_schemas"), {"schema": source.schema}):
        what = f"schema {schema} holds {tables} table(s); only {source.schema} is taken along"
        fix = f"give schema {schema} an inventory host of its own if the service uses it"
        yield found("source.object.other_schema", schema, what, fix)
