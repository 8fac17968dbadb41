"""Keys, indexes and triggers that a bulk load goes without: dropped before it, restored after it, never forgotten.

The definitions go into the journal in the very transaction that drops them; they leave it in the one that restores.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from psycopg2.extensions import connection as Connection

from consolidation.fence.state import TRIGGER
from consolidation.postgres.queries import Row, dicts, execute, query

FOREIGN_KEY = "foreign key"
INDEX = "index"


@dataclass(frozen=True)
class Deferred:
    """One thing that is dropped (a trigger: disabled) for the load."""

    table_name: str
    kind: str
    """``foreign key``, ``constraint`` (primary key, unique, exclusion), ``index`` or ``trigger``."""
    name: str
    drop_statement: str
    create_statement: str

    def as_json(self) -> dict[str, str]:
        """For the journal."""
        return asdict(self)


def read(target: Connection, schema: str, tables: Iterable[str]) -> tuple[Deferred, ...]:
    """What can be deferred on these tables."""
    parameters = {"schema": schema, "tables": list(tables), "fence": TRIGGER}
    return tuple(Deferred(**row) for row in dicts(target, query("copy/deferrable"), parameters))


def from_json(values: Sequence[Row]) -> tuple[Deferred, ...]:
    """Back from the journal."""
    return tuple(Deferred(**item) for item in values)


def absent(target: Connection, database: str, loads: Sequence[Row]) -> list[Deferred]:
    """What these loads have set aside and is not there now as it was."""
    present = set(read(target, database, [load["table_name"] for load in loads]))
    return [item for load in loads for item in from_json(load["deferred"]) if item not in present]


def lost(target: Connection, run_id: str, database: str) -> list[str]:
    """What the load of a run has set aside and is not there now as it was: ``index i of t``."""
    loads = dicts(target, query("copy/loads"), [run_id, database])
    return [f"{item.kind} {item.name} of {item.table_name}" for item in absent(target, database, loads)]


def drop(target: Connection, deferred: Iterable[Deferred]) -> None:
    """Drop all, foreign keys before the keys they refer to. Call it in the transaction that journals them."""
    ordered = sorted(deferred, key=lambda item: item.kind != FOREIGN_KEY)
    if ordered:
        execute(target, "; ".join(item.drop_statement for item in ordered))


def restore(target: Connection, deferred: Iterable[Deferred], *, foreign_keys: bool) -> None:
    """Make again either the foreign keys or all the rest of these, as they were."""
    wanted = [item.create_statement for item in deferred if (item.kind == FOREIGN_KEY) == foreign_keys]
    if wanted:
        execute(target, "; ".join(wanted))
