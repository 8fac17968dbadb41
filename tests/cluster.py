"""Helpers around real servers: databases with the roles of production, SQL as any role, digests of everything."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql

from consolidation import files
from consolidation.postgres.connection import Settings
from demo import roles
from demo.servers import SUPERUSER, Server, installations

PAIRS = [(16, 18), (18, 18), (16, 16), (15, 15)]
"""(major of the source, major of the target)"""

TEST_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_prepared_transactions": "10",
    "max_connections": "100",
    "deadlock_timeout": "200ms",
}


BEHIND_THE_FENCE = "SET SESSION AUTHORIZATION consolidation; SET consolidation.pass = 'on'"
"""Before a write that a superuser makes past a closed fence, which leaves no trace on the trigger."""


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Database:
    """A database of a test server. `settings` is the connection of the runbook's role."""

    server: Server
    settings: Settings

    @property
    def name(self) -> str:
        return self.settings.dbname

    def as_role(self, user: str) -> Settings:
        """The connection of another role that logs in, or of the superuser."""
        passfile = str(self.server.passfile) if user == SUPERUSER else self.settings.passfile
        return replace(self.settings, user=user, passfile=passfile)

    def in_database(self, dbname: str) -> Database:
        """Another database of the same server (a scratch database, a restored one)."""
        return replace(self, settings=replace(self.settings, dbname=dbname))

    @contextmanager
    def connection(self, user: str = SUPERUSER) -> Iterator[Any]:
        """An open psycopg2 connection, not in autocommit mode; closed (and so rolled back) at the end."""
        conn = psycopg2.connect(**self.as_role(user).keywords())
        try:
            yield conn
        finally:
            conn.close()

    def execute(
        self, statements: str, parameters: Any = None, *, user: str = SUPERUSER, role: str | None = None
    ) -> None:
        """Run one or more statements in one committed transaction; role: SET ROLE first (NOLOGIN roles)."""
        with self.connection(user) as conn, conn.cursor() as cursor:
            if role:
                cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            cursor.execute(statements, parameters)
            conn.commit()

    def rows(self, query: str, parameters: Any = None, *, user: str = SUPERUSER) -> list[tuple[Any, ...]]:
        """All rows of one query."""
        with self.connection(user) as conn, conn.cursor() as cursor:
            cursor.execute(query, parameters)
            return list(cursor.fetchall())

    def value(self, query: str, parameters: Any = None, *, user: str = SUPERUSER) -> Any:
        """The single value of a query with one row of one column."""
        [(value,)] = self.rows(query, parameters, user=user)
        return value


@dataclass
class Cluster:
    """The servers of one test session, started when first asked for, each empty again for every test."""

    directory: Path
    servers: dict[str, Server] = field(default_factory=dict)
    passwords: dict[str, list[str]] = field(default_factory=dict)

    @property
    def passfile(self) -> Path:
        """One passfile (0600) with the password of every role on every server in use."""
        return self.directory / "passfile"

    def server(self, name: str, major: int) -> Server:
        """The running server of that name and version, without any database or role of an earlier test."""
        key = f"{name}{major}"
        if key not in self.servers:
            self.servers[key] = Server.create(key, major, self.directory / key, TEST_SETTINGS)
        server = self.servers[key]
        server.start()
        _empty(server)
        self.passwords[key] = []
        return server

    def source(self, server: Server, service: str) -> Database:
        """A fresh service database (schema public, no tables) with its production roles."""
        return self._database(server, roles.create_source(server, service), service)

    def target(self, server: Server, database: str = "storage") -> Database:
        """A fresh storage database with its production roles."""
        return self._database(server, roles.create_target(server, database), database)

    def _database(self, server: Server, logins: Sequence[str], dbname: str) -> Database:
        known = {line.split(":")[3] for line in self.passwords[server.name]}
        self.passwords[server.name] += roles.give_passwords(server, [role for role in logins if role not in known])
        files.write(self.passfile, "".join(line for lines in self.passwords.values() for line in lines))
        settings = Settings(
            host=server.host, port=server.port, dbname=dbname, user="consolidation", passfile=str(self.passfile)
        )
        return Database(server, settings)

    def destroy(self) -> None:
        for server in self.servers.values():
            server.destroy()


@contextmanager
def standby_away(database: Database) -> Iterator[None]:
    """A synchronous standby that no commit reaches, and sessions that wait for it, as they do unless told otherwise."""
    with database.connection() as conn:
        conn.autocommit = True
        cursor = conn.cursor()
        cursor.execute("ALTER SYSTEM SET synchronous_standby_names = 'away'")
        cursor.execute("ALTER SYSTEM SET synchronous_commit = on")
        cursor.execute("SELECT pg_reload_conf(), pg_sleep(0.3)")
        try:
            yield
        finally:
            cursor.execute("ALTER SYSTEM RESET synchronous_standby_names")
            cursor.execute("ALTER SYSTEM RESET synchronous_commit")
            cursor.execute("SELECT pg_reload_conf(), pg_sleep(0.3)")


def missing_versions(pair: Sequence[int]) -> str:
    """The versions of the pair that this machine does not have, for the reason of a skip; '' when it has all."""
    return ", ".join(str(major) for major in sorted(set(pair)) if major not in installations())


def digest_of_everything(server: Server) -> dict[str, str]:
    """Database -> digest of its dump (definitions, grants, rows in physical order, sequences); '' -> the roles'.

    Equal before and after means: nothing on this server was changed.
    """
    conn = server.connect()
    with conn.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname")
        names = [name for (name,) in cursor.fetchall()]
    conn.close()
    digests = {"": _digest(server, [server.bin / "pg_dumpall", "--globals-only"])}
    return digests | {name: _digest(server, [server.bin / "pg_dump", "--create", f"--dbname={name}"]) for name in names}


def digest_of_files(directory: Path) -> dict[str, str]:
    """Path below the directory -> mode, owner and digest of the content, for every file."""
    return {
        str(path.relative_to(directory)): f"{path.stat().st_mode:o} {path.stat().st_uid} "
        + hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def _digest(server: Server, command: Sequence[str | Path]) -> str:
    # pg_dump frames its output with \restrict and a random key, in versions since August 2025
    lines = server.run(command).splitlines()
    text = "\n".join(line for line in lines if not line.startswith(("\\restrict", "\\unrestrict")))
    return hashlib.sha256(text.encode()).hexdigest()


def _empty(server: Server) -> None:
    """Drop every database and role that a test made."""
    conn = server.connect()
    with conn.cursor() as cursor:
        cursor.execute("SELECT gid, database FROM pg_prepared_xacts")
        for gid, dbname in cursor.fetchall():
            owner = server.connect(dbname)
            owner.cursor().execute("ROLLBACK PREPARED %s", (gid,))
            owner.close()
        cursor.execute("SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'")
        for (name,) in cursor.fetchall():
            cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> %s", (SUPERUSER,))
        for (name,) in cursor.fetchall():
            cursor.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
    conn.close()
