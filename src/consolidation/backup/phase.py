"""Backup: dump the whole source database, write down what it holds, and prove it by a restore.

A dump appears under ``DIRECTORY/RUN/DATABASE`` only when it is complete and proved; before, it is ``DATABASE.partial``
there. Digests and dump read the same exported snapshot, so equality is exact.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from consolidation import files
from consolidation import text as figures
from consolidation.backup import content, drill, dump, manifest, programs
from consolidation.backup.manifest import Manifest
from consolidation.borders import Json
from consolidation.errors import BackupError, ConfigurationError, StepRefused
from consolidation.journal import records, state
from consolidation.journal.decisions import Standing
from consolidation.journal.phase import recorded
from consolidation.journal.records import Run
from consolidation.journal.results import BackupResult, Phase
from consolidation.model import Database
from consolidation.postgres.catalog import Table
from consolidation.postgres.connection import Settings, session
from consolidation.postgres.queries import dicts, query, value

TOOLS = ("pg_dump", "pg_restore", "pg_dumpall")


@dataclass(frozen=True)
class Plan:
    """What a backup would do now."""

    database: Database
    directory: Path
    tools: Path
    """Directory of pg_dump, pg_restore and pg_dumpall."""
    drill: Settings
    run: Run | None
    """The run under way; None where it has not begun (check mode)."""
    kept: Json
    """Result of this run's backup, where there is one and its files are intact."""
    reason: str
    """Why there is something to do."""
    phase: Phase = Phase.BACKUP
    """``finalize_archive``: the last one, before the source is retired; it is beside the first."""
    skip_reason: str = ""
    """Why there is nothing to do, where the journal says so."""
    tables: tuple[Table, ...] = ()
    database_bytes: int = 0

    @property
    def changed(self) -> bool:
        """Whether a dump has to be made."""
        return not (self.kept or self.skip_reason)

    @property
    def run_id(self) -> str:
        """Of the run under way; empty where it has not begun."""
        return self.run.id if self.run else ""

    @property
    def final(self) -> Path:
        """Where the dump will be."""
        return place(self.directory, self.run_id or "RUN", self.database.name, self.phase)

    def diff(self) -> dict[str, str]:
        """What is there, and what would be done."""
        if self.skip_reason:
            return {"before": f"{self.skip_reason}\n", "after": f"{self.skip_reason}\n"}
        if not self.changed:
            there = f"dump of {self.database.name}: {self.final}, intact\n"
            return {"before": there, "after": there}
        command = dump.command(dump.conninfo(self.database.source), self.tools, "SNAPSHOT", self.final)
        name = drill.database_name(self.run_id or "RUN", self.database.name)
        after = [
            f"dump of {self.database.name}: {self.final}",
            f"content: {len(self.tables)} tables of schema {self.database.source_schema}, in all about"
            f" {figures.count(sum(table.estimated_rows for table in self.tables))} rows; the whole database has"
            f" {figures.size(self.database_bytes)} before compression;"
            f" free there: {figures.size(_free_bytes(self.directory))}",
            f"command: {' '.join(map(str, command))}",
            f"restore drill: database {name} on {self.drill.host}:{self.drill.port}, dropped afterwards",
        ]
        return {
            "before": f"dump of {self.database.name}: {self.reason}\n",
            "after": "".join(f"{line}\n" for line in after),
        }


def place(directory: Path, run_id: str, database: str, phase: Phase = Phase.BACKUP) -> Path:
    """Where the dump of a phase is below the directory of all dumps."""
    return directory / run_id / (database if phase is Phase.BACKUP else f"{database}.last")


def plan(
    database: Database,
    directory: Path,
    tools: Path,
    drill_settings: Settings | None = None,
    *,
    phase: Phase = Phase.BACKUP,
) -> Plan:
    """What a backup would do now. Raises what the backup would fail with, as far as that can be known.

    drill_settings: where the restore drill takes place; default: the target's server.
    """
    there = drill_settings or database.target
    with session(database.target, "backup plan") as conn:
        known = state.read(conn, database)
    run, record = known.run, known.phases.get(phase)
    if known.standing == Standing.FINALIZED:
        return Plan(database, directory, tools, there, run, {}, "", phase, known.skip_reason(phase))
    if run is not None and run.state not in (records.MIGRATING, records.MIGRATED):
        run, record = None, None  # it is over: the next run has a backup of its own
    kept, reason = _kept(database, directory, run, record, phase)
    empty = Plan(database, directory, tools, there, run, kept, reason, phase)
    if not empty.changed:
        return empty
    _refuse_unwritable(directory)
    tool_version = min(programs.version(tools / name) for name in TOOLS)
    with session(database.source, "backup plan") as conn:
        server_version = conn.server_version
        tables = content.tables_of(conn, database.source_schema)
        database_bytes = int(value(conn, "SELECT pg_database_size(current_database())"))
        locked_out = dicts(conn, query("backup/not_dumpable"))
    if tool_version < server_version // 10000:
        raise ConfigurationError(
            f"{tools}: version {tool_version} cannot dump {database.source},"
            f" which is version {server_version // 10000}",
            hint="install client tools of the newest server's version and set consolidation_postgresql_bin to them",
        )
    if locked_out:
        named = "; ".join(f"{row['name']} ({row['reason']})" for row in locked_out[:10])
        raise BackupError(
            f"{database.source}: cannot dump {len(locked_out)} objects: {named}",
            hint="grant USAGE on the schema and SELECT on these to the runbook's role, or membership in their owner",
        )
    drill.refuse_unsuitable(there, server_version)
    return replace(empty, tables=tables, database_bytes=database_bytes)


