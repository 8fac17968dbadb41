"""A rehearsal: the source is dumped, restored beside the target, and that copy is migrated into a scratch database.

The same code as a migration's: backup with its drill, schema, fence, copy, verify, cutover. The source is only read by
pg_dump, nothing of it is fenced, and the storage database is not touched. In mode online the source itself is migrated,
as far as the rounds that follow it (``live``). What was made is dropped in every case; what a killed rehearsal has left
is dropped by the next one.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation import __version__, text
from consolidation.backup import content, databases, drill, dump, programs
from consolidation.borders import Json
from consolidation.copy import phase as copy
from consolidation.cutover import phase as cutover
from consolidation.errors import ConfigurationError, RunInProgress, StepRefused
from consolidation.fence import phase as fence
from consolidation.fence.state import CLOSED, PREPARED
from consolidation.follow import changeover
from consolidation.journal import facts, records, runs
from consolidation.journal.results import Phase
from consolidation.model import SOURCE, TARGET, Database
from consolidation.postgres.connection import Settings, session
from consolidation.postgres.queries import dicts, execute, query, value
from consolidation.rehearse import cost, live, ticket
from consolidation.report.tables import tables
from consolidation.schema import built, grants
from consolidation.schema import phase as schema
from consolidation.verify import phase as verify

LOCK_SECONDS = 30.0


@dataclass(frozen=True)
class Options:
    """What a rehearsal needs besides the database."""

    directory: Path
    """Of the backups; the rehearsal's dump is below it until the end."""
    tools: Path
    drill: Settings
    workers: int = 2
    accepted: tuple[str, ...] = ()
    """Objects that may stay behind, as preflight takes them."""
    follow_seconds: float = 120.0
    """Mode online: how long rounds go on."""


@dataclass(frozen=True)
class Plan:
    """What is rehearsed, and where."""

    database: Database
    options: Options
    scratch: str
    """Name of the database that stands for the storage database."""
    leftover: bool
    """Whether a rehearsal that was killed has left it."""
    database_bytes: int
    subject: Mapping[str, Any]
    """What a ticket is valid for."""
    captured: tuple[str, ...] = ()
    """Tables of the source that a killed rehearsal, or an abandoned run, has left with triggers."""

    @property
    def mark(self) -> str:
        """The scratch database's comment."""
        return f"scratch database of a rehearsal of the storage consolidation, for {self.database.name}"

    @property
    def dump(self) -> Path:
        """Where the rehearsal's dump is until its end."""
        return self.options.directory / ticket.RUN_ID / self.database.name

    def diff(self) -> dict[str, str]:
        """What would be made and dropped again."""
        at, follows = f"{self.database.target.host}:{self.database.target.port}", self.database.strategy.follows
        copied = drill.database_name(ticket.RUN_ID, self.database.name)
        lines = [f"drop database {self.scratch} on {at}, which a killed rehearsal has left"] if self.leftover else []
        if self.captured:
            lines.append(f"remove the capture that was left on the source, from {', '.join(self.captured)}")
        lines += [
            f"dump {self.database.source} to {self.dump}",
            f"restore it as {copied} on {self.options.drill.host}:{self.options.drill.port}",
            f"migrate {'the source' if follows else 'that'} into database {self.scratch} on {at}",
            "drop both databases and the dump",
        ]
        if follows:
            lines[-1:-1] = [
                f"follow the source for {text.duration(self.options.follow_seconds)}: triggers on its tables note what"
                " changes",
                "remove the triggers",
            ]
        return {"prepared": "".join(f"{line}\n" for line in lines)}


def plan(database: Database, options: Options) -> Plan:
    """What a rehearsal would do. Raises what it would fail with, as far as that can be known."""
    if not database.strategy.two_copies:
        raise StepRefused(
            f"{database.name}: its tables are moved within the storage database: there is nothing to measure",
            hint="leave the rehearsal out; the move takes a moment, whatever the size",
        )
    scratch = databases.fitted(f"consolidation_{ticket.RUN_ID}_{database.name}")
    with session(database.source, "rehearsal plan") as source:
        version, size = source.server_version, int(value(source, "SELECT pg_database_size(current_database())"))
    drill.refuse_unsuitable(options.drill, version)
    made = Plan(database, options, scratch, leftover=False, database_bytes=size, subject=subject(database))
    with session(database.target, "rehearsal plan") as target:
        if not value(target, "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"):
            raise ConfigurationError(
                f"{database.target}: the role may not create the rehearsal's scratch database",
                hint=f'as superuser there: ALTER ROLE "{database.target.user}" CREATEDB',
            )
        return replace(made, leftover=_is_left(target, made), captured=live.left(database))


