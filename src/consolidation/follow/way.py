"""Which side gives and which receives, and what belongs together on the two."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

from consolidation.capture import state as capture
from consolidation.capture.state import Captured
from consolidation.compare.buckets import Pair, pair
from consolidation.copy import chunks
from consolidation.errors import StepRefused
from consolidation.fence import state as fence
from consolidation.model import SOURCE, Database, Side
from consolidation.postgres.catalog import Table, read_tables


@dataclass(frozen=True)
class Way:
    """From the side that is written to the side that is to be like it."""

    database: Database
    to: str
    """``target`` before the cutover, ``source`` for the rollback."""

    @property
    def origin(self) -> Side:
        """The side that is written, whose capture notes the keys."""
        return self.database.target_side if self.to == SOURCE else self.database.source_side

    @property
    def destination(self) -> Side:
        """The side that is made like it, behind its closed fence."""
        return self.database.side(self.to)


@dataclass(frozen=True)
class Followed:
    """One table of the origin with its counterpart."""

    capture: Captured
    """Of the origin's table."""
    receiving: Captured
    """The destination's table, whose own capture is not on."""
    pair: Pair
    origin: Table
    destination: Table

    @property
    def by_key(self) -> bool:
        """Whether noted keys say which rows to bring; a table without a key is brought over whole."""
        return bool(self.pair.key and self.capture.key)

    @property
    def is_binary(self) -> bool:
        """Whether both sides store all columns in the same form, so that COPY may go in binary."""
        here = {column.name: column.type for column in self.origin.columns}
        return all(
            here[column.name] == column.type and chunks.base_type(column.type) in chunks.BINARY_TYPES
            for column in self.destination.stored_columns
        )


def followed(way: Way, tables: Iterable[Captured], origin: Connection, destination: Connection) -> dict[str, Followed]:
    """The origin's tables by name, with their counterparts, as both transactions see them.

    Raises StepRefused where the destination could be written by others, or where a table has no counterpart;
    Incomparable where columns differ.
    """
    name, here, there = way.database.name, way.origin, way.destination
    giving = {table.name: table for table in tables}
    receiving = {table.name: table for table in capture.read(destination, there)}
    require_closed(way, destination, receiving.values())
    ours = {table.name: table for table in read_tables(origin, here.schema, here.tables)}
    theirs = {table.name: table for table in read_tables(destination, there.schema, there.tables)}
    if alone := sorted(giving.keys() - receiving.keys()):
        raise StepRefused(
            f"{name}: tables of the {here.name} without a counterpart on the {there.name}: {', '.join(alone)}",
            hint="bring the lineage to the source's tables (preflight names the differences), then run again",
        )
    found = {}
    for table in giving.values():
        both = (ours[table.name], theirs[table.name])
        paired = pair(*(both[::-1] if way.to == SOURCE else both))
        found[table.name] = Followed(table, receiving[table.name], paired, *both)
    return found


def require_captured(way: Way, tables: Iterable[Captured]) -> None:
    """Every table of the origin must be captured. Raises StepRefused."""
    states = {table.name: table.state for table in tables}
    if wrong := sorted(name for name, state in states.items() if state != capture.ON):
        raise StepRefused(
            f"{way.database.name}: the capture of the {way.origin.name} is not on for "
            + ", ".join(f"{name} ({states[name]})" for name in wrong),
            hint="run the same command again: it puts the capture right and compares these tables in full",
        )


def require_closed(way: Way, destination: Connection, tables: Iterable[Captured]) -> None:
    """Nobody but us may write the destination, and it must not note what we write. Raises StepRefused."""
    if not fence.is_closed(destination, way.destination):
        raise StepRefused(
            f"{way.database.name}: the {way.destination.name} is not fenced, others could write there",
            hint="nothing was changed; run the phases in order: migrate.yml, or rollback.yml, closes it first",
        )
    if any(table.state == capture.ON for table in tables):
        raise StepRefused(
            f"{way.database.name}: the {way.destination.name} captures changes itself: its rows are the newer ones",
            hint="nothing was changed; run rollback.yml (or migrate.yml), which knows the authoritative side",
        )
