"""Restore a lost source from its proved dump: the last resort, with the operator's typed consent.

The dump goes into a database of its own, ``DBNAME_restored_RUN``. It is compared with the manifest, fenced, and marked
complete in its comment. Then both renames happen in one transaction: what was there stays as ``DBNAME_lost_RUN``. So a
crash leaves either a database without the mark, which the next run replaces, or one with it, which it goes on with.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.backup import content, databases, manifest, programs
from consolidation.backup.manifest import Manifest
from consolidation.borders import Json
from consolidation.errors import BackupError, ConfigurationError, StepRefused
from consolidation.fence import state as fence
from consolidation.fence import trigger
from consolidation.journal import state
from consolidation.journal.phase import recorded
from consolidation.journal.results import Phase, RestoreResult
from consolidation.model import Database
from consolidation.postgres.connection import Settings, session
from consolidation.postgres.queries import dicts, execute, query, rows, value

LOCK_SECONDS = 60.0


@dataclass(frozen=True)
class Plan:
    """What a restore would do now."""

    database: Database
    directory: Path
    """Of the dump."""
    tools: Path
    """Directory of pg_restore."""
    maintenance: Settings
    """A database of the source's server that is not to be replaced."""
    run_id: str
    """The run that is rolled back."""
    made: Manifest
    present: dict[str, str]
    """Comment of each of our three databases that exists, by name."""
    recorded: bool
    """Whether the journal has the restore as done; a process may have died between the swap and that."""

    @property
    def dbname(self) -> str:
        """The database that the service uses."""
        return self.database.source.dbname

    @property
    def restored(self) -> str:
        """Where the dump is restored to, before the swap."""
        return databases.fitted(f"{self.dbname}_restored_{self.run_id}")

    @property
    def lost(self) -> str:
        """What the replaced database is called afterwards."""
        return databases.fitted(f"{self.dbname}_lost_{self.run_id}")

    @property
    def mark(self) -> str:
        """Stands in the comment of a database that was restored completely."""
        return f"[storage consolidation: restored in run {self.run_id} from the dump of run {self.made.run_id}]"

    @property
    def changed(self) -> bool:
        """Whether the service's database is not yet the restored one."""
        return self.mark not in self.present.get(self.dbname, "")

    @property
    def sentence(self) -> str:
        """What the operator has to type, word by word."""
        since = datetime.fromisoformat(self.made.snapshot_at)
        return f"lose writes to {self.database.name} since {since:%Y-%m-%dT%H:%M:%SZ}"

    def as_result(self) -> Json:
        """For the operator, before anything is done: what would be lost, and the sentence to type."""
        return {"run_id": self.run_id, **self.facts().as_json()}

    def facts(self) -> RestoreResult:
        """The same, for the journal."""
        msg = f"{self.dbname} was restored in run {self.run_id} already"
        if self.changed:
            msg = (
                f"a restore of {self.dbname} as of {self.made.snapshot_at} loses every later write that the storage"
                f" database has not; consent reads: {self.sentence}"
            )
        return RestoreResult(str(self.directory), self.sentence, msg)

    def diff(self) -> dict[str, str]:
        """The service's database before and after."""
        where = f"{self.maintenance.host}:{self.maintenance.port}"
        after = f"{self.dbname} on {where}: restored from {self.directory}, as of {self.made.snapshot_at}\n"
        if not self.changed:
            return {"before": after, "after": after}
        if self.dbname not in self.present:
            return {"before": f"{self.dbname} on {where}: not there\n", "after": after}
        kept = f"{self.lost} on {where}: what was {self.dbname} until now\n"
        return {"before": f"{self.dbname} on {where}: as it is now\n", "after": after + kept}


