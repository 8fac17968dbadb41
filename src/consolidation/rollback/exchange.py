"""Bring the rows that differ from one side to the other, in one transaction of the side that receives.

See ``copy.surplus`` for how they are found. A changed row is deleted and inserted, so unique values may swap between
rows, and a table needs no key. Foreign keys, user triggers and rewrite rules stand aside meanwhile: no cascade, no
trigger and no rule runs. The transaction ends with every foreign key validated again and with the proof that both sides
are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.compare.buckets import Pair
from consolidation.compare.digest import table_digest
from consolidation.copy import deferred, surplus
from consolidation.copy.deferred import Deferred
from consolidation.copy.stream import stream
from consolidation.errors import VerificationFailed
from consolidation.fence import state as fence
from consolidation.postgres.background import meanwhile
from consolidation.postgres.catalog import Table
from consolidation.postgres.connection import Settings
from consolidation.postgres.locks import ACCESS_EXCLUSIVE, take
from consolidation.postgres.queries import dicts, execute, query, rows

LOCK_SECONDS = 30.0
"""For the exclusive locks that setting a foreign key aside takes; behind the fence only readers are in the way."""


@dataclass(frozen=True)
class Change:
    """What happens to one table of the destination."""

    pair: Pair
    to: str
    """``source`` or ``target``: the destination."""
    buckets: tuple[int, ...]
    inserted: int
    updated: int
    deleted: int

    @property
    def origin(self) -> Table:
        """The table whose content stays."""
        return ends(self.pair, self.to)[0]

    @property
    def destination(self) -> Table:
        """The table that is changed."""
        return ends(self.pair, self.to)[1]

    def as_result(self) -> Json:
        """For module results and the evidence."""
        counts = {"inserted": self.inserted, "updated": self.updated, "deleted": self.deleted}
        return {"name": self.pair.source.name, **counts}


@dataclass(frozen=True)
class _Locked:
    """A table with definitions to set aside."""

    oid: int
    identifier: sql.Identifier


def ends(pair: Pair, to: str) -> tuple[Table, Table]:
    """(the origin's table, the destination's)"""
    return (pair.target, pair.source) if to == "source" else (pair.source, pair.target)


def exchange(
    origin: Connection,
    destination: Connection,
    settings: Settings,
    changes: Sequence[Change],
    pairs: Sequence[Pair],
) -> None:
    """Make the destination's tables equal to the origin's, and prove it; committing it is the caller's.

    ``origin`` reads the snapshot that ``changes`` were found in, or any behind a fence. ``settings``: of the
    destination. ``pairs``: all tables, also those without a change.
    Raises FenceError where a reader is in the way, VerificationFailed, psycopg2's errors.
    """
    aside = set_aside(destination, settings, changes)
    for change in changes:
        places = surplus.find(origin, destination, change, change.buckets)
        surplus.remove(destination, change, places)
        stream(origin, destination, surplus.sending(change, places), surplus.receiving(change))
    execute(destination, "SET CONSTRAINTS ALL IMMEDIATE")
    for foreign_keys in (True, False):
        deferred.restore(destination, aside, foreign_keys=foreign_keys)
    _verify(origin, destination, changes, pairs)


def set_aside(destination: Connection, settings: Settings, changes: Sequence[Change]) -> tuple[Deferred, ...]:
    """Begin the destination's transaction: its locks, its pass through the fence, and nothing that would fire."""
    parameters = {"oids": [change.destination.oid for change in changes], "fence": fence.TRIGGER}
    tables = [
        _Locked(row["oid"], sql.Identifier(row["schema"], row["name"]))
        for row in dicts(destination, query("rollback/reconcile_locks"), parameters)
    ]
    destination.rollback()
    take(destination, settings, tables, LOCK_SECONDS, ACCESS_EXCLUSIVE)
    execute(destination, "SELECT set_config('lock_timeout', %s, true)", [f"{LOCK_SECONDS:g}s"])
    fence.pass_through(destination)
    aside = tuple(Deferred(**row) for row in dicts(destination, query("rollback/reconcile_aside"), parameters))
    deferred.drop(destination, aside)
    return aside


def _verify(origin: Connection, destination: Connection, changes: Sequence[Change], pairs: Sequence[Pair]) -> None:
    """All tables are equal before anything is committed.

    Those that were changed must now have the origin's digest. All others were found equal by the comparison that
    ``changes`` come from; the counters of this transaction prove that no row was written to any of them since, nor to
    any table outside. Where the server does not count, every table is digested again.
    """
    [(is_counted,)] = rows(destination, "SELECT current_setting('track_counts')::boolean")
    if not is_counted:
        proved = [(*ends(pair, changes[0].to), pair) for pair in pairs] if changes else []
    else:
        proved = [(change.origin, change.destination, change.pair) for change in changes]
        expected = {"oids": [change.destination.oid for change in changes]}
        if others := [name for (name,) in rows(destination, query("rollback/reconcile_written"), expected)]:
            raise VerificationFailed(
                f"{origin.info.dbname}: rows were written to tables that have no difference: {', '.join(others)}",
                hint="nothing was changed; find what writes them (a rule, a trigger of an extension), then run again",
            )
    for giving, taking, both in proved:
        with meanwhile(origin, partial(table_digest, origin, giving, both.columns)) as digesting:
            found = table_digest(destination, taking, both.columns)
        if found != digesting.result():
            raise VerificationFailed(
                f"{taking} is not equal to {giving} after the reconciliation",
                hint="nothing was changed; compare the two with pg_verify_info, fix the cause, then run again",
            )
