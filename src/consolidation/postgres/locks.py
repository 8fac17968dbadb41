"""Locking tables in the window: with a limit, in short tries that let others go on, and naming who is in the way."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.errors import FenceError
from consolidation.postgres.connection import Settings, connect
from consolidation.postgres.queries import dicts, execute, query

SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
"""Waits for writers; readers go on."""
ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"
"""Waits for everyone."""
RETRY_PAUSE_SECONDS = 0.5


class Lockable(Protocol):
    """A table."""

    @property
    def oid(self) -> int:
        """pg_class.oid."""

    @property
    def identifier(self) -> sql.Identifier:
        """The qualified, quoted name."""


@contextmanager
def locked(
    conn: Connection,
    settings: Settings,
    tables: Sequence[Lockable],
    timeout_seconds: float,
    mode: str = SHARE_ROW_EXCLUSIVE,
) -> Iterator[None]:
    """Hold a lock on all tables, taken in one statement; commit at the end. Raises FenceError."""
    take(conn, settings, tables, timeout_seconds, mode)
    yield
    conn.commit()


def take(
    conn: Connection,
    settings: Settings,
    tables: Sequence[Lockable],
    timeout_seconds: float,
    mode: str = SHARE_ROW_EXCLUSIVE,
) -> None:
    """Lock all tables in one statement, as the first of a transaction: what came before it is rolled back by a retry.

    Raises FenceError after ``timeout_seconds``, with pid, user, application and age of who was in the way.
    """
    if not tables:
        return
    deadline = time.monotonic() + timeout_seconds
    names = sql.SQL(", ").join(sql.SQL("ONLY {}").format(table.identifier) for table in tables)
    while True:
        try:
            # Longer than deadlock_timeout: only then does the server cancel an autovacuum that is in the way.
            execute(
                conn,
                "SELECT set_config('lock_timeout', (greatest(1500, 500 + setting::int))::text, true)"
                " FROM pg_settings WHERE name = 'deadlock_timeout'",
            )
            execute(conn, sql.SQL("LOCK TABLE {} IN {} MODE").format(names, sql.SQL(mode)))
            break
        except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected) as error:
            conn.rollback()
            found = _blockers(settings, tables, mode)
            if time.monotonic() >= deadline:
                raise FenceError(
                    f"{settings}: the tables could not be locked within {timeout_seconds:g} s; "
                    + ("in the way: " + "; ".join(found) if found else "who was in the way has gone meanwhile"),
                    hint="nothing was changed; end these transactions or wait for them, then run again",
                    facts={"blockers": found},
                ) from error
            time.sleep(RETRY_PAUSE_SECONDS)  # let those that queued behind us go on


def _blockers(settings: Settings, tables: Sequence[Lockable], mode: str) -> list[str]:
    """Who holds a lock against us, as the operator would look for it; in a session of its own."""
    harmless = ["AccessShareLock", "RowShareLock"] if mode == SHARE_ROW_EXCLUSIVE else []
    conn = connect(settings, "blockers", autocommit=True)
    try:
        parameters = {"oids": [table.oid for table in tables], "harmless": harmless}
        found = dicts(conn, query("postgres/blockers"), parameters)
    finally:
        conn.close()
    return [
        f"pid {row['pid']}, user {row['role']}, application {row['application']}, {row['state']}, "
        f"transaction open for {row['age_seconds'] if row['age_seconds'] is not None else '?'} s"
        for row in found
    ]


def lock_for_snapshot(conn: Connection, tables: Sequence[Lockable]) -> None:
    """Keep TRUNCATE and rewrites away until the transaction's end; before its first query, which takes the snapshot.

    They are not MVCC-safe: a snapshot that is older than the end of one sees an empty table.
    """
    if tables:
        names = sql.SQL(", ").join(table.identifier for table in tables)
        execute(conn, sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))
