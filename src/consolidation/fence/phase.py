"""The write fence: a statement trigger on every table that refuses every writer, and the proof that it does.

Enabling the trigger takes SHARE ROW EXCLUSIVE: it waits for the transactions that have written, then refuses everyone.
Readers go on. A fence is ``absent``, ``prepared`` (trigger there, disabled) or ``closed``. To open is to disable; the
trigger is dropped only by finalize, because DROP TRIGGER needs a stronger lock than any reader allows.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg2
import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.errors import FenceError, StepRefused
from consolidation.journal import journal
from consolidation.model import Database
from consolidation.postgres.catalog import LEFT_BEHIND
from consolidation.postgres.connection import Settings, session
from consolidation.postgres.locks import locked
from consolidation.postgres.queries import dicts, execute, query, value

TRIGGER = "aa_consolidation_fence"  # triggers fire in the order of their names: before the table's own
PROBE_TIMEOUT = "10s"  # a probe waits for a lock no longer: the write outage has begun
ABSENT, PREPARED, CLOSED = "absent", "prepared", "closed"


@dataclass(frozen=True)
class Side:
    """One side of a service database: its tables, and the roles that write them."""

    database: str
    name: str
    """``source`` or ``target``."""
    settings: Settings
    schema: str
    tables: tuple[str, ...]
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Fenced:
    """One table and the state of its fence."""

    schema: str
    name: str
    oid: int
    state: str
    changed_by: int | None
    """Transaction that made or switched the trigger."""

    @property
    def identifier(self) -> sql.Identifier:
        """The qualified, quoted name."""
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True)
class Plan:
    """What it takes to bring a side's fence into the wanted state."""

    database: Database
    side: Side
    wanted: str
    before: tuple[Fenced, ...]
    settled: str
    """Why there is nothing to do, where the journal says so."""

    @property
    def changed(self) -> bool:
        """Whether any trigger has to be made or switched."""
        return not self.settled and any(needs_change(fenced.state, self.wanted) for fenced in self.before)

    def diff(self) -> dict[str, str]:
        """The states of all tables before and after."""
        after = [
            self.wanted if self.changed and needs_change(fenced.state, self.wanted) else fenced.state
            for fenced in self.before
        ]
        names = [f"{self.side.name} {fenced.schema}.{fenced.name}" for fenced in self.before]
        return {
            "before": "".join(f"{name}: {fenced.state}\n" for name, fenced in zip(names, self.before, strict=True)),
            "after": "".join(f"{name}: {state}\n" for name, state in zip(names, after, strict=True)),
        }


def needs_change(state: str, wanted: str) -> bool:
    """A closed fence is prepared as well: preparing never opens it, only ``open`` does."""
    return state != wanted if wanted != PREPARED else state == ABSENT


def side_of(database: Database, name: str) -> Side:
    """The ``source`` or ``target`` side of a database."""
    if name == "source":
        roles = (*database.application_roles, database.source.user)
        return Side(database.name, name, database.source, database.source_schema, database.tables, roles)
    roles = (*database.target_roles, database.target.user)
    return Side(database.name, name, database.target, database.name, (), roles)


def read(conn: Connection, side: Side) -> tuple[Fenced, ...]:
    """The tables of a side with their fence's state."""
    parameters = {
        "schema": side.schema,
        "tables": list(side.tables),
        "left_behind": sorted(LEFT_BEHIND),
        "trigger": TRIGGER,
    }
    return tuple(Fenced(**row) for row in dicts(conn, query("fence/state"), parameters))


def is_closed(conn: Connection, side: Side) -> bool:
    """Whether every table of the side is fenced (a side without tables is not)."""
    states = {fenced.state for fenced in read(conn, side)}
    return states == {CLOSED}


def seal(tables: Iterable[Fenced]) -> str:
    """Another one after any trigger was switched or made anew, whoever did it and whatever its state is now."""
    switched = sorted((fenced.oid, fenced.changed_by) for fenced in tables)
    return hashlib.sha256(json.dumps(switched).encode()).hexdigest()[:16]


def require_unbroken(source: Connection, database: Database, done: Mapping[str, journal.PhaseRecord]) -> None:
    """The source's fence must be the one that the fence phase has closed, and not have been lifted since.

    ``source``: a session there. ``done``: the run's phases. Raises StepRefused.
    """
    tables = read(source, side_of(database, "source"))
    if {fenced.state for fenced in tables} != {CLOSED}:
        raise StepRefused(
            f"{database.name}: the source is not fenced, rows could change or have changed",
            hint="run ansible-playbook migrate.yml: it fences, copies and verifies in order",
        )
    if "fence" not in done or done["fence"].result.get("seal") != seal(tables):
        raise StepRefused(
            f"{database.name}: the source's fence is not the one that this run has closed: it was lifted and closed"
            " again, rows may have changed in between",
            hint="run ansible-playbook migrate.yml: it notes the new fence, then copies and verifies again",
        )