def subject(database: Database) -> Json:
    """What a ticket is valid for: versions of the servers and of the runbook, heads of the lineage."""
    with session(database.source, "rehearsal plan") as source, session(database.target, "rehearsal plan") as target:
        versions = (value(source, "SHOW server_version"), value(target, "SHOW server_version"))
    return {
        "runbook": __version__,
        "source_version": versions[0],
        "target_version": versions[1],
        "heads": list(schema.heads(database.name)),
    }


def apply(plan: Plan) -> Json:
    """Rehearse; the ticket.  Raises what a migration would."""
    options, storage, followed = plan.options, plan.database.target, {}
    with (
        programs.stoppable(),
        _alone(plan),
        _dumped(plan) as (made, begun),
        drill.restored(made, plan.dump, options.tools, options.drill) as (copied, _),
        _scratch(plan),
    ):
        backup = _phase(Phase.BACKUP, begun, datetime.now(UTC))
        # The service's roles need not be there, and no one else writes to a copy.
        database = replace(
            plan.database,
            source=copied,
            target=replace(storage, dbname=plan.scratch),
            application_roles=(),
        )
        if plan.database.strategy.follows:
            with session(copied, "rehearsal cost") as conn:
                paid = cost.measure(conn, database.source_side, LOCK_SECONDS)
            database = replace(plan.database, target=database.target)
            _build(database, options)
            with live.uncaptured(database, LOCK_SECONDS):
                followed = live.migrate(database, options.workers, options.follow_seconds, LOCK_SECONDS)
            followed["cost"] = paid
        else:
            _build(database, options)
            _migrate(database, options)
        found = next(each for each in facts.read(database)["databases"] if each["name"] == database.name)
    phases = [backup, *(_brief(phase) for phase in found["phases"])]
    at = f"{options.drill.host}:{options.drill.port}"
    loaded = [{"name": table.name, "rows": table.target_rows, "bytes": table.bytes} for table in tables(found)]
    return {
        "format": ticket.FORMAT,
        "name": database.name,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "subject": dict(plan.subject),
        "read_from": "the source itself" if plan.database.strategy.follows else f"a restored copy on {at}",
        "online": followed,
        "database_bytes": plan.database_bytes,
        "dump_bytes": made.dump_bytes,
        "tables": loaded,
        "journal": {"phases": phases},
    }


def summary(found: Mapping[str, Any]) -> str:
    """In a sentence."""
    seconds = {phase["name"]: _seconds(phase) for phase in found["journal"]["phases"]}
    timed = ", ".join(f"{name} {text.duration(took)}" for name, took in seconds.items())
    size = sum(table["bytes"] or 0 for table in found["tables"])
    measured = f"{found['name']}: {len(found['tables'])} tables, {text.size(size)}, {found['read_from']}: {timed}"
    return f"{measured}; {_followed(found['online'])}" if found["online"] else measured


def _followed(found: Mapping[str, Any]) -> str:
    """Rounds, and what the capture costs, in words."""
    said = (
        f"{found['rounds']} rounds in {text.duration(found['seconds'])}, {text.count(found['keys'])} keys: median"
        f" {text.duration(found['median_seconds'])}, 95 of 100 within {text.duration(found['p95_seconds'])}"
    )
    if paid := found["cost"]:
        said += (
            f"; a changed row of {paid['table']} took {paid['microseconds_a_row']:g} us,"
            f" {paid['microseconds_a_row_captured']:g} us with the capture"
        )
    return said


def _seconds(phase: Mapping[str, Any]) -> float:
    begun, ended = (datetime.fromisoformat(phase[key]) for key in ("started_at", "finished_at"))
    return (ended - begun).total_seconds()


