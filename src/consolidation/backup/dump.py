"""Dump a database and read what it holds, both in one exported snapshot: equality is exact."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from consolidation import files
from consolidation.backup import content, manifest, programs
from consolidation.backup.databases import JOBS
from consolidation.backup.manifest import Manifest
from consolidation.errors import BackupError, StatementFailed, describe, next_step
from consolidation.model import Database
from consolidation.postgres.background import meanwhile
from consolidation.postgres.catalog import Table
from consolidation.postgres.connection import Settings, connect
from consolidation.postgres.locks import lock_for_snapshot
from consolidation.postgres.queries import execute, query, value

LOCK_SECONDS = 60
HOLDS_MONEY = (
    "SELECT EXISTS (SELECT FROM pg_attribute WHERE atttypid IN ('money'::regtype, 'money[]'::regtype))"
    " OR EXISTS (SELECT FROM pg_type WHERE typbasetype IN ('money'::regtype, 'money[]'::regtype))"
)
LARGE_OBJECTS = "the dump holds no large objects: the runbook's role may not read all of them"


def conninfo(source: Settings, *, money: bool = False) -> str:
    """Of pg_dump. money: it is there, and printed as a restore reads it; only then, a pooler need not take options."""
    options = {"options": "-c lc_monetary=C"} if money else {}
    return source.conninfo(application_name="consolidation backup dump", **options)


def command(
    connection: str, tools: Path, snapshot: str, directory: Path, *, large_objects: bool = True
) -> list[str | Path]:
    """The command line of pg_dump: no secret in it."""
    return [
        tools / "pg_dump",
        f"--dbname={connection}",
        "--format=directory",
        f"--jobs={JOBS}",
        "--compress=1",
        f"--snapshot={snapshot}",
        f"--lock-wait-timeout={LOCK_SECONDS * 1000}",
        "--no-password",
        f"--file={directory / manifest.DUMP}",
        *([] if large_objects else ["-B"]),
    ]


def make(database: Database, run_id: str, tables: Sequence[Table], tools: Path, directory: Path) -> Manifest:
    """Dump the whole source database and the server's roles into an empty directory.

    tables: those of the source schema; they are locked against TRUNCATE and changes of their definition.
    tools: directory of PostgreSQL's programs. Raises BackupError, StatementFailed.
    """
    source, schema = database.source, database.source_schema
    conn = connect(source, "backup")
    try:
        facts = _begin(conn, tables, schema)
        snapshot = value(conn, "SELECT pg_export_snapshot()")
        # pg_dump would fail at the first of them; the tables are what the run is responsible for.
        hidden = facts["properties"]["large_objects_hidden"]
        connection = conninfo(source, money=value(conn, HOLDS_MONEY))
        with meanwhile(conn, lambda: content.digests_of(conn, schema)) as digesting:
            try:
                programs.run(
                    command(connection, tools, snapshot, directory, large_objects=not hidden),
                    watch=lambda: digesting.done() and digesting.result(),  # its error ends pg_dump
                )
            except BackupError:
                # The snapshot ends with the session that digests: where that failed, pg_dump is only its victim.
                with suppress(TimeoutError):
                    digesting.result(timeout=1)
                raise
            digests = digesting.result()
    except psycopg2.Error as error:
        raise StatementFailed(f"{source}: {describe(error)}", hint=next_step(error)) from error
    finally:
        conn.close()
    _globals(source, tools, directory / manifest.GLOBALS)
    return Manifest(
        format=manifest.FORMAT,
        run_id=run_id,
        database=database.name,
        source={"host": source.host, "port": source.port, "dbname": source.dbname},
        source_schema=schema,
        tool_version=programs.version(tools / "pg_dump"),
        tables=digests,
        files=manifest.hashes(directory),
        **facts,
    )


def _begin(conn: Connection, tables: Sequence[Table], schema: str) -> dict[str, Any]:
    """Take the snapshot, and what else the manifest says of this moment."""
    conn.set_session(isolation_level="REPEATABLE READ", readonly=True)
    if conn.server_version >= 170000:
        execute(conn, "SET LOCAL transaction_timeout = 0")
    execute(conn, f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
    lock_for_snapshot(conn, tables)
    # This statement takes the snapshot: a write acknowledged before it arrived is in the dump.
    snapshot_at = value(conn, "SELECT statement_timestamp()")
    may_read_lsn = value(conn, "SELECT has_function_privilege('pg_current_wal_lsn()', 'EXECUTE')")
    return {
        "snapshot_at": snapshot_at.isoformat(timespec="microseconds"),
        "lsn": value(conn, "SELECT pg_current_wal_lsn()::text") if may_read_lsn else None,
        "properties": {
            **value(conn, query("backup/database_properties")),
            "large_objects_hidden": value(conn, query("backup/large_objects_hidden"), {"role": conn.info.user}),
        },
        "database_bytes": int(value(conn, "SELECT pg_database_size(current_database())")),
        "server_version": value(conn, "SHOW server_version"),
        "sequences": content.sequences_of(conn, schema),
    }


def _globals(source: Settings, tools: Path, path: Path) -> None:
    """Roles and their memberships, without passwords: what a rebuilt server needs before a restore."""
    conninfo = source.conninfo(application_name="consolidation backup globals")
    options = ["--globals-only", "--no-role-passwords", "--no-password", f"--database={source.dbname}"]
    programs.run([tools / "pg_dumpall", f"--dbname={conninfo}", *options], output=path)
    files.sync(path)