def pass_through(conn: Connection) -> None:
    """Let this transaction write behind a closed fence; only for the role that made the fence."""
    execute(conn, "SET LOCAL consolidation.pass = 'on'")


def plan(database: Database, side_name: str, wanted: str, phase: str = "fence") -> Plan:
    """What closing (``closed``), preparing (``prepared``) or opening (``open``) a side means now, in a phase."""
    side = side_of(database, side_name)
    with session(side.settings, "fence plan") as conn:
        before = read(conn, side)
    # A trigger that is not there refuses nobody: open already.
    target_state = PREPARED if wanted == "open" else wanted
    if wanted == "open":
        before = tuple(fenced for fenced in before if fenced.state != ABSENT)
    settled = "the tables bring their fence along when they are moved" if database.moves and not before else ""
    with session(database.target, "fence plan") as conn:
        run = journal.latest_run(conn, database.name)
        over = run is not None and run.state == journal.MIGRATED and not phase.startswith("rollback")
        if run is not None and run.state == journal.MIGRATING and (side_name, wanted) == ("target", CLOSED):
            # A re-run after a crash: services may be writing to the target already.
            over = journal.target_in_charge(journal.phases(conn, run))
    if run is not None and over:
        settled = f"run {run.id} has cut {database.name} over: the source stays closed, the target open"
    return Plan(database, side, "open" if wanted == "open" else target_state, before, settled)


def apply(plan: Plan, phase: str, timeout_seconds: float) -> dict[str, Any]:
    """Bring the fence into the wanted state and prove it. Raises FenceError."""
    if plan.settled:
        return {"msg": plan.settled, "tables": _states(plan.before)}
    with journal.phase(plan.database, phase, journal.MIGRATING, journal.ROLLING_BACK) as work:
        work.result["run_id"] = work.run.id
        with session(plan.side.settings, phase) as conn:
            if plan.wanted == "open":
                _require_nothing_left_behind(work, plan)
                work.result.update(open_side(conn, plan.side, timeout_seconds))
            else:
                _prepare(conn, plan.side, timeout_seconds)
                if plan.wanted == CLOSED:
                    _close(work, phase, conn, plan.side, timeout_seconds)
            work.result["tables"] = _states(read(conn, plan.side))
        if plan.wanted == CLOSED:
            work.result["probes"] = probe(plan.side)
        return dict(work.result)


def _require_nothing_left_behind(work: journal.Work, plan: Plan) -> None:
    """A source must not open while the target holds writes that it has not."""
    done = journal.phases(work.journal, work.run)
    back = done.get("reconcile")
    if plan.side.name == "target" or not journal.target_in_charge(done) or plan.database.moves:
        return
    if work.run.state != journal.ROLLING_BACK or back is None or back.state != "done" or back.result["to"] != "source":
        raise StepRefused(
            f"{plan.database.name}: run {work.run.id} has opened the target, and its writes are not on the source yet",
            hint="take the run back with ansible-playbook rollback.yml, which brings them along, then opens the source",
        )


def probe(side: Side) -> list[dict[str, str]]:
    """Try to write every table as every role of the side; every try must be refused by the fence.

    Nothing is written: no row is touched, and each try is rolled back. Raises FenceError.
    """
    outcomes = []
    with session(side.settings, "fence probe") as conn:
        prepare_probe(conn)
        for role in side.roles:
            for fenced in read(conn, side):
                outcome = _probe_table(conn, role, fenced)
                conn.rollback()
                outcomes.append({"role": role, "table": f"{fenced.schema}.{fenced.name}", "outcome": outcome})
    leaks = [probed for probed in outcomes if probed["outcome"] not in ("refused by the fence", "role cannot write")]
    if leaks:
        first = leaks[0]
        raise FenceError(
            f"{side.database}: the fence of the {side.name} does not hold: as {first['role']} on {first['table']}: "
            f"{first['outcome']} ({len(leaks)} of {len(outcomes)} probes)",
            hint="nothing was written; look at the triggers of that table, then run again",
            facts={"probes": outcomes},
        )
    return outcomes


def prepare_probe(conn: Connection) -> None:
    """Let a session try statements of other roles: as they run them, with row security, and without a long wait."""
    execute(
        conn, "SELECT set_config('lock_timeout', %s, false), set_config('row_security', 'on', false)", [PROBE_TIMEOUT]
    )
    conn.commit()


def _states(tables: tuple[Fenced, ...]) -> list[dict[str, str]]:
    return [{"name": f"{fenced.schema}.{fenced.name}", "state": fenced.state} for fenced in tables]


