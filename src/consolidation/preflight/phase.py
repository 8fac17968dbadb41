"""The preflight: everything that would stop or spoil a migration, found days before it. Changes nothing.

Every check runs in READ ONLY transactions; all findings are collected, and a check that fails is a finding itself.
It may run as a read-only role, while the privileges that are checked are those of the runbook's role.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
import psycopg2.errors

from consolidation.borders import Json
from consolidation.errors import ConfigurationError, ConnectionFailed, ConsolidationError, describe, next_step
from consolidation.installation import script_directory
from consolidation.journal import state as journal
from consolidation.journal.decisions import Standing
from consolidation.lineage.models import lineage_metadata, lineages
from consolidation.model import Database
from consolidation.postgres.connection import Settings, session
from consolidation.postgres.queries import rows
from consolidation.preflight import (
    activity,
    backup,
    carried,
    columns,
    constraints,
    data,
    documents,
    objects,
    online,
    replication,
    roles,
    rollback,
    runner,
    server,
    sessions,
    state,
    values,
)
from consolidation.preflight.findings import BLOCKER, Finding, accept, in_order, summary, text_table
from consolidation.preflight.kinds import KINDS, found
from consolidation.preflight.models import Lineage, read_lineage
from consolidation.preflight.side import Check, Reader, Side, connected

__all__ = ["Options", "Reader", "Report", "examine"]


@dataclass(frozen=True)
class Options:
    """What preflight needs besides the database."""

    backup_directory: Path
    postgresql_bin: Path
    source_reader: Reader | None = None
    target_reader: Reader | None = None
    accepted: tuple[str, ...] = ()
    """Blockers the operator has decided about, as ``"ID SUBJECT"``."""
    resume: bool = False
    """Behind the run's closed fence nothing is examined: what ends the write outage comes first."""
    backup: bool = True
    """Whether the command that looks has a backup phase, or goes no farther than one."""
    drill: Settings | None = None
    """Server of the restore drill; None: the target's."""


@dataclass(frozen=True)
class Report:
    """All findings for one database, and what a run will move."""

    database: str
    findings: tuple[Finding, ...]
    tables: tuple[Json, ...]
    """Per source table: name, estimated rows, bytes."""

    @property
    def blockers(self) -> tuple[str, ...]:
        """Ids of the blockers, each once."""
        return tuple(summary(self.findings)["blocker_ids"])

    @property
    def verdict(self) -> str:
        """One sentence for a failure or a log."""
        if not self.blockers:
            return f"{self.database}: preflight found no blocker"
        return f"{self.database}: preflight found blockers: {', '.join(self.blockers)}"

    def as_result(self) -> Json:
        """For module results and the evidence."""
        return {
            "msg": self.verdict,
            "database": self.database,
            "findings": [finding.as_result() for finding in self.findings],
            "summary": summary(self.findings),
            "table": text_table(self.database, self.findings),
            "tables": list(self.tables),
        }


def examine(database: Database, options: Options) -> Report:
    """Make every check that can be made, and report on those that cannot."""
    if instead := _nothing_to_examine(database, options):
        return Report(database.name, (instead,), ())
    examination = _Examination(database, options)
    with ExitStack() as stack:
        source = examination.connect(stack, "source")
        target = examination.connect(stack, "target")
        examination.everything(source, target)
    tables = [
        {"name": str(table), "rows": table.estimated_rows, "bytes": table.table_bytes}
        for table in (source.tables if source else ())
    ]
    collected = [
        rollback.with_danger(found) if database.strategy.two_copies else _for_a_move(found)
        for found in examination.findings
    ]
    if any(found.id == state.CONFLICT for found in collected):
        collected = [state.in_conflict(found) for found in collected]
    findings = in_order(accept(collected, options.accepted, KINDS))
    return Report(database.name, findings, tuple(tables))


def _nothing_to_examine(database: Database, options: Options) -> Finding | None:
    """What is said instead: where the source is retired, or a run resumes while writes are refused; else None."""
    try:
        with session(database.target, "preflight resume") as conn:
            run = journal.read(conn, database)
    except ConsolidationError:
        return None  # the examination has the words for it
    if run.run is not None and run.standing == Standing.FINALIZED:
        what = f"run {run.run.id} has migrated {database.name} and is finalized: its source is retired"
        return found("run.finalized", run.run.id, what, "nothing to do; there is no rollback any more")
    if not options.resume or run.run is None or not run.writes_refused:
        return None
    since = run.fence.closed_at or run.fence.closing_at
    what = f"writes to the source are refused since {since}: the run resumes, preflight is not repeated"
    fix = "nothing to do; playbooks/preflight.yml alone examines everything"
    return found("run.behind_fence", run.run.id, what, fix)


