"""Helpers around real servers: databases with the roles of production, SQL as any role, digests of everything."""

from __future__ import annotations

import hashlib
import hmac
import os
import shutil
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql

from consolidation import files
from consolidation.postgres.connection import Settings
from demo import data, roles
from demo.servers import SUPERUSER, Server, installations
from tests import leftovers

PAIRS = [(16, 18), (18, 18), (16, 16), (15, 15)]
"""(major of the source, major of the target)"""

TEST_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_prepared_transactions": "10",
    "max_connections": "100",
    "min_wal_size": "32MB",
    "max_wal_size": "128MB",
    "deadlock_timeout": "200ms",
    "wal_retrieve_retry_interval": "100ms",
}

FEW_ROWS = data.Volume(campaigns=40, chapters=200, images=60, overlays=120)
MEMORY_BYTES = 4 * 1024**3
"""What the servers of two workers need, and as much again for everything else."""

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
    """The servers of one test session, started when first asked for; no test finds what another one left.

    The roles of production and templates of the databases stay, and are made anew once a test has changed a role.
    """

    directory: Path
    servers: dict[str, Server] = field(default_factory=dict)
    passwords: dict[str, list[str]] = field(default_factory=dict)
    roles: dict[str, dict[int, str]] = field(default_factory=dict)
    """Server -> the roles that a test finds there, and all that is said of them."""

    @property
    def passfile(self) -> Path:
        """One passfile (0600) with the password of every role on every server in use."""
        return self.directory / "passfile"

    def server(self, name: str, major: int) -> Server:
        """The running server of that name and version, without any database of an earlier test, and no role it made."""
        key = f"{name}{major}"
        if key not in self.servers:
            self.servers[key] = self._create(key, major)
        server = self.servers[key]
        with leftovers.superuser(server) as cursor:
            leftovers.drop_databases(cursor, server)
            untouched = leftovers.drop_roles(cursor, self.roles[key])
            cursor.execute("SELECT rolname FROM pg_roles")
            left = {name for (name,) in cursor.fetchall()}
            self.passwords[key] = [line for line in self.passwords[key] if line.split(":")[3] in left]
        if not untouched:
            self.bare(server)
        return server

    def _create(self, key: str, major: int) -> Server:
        quick = {"scram_iterations": "1"} if major >= 16 else {}
        server = Server.create(key, major, self.directory / key, TEST_SETTINGS | quick)
        files.write(server.passfile, "".join(given_passwords(server, [SUPERUSER])))
        self.bare(server)
        return server

    def bare(self, server: Server) -> None:
        """Leave it without roles and templates too."""
        with leftovers.superuser(server) as cursor:
            leftovers.drop_templates(server)
            leftovers.drop_databases(cursor, server)
            cursor.execute("ALTER ROLE ALL RESET ALL")
            found = leftovers.roles_of(cursor)
            leftovers.drop_roles(cursor, {oid: found[oid] for oid in found if oid < leftovers.FIRST_NORMAL_OID})
            self.roles[server.name] = leftovers.roles_of(cursor)
        self.passwords[server.name] = []

    def source(self, server: Server, service: str) -> Database:
        """A fresh service database (schema public, no tables) with its production roles."""
        return self._cloned(server, service, service, lambda: roles.create_source(server, service))

    def filled_source(self, server: Server, service: str) -> Database:
        """A fresh service database with the service's tables and a few rows, nasty ones among them."""

        def fill() -> list[str]:
            self.source(server, service)
            data.create_tables(server, service)
            data.generate(server, service, FEW_ROWS)
            return []

        return self._cloned(server, f"{service}_rows", service, fill)

    def target(self, server: Server, database: str = "storage") -> Database:
        """A fresh storage database with its production roles."""
        return self._cloned(server, database, database, lambda: roles.create_target(server, database))

    def _cloned(self, server: Server, kind: str, dbname: str, make: Callable[[], list[str]]) -> Database:
        """A new database like the one that ``make`` makes where there is none yet; it returns the roles that log in."""
        template = f"{leftovers.TEMPLATE}{kind}"
        with leftovers.superuser(server) as cursor:
            if not leftovers.is_there(cursor, template):
                known, before = self.roles[server.name], leftovers.roles_of(cursor)
                self.give_passwords(server, make())
                leftovers.keep(cursor, dbname, template)
                # What the test itself has made or changed before is no part of it.
                self.roles[server.name] = known | {
                    oid: role for oid, role in leftovers.roles_of(cursor).items() if before.get(oid) == known.get(oid)
                }
            leftovers.clone(cursor, template, dbname)
        return self.database(server, dbname)

    def prepared(self, state: str, databases: Sequence[Database], prepare: Callable[[], object]) -> None:
        """Have these databases as ``prepare`` makes them: the first time by it, then as clones of what it has made.

        ``state`` says what it makes, for all tests of a session. Only what is in the databases comes back: neither
        roles, nor settings of a database, nor statistics.
        """
        key = "_".join([leftovers.TEMPLATE + state, *(each.server.name for each in databases)])
        with ExitStack() as sessions:
            cursors = [sessions.enter_context(leftovers.superuser(each.server)) for each in databases]
            there = all(leftovers.is_there(cursor, key) for cursor in cursors)
            if not there:
                prepare()
            for cursor, each in zip(cursors, databases, strict=True):
                if there:
                    leftovers.drop_database(cursor, each.name)
                else:
                    leftovers.drop_template(cursor, key)
                    leftovers.keep(cursor, each.name, key)
                leftovers.clone(cursor, key, each.name)

    def give_passwords(self, server: Server, logins: Sequence[str]) -> None:
        """Give those that have none a password, and write the passfile."""
        known = {line.split(":")[3] for line in self.passwords[server.name]}
        self.passwords[server.name] += given_passwords(server, [role for role in logins if role not in known])
        files.write(self.passfile, "".join(line for lines in self.passwords.values() for line in lines))

    def database(self, server: Server, dbname: str) -> Database:
        """An existing database."""
        settings = Settings(
            host=server.host, port=server.port, dbname=dbname, user="consolidation", passfile=str(self.passfile)
        )
        return Database(server, settings)

    def destroy(self) -> None:
        for server in self.servers.values():
            server.destroy()


