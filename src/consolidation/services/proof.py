"""The smoke test from the application's side: what was written through a service's own API is in the new schema.

The write itself is made by the role, on the application host. Here the database is asked: the rows are on the target
and not on the source, the service's sessions are on the new side, and the old side has none for a while. The rows are
deleted again, whatever the outcome: nothing of the test stays behind, and a rollback does not carry it over. They
are in the journal before they are written: where everything dies in between, the next command deletes them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.errors import ServiceError, StepRefused
from consolidation.fence import state as fence
from consolidation.journal import plan as plans
from consolidation.journal import records, state
from consolidation.journal.phase import recorded
from consolidation.journal.results import Phase, Result
from consolidation.model import Database
from consolidation.postgres.connection import Settings, session
from consolidation.postgres.queries import dicts, execute, query, value
from consolidation.services import back

POLL_SECONDS = 0.25
LAST_SECONDS = 2.0
"""Of a silence that began before, so much is watched at the end, however long ago that was."""
LOCK_TIMEOUT = "30s"


@dataclass(frozen=True)
class Row:
    """A row that was written through a service's API."""

    table: str
    id: str


@dataclass(frozen=True)
class SmokeTestResult(Result):
    """Phase cutover_services."""

    written_at: str
    """When the write was acknowledged, at the latest."""
    outage_seconds: float
    """As clients saw it, at the most."""
    rows: int
    sessions: int
    quiet_seconds: float
    healthy_at: str | None = None
    """When the services were healthy on the new side and took their first write, at the latest; None: not known."""


@dataclass(frozen=True)
class Plan(plans.Plan):
    """The smoke test of one database."""

    rows: tuple[Row, ...]


def plan(database: Database, rows: Iterable[Row]) -> Plan:
    """What is to be tested now."""
    with session(database.target, "smoke test plan") as target:
        skip_reason = state.read(target, database).skip_reason(Phase.CUTOVER_SERVICES)
    name = database.name
    what = f"test that the services of {name} write to schema {name}, and that none is left on the source"
    return Plan(database, what, skip_reason, tuple(rows))


@dataclass(frozen=True)
class Waits:
    """How long the old side is watched."""

    timeout_seconds: float
    """For its last session to leave."""
    quiet_seconds: float
    """In which there is none then."""
    quiet_since: datetime | None = None
    """What `watch` has seen, by the source's clock."""


def apply(plan: Plan, waits: Waits, healthy_after_seconds: float | None = None) -> Json:
    """Test it. Raises ServiceError; StepRefused where the inventory does not say what to look for.

    healthy_after_seconds: so long after the opening the last host was healthy, at the most, where that is known.
    """
    if plan.skip_reason:
        return {"msg": plan.skip_reason}
    database = plan.database
    announce(plan)
    try:
        with recorded(database, Phase.CUTOVER_SERVICES) as work:
            written_at = work.now()
            healthy_at = back.after(work.state.cutover.opened_at, healthy_after_seconds, written_at)
            found = SmokeTestResult(
                written_at=written_at,
                healthy_at=healthy_at,
                outage_seconds=back.seconds(work.state.fence, healthy_at or written_at),
                rows=_check_rows(plan),
                sessions=_check_sessions(database, waits),
                quiet_seconds=waits.quiet_seconds,
            )
            work.replace(found)  # what an earlier attempt has seen ended before the hosts were restarted again
            return dict(work.result)
    finally:
        remove(database)


def announce(plan: Plan) -> bool:
    """Note in the journal the rows that are about to be written; whether they were not noted yet."""
    if plan.skip_reason:
        return False
    with session(plan.database.target, "smoke test") as target:
        run = state.read(target, plan.database)
        rows = [asdict(row) for row in plan.rows]
        if run.run is None or list(run.cutover.smoke_rows or ()) == rows:
            return False
        records.note_rows(target, run.run, rows)
    return True