@dataclass
class _Examination:
    database: Database
    options: Options
    findings: list[Finding] = field(default_factory=list)
    sides: list[Side] = field(default_factory=list)

    def connect(self, stack: ExitStack, name: str) -> Side | None:
        """The side, or None and a finding."""
        used = self._used(name)
        self.findings += runner.passfile(name, used)
        try:
            side = stack.enter_context(connected(self.database, name, used))
        except ConnectionFailed as error:
            what = f"{error.message}; no check of the {name} could be made"
            self.findings.append(found(f"{name}.connection.failed", str(used), what, error.hint))
        except psycopg2.Error as error:
            what = f"could not read the tables of the {name}, nor check anything else there: {describe(error)}"
            self.findings.append(found(f"{name}.check.failed", "the tables", what, next_step(error)))
        else:
            self.sides.append(side)
            return side
        return None

    def everything(self, source: Side | None, target: Side | None) -> None:
        """All checks, each as far as the sides could be reached."""
        database, options = self.database, self.options
        majors = tuple(side.major for side in self.sides)
        self._run("the runner", runner.checks(options.backup_directory, options.postgresql_bin, majors, source))
        for side in self.sides:
            names = database.application_roles if side.name == "source" else database.target_roles
            self._run(f"the server of the {side.name}", server.checks(side))
            has_drill = options.drill is None
            self._run(f"the role on the {side.name}", roles.checks(side, names, has_drill=has_drill))
            self._run(f"the sessions on the {side.name}", activity.checks(side))
            self._run(f"what writes past the application on the {side.name}", replication.checks(side, database))
            self._run(f"what sessions on the {side.name} begin with", sessions.checks(side, database))
        if source is not None and target is not None:
            self._run("both servers", server.checks_of_both(source, target))
        if source is not None:
            tried = backup.Programs(options.postgresql_bin, options.drill)
            checks = backup.checks(source, target, database, tried, left_out=not options.backup)
            self._run("what the backup will meet", checks)
            self._run("the size of values", values.checks(source))
            self._run("what the service may not write any more", documents.checks(source, target))
            self._run("the source's state", state.checks_of_source(source, target, database))
        lineage = self._lineage()
        # Tables that were moved already are the target's.
        moved = not database.strategy.two_copies and target is not None and bool(target.tables)
        if source is not None and lineage is not None and not (moved and not source.tables):
            self._run("the source's objects", objects.checks(source, target, database, lineage))
            self._run("the source's columns", columns.checks(source, lineage))
            self._run(
                "the source's constraints", constraints.checks(source, lineage, copies=database.strategy.two_copies)
            )
            self._run("the source's rows", data.checks(source, lineage))
            self._run("what no lineage carries over", carried.checks(source, target, database, lineage))
            if database.strategy.follows:
                self._run("what mode online needs", online.checks(source, lineage))
            if database.strategy.two_copies:
                self._run("what a rollback needs", rollback.checks(source, lineage))
        if target is not None and lineage is not None:
            self._run("the target's state", state.checks_of_target(target, database, lineage))

    def _lineage(self) -> Lineage | None:
        name = self.database.name
        try:
            if name not in lineages():
                raise ConfigurationError(
                    f"no Alembic lineage {name} in {script_directory() / 'versions'}",
                    hint=f"add its revisions as alembic/versions/{name}; lineage and inventory host have the same name",
                )
            metadata = lineage_metadata(name)
        except ConfigurationError as error:
            self.findings.append(found("runner.lineage.missing", name, error.message, error.hint))
            return None
        with self._reported("the lineage"):
            reachable = [side.conn for side in self.sides if not side.conn.closed]
            return read_lineage(name, metadata, reachable[0]) if reachable else None
        return None

    def _run(self, family: str, checks: Iterable[Check]) -> None:
        with self._reported(f"all of {family}"):
            for check in checks:
                with self._reported(check.title):
                    self.findings += check.find()

    @contextmanager
    def _reported(self, title: str) -> Iterator[None]:
        """Turn a failure of a check into a finding; whatever was read, the transactions end here."""
        try:
            yield
        except psycopg2.Error as error:
            side = self._side_of(error)
            what = f"could not check {title}: {describe(error)}"
            self.findings.append(found(f"{side.name}.check.failed", title, what, _fix(error, side)))
        except (ConsolidationError, OSError) as error:
            fix = getattr(error, "hint", "") or "correct what the system's message names, then run again"
            what = f"could not check {title}: {getattr(error, 'message', error)}"
            self.findings.append(found("runner.check.failed", title, what, fix))
        finally:
            for side in self.sides:
                if not side.conn.closed:
                    side.conn.rollback()

    def _side_of(self, error: psycopg2.Error) -> Side:
        conn = getattr(getattr(error, "cursor", None), "connection", None)
        closed = [side for side in self.sides if side.conn.closed]
        return next((side for side in self.sides if side.conn is conn), (closed or self.sides)[0])

    def _used(self, name: str) -> Settings:
        settings, reader = (
            (self.database.source, self.options.source_reader)
            if name == "source"
            else (self.database.target, self.options.target_reader)
        )
        return reader.of(settings) if reader else settings


def _for_a_move(finding: Finding) -> Finding:
    """A difference that a copy would bridge stays after a move, and Alembic would refuse to record the lineage."""
    bridged = finding.severity != BLOCKER and finding.id.startswith(("schema.", "source.object.index"))
    if not bridged:
        return finding
    fix = "ALTER the source to the lineage's definition, or change the lineage by a revision"
    return found("schema.move.differs", finding.subject, f"{finding.id}: {finding.what}", fix)


def _fix(error: psycopg2.Error, side: Side) -> str:
    if isinstance(error, psycopg2.errors.InsufficientPrivilege):
        # Journal and revisions are in a schema of their own.
        side.conn.rollback()
        closed = "SELECT FROM pg_namespace WHERE nspname = 'consolidation' AND NOT has_schema_privilege(oid, 'USAGE')"
        schema = "consolidation" if rows(side.conn, closed) else side.schema
        templates = (
            "GRANT USAGE ON SCHEMA {} TO {};",
            "GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {};",
            "GRANT SELECT ON ALL SEQUENCES IN SCHEMA {} TO {};",
        )
        return "\n".join(side.paste(template, schema, side.connected_as) for template in templates)
    return next_step(error)
