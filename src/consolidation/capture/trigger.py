"""The capture's triggers and logs: made, switched, removed.

One table a transaction: a transaction that locked all tables would deadlock with writers of several of them. A log and
the triggers that fill it go together: an enabled trigger without its log makes every write of the application fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.capture.state import ABSENT, BROKEN, CHANGED, INSERTED, MARKER, MOVED, ON, Captured, read
from consolidation.model import Side
from consolidation.postgres.locks import ACCESS_EXCLUSIVE, locked
from consolidation.postgres.queries import execute, query, rows, value

EVENTS = {INSERTED: ("INSERT", "new"), CHANGED: ("UPDATE OR DELETE", "old"), MOVED: ("UPDATE", "new")}
"""Trigger -> when it fires, and whose key it notes."""


def install(conn: Connection, side: Side, wanted: str, timeout_seconds: float) -> tuple[Captured, ...]:
    """Bring the capture of every table to ``on`` or ``prepared``; the tables as they are then. Raises FenceError.

    When it returns, every transaction that has written before the capture was on has ended.
    """
    tables = read(conn, side)
    if value(conn, "SELECT to_regnamespace('consolidation') IS NULL"):
        execute(conn, "CREATE SCHEMA consolidation")
    conn.commit()
    for table in tables:
        if table.state == BROKEN:
            _remove(conn, side, table, timeout_seconds)
        if table.state in (BROKEN, ABSENT):
            _make_log(conn, table)
            _make_triggers(conn, side, table, wanted, timeout_seconds)
        elif table.state != wanted:
            with locked(conn, side.settings, table.members, timeout_seconds):
                switch(conn, [table], on=wanted == ON)
    after = read(conn, side)
    conn.commit()
    return after


def switch(conn: Connection, tables: Iterable[Captured], *, on: bool) -> None:
    """Enable or disable the triggers of tables in the caller's transaction, those of their partitions with them."""
    # ALWAYS: a session of a replication tool (session_replication_role = replica) is noted as well.
    word = sql.SQL("ENABLE ALWAYS" if on else "DISABLE")
    for table in tables:
        switched = [sql.SQL("{} TRIGGER {}").format(word, sql.Identifier(name)) for name in table.triggers]
        execute(conn, sql.SQL("ALTER TABLE {} {}").format(table.identifier, sql.SQL(", ").join(switched)))


def turn_off(conn: Connection, side: Side, timeout_seconds: float) -> None:
    """Disable the triggers that are on, one table a transaction."""
    for table in read(conn, side):
        if table.state == ON:
            with locked(conn, side.settings, table.members, timeout_seconds):
                switch(conn, [table], on=False)
    conn.commit()


def remove(conn: Connection, side: Side, timeout_seconds: float) -> tuple[str, ...]:
    """Take all that is ours off a side, also what tables dropped since have left; their names. Raises FenceError."""
    tables = [table for table in read(conn, side) if table.state != ABSENT]
    conn.commit()
    for table in tables:
        _remove(conn, side, table, timeout_seconds)
    for (statement,) in rows(conn, query("capture/orphans")):
        execute(conn, statement)
    conn.commit()
    return tuple(table.name for table in tables)


def _make_log(conn: Connection, table: Captured) -> None:
    """The log and the functions that fill it. Nothing calls them yet, so no table needs to be locked."""
    columns = [sql.Identifier(column.name) for column in table.key]
    chosen = sql.SQL(", ").join(columns) if columns else sql.SQL("true AS {}").format(sql.Identifier(MARKER))
    execute(conn, sql.SQL("DROP TABLE IF EXISTS {}").format(table.log))
    create = sql.SQL("CREATE TABLE {} AS SELECT {} FROM {} WITH NO DATA")
    execute(conn, create.format(table.log, chosen, table.identifier))
    # Under a publication FOR ALL TABLES our DELETE would fail without it.
    execute(conn, sql.SQL("ALTER TABLE {} REPLICA IDENTITY FULL").format(table.log))
    for row in ("new", "old"):
        values = [sql.SQL("{}.{}").format(sql.SQL(row.upper()), column) for column in columns]
        noted = sql.SQL(", ").join(values or [sql.SQL("true").format()])
        body = sql.SQL("BEGIN INSERT INTO {} VALUES ({}); RETURN NULL; END").format(table.log, noted)
        execute(
            conn,
            sql.SQL(query("capture/function")).format(
                function=_function(table, row), body=sql.Literal(body.as_string(conn))
            ),
        )
    conn.commit()


def _make_triggers(conn: Connection, side: Side, table: Captured, wanted: str, timeout_seconds: float) -> None:
    with locked(conn, side.settings, table.members, timeout_seconds):
        for statement in _create_statements(table):
            execute(conn, statement)
        switch(conn, [table], on=wanted == ON)


def _create_statements(table: Captured) -> Iterator[sql.Composable]:
    old, new = sql.SQL("OLD"), sql.SQL("NEW")
    # The columns of a primary key are never NULL.
    same = sql.SQL(" AND ").join([column.equal(old, new) for column in table.key])
    for name in table.triggers:
        events, row = EVENTS[name]
        condition = sql.SQL(" WHEN (NOT ({}))").format(same) if name == MOVED else sql.SQL("")
        yield sql.SQL("CREATE TRIGGER {} AFTER {} ON {} FOR EACH ROW{} EXECUTE FUNCTION {}()").format(
            sql.Identifier(name), sql.SQL(events), table.identifier, condition, _function(table, row)
        )


def removal(tables: Iterable[Captured]) -> Iterator[sql.Composable]:
    """The statements that take the capture off, triggers first: one that fires without its log fails its writer."""
    for table in tables:
        for name in EVENTS:
            yield sql.SQL("DROP TRIGGER IF EXISTS {} ON {};").format(sql.Identifier(name), table.identifier)
        for row in ("new", "old"):
            yield sql.SQL("DROP FUNCTION IF EXISTS {}();").format(_function(table, row))
        yield sql.SQL("DROP TABLE IF EXISTS {};").format(table.log)


def _remove(conn: Connection, side: Side, table: Captured, timeout_seconds: float) -> None:
    with locked(conn, side.settings, table.members, timeout_seconds, ACCESS_EXCLUSIVE):
        for statement in removal([table]):
            execute(conn, statement)


def _function(table: Captured, row: str) -> sql.Identifier:
    return sql.Identifier("consolidation", f"note_{row}_{table.oid}")
