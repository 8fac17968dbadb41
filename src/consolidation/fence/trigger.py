"""The fence's triggers: made, enabled, disabled.

A table is closed in a transaction of its own, several at a time: one transaction for all would wait for the writers of
one table with the writers of all others behind it. A transaction that meets a single closed table rolls back whole, so
nothing is lost by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from threading import Event

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.fence.state import CLOSED, LOADING, ROW_TRIGGER, TRIGGER, Fenced, needs_change, read
from consolidation.journal import records
from consolidation.model import Side
from consolidation.postgres.connection import session
from consolidation.postgres.durability import await_standbys
from consolidation.postgres.locks import ACCESS_EXCLUSIVE, locked
from consolidation.postgres.queries import execute, query, value

SESSIONS = 4
"""Tables that are switched at the same time."""

_CREATE = {
    TRIGGER: "CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}"
    " FOR EACH STATEMENT EXECUTE FUNCTION consolidation.fence({role})",
    # AFTER: a BEFORE trigger, though disabled, would have COPY insert row by row.
    ROW_TRIGGER: "CREATE TRIGGER {trigger} AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW"
    " WHEN (current_setting('consolidation.pass', true) IS DISTINCT FROM 'on' OR session_user <> {role})"
    " EXECUTE FUNCTION consolidation.fence({role})",
}


def prepare(conn: Connection, side: Side, timeout_seconds: float) -> None:
    """Create the function and the disabled triggers that are not there yet."""
    # All databases share the target's function: two that replace it at once fail ("tuple concurrently updated").
    execute(conn, "SELECT pg_advisory_xact_lock(%s, hashtext('fence'))", [records.LOCK_SPACE])
    if value(conn, "SELECT to_regnamespace('consolidation') IS NULL"):
        execute(conn, "CREATE SCHEMA consolidation")
    if not _function_is_there(conn):
        execute(conn, query("fence/function"))
    conn.commit()
    missing = [fenced for fenced in read(conn, side) if None in fenced.triggers.values()]
    conn.commit()

    def create(conn: Connection, fenced: Fenced) -> None:
        for name, enabled in fenced.triggers.items():
            if enabled is None:
                names = {"trigger": sql.Identifier(name), "table": fenced.identifier}
                execute(conn, sql.SQL(_CREATE[name]).format(role=sql.Literal(side.settings.user), **names))
                execute(conn, sql.SQL("ALTER TABLE {table} DISABLE TRIGGER {trigger}").format(**names))

    _each(side, missing, create, timeout_seconds)


def _function_is_there(conn: Connection) -> bool:
    """As we make it: replaced, it would be another epoch of every fence that uses it."""
    body = query("fence/function").split("$$")[1]
    statement = (
        "SELECT prosrc = %s AND proconfig = ARRAY['search_path=pg_catalog'] FROM pg_proc"
        " WHERE oid = to_regprocedure('consolidation.fence()')"
    )
    return bool(value(conn, statement, [body]))


def enable(side: Side, tables: Iterable[Fenced], timeout_seconds: float, wanted: str = CLOSED) -> float:
    """Close every table; after how many seconds the first one was closed. On an error all open again."""
    started = time.monotonic()
    open_ones = [fenced for fenced in tables if needs_change(fenced.state, wanted)]
    names = [TRIGGER] if wanted == LOADING else [TRIGGER, ROW_TRIGGER]
    closed: list[tuple[float, Fenced]] = []

    def close(conn: Connection, fenced: Fenced) -> None:
        # ALWAYS: else sessions of replication tools (session_replication_role = replica) write past it.
        _switch(conn, fenced, "ENABLE ALWAYS", [name for name in names if name in fenced.triggers])
        conn.commit()
        closed.append((time.monotonic() - started, fenced))

    try:
        _each(side, open_ones, close, timeout_seconds)
        await_standbys(side.settings, timeout_seconds - (time.monotonic() - started))
    except BaseException:
        opened = [fenced for _, fenced in closed if not fenced.enabled]
        if opened:
            with session(side.settings, "fence reopen") as conn:
                _disable(conn, side, opened, timeout_seconds)
        raise
    return min((after for after, _ in closed), default=0.0)


def close_side(conn: Connection, side: Side, timeout_seconds: float) -> None:
    """Make the triggers that are missing and enable all, outside of a phase of its own."""
    prepare(conn, side, timeout_seconds)
    tables = read(conn, side)
    conn.commit()
    enable(side, tables, timeout_seconds)


def open_side(conn: Connection, side: Side, timeout_seconds: float) -> str:
    """Disable the triggers of every table; when that was done by that server's clock, ISO 8601."""
    closed = [fenced for fenced in read(conn, side) if needs_change(fenced.state, "open")]
    if closed:
        _disable(conn, side, closed, timeout_seconds)
    at: datetime = value(conn, "SELECT clock_timestamp()")
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def remove(conn: Connection, side: Side, timeout_seconds: float) -> None:
    """Take the triggers off the tables of a side that is open, and the function where no table has one any more."""
    tables = [fenced for fenced in read(conn, side) if any(fenced.triggers.values())]
    conn.commit()
    for fenced in tables:
        with locked(conn, side.settings, [fenced], timeout_seconds, ACCESS_EXCLUSIVE):
            for name in fenced.triggers:
                drop = sql.SQL("DROP TRIGGER IF EXISTS {} ON {}")
                execute(conn, drop.format(sql.Identifier(name), fenced.identifier))
    execute(conn, "SELECT pg_advisory_xact_lock(%s, hashtext('fence'))", [records.LOCK_SPACE])
    if not value(conn, query("fence/used")):
        execute(conn, "DROP FUNCTION IF EXISTS consolidation.fence()")
    conn.commit()


def _disable(conn: Connection, side: Side, tables: Sequence[Fenced], timeout_seconds: float) -> None:
    """In one transaction: no one who waits for the opening sees a half of it, and writers hold no locks."""
    with locked(conn, side.settings, tables, timeout_seconds):
        for fenced in tables:
            disable(conn, fenced)


def disable(conn: Connection, fenced: Fenced) -> None:
    """Open one table, in the present transaction."""
    present = [name for name, enabled in fenced.triggers.items() if enabled is not None]
    _switch(conn, fenced, "DISABLE", present)


def _switch(conn: Connection, fenced: Fenced, word: str, names: Sequence[str]) -> None:
    actions = sql.SQL(", ").join(sql.SQL(f"{word} TRIGGER {{}}").format(sql.Identifier(name)) for name in names)
    execute(conn, sql.SQL("ALTER TABLE {} {}").format(fenced.identifier, actions))


def _each(
    side: Side, tables: Sequence[Fenced], change: Callable[[Connection, Fenced], None], timeout_seconds: float
) -> None:
    """Do something to every table under its lock, each in its own transaction. Raises the first one's error."""
    if not tables:
        return
    deadline, failed = time.monotonic() + timeout_seconds, Event()
    shares = [tables[number::SESSIONS] for number in range(min(SESSIONS, len(tables)))]

    def work(share: Sequence[Fenced]) -> None:
        try:
            with session(side.settings, "fence") as conn:
                for fenced in share:
                    if failed.is_set():
                        return
                    with locked(conn, side.settings, [fenced], deadline - time.monotonic()):
                        change(conn, fenced)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(len(shares)) as pool:
        working = [pool.submit(work, share) for share in shares]
        try:
            wait(working)
        except BaseException:  # Ctrl-C
            failed.set()
            raise
    for each in working:
        each.result()
