"""Connections: by keyword, with a passfile, never with a password in our hands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import make_dsn

from consolidation.errors import ConnectionFailed, ConsolidationError, StatementFailed, describe

# Both sides must print every value alike, whatever the role's or the database's own settings are.
# search_path: names in catalog definitions come out qualified. row_security: a policy that would hide rows is an error.
PINNED_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "lc_monetary": "C",
    "search_path": "pg_catalog",
    "row_security": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
    # A runner that vanished leaves its locks within about a minute, too.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
# Settings that not every version knows, by the version that brought them. The check of the client: a backend whose
# client was killed ends within seconds, even in the middle of an index build.
PINNED_SINCE = {
    140000: "SET client_connection_check_interval = '2s'; SET idle_session_timeout = 0",
    170000: "SET transaction_timeout = 0",
}


@dataclass(frozen=True)
class Settings:
    """How one role reaches one database. The password, if any, stands in ``passfile`` (libpq's format, mode 0600)."""

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
        """The same as a libpq connection string, for pg_dump and its kin."""
        return str(make_dsn(**{**self.keywords(), **more}))

    def __str__(self) -> str:
        return f"{self.dbname} on {self.host}:{self.port} as {self.user}"


def connect(settings: Settings, purpose: str, *, autocommit: bool = False) -> Connection:
    """Open a connection whose sessions are named ``consolidation <purpose>`` in pg_stat_activity.

    Raises ConnectionFailed.
    """
    options = " ".join(f"-c {name}={value}" for name, value in PINNED_SETTINGS.items())
    try:
        conn: Connection = psycopg2.connect(
            **settings.keywords(),
            options=options,
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
    newer = [statements for version, statements in PINNED_SINCE.items() if conn.server_version >= version]
    if newer:
        with conn.cursor() as cursor:
            cursor.execute("; ".join(newer))
    conn.autocommit = autocommit
    return conn


def hint_of(settings: Settings, refusal: str) -> str:
    """What to do after a connection failed with these words of libpq."""
    if "certificate verify failed" in refusal:  # libpq does not say why; openssl does
        look = f"openssl s_client -starttls postgres -connect {settings.host}:{settings.port}"
        look += f" -CAfile {settings.sslrootcert}" if settings.sslrootcert else ""
        return (
            "the server's certificate has expired, or sslrootcert is not of the authority that signed it:"
            f" {look} tells which; mend it, reload the server, then run again"
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
        raise StatementFailed(
            f"{_place(error, settings)}: {describe(error)}",
            hint="see the server's log for the statement, fix the cause, run again",
        ) from error
    finally:
        conn.close()


def _place(error: psycopg2.Error, settings: Settings) -> str:
    """Where the statement failed: sessions are nested, and the innermost one hears of errors in all of them."""
    if error.cursor is None:
        return str(settings)
    info = error.cursor.connection.info
    return f"{info.dbname} on {info.host}:{info.port} as {info.user}"


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
