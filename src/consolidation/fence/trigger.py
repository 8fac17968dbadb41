"""The fence's triggers: made, enabled, disabled."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.fence.state import ABSENT, CLOSED, TRIGGER, Fenced, read
from consolidation.journal import records
from consolidation.model import Side
from consolidation.postgres.locks import locked
from consolidation.postgres.queries import execute, query, value


def prepare(conn: Connection, side: Side, timeout_seconds: float) -> None:
    """Create the function and the disabled triggers that are not there yet."""
    missing = [fenced for fenced in read(conn, side) if fenced.state == ABSENT]
    # All databases share the target's function: two that replace it at once fail ("tuple concurrently updated").
    execute(conn, "SELECT pg_advisory_xact_lock(%s, hashtext('fence'))", [records.LOCK_SPACE])
    if value(conn, "SELECT to_regnamespace('consolidation') IS NULL"):
        execute(conn, "CREATE SCHEMA consolidation")
    execute(conn, query("fence/function"))
    conn.commit()
    if not missing:
        return
    with locked(conn, side.settings, missing, timeout_seconds):
        for fenced in missing:
            create = (
                "CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION consolidation.fence({role})"
            )
            names = {"trigger": sql.Identifier(TRIGGER), "table": fenced.identifier}
            execute(conn, sql.SQL(create).format(role=sql.Literal(side.settings.user), **names))
            execute(conn, sql.SQL("ALTER TABLE {table} DISABLE TRIGGER {trigger}").format(**names))


def enable(conn: Connection, side: Side, tables: Iterable[Fenced], timeout_seconds: float) -> None:
    # ALWAYS: else sessions of replication tools (session_replication_role = replica) write past it.
    _switch(conn, side, [fenced for fenced in tables if fenced.state != CLOSED], "ENABLE ALWAYS", timeout_seconds)


def close_side(conn: Connection, side: Side, timeout_seconds: float) -> None:
    """Make the triggers that are missing and enable all, outside of a phase of its own."""
    prepare(conn, side, timeout_seconds)
    enable(conn, side, read(conn, side), timeout_seconds)


def open_side(conn: Connection, side: Side, timeout_seconds: float) -> dict[str, Any]:
    """Disable the trigger on every table that is closed; when that was done."""
    closed = [fenced for fenced in read(conn, side) if fenced.state == CLOSED]
    if closed:
        _switch(conn, side, closed, "DISABLE", timeout_seconds)
    return {"opened_at": now()}


def _switch(conn: Connection, side: Side, tables: list[Fenced], word: str, timeout_seconds: float) -> None:
    """Enable or disable the triggers of all tables in one transaction."""
    with locked(conn, side.settings, tables, timeout_seconds):
        # Flushed with its own commit: so is every commit before it.
        execute(conn, "SET LOCAL synchronous_commit = on")
        for fenced in tables:
            names = {"trigger": sql.Identifier(TRIGGER), "table": fenced.identifier}
            execute(conn, sql.SQL(f"ALTER TABLE {{table}} {word} TRIGGER {{trigger}}").format(**names))


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
