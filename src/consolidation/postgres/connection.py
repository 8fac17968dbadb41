"""Connections: by keyword, with a passfile, never with a password in our hands."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from threading import Event, Timer
from typing import Any

import psycopg2
import psycopg2.errors
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import make_dsn

from consolidation.errors import ConnectionFailed, ConsolidationError, StatementFailed, describe, next_step
from consolidation.postgres.settings import REQUIRED, not_in_force, pin, shared

SETUP_SECONDS = 30.0
"""How long a server, or a pooler that has none free, may take to answer a session's first statements."""
POOLER_SECONDS = 10.0
"""How long a pooler may take to give us a second session."""
NO_POOL = "reach the server itself (host and port of the connection), or a pool with pool_mode = session"
_session_pooled: set[tuple[str, int, str, str]] = set()
"""Endpoints behind a pooler that was seen to give every session a server process of its own."""


@dataclass(frozen=True)
class Settings:
    """How one role reaches one database. The password, if any, is in ``passfile`` (libpq's format, mode 0600)."""

    host: str
    dbname: str
    user: str
    port: int = 5432
    passfile: str | None = None
    sslmode: str = "prefer"
    sslrootcert: str | None = None
    sslcert: str | None = None
    sslkey: str | None = None
    connect_timeout: int = 10
    """Seconds."""

    def keywords(self) -> dict[str, Any]:
        """libpq's connection keywords; nothing secret among them."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def conninfo(self, **more: Any) -> str:
        """The same as a libpq connection string, for pg_dump and its kin; a role's setting changes no encoding."""
        return str(make_dsn(**{**self.keywords(), "client_encoding": "UTF8", **more}))

    def __str__(self) -> str:
        return f"{self.dbname} on {self.host}:{self.port} as {self.user}"


def connect(settings: Settings, purpose: str, *, autocommit: bool = False) -> Connection:
    """Open a connection whose sessions are named ``consolidation <purpose>`` in pg_stat_activity.

    Raises ConnectionFailed.
    """
    conn = _open(settings, purpose)
    silent = f"{settings}: no answer to the session's first statement within {SETUP_SECONDS:.0f} s"
    try:
        with _limited(
            SETUP_SECONDS, silent, f"is the pool full? {NO_POOL}, and enough servers (default_pool_size)", conn
        ):
            _require_settings(conn, settings)
    except psycopg2.Error as error:
        conn.close()
        raise ConnectionFailed(
            f"{settings}: could not set up the session: {describe(error)}",
            hint="a pooler may refuse what a session needs: reach the server itself, or a pool in session mode",
        ) from error
    except BaseException:
        conn.close()
        raise
    conn.autocommit = autocommit
    return conn


def _open(settings: Settings, purpose: str) -> Connection:
    try:
        conn: Connection = psycopg2.connect(
            **settings.keywords(),
            application_name=f"consolidation {purpose}"[:63],
            client_encoding="UTF8",
            # A peer that vanished is noticed in about a minute, not after the kernel's two hours.
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
        )
    except psycopg2.OperationalError as error:
        raise ConnectionFailed(
            f"cannot connect to {settings}: {_first_line(error)}",
            hint=hint_of(settings, str(error)),
        ) from error
    conn.autocommit = True
    return conn


def _require_settings(conn: Connection, settings: Settings) -> None:
    """Pin the settings, read them back in another transaction, and see that a session is a session."""
    pinned_by = pin(conn)
    pid, wrong = not_in_force(conn)
    if pid != pinned_by or (conn.info.backend_pid != pid and _transactions_are_pooled(conn, settings)):
        raise ConnectionFailed(
            f"{settings}: a pooler gives one session several server processes (transaction mode): locks and settings"
            " of a session do not hold there",
            hint=NO_POOL,
        )
    if required := sorted(wrong.keys() & REQUIRED.keys()):
        names = ", ".join(f"{name} = {wrong[name]}" for name in required)
        raise ConnectionFailed(
            f"{settings}: {names}: rows could be lost unseen",
            hint="; ".join(
                f'ALTER ROLE "{settings.user}" IN DATABASE "{settings.dbname}" SET {name} = {REQUIRED[name]}'
                for name in required
            ),
        )
    if wrong:
        raise ConnectionFailed(
            f"{settings}: settings are not in force after they were set: {', '.join(sorted(wrong))}",
            hint="something on the way to the server changes them: reach the server itself, or a pool in session mode",
        )


