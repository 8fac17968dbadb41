"""Have the destination's sequences hand out what the origin's have not."""

from __future__ import annotations

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.follow.way import Way
from consolidation.postgres.catalog import read_sequences, read_tables
from consolidation.postgres.queries import execute
from consolidation.postgres.sequences import implied, is_behind, pairs


def advance(way: Way, origin: Connection, destination: Connection) -> tuple[str, ...]:
    """Set those that are behind; their names. The caller commits."""
    here, there = way.origin, way.destination
    tables = read_tables(origin, here.schema, here.tables)
    ours, theirs = read_sequences(origin, here.schema), read_sequences(destination, there.schema)
    found = []
    for giving, receiving in (*pairs(ours, theirs), *implied(origin, tables, ours, theirs)):
        if is_behind(receiving, giving):
            name = sql.Identifier(receiving.schema, receiving.name).as_string(destination)
            execute(destination, "SELECT setval(%s::regclass, %s, %s)", [name, giving.last_value, giving.is_called])
            found.append(receiving.name)
    return tuple(found)
