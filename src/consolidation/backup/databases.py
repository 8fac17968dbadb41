"""Whole databases of a server: create one like another, fill it from a dump, drop it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg2
import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.backup import archive
from consolidation.backup.archive import Failure
from consolidation.borders import Json
from consolidation.errors import ConsolidationError
from consolidation.postgres.connection import Settings, session
from consolidation.postgres.queries import dicts, execute, query
from consolidation.postgres.settings import PINNED

JOBS = 2
NAME_BYTES = 63
UNSET = ("array_nulls", "default_transaction_read_only", "exit_on_error", "lc_monetary")
"""What a restore depends on and pg_restore does not set."""
PRIVILEGES = {name: name for name in ("CONNECT", "CREATE", "TEMPORARY")}
PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}


def fitted(name: str) -> str:
    """A name that PostgreSQL does not cut: a long one ends with a hash of the whole."""
    raw = name.encode()
    if len(raw) <= NAME_BYTES:
        return name
    return raw[: NAME_BYTES - 9].decode(errors="ignore") + "_" + hashlib.sha256(raw).hexdigest()[:8]


def create(conn: Connection, name: str, properties: Json, *, owner: str | None = None) -> None:
    """Create an empty database with the encoding and locale of ``properties`` (sql/database_properties.sql).

    The connection autocommits. No one but the owner (default: us) may connect to it.
    """
    options = [("ENCODING", properties["encoding"]), *_locale(conn, properties)]
    _create(conn, name, options, owner)


def create_scratch(conn: Connection, name: str, properties: Json) -> None:
    """The same for a database that is dropped again: with the locale "C" where this server has not the other's."""
    try:
        create(conn, name, properties)
    except (
        psycopg2.errors.WrongObjectType,
        psycopg2.errors.FeatureNotSupported,
        psycopg2.errors.InvalidParameterValue,
    ):
        plain = {"encoding": properties["encoding"], "locale_provider": "c", "collate": "C", "ctype": "C"}
        create(conn, name, plain)


def give_properties(conn: Connection, name: str, properties: Json) -> list[str]:
    """Give a database the grants, the connection limit and the settings of another.

    Returns the names of the settings that PostgreSQL did not let this role set.
    """
    database = sql.Identifier(name)
    limit = sql.Literal(properties["connection_limit"])
    execute(conn, sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(database, limit))
    for grant in properties["grants"]:
        statement = sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(
            sql.SQL(PRIVILEGES[grant["privilege"]]),
            database,
            sql.SQL("PUBLIC") if grant["role"] is None else sql.Identifier(grant["role"]),
            sql.SQL(" WITH GRANT OPTION" if grant["grantable"] else ""),
        )
        execute(conn, statement)
    return [setting for setting, given in properties["settings"] if not _give_setting(conn, name, setting, given)]


def load(settings: Settings, tools: Path, dump: Path, options: Sequence[str] = ()) -> tuple[Failure, ...]:
    """Restore a dump into an empty database, as far as it goes; the entries that failed.

    tools: directory of pg_restore. Raises BackupError.
    """
    conninfo = f"--dbname={settings.conninfo(application_name='consolidation restore')}"
    command: list[str | Path] = [tools / "pg_restore", conninfo, f"--jobs={JOBS}", "--no-password", *options]
    with _writing(settings):
        return archive.restore([*command, "--verbose", dump], tools, dump, str(settings))


@contextmanager
def _writing(settings: Settings) -> Iterator[None]:
    """Our role's sessions in that database write, go on after an error, and read what was dumped, whatever else is set.

    pg_restore sets all else itself; a pooler need not let it ask for more when it connects.
    """
    _alter(settings, [f"SET {name} = '{PINNED[name]}'" for name in UNSET])
    try:
        yield
    finally:
        with suppress(ConsolidationError):  # where the server has gone: the database is not used, then
            _alter(settings, [f"RESET {name}" for name in UNSET])


def _alter(settings: Settings, changes: Iterable[str]) -> None:
    name = sql.Identifier(settings.dbname)
    with session(settings, "restore", autocommit=True) as conn:
        for change in changes:
            execute(conn, sql.SQL("ALTER ROLE CURRENT_USER IN DATABASE {} {}").format(name, sql.SQL(change)))


def drop(conn: Connection, name: str) -> None:
    """Drop a database if it is there, with the sessions of a dead process on it. The connection autocommits."""
    database = sql.Identifier(name)
    try:
        execute(conn, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(database))
    except psycopg2.errors.InsufficientPrivilege:
        # FORCE may not end an autovacuum worker, which is a superuser's; without it PostgreSQL sends the worker away.
        execute(conn, sql.SQL("DROP DATABASE IF EXISTS {}").format(database))


def sessions(conn: Connection, name: str) -> tuple[list[int], list[str]]:
    """Who is connected to a database: pids of our own sessions, and those of others in words."""
    found = dicts(conn, query("backup/database_sessions"), {"database": name})
    others = [
        f"pid {row['pid']}, user {row['role']}, application {row['application'] or 'unnamed'}, since {row['since']}"
        for row in found
        if not row["ours"]
    ]
    return [row["pid"] for row in found if row["ours"]], others


def _create(conn: Connection, name: str, options: Sequence[tuple[str, str]], owner: str | None) -> None:
    words = [sql.SQL(f"{word} = {{}}").format(sql.Literal(value)) for word, value in options]
    if owner is not None:
        words.append(sql.SQL("OWNER = {}").format(sql.Identifier(owner)))
    database = sql.Identifier(name)
    execute(conn, sql.SQL("CREATE DATABASE {} TEMPLATE = template0 {}").format(database, sql.SQL(" ").join(words)))
    execute(conn, sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))


def _locale(conn: Connection, properties: Json) -> list[tuple[str, str]]:
    provider = PROVIDERS[properties["locale_provider"]]
    options = [("LC_COLLATE", properties["collate"]), ("LC_CTYPE", properties["ctype"])]
    if conn.server_version >= 150000:  # before, there was libc alone
        options.append(("LOCALE_PROVIDER", provider))
    if provider != "libc":
        options.append((f"{provider}_locale".upper(), properties["locale"]))
    if properties.get("icu_rules"):
        options.append(("ICU_RULES", properties["icu_rules"]))
    return options


def _give_setting(conn: Connection, name: str, setting: str, given: str) -> bool:
    statement = sql.SQL("ALTER DATABASE {} SET {} FROM CURRENT").format(
        sql.Identifier(name), sql.SQL(".").join(map(sql.Identifier, setting.split(".")))
    )
    execute(conn, "BEGIN")
    try:
        # A value as pg_db_role_setting has it: only so does a list (search_path) stay a list.
        execute(conn, "SELECT set_config(%s, %s, true)", [setting, given])
        execute(conn, statement)
    except psycopg2.Error:
        execute(conn, "ROLLBACK")
        return False
    execute(conn, "COMMIT")
    return True