def _probe_table(conn: Connection, role: str, fenced: Fenced) -> str:
    """What happened to a write that touches no row: DELETE, or INSERT where the role may not DELETE."""
    for statement in ("DELETE FROM {} WHERE false", "INSERT INTO {} DEFAULT VALUES"):
        try:
            execute(conn, sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
            execute(conn, sql.SQL(statement).format(fenced.identifier))
        except psycopg2.errors.ReadOnlySqlTransaction as error:
            ours = "fenced by the storage consolidation" in (error.diag.message_primary or "")
            return "refused by the fence" if ours else "refused, but not by the fence"
        except psycopg2.errors.InsufficientPrivilege as error:
            if "permission denied for table" not in (error.diag.message_primary or ""):
                return f"could not probe (SQLSTATE {error.pgcode})"
            conn.rollback()
        except psycopg2.errors.LockNotAvailable:
            return f"could not probe, another session held the table for {PROBE_TIMEOUT}"
        except psycopg2.Error as error:
            return f"could not probe (SQLSTATE {error.pgcode})"
        else:
            return "WRITE WENT THROUGH"
    return "role cannot write"


def _prepare(conn: Connection, side: Side, timeout_seconds: float) -> None:
    """Create the function and the disabled triggers that are not there yet."""
    missing = [fenced for fenced in read(conn, side) if fenced.state == ABSENT]
    # All databases share the target's function: two that replace it at once fail ("tuple concurrently updated").
    execute(conn, "SELECT pg_advisory_xact_lock(%s, hashtext('fence'))", [journal.LOCK_SPACE])
    if value(conn, "SELECT to_regnamespace('consolidation') IS NULL"):
        execute(conn, "CREATE SCHEMA consolidation")
    execute(conn, query("fence/function"))
    conn.commit()
    if not missing:
        return
    with locked(conn, side.settings, missing, timeout_seconds):
        for fenced in missing:
            create = (
                "CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION consolidation.fence({role})"
            )
            names = {"trigger": sql.Identifier(TRIGGER), "table": fenced.identifier}
            execute(conn, sql.SQL(create).format(role=sql.Literal(side.settings.user), **names))
            execute(conn, sql.SQL("ALTER TABLE {table} DISABLE TRIGGER {trigger}").format(**names))


def _close(work: journal.Work, phase: str, conn: Connection, side: Side, timeout_seconds: float) -> None:
    """Enable all triggers; note when, and the seal that tells this closing from any other."""
    tables = read(conn, side)
    if not tables:
        raise FenceError(
            f"{side.database}: no tables to fence in schema {side.schema} of {side.settings}",
            hint="check consolidation_database.source_schema and .tables",
        )
    found = work.result
    if any(fenced.state != CLOSED for fenced in tables):
        for name in ("closed_at", "waited_seconds", "seal"):
            found.pop(name, None)
        found["closing_at"] = _now()
        journal.keep(work, phase)  # killed from here on, it is not taken for the closing before
        started = time.monotonic()
        _enable(conn, side, tables, timeout_seconds)
        found.update(closed_at=_now(), waited_seconds=round(time.monotonic() - started, 3))
    elif found.get("seal") != seal(tables):
        # Closed by an attempt that was killed, or by somebody who had opened it.
        found.update(closed_at=found.get("closing_at") or _now(), waited_seconds=0.0)
    found["seal"] = seal(read(conn, side))
    found.pop("closing_at", None)


def _enable(conn: Connection, side: Side, tables: Iterable[Fenced], timeout_seconds: float) -> None:
    # ALWAYS: else sessions of replication tools (session_replication_role = replica) write past it.
    _switch(conn, side, [fenced for fenced in tables if fenced.state != CLOSED], "ENABLE ALWAYS", timeout_seconds)


def close_side(conn: Connection, side: Side, timeout_seconds: float) -> None:
    """Make the triggers that are missing and enable all, outside of a phase of its own."""
    _prepare(conn, side, timeout_seconds)
    _enable(conn, side, read(conn, side), timeout_seconds)


def open_side(conn: Connection, side: Side, timeout_seconds: float) -> dict[str, Any]:
    """Disable the trigger on every table that is closed; when that was done."""
    closed = [fenced for fenced in read(conn, side) if fenced.state == CLOSED]
    if closed:
        _switch(conn, side, closed, "DISABLE", timeout_seconds)
    return {"opened_at": _now()}


def _switch(conn: Connection, side: Side, tables: list[Fenced], word: str, timeout_seconds: float) -> None:
    """Enable or disable the triggers of all tables in one transaction."""
    with locked(conn, side.settings, tables, timeout_seconds):
        # Flushed with its own commit: so is every commit before it.
        execute(conn, "SET LOCAL synchronous_commit = on")
        for fenced in tables:
            names = {"trigger": sql.Identifier(TRIGGER), "table": fenced.identifier}
            execute(conn, sql.SQL(f"ALTER TABLE {{table}} {word} TRIGGER {{trigger}}").format(**names))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
