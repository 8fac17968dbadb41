"""Checks of what earlier runs left: the journal, the fence, the target's tables and revisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from alembic.script import ScriptDirectory
from alembic.util import CommandError

from consolidation.fence import sides
from consolidation.fence import state as fence
from consolidation.installation import script_directory
from consolidation.journal import records
from consolidation.journal import state as journal
from consolidation.lineage.models import lineages
from consolidation.model import Database
from consolidation.postgres.catalog import scan
from consolidation.postgres.queries import query, rows, value
from consolidation.preflight import online
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import found
from consolidation.preflight.models import Lineage
from consolidation.preflight.side import Check, Side
from consolidation.text import count, size

CONFLICT = "run.conflict"


def checks_of_target(target: Side, database: Database, lineage: Lineage) -> Iterator[Check]:
    """Checks of the target in the light of the journal."""
    yield Check("the journal", lambda: _run(target, database))
    yield Check("the tables of the target", lambda: _tables(target, database, lineage))
    yield Check("the Alembic revisions of the target", lambda: _revisions(target, lineage))


def checks_of_source(source: Side, target: Side | None, database: Database) -> Iterator[Check]:
    """Checks of the source in the light of the journal, where that can be reached."""
    if target is not None:  # an unread journal does not say whose a fence is; that it is unread is a blocker already
        yield Check("both sides against the journal", lambda: _conflict(source, target, database))
        yield Check("leftovers of the fence", lambda: _fence(source, target, database))
    yield Check("the size of the source", lambda: _disk(source, database))


def in_conflict(finding: Finding) -> Finding:
    """The finding while no one knows which side has the newer rows: what it advises may empty or open the wrong one."""
    if not finding.id.startswith(
        ("data.", "run.", "source.fence.", "target.table.", "target.rows.", "target.lineage.")
    ):
        return finding
    return finding if finding.id == CONFLICT else replace(finding, fix=f"nothing until {CONFLICT} is resolved")


def _conflict(source: Side, target: Side, database: Database) -> Iterator[Finding]:
    run = journal.read(target.conn, database)
    if what := sides.conflict(run, sides.look(source.conn, target.conn, database, run)):
        fix = (
            f"see that {database.target} is the storage database that the source was migrated to\n"
            "then compare both sides: ansible-playbook playbooks/resolve.yml --check --diff"
        )
        yield found(CONFLICT, database.name, what, fix)


def _run(target: Side, database: Database) -> Iterator[Finding]:
    now = journal.read(target.conn, database)
    run = now.run
    if run is None:
        return
    what = f"run {run.id} of {run.operator}, begun {run.started_at:%Y-%m-%d %H:%M:%S %Z}"
    match run.state:
        case records.MIGRATING:
            done = [name for name, record in now.phases.items() if record.state == "done"]
            what = f"{what}, is unfinished; phases done: {', '.join(done) or 'none'}"
            yield found("run.unfinished", run.id, what, "ansible-playbook migrate.yml resumes it, rollback.yml ends it")
        case records.MIGRATED:
            what = f"{what}, has migrated {database.name}"
            yield found("run.migrated", run.id, what, "nothing to do; ansible-playbook rollback.yml rolls it back")
        case records.ROLLING_BACK:
            yield found("run.rolling_back", run.id, f"{what}, is being rolled back", "ansible-playbook rollback.yml")
        case records.ROLLED_BACK:
            yield found(
                "run.rolled_back", run.id, f"{what}, was rolled back", "nothing to do; migrate.yml begins another"
            )


def _tables(target: Side, database: Database, lineage: Lineage) -> Iterator[Finding]:
    run = records.latest_run(target.conn, database.name)
    for table in target.tables:
        if table.name not in lineage.tables:
            what = f"lineage {lineage.name} does not have it, schema {target.schema} does"
            fix = target.paste("ALTER TABLE {} SET SCHEMA …;", table.identifier)
            yield found("target.table.unknown", str(table), what, fix)
        elif run is None or run.state == records.ROLLED_BACK:
            if not value(target.conn, target.paste("SELECT EXISTS (SELECT FROM {})", scan(table))):
                continue
            if run is None:
                number = count(value(target.conn, target.paste("SELECT count(*) FROM {}", scan(table))))
                what = f"holds {number} row(s) ({size(table.table_bytes)}) that no run put there"
                fix = (
                    f"identify the owner of these rows, and move them: "
                    f"{target.paste('ALTER TABLE {} SET SCHEMA …;', table.identifier)}\n"
                    f"or, once no one needs these {number} row(s): {target.paste('TRUNCATE {};', table.identifier)}"
                )
                yield found("target.table.not_empty", str(table), what, fix)
            else:
                what = f"holds rows of run {run.id}, which was rolled back; the copy empties it first"
                yield found("target.rows.left", str(table), what, "nothing to do")


def _revisions(target: Side, lineage: Lineage) -> Iterator[Finding]:
    versions = script_directory() / "versions"
    scripts = ScriptDirectory(str(versions.parent), version_locations=[str(versions / name) for name in lineages()])
    applied: list[str] = []
    if value(target.conn, "SELECT to_regclass('consolidation.alembic_version') IS NOT NULL"):
        applied = [version for (version,) in rows(target.conn, "SELECT version_num FROM consolidation.alembic_version")]
    try:
        ours = [version for version in applied if lineage.name in scripts.get_revision(version).branch_labels]
    except CommandError as error:
        fix = "run the release of the runbook that made it, or a newer one"
        yield found("target.lineage.unknown_revision", lineage.name, str(error), fix)
        return
    pending = list(scripts.iterate_revisions(f"{lineage.name}@head", tuple(ours) or "base"))[::-1]
    names = ", ".join(f"{script.revision} ({script.doc})" for script in pending if script.revision not in ours)
    if names:
        fix = f"nothing to do; by hand: alembic upgrade {lineage.name}@head"
        yield found("target.lineage.pending", lineage.name, f"pending: {names}", fix)
    present = [table.name for table in target.tables if table.name in lineage.tables]
    if present and not ours:
        what = f"tables {', '.join(present)} exist, consolidation.alembic_version has no revision of the lineage"
        fix = f"where they equal a revision: alembic stamp {lineage.name}@REVISION; else rename schema {target.schema}"
        yield found("target.lineage.not_stamped", lineage.name, what, fix)


def _fence(source: Side, target: Side, database: Database) -> Iterator[Finding]:
    run = records.latest_run(target.conn, database.name)
    if run is not None and run.state != records.ROLLED_BACK:
        return  # the run owns the fence
    tables = fence.read(source.conn, database.source_side)
    yield from online.leftovers(source, database)
    prepared = sum(table.state == fence.PREPARED for table in tables)
    closed = any(table.enabled for table in tables)
    if not closed and value(source.conn, "SELECT count(*) FROM pg_namespace WHERE nspname = 'consolidation'"):
        what = f"schema consolidation and {prepared} open fence trigger(s) of a former run"
        yield found("source.fence.left", "consolidation", what, "nothing to do: a run uses them again")


def _disk(source: Side, database: Database) -> Iterator[Finding]:
    oids = [table.oid for table in source.tables]
    [(tables, indexes, whole)] = rows(source.conn, query("preflight/sizes"), {"oids": oids})
    what = (
        f"free space of {database.target.host} cannot be seen; needed there: about {size(tables + indexes)} for the "
        f"copy, {size(whole)} for the restore drill, {size(tables + indexes)} for WAL until the next checkpoints"
    )
    fix = f"on {database.target.host}: df -h (data directory, pg_wal, tablespaces)"
    yield found("target.disk.not_visible", database.target.host, what, fix)