def plan(
    database: Database,
    directory: Path,
    tools: Path,
    *,
    maintenance_dbname: str = "postgres",
    backup_run_id: str | None = None,
) -> Plan:
    """What a restore would do now. Raises what it would fail with.

    directory: holds the dumps of all runs. backup_run_id: take the dump of that run; default: the latest run.
    """
    if not database.strategy.two_copies:
        raise StepRefused(
            f"{database.name}: its tables are in the storage database itself, which is not swapped for an old dump",
            hint="restore the schema by hand: pg_restore --schema from the dump into a scratch database, then compare",
        )
    with session(database.target, "restore plan") as conn:
        now = state.read(conn, database)
        dumped = state.read(conn, database, backup_run_id) if backup_run_id else now
    if now.run is None or dumped.run is None:
        raise StepRefused(f"{database.name}: the journal knows no run", hint="nothing to roll back")
    if not dumped.done(Phase.BACKUP):
        raise StepRefused(
            f"{database.name}: the journal knows no proved dump of run {dumped.run.id}",
            hint="name a run that has one: -e backup_run_id=<run id>",
        )
    dump = directory / dumped.run.id / database.name
    made = manifest.check(dump, sha256=dumped.backup.manifest_sha256, run_id=dumped.run.id, database=database.name)
    if programs.version(tools / "pg_restore") < made.tool_version:
        raise ConfigurationError(
            f"{tools}: older than pg_dump {made.tool_version} that made {dump}",
            hint="set consolidation_postgresql_bin to programs of that version or later",
        )
    maintenance = replace(database.source, dbname=maintenance_dbname)
    planned = Plan(database, dump, tools, maintenance, now.run.id, made, {}, now.done(Phase.ROLLBACK_RESTORE))
    with session(maintenance, "restore plan") as conn:
        names = [planned.dbname, planned.restored, planned.lost]
        present = {
            row["name"]: row["comment"] for row in dicts(conn, query("rollback/restore_state"), {"names": names})
        }
        planned = replace(planned, present=present)
        if planned.changed:
            _refuse_unsuitable(conn, planned)
    return planned


def apply(plan: Plan, consent: str) -> Json:
    """Restore, compare, fence, swap. Raises StepRefused without the consent, BackupError."""
    facts = plan.facts()
    if not plan.changed:
        if not plan.recorded:
            with recorded(plan.database, Phase.ROLLBACK_RESTORE) as work:
                work.note(replace(plan.facts(), fence_epoch=_epoch(plan)))
        return plan.as_result()
    if consent != plan.sentence:
        given = "what was given is another sentence" if consent else "it was not given"
        raise StepRefused(
            f"{plan.database.name}: {facts.msg}; this needs your consent, and {given}",
            hint=f"to go on, give the consent exactly so: {plan.sentence}",
            facts={"consent": plan.sentence},
        )
    started = time.monotonic()
    with recorded(plan.database, Phase.ROLLBACK_RESTORE) as work, programs.stoppable():
        work.note(replace(facts, msg=""))
        with session(plan.maintenance, "restore", autocommit=True) as conn:
            if plan.mark not in plan.present.get(plan.restored, ""):
                work.note(_restore(conn, plan))
            _swap(conn, plan)
        found = RestoreResult(
            msg=f"{plan.dbname} was restored as of {plan.made.snapshot_at} and is fenced",
            fence_epoch=_epoch(plan),
            tables=tuple({"name": name, **table} for name, table in sorted(plan.made.tables.items())),
            kept_as=plan.lost if plan.dbname in plan.present else None,
            seconds=round(time.monotonic() - started, 3),
        )
        work.note(found)
        return {"kept_as": None, **work.result}