def _build(database: Database, options: Options) -> None:
    """A run, and its target."""
    caller = runs.Caller({"host": socket.gethostname(), "pid": os.getpid(), "started": ticket.RUN_ID}, None, "")
    runs.apply(runs.plan(database, records.MIGRATING, caller), caller)
    schema.apply(schema.plan(database))
    grants.apply_grants(grants.plan_grants(database))
    built.require(database, options.accepted)
    fence.apply(fence.plan(database, TARGET, CLOSED), LOCK_SECONDS)


def _migrate(database: Database, options: Options) -> None:
    """The phases as the playbook calls them."""
    for side, wanted in ((SOURCE, PREPARED), (SOURCE, CLOSED)):
        fence.apply(fence.plan(database, side, wanted), LOCK_SECONDS)
    copy.apply(copy.plan(database), options.workers)
    verify.apply(verify.plan(database), verify.Options(options.workers))
    cutover.apply(cutover.plan(database), changeover.Options(lock_seconds=LOCK_SECONDS))


@contextmanager
def _alone(plan: Plan) -> Iterator[None]:
    """One rehearsal of a database at a time. Raises RunInProgress."""
    with session(plan.database.target, "rehearsal", autocommit=True) as target:
        keys = [records.LOCK_SPACE, f"{ticket.RUN_ID} {plan.database.name}"]
        if not value(target, "SELECT pg_try_advisory_lock(%s, hashtext(%s))", keys):
            raise RunInProgress(
                f"{plan.database.name}: another rehearsal of it is running",
                hint="wait for its end; a module whose ansible-playbook was killed goes on to its own end",
            )
        with live.no_run(target, plan.database) if plan.database.strategy.follows else nullcontext():
            yield


@contextmanager
def _dumped(plan: Plan) -> Iterator[tuple[Any, datetime]]:
    """A dump of the source, gone at the end, and when it was begun."""
    begun = datetime.now(UTC)
    shutil.rmtree(plan.dump, ignore_errors=True)
    for directory in (plan.options.directory, plan.dump.parent, plan.dump):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with session(plan.database.source, "rehearsal") as source:
            found = content.tables_of(source, plan.database.source_schema)
        yield dump.make(plan.database, ticket.RUN_ID, found, plan.options.tools, plan.dump), begun
    finally:
        shutil.rmtree(plan.dump, ignore_errors=True)


@contextmanager
def _scratch(plan: Plan) -> Iterator[None]:
    """An empty database in the storage database's place; gone at the end, as is what a killed rehearsal has left."""
    with session(plan.database.target, "rehearsal", autocommit=True) as target:
        if _is_left(target, plan):
            databases.drop(target, plan.scratch)
        databases.create_scratch(target, plan.scratch, value(target, query("backup/database_properties")))
        try:
            comment, granted = sql.SQL("COMMENT ON DATABASE {} IS {}"), sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
            execute(target, comment.format(sql.Identifier(plan.scratch), sql.Literal(plan.mark)))
            for role in plan.database.target_roles:  # as on the storage database, or the built target is refused
                execute(target, granted.format(sql.Identifier(plan.scratch), sql.Identifier(role)))
            yield
        finally:
            databases.drop(target, plan.scratch)


def _is_left(target: Connection, plan: Plan) -> bool:
    """Whether there is a scratch database of an earlier rehearsal. Raises StepRefused where it is not one of ours."""
    found = dicts(target, query("rehearse/scratch"), {"database": plan.scratch, "mark": plan.mark})
    if found and not found[0]["ours"]:
        raise StepRefused(
            f"{plan.database.target.host} has a database {plan.scratch} that no rehearsal has made",
            hint="nothing was changed; find out whose it is and rename it, then run again",
        )
    return bool(found)


def _phase(name: str, begun: datetime, ended: datetime) -> Json:
    return {"name": name, "state": "done", "started_at": begun.isoformat(), "finished_at": ended.isoformat()}


def _brief(phase: Mapping[str, Any]) -> Json:
    return {key: phase[key] for key in ("name", "state", "started_at", "finished_at")}
