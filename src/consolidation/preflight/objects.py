"""Checks of the source's objects that have no counterpart in the lineage: nothing is left behind unseen."""

from __future__ import annotations

from collections.abc import Iterator

from consolidation.fence.state import TRIGGER
from consolidation.model import Database
from consolidation.postgres.catalog import LEFT_BEHIND, read_tables, unsound
from consolidation.postgres.queries import query, rows, value
from consolidation.preflight.counterparts import read_counterparts
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import KINDS, found
from consolidation.preflight.models import Lineage
from consolidation.preflight.side import Check, Side
from consolidation.schema.objects import SORTS, read_objects
from consolidation.text import count

ACCEPT = "preflight_accepted"
"""Variable of the role: the blockers that the operator has decided about."""


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


def checks(source: Side, target: Side | None, database: Database, lineage: Lineage) -> Iterator[Check]:
    """Checks of the source schema, of what hangs on its tables, and of the rest of the database."""
    yield Check("which tables are migrated", lambda: _tables(source, database))
    yield Check("the objects of the source schema", lambda: _left_behind(source))
    yield Check("the counterparts of the source's objects", lambda: _objects(source, target, database, lineage))
    yield Check("what is not in force on the source", lambda: _not_in_force(source))
    yield Check("objects of the whole database", lambda: _database_wide(source, database))


def decision(kind: str, subject: str, lineage: str, drop: str = "") -> str:
    """The fix for an object without counterpart: the ways there are."""
    if not KINDS[kind].acceptable:
        return f"nothing to do, or create it by a revision of alembic/versions/{lineage}"
    ways = [f"leave it behind: {ACCEPT}: ['{kind} {subject}']"]
    if drop:
        ways.append(f"drop it: {drop}")
    return "\n".join([f"create it by a revision of alembic/versions/{lineage}", *(f"or {way}" for way in ways)])


def _without_counterpart(sort: str, identity: str, lineage: str) -> Finding:
    kind = f"source.object.{SORTS.get(sort, 'other')}"
    drop = f"DROP {DROPPED_BY[sort]} {identity};" if sort in DROPPED_BY else ""
    what = SPOKEN.get(sort, sort) + NO_COUNTERPART
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


def _left_behind(source: Side) -> Iterator[Finding]:
    taken = {table.name for table in source.tables} | LEFT_BEHIND
    for table in read_tables(source.conn, source.schema):
        if table.name not in taken:
            what = f"schema {source.schema} holds it, consolidation_database.tables does not name it"
            fix = f"add {table.name} to consolidation_database.tables, unless it shall stay behind"
            yield found("source.table.left_behind", str(table), what, fix)


def _objects(source: Side, target: Side | None, database: Database, lineage: Lineage) -> Iterator[Finding]:
    counterparts = read_counterparts(target.conn if target else None, database, _names(lineage))
    announced = 0
    for key, ours in read_objects(source.conn, source.schema, source.tables).items():
        match counterparts.of(key, ours):
            case "missing":
                yield _without_counterpart(ours.sort, ours.identity, lineage.name)
            case "different":
                what = f"{SPOKEN.get(ours.sort, ours.sort)} of the same name in the target, defined differently"
                fix = "compare the two definitions; newer servers print some of them in other words"
                yield found("source.object.differs", ours.identity, what, fix)
            case "announced":
                announced += 1
    if announced:
        what = f"{count(announced)} object(s) of the source are made by pending revisions of the same names"
        fix = "nothing to do: they are compared when the schema phase has built them, before anything is fenced"
        yield found("source.object.announced", lineage.name, what, fix)


def _names(lineage: Lineage) -> frozenset[str]:
    """What the models name: types, sequences, CHECK constraints."""
    checks = {name for table in lineage.tables.values() for name in table.checks}
    return lineage.type_names | lineage.sequences | checks


def _not_in_force(source: Side) -> Iterator[Finding]:
    for text in unsound(source.conn, source.schema, [table.name for table in source.tables], TRIGGER):
        what = f"{text}: the copy leaves it so where the lineage has it so as well"
        fix = "VALIDATE CONSTRAINT, ENABLE TRIGGER or REINDEX it, on the source first; or nothing, if it is meant so"
        yield found("source.not_in_force", text, what, fix)


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
    if not database.strategy.two_copies:  # the other schemas of the storage database are other services'
        return
    for table, column, sequence in rows(source.conn, query("preflight/sequences_elsewhere"), parameters):
        kind, subject = "source.sequence.elsewhere", f"{source.schema}.{table}.{column}"
        what = f"its default draws from {sequence}: its position is not handed over, the target gives numbers again"
        fix = (
            f"ALTER SEQUENCE {sequence} SET SCHEMA {source.schema}; and have its callers name it there\n"
            f"or set the target's sequence yourself before the cutover: {ACCEPT}: ['{kind} {subject}']"
        )
        yield found(kind, subject, what, fix)
    for schema, tables in rows(source.conn, query("preflight/other_schemas"), {"schema": source.schema}):
        what = f"schema {schema} holds {tables} table(s); only {source.schema} is migrated"
        fix = f"give schema {schema} an inventory host of its own if the service uses it"
        yield found("source.object.other_schema", schema, what, fix)