def _refuse_unsuitable(conn: Connection, plan: Plan) -> None:
    """Refuse a server that the dump cannot be restored to as it was. Raises ConfigurationError, StepRefused."""
    server = f"{plan.maintenance.host}:{plan.maintenance.port}"
    if conn.server_version // 10000 < int(plan.made.server_version.split(".", maxsplit=1)[0]):
        raise ConfigurationError(
            f"{server} is older than the server that was dumped ({plan.made.server_version})",
            hint="restore to a server of that version or later",
        )
    if not value(conn, "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"):
        raise ConfigurationError(
            f"{plan.maintenance}: the role may not create databases",
            hint=f'as superuser there: ALTER ROLE "{plan.maintenance.user}" CREATEDB',
        )
    wanted = {"roles": plan.made.properties["roles"], "owners": plan.made.properties["owners"]}
    wrong = dicts(conn, query("rollback/restore_roles"), wanted)
    if missing := [row["name"] for row in wrong if row["state"] == "missing"]:
        raise ConfigurationError(
            f"{server} has not the roles {', '.join(missing)} that own or use what is in the dump",
            hint=f"create them as superuser: psql -f {plan.directory / manifest.GLOBALS} (then give them passwords)",
        )
    if wrong:
        raise ConfigurationError(
            f"{plan.maintenance}: the role is no member of {', '.join(row['name'] for row in wrong)}",
            hint=f"as superuser there: {'; '.join(row['fix'] for row in wrong)}",
        )
    if plan.lost in plan.present and plan.dbname in plan.present:
        raise StepRefused(
            f"{server} has a database {plan.lost} already, kept from an earlier restore",
            hint="look at it; when it is not needed any more, drop or rename it, then run again",
        )


def _restore(conn: Connection, plan: Plan) -> RestoreResult:
    """Fill a fresh database and prove it; what could not be given to it. It is dropped on failure."""
    name, properties = plan.restored, plan.made.properties
    databases.drop(conn, name)
    try:
        databases.create(conn, name, properties, owner=properties["owner"])
        restored = replace(plan.database, source=replace(plan.database.source, dbname=name))
        failures = databases.load(restored.source, plan.tools, plan.directory / manifest.DUMP)
        with session(restored.source, "restore compare") as filled:
            wrong = content.read(filled, plan.made.source_schema).complaints(plan.made, failures)
        if wrong:
            raise BackupError(
                f"{plan.database.name}: what was restored is not what was dumped: {'; '.join(wrong)}",
                hint="nothing was replaced; run again, and if it fails again take another dump",
                facts={"differences": wrong},
            )
        # The service must not write before the newer rows of the storage database are back.
        with session(restored.source, "restore fence") as filled:
            if plan.made.tables:
                trigger.close_side(filled, restored.source_side, LOCK_SECONDS)
        refused = databases.give_properties(conn, name, properties)
        comment = " ".join(filter(None, [properties["comment"], plan.mark]))
        execute(conn, sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(comment)))
    except BaseException:
        databases.drop(conn, name)
        raise
    return RestoreResult(settings_not_restored=refused, not_restored=[str(failure) for failure in failures])


def _epoch(plan: Plan) -> str:
    """Of the restored database's fence: another one means that it was opened since."""
    with session(plan.database.source, "restore fence") as filled:
        return fence.epoch(fence.read(filled, plan.database.source_side))


def _swap(conn: Connection, plan: Plan) -> None:
    """Rename both in one transaction. Sessions of our own are ended, those of others are not ours to end."""
    ours, others = databases.sessions(conn, plan.dbname)
    if others:
        raise StepRefused(
            f"{plan.dbname} is in use by {len(others)} sessions: {'; '.join(others[:10])}",
            hint="stop the service, or end each with SELECT pg_terminate_backend(pid); then run again:"
            f" {plan.restored} is complete and will be used",
        )
    for pid in ours:
        rows(conn, "SELECT pg_terminate_backend(%s)", [pid])
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    moves = [(plan.dbname, plan.lost)] if plan.dbname in plan.present else []
    execute(conn, "BEGIN")
    for old, new in [*moves, (plan.restored, plan.dbname)]:
        execute(conn, rename.format(sql.Identifier(old), sql.Identifier(new)))
    execute(conn, "COMMIT")