def watch(plan: Plan, seconds: float) -> datetime | None:
    """Look at the source for so long, while the services are switched and the machine is theirs.

    Since when it has had no session of theirs, by its own clock; None: it still has some.
    """
    if plan.skip_reason or not seconds:
        return None
    deadline, quiet_since = time.monotonic() + seconds, None
    with session(plan.database.source, "smoke test", autocommit=True) as source:
        while time.monotonic() < deadline:
            quiet_since = _quiet_since(source, _sessions(source, plan.database.application_roles), quiet_since)
            time.sleep(POLL_SECONDS)
    return quiet_since


def remove(database: Database, *, keep: bool = False) -> int:
    """Delete the smoke-test rows from the target, which may be closed again; how many there were.

    keep: only count them.
    """
    removed = 0
    with session(database.target, "smoke test removal") as target:
        run = state.read(target, database)
        if run.run is None or not run.cutover.smoke_rows:
            return 0
        fence.pass_through(target)
        execute(target, "SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
        for row in run.cutover.smoke_rows:
            table = sql.Identifier(database.name, row["table"])
            removed += execute(target, sql.SQL("DELETE FROM {} WHERE id = %s").format(table), [row["id"]])
        records.note_rows(target, run.run, [])
        if keep:
            target.rollback()
    return removed


def _check_rows(plan: Plan) -> int:
    database = plan.database
    for row in plan.rows:
        if not _has(database.target, database.name, row):
            raise ServiceError(
                f"{database.name}: a row that its service wrote is not in table {row.table} of {database.target}",
                hint="the service writes elsewhere; look at its configuration and at the Storage Service's database",
            )
        if database.strategy.two_copies and _has(database.source, database.source_schema, row):
            raise ServiceError(
                f"{database.name}: a row that its service wrote is on the source, {database.source}",
                hint="the service still writes to its old database, and the fence there did not stop it",
            )
    return len(plan.rows)


def _has(settings: Settings, schema: str, row: Row) -> bool:
    statement = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE id = %s)").format(sql.Identifier(schema, row.table))
    with session(settings, "smoke test") as conn:
        return bool(value(conn, statement, [row.id]))


def _check_sessions(database: Database, waits: Waits) -> int:
    """How many sessions the new side has; the old one has to be silent."""
    if not database.application_roles or not database.target_roles:
        raise StepRefused(
            f"{database.name}: the inventory names no role of the service, its sessions cannot be identified",
            hint="set consolidation_database.application_roles and .target_roles, then run again",
        )
    with session(database.target, "smoke test", autocommit=True) as target:
        here = len(_sessions(target, database.target_roles))
    if not here:
        raise ServiceError(
            f"{database.name}: no session of {', '.join(database.target_roles)} on {database.target}",
            hint="the Storage Service uses another database or another role; look at its configuration",
        )
    with session(database.source, "smoke test", autocommit=True) as source:
        _wait_for_silence(source, database, waits)
    return here


def _wait_for_silence(source: Connection, database: Database, waits: Waits) -> None:
    limit = waits.timeout_seconds + waits.quiet_seconds
    began = time.monotonic()
    wanted, watched = timedelta(seconds=waits.quiet_seconds), min(LAST_SECONDS, waits.quiet_seconds)
    quiet_since = waits.quiet_since
    while True:
        left = _sessions(source, database.application_roles)
        quiet_since, passed = _quiet_since(source, left, quiet_since), time.monotonic() - began
        if quiet_since is not None and passed >= watched and _now(source) - quiet_since >= wanted:
            return
        if left and passed >= limit:
            raise ServiceError(
                f"{database.name}: after {limit:g} s there are sessions of the service on {database.source}: "
                + "; ".join(left),
                hint="an instance that the inventory does not name, or a process that did not end; stop it, run again",
                facts={"sessions_left": left},
            )
        time.sleep(POLL_SECONDS)


def _quiet_since(source: Connection, left: list[str], before: datetime | None) -> datetime | None:
    return None if left else before or _now(source)


def _now(conn: Connection) -> datetime:
    found: datetime = value(conn, "SELECT clock_timestamp()")
    return found


def _sessions(conn: Connection, roles: tuple[str, ...]) -> list[str]:
    found = dicts(conn, query("services/sessions"), {"roles": list(roles)})
    return [
        f"pid {row['pid']}, user {row['role']}, application {row['application'] or 'unnamed'}, from {row['address']}"
        for row in found
    ]