def apply(plan: Plan) -> Json:
    """Make the dump, prove it, give it its final name. Raises BackupError."""
    if plan.skip_reason:
        return {"run_id": plan.run_id, "msg": plan.skip_reason}
    if not plan.changed:
        return plan.kept | {"msg": f"{plan.database.name} was backed up already: {plan.final} is intact"}
    started = time.monotonic()
    with recorded(plan.database, plan.phase) as work, programs.stoppable(), _clear_errors(plan.directory):
        plan = replace(plan, run=work.run)
        with _partial(plan.final) as partial:
            made = dump.make(plan.database, work.run.id, plan.tables, plan.tools, partial)
            sha256 = manifest.write(partial, made)
            drilled = drill.verify(made, partial, plan.tools, plan.drill)
            _publish(partial, plan.final)
        found = replace(
            _evidence(made),
            directory=str(plan.final),
            manifest_sha256=sha256,
            left_out=(dump.LARGE_OBJECTS,) if made.properties["large_objects_hidden"] else (),
            drill=drilled,
            seconds=round(time.monotonic() - started, 3),
        )
        work.note(found)
        return work.result | {"msg": _summary(work.result)}


def _kept(
    database: Database, directory: Path, run: Run | None, record: records.PhaseRecord | None, phase: Phase
) -> tuple[Json, str]:
    """The result of this run's backup if it is there and intact; else why it has to be made (again)."""
    if run is None or record is None:
        reason = "none in this run"
    elif record.state != "done":
        reason = f"the last attempt of run {run.id} did not end ({record.state})"
    else:
        try:
            final = place(directory, run.id, database.name, phase)
            manifest.check(
                final,
                sha256=BackupResult.from_json(record.result).manifest_sha256,
                run_id=run.id,
                database=database.name,
            )
        except BackupError as error:
            reason = error.message
        else:
            return record.result, ""
    # One that never had a backup (left out, or begun by a resolution) gets it now: the source stands behind its fence.
    if phase is Phase.BACKUP and run is not None and record is not None and run.state == records.MIGRATED:
        raise StepRefused(
            f"{database.name}: run {run.id} has migrated it, and its backup is not usable: {reason}",
            hint="restore an intact copy of the dump from your archive; or roll back and migrate again",
        )
    return {}, reason


def _evidence(made: Manifest) -> BackupResult:
    return BackupResult(
        snapshot_at=made.snapshot_at,
        lsn=made.lsn,
        server_version=made.server_version,
        tool_version=made.tool_version,
        database_bytes=made.database_bytes,
        dump_bytes=made.dump_bytes,
        tables=tuple({"name": name, **table} for name, table in sorted(made.tables.items())),
        sequences=dict(made.sequences),
    )


def _summary(result: Json) -> str:
    counted = sum(table["rows"] for table in result["tables"])
    return (
        f"dumped {len(result['tables'])} tables with {figures.count(counted)} rows in"
        f" {figures.size(result['dump_bytes'])} to"
        f" {result['directory']}, restored and compared by content, in {result['seconds']:.1f} s"
        + _rest(result["drill"]["not_restored"], result["left_out"])
    )


def _rest(not_restored: list[str], left_out: list[str]) -> str:
    """What the dump lacks, or holds and the drill could not restore: a whole database needs a superuser for it."""
    words = [f"; {name}" for name in left_out]
    if not_restored:
        words.append(
            f"; the drill did not restore {len(not_restored)} other entries of the dump, which no table needs:"
            f" {'; '.join(not_restored[:5])}{'; …' if len(not_restored) > 5 else ''}"
        )
    return "".join(words)


@contextmanager
def _partial(final: Path) -> Iterator[Path]:
    """An empty directory beside the final one, gone when the block fails; so is what a dead process left of it."""
    for directory in (final.parent.parent, final.parent):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = final.with_name(f"{final.name}.partial")
    for left_over in (partial, _replaced(final)):
        if left_over.exists():
            shutil.rmtree(left_over)
    partial.mkdir(mode=0o700)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _publish(partial: Path, final: Path) -> None:
    """Give the dump its final name; a former one there was not believed, and makes room."""
    files.sync(partial)
    if final.exists():
        final.rename(_replaced(final))
    partial.rename(final)
    files.sync(final.parent)
    shutil.rmtree(_replaced(final), ignore_errors=True)


def _replaced(final: Path) -> Path:
    return final.with_name(f"{final.name}.replaced")


@contextmanager
def _clear_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupError(
            f"{error.filename or directory}: {error.strerror}",
            hint=f"free space or correct the permissions below {directory}, then run the same command again",
        ) from error


def _refuse_unwritable(directory: Path) -> None:
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"{existing} is not a directory that this user may write to",
            hint=f"create {directory} on the runner with mode 0700, owned by the user that runs the modules",
        )


def _free_bytes(directory: Path) -> int:
    return shutil.disk_usage(next(path for path in (directory, *directory.parents) if path.exists())).free
