"""Which of the source's objects the lineage brings along: what the target has already, and what pending revisions make.

Before the schema phase nothing is built. Then the SQL of the revisions says what they would make, by name; whether it
is there, and how it is defined, is looked at when it has been built, before anything is fenced.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from alembic.script import ScriptDirectory
from psycopg2.extensions import connection as Connection

from consolidation.lineage.alembic import configuration, pending_revisions
from consolidation.model import Database
from consolidation.postgres.catalog import read_tables
from consolidation.postgres.queries import rows, value
from consolidation.schema.objects import Key, SchemaObject, read_objects

SAME, DIFFERENT, ANNOUNCED, MISSING = "same", "different", "announced", "missing"

# The words of DDL before the name of each sort; {} is the name.
_MADE_BY = {
    "view": r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:RECURSIVE\s+)?VIEW\s+{}",
    "materialized view": r"CREATE\s+MATERIALIZED\s+VIEW\s+{}",
    "function": r"CREATE\s+(?:OR\s+REPLACE\s+)?FUNCTION\s+{}\s*\(",
    "procedure": r"CREATE\s+(?:OR\s+REPLACE\s+)?PROCEDURE\s+{}\s*\(",
    "aggregate": r"CREATE\s+(?:OR\s+REPLACE\s+)?AGGREGATE\s+{}\s*\(",
    "trigger": r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+)?TRIGGER\s+{}",
    "rule": r"CREATE\s+(?:OR\s+REPLACE\s+)?RULE\s+{}",
    "policy": r"CREATE\s+POLICY\s+{}",
    "check constraint": r"CONSTRAINT\s+{}\s+CHECK",
    "exclusion constraint": r"CONSTRAINT\s+{}\s+EXCLUDE",
    "partitioned table": r"CREATE\s+TABLE\s+{}[^;]*PARTITION\s+BY",
    "sequence": r"CREATE\s+SEQUENCE\s+{}",
    "type": r"CREATE\s+(?:TYPE|DOMAIN)\s+{}",
    "composite type": r"CREATE\s+TYPE\s+{}",
    "inheritance": r"CREATE\s+TABLE\s+{}[^;]*INHERITS",
}


@dataclass(frozen=True)
class Counterparts:
    """What the lineage brings along."""

    built: dict[Key, SchemaObject] = field(default_factory=dict)
    """What the target has."""
    pending: str = ""
    """SQL of the revisions that the target lacks."""
    named: frozenset[str] = frozenset()
    """Types and sequences that the models name."""

    def of(self, key: Key, ours: SchemaObject) -> str:
        """``SAME``, ``DIFFERENT``, ``ANNOUNCED`` or ``MISSING``."""
        if key in self.built:
            return SAME if self.built[key].definition == ours.definition else DIFFERENT
        return ANNOUNCED if ours.name in self.named or self._announced(ours) else MISSING

    def _announced(self, ours: SchemaObject) -> bool:
        if ours.sort not in _MADE_BY:
            return False
        quoted = '"' + ours.name.replace('"', '""') + '"'
        spellings = [re.escape(quoted)] + ([rf"{re.escape(ours.name)}(?!\w)"] if ours.name.islower() else [])
        name = rf'(?:IF\s+NOT\s+EXISTS\s+)?(?:(?:\w+|"[^"]+")\.)?(?:{"|".join(spellings)})'
        return re.search(_MADE_BY[ours.sort].format(name), self.pending, re.IGNORECASE) is not None


def read_counterparts(target: Connection | None, database: Database, named: frozenset[str]) -> Counterparts:
    """What the target has of a lineage, and what is pending; without a target all of it is."""
    if database.moves:
        return Counterparts(named=named)  # its lineage is recorded, not run: what is to be there must come along
    built = read_objects(target, database.name, read_tables(target, database.name)) if target else {}
    return Counterparts(built, _pending_sql(target, database.name), named)


def _pending_sql(target: Connection | None, lineage: str) -> str:
    """The SQL of the revisions that the target lacks; empty where it cannot be rendered without a database."""
    scripts = ScriptDirectory.from_config(configuration())
    applied: list[str] = []
    if target and value(target, "SELECT to_regclass('consolidation.alembic_version') IS NOT NULL"):
        applied = [version for (version,) in rows(target, "SELECT version_num FROM consolidation.alembic_version")]
    try:
        before = tuple(name for name in applied if lineage in scripts.get_revision(name).branch_labels)
        return "\n".join(revision.sql for revision in pending_revisions(scripts, lineage, before))
    except Exception:  # noqa: BLE001 - state.py reports unknown revisions; another may ask the database, as is none here
        return ""
