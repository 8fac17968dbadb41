"""A schema's views, functions, triggers and the like, by name and definition, to compare source and target by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

from consolidation.fence.state import TRIGGER
from consolidation.postgres.catalog import Table
from consolidation.postgres.queries import dicts, query

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
    "check constraint": "check",
    "exclusion constraint": "exclusion",
    "inheritance": "inheritance",
    "partitioned table": "partitioned_table",
    "sequence": "sequence",
    "type": "type",
    "composite type": "type",
    "publication": "publication",
    "logical replication slot": "publication",
    "subscription": "subscription",
    "event trigger": "event_trigger",
    "statistics object": "statistics",
    "default acl": "default_privileges",
}
"""What pg_identify_object and our own queries call an object -> the last word of the finding's id."""
NEVER_NEEDED = frozenset({"statistics", "default_privileges"})
"""What the target works without, as the source does."""


@dataclass(frozen=True)
class SchemaObject:
    """One object of a schema, or one that hangs on a table of it."""

    sort: str
    name: str
    """Bare, as the catalog has it."""
    identity: str
    """With the schema, as SQL has it."""
    definition: str | None
    """Without schemas' names and with single spaces; None where there is none to compare."""

    @property
    def kind(self) -> str:
        """Id of the finding where it has no counterpart."""
        return f"source.object.{SORTS.get(self.sort, 'other')}"


Key = tuple[str, str]
"""Sort, and identity without the schema: the same on both sides."""


def read_objects(conn: Connection, schema: str, tables: Iterable[Table]) -> dict[Key, SchemaObject]:
    """All objects of a schema, and what hangs on some of its tables."""
    parameters = {"schema": schema, "oids": [table.oid for table in tables], "fence": TRIGGER}
    found = {}
    for row in dicts(conn, query("schema/objects"), parameters):
        definition = row["definition"] and " ".join(without_schema(row["definition"], schema).split())
        made = SchemaObject(row["sort"], row["name"], row["identity"], definition)
        found[made.sort, without_schema(made.identity, schema)] = made
    return found


def without_schema(text: str, schema: str) -> str:
    """SQL without the names of one schema: ``public.t`` -> ``t``."""
    quoted = schema.replace('"', '""')
    return re.sub(rf'(?<![\w".])(?:{re.escape(schema)}|"{re.escape(quoted)}")\.', "", text)


def differ(ours: Mapping[Key, SchemaObject], theirs: Mapping[Key, SchemaObject]) -> list[Key]:
    """Objects of both whose definitions are not the same. Versions print some views differently: a person compares."""
    return sorted(key for key in ours.keys() & theirs.keys() if ours[key].definition != theirs[key].definition)


def is_accepted(kind: str, subject: str, accepted: Iterable[str]) -> bool:
    """Whether the operator has decided about a finding: ``ID SUBJECT``, where ``*`` in the subject is any text."""
    for entry in accepted:
        entry_kind, _, pattern = entry.partition(" ")
        parts = (re.escape(part) for part in pattern.split("*"))
        if entry_kind == kind and re.fullmatch(".*".join(parts), subject, re.DOTALL):
            return True
    return False
