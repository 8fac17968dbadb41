"""Sequences at the moment when the other side becomes authoritative: no number is handed out twice.

nextval() writes no row, so the fence lets it go on. Here the origin's sequences are locked, read, and the destination's
set, before anyone may use those. The lock ends with the opening: what is drawn from the origin after it is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.postgres.catalog import Sequence, read_sequences
from consolidation.postgres.connection import Settings, session
from consolidation.postgres.locks import SHARE_ROW_EXCLUSIVE, limited
from consolidation.postgres.queries import execute, rows
from consolidation.postgres.sequences import is_behind, pairs


@dataclass(frozen=True)
class End:
    """One end of the handover."""

    settings: Settings
    schema: str


@dataclass(frozen=True)
class _Held:
    oid: int
    identifier: sql.Identifier
    cache: int


@contextmanager
def sequences_handed_over(origin: End, destination: End, seconds: float, *, back: bool = False) -> Iterator[None]:
    """The destination's sequences stand where the origin's stand, which no one can move during the block.

    ``back``: the destination has been authoritative before; its sequences only move on. Raises StepRefused with the
    names of those who have drawn a number and have not ended their transaction.
    """
    with session(origin.settings, "sequences") as giving, session(destination.settings, "sequences") as receiving:
        there = read_sequences(receiving, destination.schema)
        _hold(giving, origin, [ours for ours, _ in pairs(read_sequences(giving, origin.schema), there)], seconds)
        for ours, theirs in pairs(read_sequences(giving, origin.schema), there):
            unequal = (ours.last_value, ours.is_called) != (theirs.last_value, theirs.is_called)
            if is_behind(theirs, ours) if back else unequal:
                set_position(receiving, theirs, ours)
        receiving.commit()
        yield
        giving.rollback()


def set_position(conn: Connection, sequence: Sequence, position: Sequence) -> None:
    """Have a sequence stand where another one stands."""
    name = sql.Identifier(sequence.schema, sequence.name).as_string(conn)
    execute(conn, "SELECT setval(%s::regclass, %s, %s)", [name, position.last_value, position.is_called])


def _hold(conn: Connection, end: End, sequences: list[Sequence], seconds: float) -> None:
    """Lock sequences against nextval() and setval() until the transaction ends, which is to be rolled back."""
    conn.commit()
    found = rows(
        conn,
        "SELECT c.oid::bigint, c.relname, s.seqcache FROM pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid"
        " WHERE c.relnamespace = quote_ident(%s)::regnamespace AND c.relname = ANY (%s::text[])",
        [end.schema, [sequence.name for sequence in sequences]],
    )
    held = [_Held(oid, sql.Identifier(end.schema, name), cache) for oid, name, cache in found]
    with limited(conn, end.settings, held, SHARE_ROW_EXCLUSIVE, seconds):
        for sequence in held:
            # LOCK TABLE takes no sequences; ALTER does, and the value is the one it has.
            statement = sql.SQL("ALTER SEQUENCE {} CACHE {}").format(sequence.identifier, sql.Literal(sequence.cache))
            execute(conn, statement)
