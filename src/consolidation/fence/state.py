"""The state of a side's fence, as the catalog has it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.errors import StepRefused
from consolidation.journal.state import RunState
from consolidation.model import Database, Side
from consolidation.postgres.catalog import LEFT_BEHIND
from consolidation.postgres.queries import dicts, execute, query

TRIGGER = "aa_consolidation_fence"  # triggers fire in the order of their names: before the table's own


ABSENT, PREPARED, CLOSED = "absent", "prepared", "closed"
OPEN = "open"
"""Wanted of a side: no table closed."""


@dataclass(frozen=True)
class Fenced:
    """One table and the state of its fence."""

    schema: str
    name: str
    oid: int
    state: str
    changed_by: int | None
    """Transaction that made or switched the trigger."""

    @property
    def identifier(self) -> sql.Identifier:
        """The qualified, quoted name."""
        return sql.Identifier(self.schema, self.name)


def needs_change(state: str, wanted: str) -> bool:
    """A closed fence is prepared as well: preparing never opens it, only ``open`` does."""
    match wanted:
        case "prepared":
            return state == ABSENT
        case "open":
            return state == CLOSED
        case _:
            return state != wanted


def read(conn: Connection, side: Side) -> tuple[Fenced, ...]:
    """The tables of a side with their fence's state."""
    parameters = {
        "schema": side.schema,
        "tables": list(side.tables),
        "left_behind": sorted(LEFT_BEHIND),
        "trigger": TRIGGER,
    }
    return tuple(Fenced(**row) for row in dicts(conn, query("fence/state"), parameters))


def is_closed(conn: Connection, side: Side) -> bool:
    """Whether every table of the side is fenced (a side without tables is not)."""
    states = {fenced.state for fenced in read(conn, side)}
    return states == {CLOSED}


def epoch(tables: Iterable[Fenced]) -> str:
    """Another one after any trigger was switched or made anew, whoever did it and whatever its state is now."""
    switched = sorted((fenced.oid, fenced.changed_by) for fenced in tables)
    return hashlib.sha256(json.dumps(switched).encode()).hexdigest()[:16]


def require_unbroken(source: Connection, database: Database, run: RunState) -> None:
    """The source's fence must be the one that the fence phase has closed, and not have been lifted since.

    ``source``: a session there. Raises StepRefused.
    """
    tables = read(source, database.source_side)
    if {fenced.state for fenced in tables} != {CLOSED}:
        raise StepRefused(
            f"{database.name}: the source is not fenced, rows could change or have changed",
            hint="run ansible-playbook migrate.yml: it fences, copies and verifies in order",
        )
    if run.fence.fence_epoch != epoch(tables):
        raise StepRefused(
            f"{database.name}: the source's fence is not the one that this run has closed: it was lifted and closed"
            " again, rows may have changed in between",
            hint="run ansible-playbook migrate.yml: it notes the new fence, then copies and verifies again",
        )


def pass_through(conn: Connection) -> None:
    """Let this transaction write behind a closed fence; only for the role that made the fence."""
    execute(conn, "SET LOCAL consolidation.pass = 'on'")
