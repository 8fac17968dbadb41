"""What must be in force in every session of ours: set by statement, then read back. Nothing hangs on hope.

A role, a database, a server's file or a pooler may say otherwise, or drop what a client asks for when it connects.
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg2.extensions import connection as Connection

# Both sides must print and read every value the same way, and lose none to a setting.
# search_path: names in catalog definitions come out qualified. row_security: a policy that would hide rows is an error.
# lock_timeout: no wait without a limit; who needs another one says so. synchronous_commit: on disk here; for a standby
# we wait where it matters, with a limit (``durability``).
PINNED = {
    "role": "none",
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "xmloption": "content",
    "lc_monetary": "C",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "gin_fuzzy_search_limit": "0",
    "search_path": "pg_catalog",
    "row_security": "off",
    "client_min_messages": "notice",
    "exit_on_error": "off",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "synchronous_commit": "local",
    "lock_timeout": "30s",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
PINNED_SINCE = {140000: {"idle_session_timeout": "0"}, 170000: {"transaction_timeout": "0"}}
"""By the version that brought them."""

# A runner that vanished leaves its locks within about a minute. The check of the client: a backend whose client was
# killed ends within seconds, even in the middle of an index build. Without effect on a Unix socket and some systems.
# jit: queries on catalogs look dear and read little; each would be compiled for longer than it runs, behind a closed
# fence too.
ASKED = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "jit": "off",
}
ASKED_SINCE = {140000: {"client_connection_check_interval": "2s"}}

REQUIRED = {"session_replication_role": "origin", "zero_damaged_pages": "off", "ignore_checksum_failure": "off"}
"""Only a superuser may set these. replica: triggers and foreign keys sleep; the others: damaged rows vanish unseen."""


def pin(conn: Connection) -> int:
    """Set all that can be set, in an autocommitting session; the pid of the server process that did it."""
    wanted = {**_of_version(conn, PINNED, PINNED_SINCE), **_of_version(conn, ASKED, ASKED_SINCE)}
    calls = ", ".join(["pg_catalog.set_config(%s, %s, false)"] * len(wanted))
    # Messages in English where that is allowed: for people only, nothing is decided by them.
    english = (
        "CASE WHEN pg_catalog.current_setting('is_superuser') = 'on'"
        " THEN pg_catalog.set_config('lc_messages', 'C', false) END"
    )
    with conn.cursor() as cursor:
        cursor.execute(
            f"SELECT pg_catalog.pg_backend_pid(), {calls}, {english}",
            [text for pair in wanted.items() for text in pair],
        )
        [row] = cursor.fetchall()
        return int(row[0])


def not_in_force(conn: Connection) -> tuple[int, dict[str, str]]:
    """The pid of the server process that answers now, and what is not as it must be: name -> value."""
    wanted = {**_of_version(conn, PINNED, PINNED_SINCE), **REQUIRED}
    calls = ", ".join(["pg_catalog.current_setting(%s)"] * len(wanted))
    with conn.cursor() as cursor:
        cursor.execute(f"SELECT pg_catalog.pg_backend_pid(), {calls}", list(wanted))
        [(pid, *found)] = cursor.fetchall()
    return int(pid), {
        name: value for (name, must), value in zip(wanted.items(), found, strict=True) if value.lower() != must.lower()
    }


def shared(first: Connection, second: Connection) -> bool:
    """Whether one server process serves two sessions that are open at the same time: transactions are pooled.

    Both autocommit. In turn, each holds a transaction while the other asks who serves it.
    """
    pids: dict[Connection, set[int]] = {first: set(), second: set()}
    for holder, other in _turns(first, second):
        holder.autocommit = False
        try:
            pids[holder].add(_pid(holder))
            pids[other].add(_pid(other))
            holder.rollback()
        finally:
            holder.autocommit = True
    return any(len(found) > 1 for found in pids.values()) or bool(pids[first] & pids[second])


def _turns(first: Connection, second: Connection) -> Iterator[tuple[Connection, Connection]]:
    for _ in range(3):
        yield second, first
        yield first, second


def _pid(conn: Connection) -> int:
    with conn.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.pg_backend_pid()")
        [(pid,)] = cursor.fetchall()
        return int(pid)


def _of_version(conn: Connection, always: dict[str, str], since: dict[int, dict[str, str]]) -> dict[str, str]:
    newer = {name: value for version, pairs in since.items() if conn.server_version >= version
             for name, value in pairs.items()}  # fmt: skip
    return {**always, **newer}