def given_passwords(server: Server, logins: list[str]) -> list[str]:
    """Lines for a passfile; of one iteration, else they take most of the time of a connection."""
    with leftovers.superuser(server) as cursor:  # before the superuser's is another one
        lines = roles.give_passwords(server, logins)
        for role, password in (line.rstrip("\n").split(":")[3:] for line in lines):
            if server.major < 16:  # knows no scram_iterations
                verifier = sql.Literal(_quick_verifier(password.encode()))
                cursor.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), verifier))
    return lines


def _quick_verifier(password: bytes) -> str:
    """What the server keeps of a password, by RFC 5803."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, 1)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    keys = (b64encode(each).decode() for each in (salt, stored, hmac.digest(salted, b"Server Key", "sha256")))
    return "SCRAM-SHA-256$1:{}${}:{}".format(*keys)


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


@contextmanager
def directory_of_servers() -> Iterator[Path]:
    """A temporary directory that PostgreSQL's account may enter; in memory, where there is room for servers.

    A new database is 300 new files, and some file systems take a quarter of a second for them.
    """
    memory = Path("/dev/shm")  # noqa: S108 - the directory below has a random name
    fits = memory.exists() and shutil.disk_usage(memory).free > MEMORY_BYTES
    runs = fits and not os.statvfs(memory).f_flag & os.ST_NOEXEC
    with tempfile.TemporaryDirectory(prefix="consolidation-", dir=memory if runs else None) as name:
        Path(name).chmod(0o711)
        yield Path(name)


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
