"""What the checks of one side share: a read-only connection and the facts that several of them need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.model import Database
from consolidation.postgres.catalog import Table, read_tables
from consolidation.postgres.connection import Settings, connect
from consolidation.postgres.queries import execute, value
from consolidation.preflight.findings import Finding

LOCK_WAIT = "5s"
"""A check gives up on a locked table after this long: the preflight must not hang, nor queue writers behind it."""


@dataclass(frozen=True)
class Reader:
    """The read-only role that preflight connects as, instead of the runbook's own."""

    user: str
    passfile: str | None = None
    sslcert: str | None = None
    sslkey: str | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any] | None) -> Reader | None:
        """Build from the option of the module; None where it is not given."""
        return cls(**options) if options else None

    def of(self, settings: Settings) -> Settings:
        """The same connection as this role."""
        return replace(
            settings,
            user=self.user,
            passfile=self.passfile or settings.passfile,
            sslcert=self.sslcert or settings.sslcert,
            sslkey=self.sslkey or settings.sslkey,
        )


@dataclass(frozen=True)
class Side:
    """One side of a database, connected."""

    name: str
    """``source`` or ``target``."""
    conn: Connection
    settings: Settings
    """Of the runbook's role, whose privileges are checked."""
    connected_as: str
    schema: str
    tables: tuple[Table, ...]
    """Tables to migrate, or those of the target schema."""

    @property
    def role(self) -> str:
        """The runbook's role on this side."""
        return self.settings.user

    @property
    def by_reader(self) -> bool:
        """Whether the checks run as another role than the runbook's."""
        return self.connected_as != self.role

    @property
    def major(self) -> int:
        """Major version of the server."""
        return int(self.conn.server_version) // 10000

    def paste(self, template: str, *names: str | sql.Composable) -> str:
        """SQL for the operator: each ``{}`` becomes a quoted identifier, or what was composed already."""
        parts = [name if isinstance(name, sql.Composable) else sql.Identifier(name) for name in names]
        return sql.SQL(template).format(*parts).as_string(self.conn)


@dataclass(frozen=True)
class Check:
    """One check: what it looks at, in words that follow "could not check", and how."""

    title: str
    find: Callable[[], Iterable[Finding]]


@contextmanager
def connected(database: Database, name: str, used: Settings) -> Iterator[Side]:
    """Connect to a side for reading only, as ``used``. Raises ConnectionFailed."""
    settings = database.source if name == "source" else database.target
    conn = connect(used, "preflight", autocommit=True)
    try:
        execute(conn, "SELECT set_config('lock_timeout', %s, false)", [LOCK_WAIT])
        conn.autocommit = False
        conn.set_session(readonly=True)
        schema, only = (database.source_schema, database.tables) if name == "source" else (database.name, ())
        tables = read_tables(conn, schema, only)
        conn.rollback()
        yield Side(name, conn, settings, used.user, schema, tables)
    finally:
        conn.close()


def privilege(side: Side, function: str, *arguments: Any) -> bool:
    """``has_…_privilege`` or ``pg_has_role`` for the runbook's role."""
    marks = sql.SQL(", ").join([sql.Placeholder()] * (len(arguments) + 1))
    return bool(
        value(
            side.conn,
            sql.SQL("SELECT {}({})").format(sql.Identifier(function), marks),
            [side.role, *arguments],
        )
    )
