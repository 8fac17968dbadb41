"""What has to be so before the source is archived, retired and dropped: nothing is lost by its going away."""

from __future__ import annotations

from pathlib import Path

from consolidation.backup import databases, manifest
from consolidation.backup import phase as backup
from consolidation.errors import ConnectionFailed, StepRefused
from consolidation.fence import sides
from consolidation.fence import state as fence
from consolidation.finalize.remains import DATABASE, TABLES, Remains
from consolidation.journal.decisions import Standing
from consolidation.journal.results import BackupResult, Phase
from consolidation.journal.state import RunState
from consolidation.model import Database
from consolidation.postgres.connection import session


def require_archived(directory: Path, left: Remains, database: Database, run: RunState) -> None:
    """What has to be so before the first thing is taken away, behind the lock. Raises StepRefused, BackupError."""
    require_proved(left, database, run)
    if database.strategy.two_copies and run.standing == Standing.MIGRATED:
        _require_archive(directory, database, run)


def require_proved(left: Remains, database: Database, run: RunState) -> None:
    """Nothing is lost by the source's going away. Raises StepRefused."""
    if not run.proved:
        raise StepRefused(
            f"{database.name}: the run's verification is not of the source and the target as they are, or its proof"
            " after the opening is pending or failed: the source is still needed",
            hint="nothing was changed; see the run's report. A pending proof is made by migrate.yml; otherwise"
            " rollback.yml makes the source authoritative, migrate.yml then begins again",
        )
    if database.strategy.two_copies:
        _require_source(left, database, run)


def _require_source(left: Remains, database: Database, run: RunState) -> None:
    try:
        with session(database.source, "finalize check") as source:
            tables = fence.read(source, database.source_side)
            _, used = databases.sessions(source, database.source.dbname)
    except ConnectionFailed:
        if run.standing == Standing.FINALIZED:
            return  # an attempt has closed it
        raise
    if not sides.is_unbroken(run, tables):
        raise StepRefused(
            f"{database.name}: the source's fence is not as the run has closed it: the source may hold writes that the"
            " target has not",
            hint="nothing was changed; ansible-playbook playbooks/resolve.yml compares both sides and resolves it",
        )
    if used and left.kind == DATABASE:
        raise StepRefused(
            f"{database.name}: {len(used)} sessions use the source: {'; '.join(used[:10])}",
            hint="nothing was changed; find out who still reads there, end them (SELECT pg_terminate_backend(pid)),"
            " then run the same command again",
            facts={"sessions": used},
        )


def _require_archive(directory: Path, database: Database, run: RunState) -> None:
    """Raises BackupError where the last dump is not the one that was proved."""
    assert run.run is not None  # noqa: S101 - it has a phase that is done
    manifest.check(
        backup.place(directory, run.run.id, database.name, Phase.FINALIZE_ARCHIVE),
        sha256=BackupResult.from_json(run.phases[Phase.FINALIZE_ARCHIVE].result).manifest_sha256,
        run_id=run.run.id,
        database=database.name,
    )


def require_droppable(directory: Path, left: Remains, database: Database, run: RunState) -> None:
    """The archive is what remains of the source; tables that stayed must be as they were archived."""
    if database.strategy.two_copies:
        _require_archive(directory, database, run)
    if left.kind == TABLES:
        with session(database.source, "finalize check") as source:
            tables = fence.read(source, database.source_side)
        if tables and not sides.is_unbroken(run, tables):
            raise StepRefused(
                f"{database.name}: the retired tables were opened or altered since: they may hold newer rows",
                hint="nothing was dropped; look at them, and drop them by hand when no one needs them",
            )
