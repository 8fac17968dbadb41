"""The capture of a side, as the catalog has it, and the keys that it has noted.

Three row triggers on every table write the keys of the rows that change into a *log* of ours, one log a table, in the
writer's own transaction: a log entry is visible when, and only when, the change is. A table without a primary key gets
an entry without a key. Capture is ``absent``, ``prepared`` (made, disabled), ``on``, or ``broken`` (anything else).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.model import Side
from consolidation.postgres.catalog import LEFT_BEHIND
from consolidation.postgres.queries import Row, dicts, query, value

ABSENT, PREPARED, ON, BROKEN = "absent", "prepared", "on", "broken"
PREFIX = "zz_consolidation_capture_"  # triggers fire in the order of their names: after the table's own
INSERTED, CHANGED, MOVED = (PREFIX + event for event in ("insert", "change", "key"))
"""The triggers: a new row; a row changed or deleted; a row that has another key now (only where there is a key)."""
MARKER = "changed"
"""The log's column where the table has no key."""


@dataclass(frozen=True)
class Relation:
    """A table or one of its partitions."""

    schema: str
    name: str
    oid: int

    @property
    def identifier(self) -> sql.Identifier:
        """The qualified, quoted name."""
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True)
class KeyColumn:
    """A column of the primary key, and the operator that its index calls equality."""

    name: str
    operator_schema: str
    operator: str

    def equal(self, left: sql.Composable, right: sql.Composable) -> sql.Composable:
        """``left.column = right.column``"""
        operator = sql.SQL("OPERATOR({}.{})").format(sql.Identifier(self.operator_schema), sql.SQL(self.operator))
        column = sql.Identifier(self.name)
        return sql.SQL("{l}.{c} {o} {r}.{c}").format(l=left, r=right, c=column, o=operator)


@dataclass(frozen=True)
class Captured:
    """One table and its capture."""

    schema: str
    name: str
    oid: int
    members: tuple[Relation, ...]
    """The table, then its partitions."""
    key: tuple[KeyColumn, ...]
    """Empty where the table has no primary key."""
    state: str
    mark: str
    """Another one where the noted keys do not say all that has changed: see sql/state.sql."""
    log_bytes: int

    @property
    def identifier(self) -> sql.Identifier:
        """The qualified, quoted name."""
        return sql.Identifier(self.schema, self.name)

    @property
    def log(self) -> sql.Identifier:
        """The table of the noted keys."""
        return sql.Identifier("consolidation", f"changed_{self.oid}")

    @property
    def triggers(self) -> tuple[str, ...]:
        """Names of the triggers that this table needs."""
        return (INSERTED, CHANGED, MOVED) if self.key else (INSERTED, CHANGED)

    @cached_property
    def matched(self) -> sql.Composable:
        """Whether row ``t`` has the key of entry ``k``."""
        return matched(self.key)


def matched(key: Iterable[KeyColumn]) -> sql.Composable:
    """Whether row ``t`` and entry ``k`` have the same key."""
    t, k = sql.Identifier("t"), sql.Identifier("k")
    return sql.SQL(" AND ").join([column.equal(t, k) for column in key])


def read(conn: Connection, side: Side) -> tuple[Captured, ...]:
    """The tables of a side, by name, with their capture as this transaction's snapshot has it."""
    parameters = {
        "schema": side.schema,
        "tables": list(side.tables),
        "left_behind": sorted(LEFT_BEHIND),
        "trigger": PREFIX.replace("_", r"\_") + "%",
    }
    return tuple(_captured(row) for row in dicts(conn, query("capture/state"), parameters))


def with_entries(conn: Connection, tables: Sequence[Captured]) -> set[str]:
    """Names of the tables whose log has entries. All must have one."""
    if not tables:
        return set()
    looks = sql.SQL(", ").join(sql.SQL("EXISTS (SELECT FROM {})").format(table.log) for table in tables)
    found = value(conn, sql.SQL("SELECT ARRAY[{}]::bool[]").format(looks))
    return {table.name for table, has_entries in zip(tables, found, strict=True) if has_entries}


def of_all(tables: Iterable[Captured]) -> str:
    """The state of a side: that of its tables where they agree, else ``broken``; ``absent`` without tables."""
    states = {table.state for table in tables}
    return states.pop() if len(states) == 1 else BROKEN if states else ABSENT


def _captured(row: Row) -> Captured:
    key = tuple(KeyColumn(*column) for column in row["key"])
    return Captured(
        schema=row["schema"],
        name=row["name"],
        oid=row["oid"],
        members=tuple(Relation(*member) for member in row["members"]),
        key=key,
        state=_state(row, key),
        mark=row["mark"],
        log_bytes=row["log_bytes"] or 0,
    )


def _state(row: Row, key: tuple[KeyColumn, ...]) -> str:
    if not row["triggers"] and not row["log_columns"]:
        return ABSENT
    wanted = (3 if key else 2) * len(row["members"])
    columns = [column.name for column in key] or [MARKER]
    if row["triggers"] != wanted or row["log_columns"] != columns:
        return BROKEN
    return {row["enabled"]: ON, row["disabled"]: PREPARED}.get(wanted, BROKEN)
