"""The restore drill: a dump is believed when it was restored and its content compared with the manifest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from psycopg2.extensions import connection as Connection

from consolidation.backup import archive, content, databases, manifest
from consolidation.backup.manifest import Manifest
from consolidation.borders import Json
from consolidation.errors import BackupError, ConfigurationError
from consolidation.postgres.connection import Settings, session
from consolidation.postgres.queries import query, rows, value

PREFIX = "consolidation_drill"
# Only content counts here; these would need a superuser, or roles and tablespaces that another server need not have.
LEFT_OUT = (
    "--no-owner",
    "--no-acl",
    "--no-tablespaces",
    "--no-publications",
    "--no-subscriptions",
    "--no-security-labels",
)


def database_name(run_id: str, database: str) -> str:
    """Name of the scratch database."""
    return databases.fitted(f"{PREFIX}_{run_id}_{database}")


def refuse_unsuitable(drill: Settings, source_version: int) -> None:
    """Refuse a server that cannot hold the drill. Raises ConfigurationError.

    source_version: number of the source's server, as PostgreSQL gives it (160004).
    """
    with session(drill, "drill plan") as conn:
        may = value(conn, "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user")
        major = conn.server_version // 10000
    if not may:
        raise ConfigurationError(
            f"{drill}: the role may not create the scratch database of the restore drill",
            hint=f'as superuser there: ALTER ROLE "{drill.user}" CREATEDB; or name another server in backup_drill',
        )
    if major < source_version // 10000:
        raise ConfigurationError(
            f"{drill}: version {major} is older than the source's {source_version // 10000}: a dump need not restore",
            hint="name a server of the source's version or later in the variable backup_drill",
        )


def verify(made: Manifest, directory: Path, tools: Path, drill: Settings) -> Json:
    """Restore the dump in ``directory`` into a scratch database, compare, drop it. Raises BackupError."""
    with restored(made, directory, tools, drill) as (_, found):
        return found


@contextmanager
def restored(made: Manifest, directory: Path, tools: Path, drill: Settings) -> Iterator[tuple[Settings, Json]]:
    """The same with the scratch database, which is dropped at the end. Raises BackupError."""
    started = time.monotonic()
    name = database_name(made.run_id, made.database)
    with session(drill, "drill", autocommit=True) as conn, _scratch(conn, name, made):
        scratch = replace(drill, dbname=name)
        dump = directory / manifest.DUMP
        # Where it is forced, it would hide the rows from the drill's role, and from the foreign keys.
        with archive.list_without("ROW SECURITY", tools, dump) as kept:
            failures = databases.load(scratch, tools, dump, (*LEFT_OUT, kept))
        with session(scratch, "drill compare") as compared:
            found = content.read(compared, made.source_schema)
        if wrong := found.complaints(made, failures):
            raise BackupError(
                f"{made.database}: the dump does not restore to what was dumped: {'; '.join(wrong)}",
                hint="nothing was kept; run again, and if it fails again compare the versions of server and pg_dump",
                facts={"differences": wrong},
            )
        yield (
            scratch,
            {
                "server": f"{drill.host}:{drill.port}",
                "database": name,
                "tables": len(found.tables),
                "not_restored": [str(failure) for failure in failures],
                "seconds": round(time.monotonic() - started, 3),
            },
        )


@contextmanager
def _scratch(conn: Connection, name: str, made: Manifest) -> Iterator[None]:
    """An empty database that is gone afterwards, and so are those that died processes left behind."""
    escaped = made.database.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")
    for (left_over,) in rows(
        conn, query("backup/drill_leftovers"), {"own": name, "pattern": f"consolidation\\_drill\\_%\\_{escaped}"}
    ):
        databases.drop(conn, left_over)
    try:
        databases.create_scratch(conn, name, made.properties)
        yield
    finally:
        databases.drop(conn, name)
