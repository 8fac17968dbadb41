"""Which of the source's objects the lineage has: what the target has already, and what pending revisions make.

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

_NAME = r'(?:"(?:[^"]|"")+"|\w+)'
_QUALIFIED = rf"(?:IF\s+NOT\s+EXISTS\s+)?(?:{_NAME}\.)?({_NAME})"
_CREATE = re.compile(
    r"\bCREATE\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+|RECURSIVE\s+)?"
    r"(MATERIALIZED\s+VIEW|VIEW|FUNCTION|PROCEDURE|AGGREGATE|TRIGGER|RULE|POLICY|SEQUENCE|TYPE|DOMAIN)\s+" + _QUALIFIED,
    re.IGNORECASE,
)
_TABLE = re.compile(rf"\bCREATE\s+TABLE\s+{_QUALIFIED}[^;]*?\b(PARTITION\s+BY|INHERITS)\b", re.IGNORECASE)
_CONSTRAINT = re.compile(rf"\bCONSTRAINT\s+({_NAME})\s+(CHECK|EXCLUDE)\b", re.IGNORECASE)
# A word of DDL -> the sorts that it makes, where they are called otherwise.
_SORTS = {
    "type": ("type", "composite type"),
    "domain": ("type",),
    "check": ("check constraint",),
    "exclude": ("exclusion constraint",),
    "partition by": ("partitioned table",),
    "inherits": ("inheritance",),
}


@dataclass(frozen=True)
class Counterparts:
    """What the lineage has."""

    built: dict[Key, SchemaObject] = field(default_factory=dict)
    """What the target has."""
    announced: frozenset[tuple[str, str]] = frozenset()
    """(sort, bare name) that revisions which the target lacks make."""
    named: frozenset[str] = frozenset()
    """Types and sequences that the models name."""

    def of(self, key: Key, ours: SchemaObject) -> str:
        """``SAME``, ``DIFFERENT``, ``ANNOUNCED`` or ``MISSING``."""
        if key in self.built:
            return SAME if self.built[key].definition == ours.definition else DIFFERENT
        return ANNOUNCED if ours.name in self.named or (ours.sort, ours.name) in self.announced else MISSING


def announced(statements: str) -> frozenset[tuple[str, str]]:
    """(sort, bare name) of what SQL makes, by its words."""
    made = [(match.group(1), match.group(2)) for match in _CREATE.finditer(statements)]
    for pattern in (_TABLE, _CONSTRAINT):
        made += [(match.group(2), match.group(1)) for match in pattern.finditer(statements)]
    return frozenset((sort, _bare(name)) for word, name in made for sort in _sorts(word))


def _sorts(word: str) -> tuple[str, ...]:
    plain = " ".join(word.lower().split())
    return _SORTS.get(plain, (plain,))


def _bare(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def read_counterparts(target: Connection | None, database: Database, named: frozenset[str]) -> Counterparts:
    """What the target has of a lineage, and what is pending; without a target all of it is."""
    if not database.strategy.two_copies:
        return Counterparts(named=named)  # its lineage is recorded, not run: what is to be there must come along
    built = read_objects(target, database.name, read_tables(target, database.name)) if target else {}
    return Counterparts(built, announced(_pending_sql(target, database.name)), named)


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
