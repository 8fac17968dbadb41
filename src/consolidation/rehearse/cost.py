"""What the capture costs a writer, measured on the restored copy of the source, which no one else uses."""

from __future__ import annotations

import time

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.capture import state as capture
from consolidation.capture import trigger
from consolidation.model import Side
from consolidation.postgres.catalog import Table, read_tables
from consolidation.postgres.queries import execute

ROWS, TURNS = 5000, 3
"""Changed at once, and how often: the shortest time counts."""


def measure(conn: Connection, side: Side, lock_seconds: float) -> Json:
    """Of the largest table's rows, each changed into what it is. Empty where that cannot be measured.

    Nothing is left of it but dead rows.
    """
    tables = [table for table in read_tables(conn, side.schema, side.tables) if table.kind == "r"]
    if not tables:
        return {}
    largest = max(tables, key=lambda table: table.table_bytes)
    try:
        rows, without = _change(conn, largest)
        trigger.install(conn, side, capture.ON, lock_seconds)
        _, captured = _change(conn, largest)
    except psycopg2.Error:  # a trigger of the service refuses it, say
        conn.rollback()
        return {}
    if not rows:
        return {}
    before, after = (round(seconds / rows * 1e6, 1) for seconds in (without, captured))
    return {
        "table": largest.name,
        "rows": rows,
        "microseconds_a_row": before,
        "microseconds_a_row_captured": after,
    }


def _change(conn: Connection, table: Table) -> tuple[int, float]:
    """Rows, and the seconds that they took."""
    conn.commit()
    column = next((sql.Identifier(each.name) for each in table.stored_columns if each.identity != "a"), None)
    if column is None:
        return 0, 0.0
    statement = sql.SQL("UPDATE {t} SET {c} = {c} WHERE ctid = ANY (ARRAY(SELECT ctid FROM ONLY {t} LIMIT {n}))")
    took, rows = [], 0
    for _ in range(TURNS):
        begun = time.monotonic()
        rows = execute(conn, statement.format(t=table.identifier, c=column, n=sql.Literal(ROWS)))
        took.append(time.monotonic() - begun)
        conn.rollback()
    return rows, min(took)
