"""What the backup will meet: tables that it could not dump or restore, and objects that its restore leaves out.

The restore drill runs on the target's server as the runbook's role there, or where ``drill`` says; and with an empty
search_path, as every restore by pg_restore does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.backup import programs
from consolidation.backup.drill import refuse_unsuitable
from consolidation.errors import BackupError, describe
from consolidation.journal import state
from consolidation.journal.decisions import Standing
from consolidation.journal.results import Phase
from consolidation.model import Database
from consolidation.postgres.connection import Settings, session
from consolidation.postgres.queries import dicts, execute, query, rows, value
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import found
from consolidation.preflight.side import LOCK_WAIT, Check, Side
from consolidation.text import count


@dataclass(frozen=True)
class Programs:
    """What the backup works with."""

    tools: Path
    """Directory of the client programs."""
    drill: Settings | None
    """Server of the restore drill; None: the target's."""


def checks(
    source: Side, target: Side | None, database: Database, backup: Programs, *, left_out: bool
) -> Iterator[Check]:
    """Checks of the source's tables and of the rest of its database. left_out: the command has no backup phase."""
    yield Check("functions that a restore calls", lambda: _functions(source))
    yield Check("large objects in the backup", lambda: _large_objects(source))
    if not source.by_reader:
        yield Check("what pg_dump makes of the definitions", lambda: _definitions(source, target, backup))
    if drill := backup.drill:
        yield Check("the server of the restore drill", lambda: _drill(source, drill))
    if target is not None or backup.drill is not None:
        yield Check("extensions in the restore drill", lambda: _extensions(source, target, backup.drill))
    if target is not None:
        yield Check("the run's backup", lambda: _run(target, database, left_out=left_out))


def _definitions(source: Side, target: Side | None, backup: Programs) -> Iterator[Finding]:
    """A try of pg_dump, without rows: what this release of it fails on, or writes that the drill's server refuses."""
    program = backup.tools / "pg_dump"
    if not program.exists() or programs.version(program) < source.major:
        return  # a finding of the runner
    with tempfile.TemporaryDirectory(prefix="consolidation-preflight-") as directory:
        made = Path(directory) / "definitions.sql"
        login = f"--dbname={source.settings.conninfo(application_name='consolidation preflight dump')}"
        options = ["--schema-only", "--no-password", f"--lock-wait-timeout={LOCK_WAIT}", f"--file={made}"]
        try:
            programs.run([program, login, *options])
        except BackupError as error:
            yield found("source.backup.definitions", source.settings.dbname, error.message, error.hint)
            return
        definitions = made.read_text(encoding="utf-8", errors="replace")
    oids = {"oids": [table.oid for table in source.tables]}
    for name, columns in rows(source.conn, query("preflight/column_options"), oids):
        if f"SET ({name}=" not in definitions and f", {name}=" not in definitions:
            continue  # this pg_dump leaves it out
        if _drill_knows(target, backup.drill, name):
            continue
        what = f"pg_dump writes the option {name} of {count(columns)} column(s), a note of the source's minor release,"
        what += " which the server of the restore drill does not take: no table that has one could be restored"
        release = value(source.conn, "SHOW server_version")
        fix = f"update the client programs to a minor release as new as the source's ({release})"
        yield found("source.backup.column_option", name, what, fix)


def _drill_knows(target: Side | None, drill: Settings | None, option: str) -> bool:
    statement = "SELECT EXISTS (SELECT FROM pg_attribute, unnest(attoptions) AS o WHERE split_part(o, '=', 1) = %s)"
    if target is None and drill is None:
        return False
    with _drill_server(target, drill) as (conn, _):
        return bool(value(conn, statement, [option]))


@contextmanager
def _drill_server(target: Side | None, drill: Settings | None) -> Iterator[tuple[Connection, str]]:
    """The server of the restore drill, and the role there."""
    if drill is not None:
        with session(drill, "preflight drill") as conn:
            yield conn, drill.user
    elif target is not None:
        yield target.conn, target.role


def _drill(source: Side, drill: Settings) -> Iterator[Finding]:
    """Raises what the drill would."""
    refuse_unsuitable(drill, source.conn.server_version)
    yield from ()


def _functions(source: Side) -> Iterator[Finding]:
    """Expressions of the tables are evaluated while rows are restored: with no search_path to find names by."""
    for row in dicts(source.conn, query("preflight/expressions"), {"oids": [table.oid for table in source.tables]}):
        execute(source.conn, "SAVEPOINT expression; SET LOCAL search_path = ''")
        try:
            rows(source.conn, row["statement"])
        except psycopg2.Error as error:
            if (error.pgcode or "")[:2] != "42":
                raise
            what = f"{row['sort']} {row['name']} calls {row['function']}, which fails without a search_path: "
            what += f"{describe(error)}; neither dump nor copy could be loaded"
            fix = f"ALTER FUNCTION {row['function']} SET search_path = {source.paste('{}', source.schema)};"
            yield found("source.backup.function", f"{row['place']}.{row['name']}", what, fix)
        else:
            if row["sort"] == "constraint" and not row["is_immutable"]:
                what = f"calls {row['function']}, which is not IMMUTABLE: if it reads other tables, no order of loading"
                what += " satisfies it, and the restore drill will fail on this table"
                fix = "replace the CHECK by a foreign key, or make the function IMMUTABLE if it reads no table"
                yield found("source.backup.check_reads", f"{row['place']}.{row['name']}", what, fix)
        finally:
            execute(source.conn, "ROLLBACK TO expression")


def _large_objects(source: Side) -> Iterator[Finding]:
    if value(source.conn, query("backup/large_objects_hidden"), {"role": source.role}):
        what = "the runbook's role may not read all large objects: the dump holds none of them"
        fix = source.paste("as superuser: GRANT {} TO {};", sql.SQL("…the role that owns them…"), source.role)
        yield found("source.backup.not_restored", "large objects", what, fix)


def _extensions(source: Side, target: Side | None, drill: Settings | None) -> Iterator[Finding]:
    statement = "SELECT name, bool_or(trusted) FROM pg_available_extension_versions GROUP BY name"
    with _drill_server(target, drill) as (conn, role):
        may = value(conn, "SELECT rolsuper FROM pg_roles WHERE rolname = %s", [role])
        available = dict(rows(conn, statement))
    for name, _, used in rows(
        source.conn, query("preflight/extensions"), {"oids": [table.oid for table in source.tables]}
    ):
        if may or available.get(name):
            continue
        why = "is not available on the server" if name not in available else "needs a superuser"
        if used:
            what = f"the tables need extension {name}, which {why} of the restore drill: the backup could not be proved"
            fix = "name a server in backup_drill that has it, with a role that is superuser there"
            yield found("source.backup.extension", name, what, fix)
        else:
            what = f"extension {name} {why}: the restore drill leaves it out, with what depends on it"
            fix = "nothing to do: a restore by a superuser brings it back where the server has it"
            yield found("source.backup.not_restored", f"extension {name}", what, fix)


def _run(target: Side, database: Database, *, left_out: bool) -> Iterator[Finding]:
    run = state.read(target.conn, database)
    if run.done(Phase.BACKUP) or (run.standing == Standing.ROLLED_BACK and not left_out):
        return
    if left_out or Phase.FENCE in run.phases:
        what = "this command leaves the backup out" if left_out else "the run went on without a backup"
        what += ", and the run has none: there is no rollback once the source is lost"
        fix = "ansible-playbook migrate.yml --tags backup, at any time before the source is touched"
        yield found("run.no_backup", database.name, what, fix)