def _transactions_are_pooled(conn: Connection, settings: Settings) -> bool:
    """Ask with a second session. The server process has another number than we were given: something is in between."""
    endpoint = (settings.host, settings.port, settings.dbname, settings.user)
    if endpoint in _session_pooled:
        return False
    other = _open(settings, "pooler")
    silent = f"{settings}: a pooler gave no second session beside an open transaction within {POOLER_SECONDS:.0f} s"
    hint = f"the pool is full, or in transaction mode: {NO_POOL} and enough servers (default_pool_size)"
    try:
        with _limited(POOLER_SECONDS, silent, hint, conn, other):
            if shared(conn, other):
                return True
    finally:
        other.close()
    _session_pooled.add(endpoint)
    return False


@contextmanager
def _limited(seconds: float, what: str, hint: str, *conns: Connection) -> Iterator[None]:
    """End a wait for an answer. Raises ConnectionFailed.

    By hanging up: a pooler forgets to cancel what still waits for a server.
    """
    is_over = Event()

    def hang_up() -> None:
        is_over.set()
        for conn in conns:
            with suppress(OSError, psycopg2.Error), socket.socket(fileno=os.dup(conn.fileno())) as peer:
                peer.shutdown(socket.SHUT_RDWR)

    limit = Timer(seconds, hang_up)
    limit.daemon = True
    limit.start()
    try:
        yield
    except psycopg2.Error as error:
        if is_over.is_set():
            raise ConnectionFailed(what, hint=hint) from error
        raise
    finally:
        limit.cancel()


def hint_of(settings: Settings, refusal: str) -> str:
    """What to do after a connection failed with these words of libpq."""
    if "certificate verify failed" in refusal:  # libpq does not say why; openssl does
        look = f"openssl s_client -starttls postgres -connect {settings.host}:{settings.port}"
        look += f" -CAfile {settings.sslrootcert}" if settings.sslrootcert else ""
        return (
            "the server's certificate has expired, or sslrootcert is not of the CA that signed it:"
            f" {look} shows which; replace it, reload the server, then run again"
        )
    return "check host, port, pg_hba.conf, sslmode and the passfile (mode 0600, matching line), then run again"


@contextmanager
def session(settings: Settings, purpose: str, *, autocommit: bool = False) -> Iterator[Connection]:
    """A connection that is closed at the end; an open transaction is committed on success, rolled back on error.

    psycopg2's errors leave as StatementFailed, without row data.
    """
    conn = connect(settings, purpose, autocommit=autocommit)
    try:
        yield conn
        if not autocommit:
            conn.commit()
    except ConsolidationError:
        raise
    except psycopg2.Error as error:
        place = _place(error, settings)  # a closed connection does not know any more
        conn.close()
        raise StatementFailed(
            f"{place}: {describe(error)}{_in_the_way(settings, error)}",
            hint=next_step(error),
        ) from error
    finally:
        conn.close()


def _in_the_way(settings: Settings, error: psycopg2.Error) -> str:
    """After a lock was waited for in vain: who holds strong ones in that database, for which table is not known."""
    if not isinstance(error, psycopg2.errors.LockNotAvailable):
        return ""
    from consolidation.postgres.locks import strong  # noqa: PLC0415 - locks are made of connections

    found = strong(settings)
    return f"; sessions with strong locks: {'; '.join(found)}" if found else ""


def _place(error: psycopg2.Error, settings: Settings) -> str:
    """Where the statement failed: sessions are nested, and the innermost one hears of errors in all of them."""
    if error.cursor is None:
        return str(settings)
    info = error.cursor.connection.info
    return f"{info.dbname} on {info.host}:{info.port} as {info.user}"


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
