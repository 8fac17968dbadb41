"""Locks on tables: with a limit, in short tries where writers queue behind us, and naming who is in the way."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.errors import ConsolidationError, FenceError, StepRefused
from consolidation.postgres.connection import Settings, connect
from consolidation.postgres.queries import dicts, execute, query

ACCESS_SHARE = "ACCESS SHARE"
"""A reader's: waits only for those who want the table to themselves."""
SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
"""Waits for VACUUM and ANALYZE; readers and writers go on."""
SHARE = "SHARE"
"""That of who makes an index: waits for writers; readers, and others who make one, go on."""
SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
"""Waits for writers; readers go on."""
ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"
"""Waits for everyone."""
LOCK_SECONDS = 30.0
"""How long a lock is waited for where no option says it."""
RETRY_PAUSE_SECONDS = 0.5

# Mode -> the modes that it lets pass.
_HARMLESS = {
    ACCESS_SHARE: (
        "AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock",
        "ShareRowExclusiveLock", "ExclusiveLock",
    ),
    SHARE: ("AccessShareLock", "RowShareLock", "ShareLock"),
    SHARE_ROW_EXCLUSIVE: ("AccessShareLock", "RowShareLock"),
    ACCESS_EXCLUSIVE: (),
}  # fmt: skip


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
    # The first of the two cancels an autovacuum while writers go on.
    modes = (SHARE_UPDATE_EXCLUSIVE, mode) if mode == SHARE_ROW_EXCLUSIVE else (mode,)
    while True:
        try:
            _lock(conn, tables, *modes)
            break
        except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected) as error:
            conn.rollback()
            refusal = _refusal(settings, tables, mode, timeout_seconds, FenceError)
            if time.monotonic() >= deadline:
                raise refusal from error
            time.sleep(RETRY_PAUSE_SECONDS)  # let those that queued behind us go on


def cancel_autovacuum(conn: Connection, tables: Sequence[Lockable]) -> None:
    """Have the server cancel the autovacuum of any of the tables, while writers go on; ends the transaction.

    It does so for who waits for a lock longer than deadlock_timeout: that second is none of the outage then. What it
    does not cancel, an autovacuum against wraparound and any VACUUM by hand, is in the way later on, and is named then.
    """
    for table in tables:
        with suppress(psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected):
            _lock(conn, [table], SHARE_UPDATE_EXCLUSIVE)
        conn.rollback()


def _lock(conn: Connection, tables: Sequence[Lockable], *modes: str) -> None:
    """Lock all tables in one mode after the other, in one round trip.

    Waits for each longer than deadlock_timeout: only then does the server cancel an autovacuum that is in the way.
    """
    names = sql.SQL(", ").join(sql.SQL("ONLY {}").format(table.identifier) for table in tables)
    limit = sql.SQL(
        "SELECT set_config('lock_timeout', (greatest(1500, 500 + setting::int))::text, true)"
        " FROM pg_settings WHERE name = 'deadlock_timeout'"
    )
    locks = [sql.SQL("LOCK TABLE {} IN {} MODE").format(names, sql.SQL(mode)) for mode in modes]
    execute(conn, sql.SQL("; ").join([limit, *locks]))


@contextmanager
def limited(
    conn: Connection, settings: Settings, tables: Sequence[Lockable], mode: str, seconds: float | None = None
) -> Iterator[None]:
    """Statements of the present transaction that lock the tables in ``mode`` wait no longer than the limit for each.

    Raises StepRefused with the names of who was in the way; the transaction is rolled back then.
    """
    limit = LOCK_SECONDS if seconds is None else seconds
    execute(conn, f"SET LOCAL lock_timeout = {int(limit * 1000)}")  # a SELECT would take the transaction's snapshot
    try:
        yield
    except psycopg2.errors.LockNotAvailable as error:
        conn.rollback()
        raise _refusal(settings, tables, mode, limit, StepRefused) from error


def hold(
    conn: Connection, settings: Settings, tables: Sequence[Lockable], mode: str, seconds: float | None = None
) -> None:
    """Lock all tables until the transaction's end; with the limit and the error of ``limited``.

    Without ONLY: partitions and children are locked as well.
    """
    if tables:
        names = sql.SQL(", ").join(table.identifier for table in tables)
        with limited(conn, settings, tables, mode, seconds):
            execute(conn, sql.SQL("LOCK TABLE {} IN {} MODE").format(names, sql.SQL(mode)))


def lock_for_snapshot(conn: Connection, tables: Sequence[Lockable]) -> None:
    """Keep TRUNCATE and rewrites away until the transaction's end; before its first query, which takes the snapshot.

    They are not MVCC-safe: a snapshot that is older than the end of one sees an empty table.
    """
    if tables:
        names = sql.SQL(", ").join(table.identifier for table in tables)
        execute(conn, sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))


def _refusal(
    settings: Settings, tables: Sequence[Lockable], mode: str, seconds: float, kind: type[ConsolidationError]
) -> ConsolidationError:
    found = _blockers(settings, tables, mode)
    return kind(
        f"{settings}: the tables could not be locked ({mode}) within {seconds:g} s; "
        + ("in the way: " + "; ".join(found) if found else "the blocking session ended in the meantime"),
        hint="nothing was changed; end these transactions or wait for them, then run again",
        facts={"blockers": found},
    )


def strong(settings: Settings) -> list[str]:
    """Who holds, or wants, a lock on any table of the database that keeps readers or writers out."""
    return _sessions(settings, None, ("AccessShareLock", "RowShareLock", "RowExclusiveLock"))


def _blockers(settings: Settings, tables: Sequence[Lockable], mode: str) -> list[str]:
    """Who holds a lock against us, or stands before us to get one."""
    return _sessions(settings, [table.oid for table in tables], _HARMLESS[mode])


def _sessions(settings: Settings, oids: list[int] | None, harmless: Sequence[str]) -> list[str]:
    """As the operator would look for them; in a session of its own."""
    conn = connect(settings, "blockers", autocommit=True)
    try:
        parameters = {"oids": oids, "harmless": list(harmless)}
        found = dicts(conn, query("postgres/blockers"), parameters)
    finally:
        conn.close()
    return [
        f"pid {row['pid']}, user {row['role']}, application {row['application']}, {row['state']}, "
        f"transaction open for {row['age_seconds'] if row['age_seconds'] is not None else '?'} s, "
        f"{'holds' if row['granted'] else 'waits for'} {row['mode']} on {row['relation']}"
        + (f" and {row['others']} more" if row["others"] else "")
        for row in found
    ]
