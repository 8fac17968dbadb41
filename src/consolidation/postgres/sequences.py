"""Which sequence of the source is which of the target."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.postgres.catalog import Sequence, Table, scan
from consolidation.postgres.queries import value

NUMBERS = ("smallint", "integer", "bigint")
"""Types of the columns that a sequence counts up; one that owns a sequence for another purpose is left alone."""


def pairs(source: Iterable[Sequence], target: Iterable[Sequence]) -> tuple[tuple[Sequence, Sequence], ...]:
    """Sequences that belong together: by the column that owns them, by name where it owns several or there is none."""
    ours, there, found = tuple(source), defaultdict(list), []
    for sequence in target:
        there[_key(sequence)].append(sequence)
    owned = Counter(map(_key, ours))
    for sequence in ours:
        theirs = there[_key(sequence)]
        named = [other for other in theirs if other.name == sequence.name]
        if matching := named or (theirs if owned[_key(sequence)] == 1 else []):
            found.append((sequence, matching[-1]))
    return tuple(found)


def implied(
    origin: Connection, tables: Iterable[Table], sequences: Iterable[Sequence], receiving: Iterable[Sequence]
) -> tuple[tuple[Sequence, Sequence], ...]:
    """(position, sequence) for the destination's sequences whose column the origin numbers without one.

    ``tables`` and ``sequences`` are the origin's. The application gave the numbers there, so the column's last value is
    the position; an empty table has none.
    """
    theirs, there = {_key(sequence) for sequence in sequences}, {table.name: table for table in tables}
    found = []
    for sequence in receiving:
        table = there.get(sequence.table or "")
        if table is None or _key(sequence) in theirs:
            continue
        last = _last(origin, table, sequence)
        if last is not None:
            found.append((replace(sequence, last_value=last, is_called=True), sequence))
    return tuple(found)


def next_value(sequence: Sequence) -> int:
    """What the next nextval() returns."""
    return sequence.last_value + (sequence.increment if sequence.is_called else 0)


def is_behind(sequence: Sequence, other: Sequence) -> bool:
    """Whether ``sequence`` would hand out values that ``other`` has handed out already."""
    direction = 1 if other.increment > 0 else -1
    return next_value(sequence) * direction < next_value(other) * direction


def _key(sequence: Sequence) -> tuple[str | None, str | None]:
    return (sequence.table, sequence.column) if sequence.table else (None, sequence.name)


def _last(conn: Connection, table: Table, sequence: Sequence) -> int | None:
    """The value of the owning column that is farthest in the sequence's direction."""
    if not any(column.name == sequence.column and column.type in NUMBERS for column in table.columns):
        return None
    statement = sql.SQL("SELECT {}({}) FROM {}").format(
        sql.SQL("max" if sequence.increment > 0 else "min"), sql.Identifier(sequence.column or ""), scan(table)
    )
    last: int | None = value(conn, statement)
    return last
