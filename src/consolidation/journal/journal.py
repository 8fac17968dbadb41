"""The journal: what was done, in the storage database itself, so that a run resumes wherever it was cut off.

A *run* is one maintenance window; it may cover several databases, each with a state of its own:

    migrating -> migrated -> rolling_back -> rolled_back
    migrating -> rolling_back -> rolled_back

A *phase* of one database is ``running``, ``done`` or ``failed``. While a process works on a database it holds a session
advisory lock, so that a process that died is told from one that works.
"""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

import psycopg2
from psycopg2.extensions import connection as Connection

from consolidation import __version__
from consolidation.errors import ConsolidationError, RunInProgress, StatementFailed, StepRefused, describe
from consolidation.model import Database
from consolidation.postgres.connection import connect
from consolidation.postgres.queries import dicts, execute, query, rows, value

MIGRATING, MIGRATED, ROLLING_BACK, ROLLED_BACK = "migrating", "migrated", "rolling_back", "rolled_back"
EMPTIED = "emptied"
"""In the result of a copy: a rollback has taken it back."""
LOCK_SPACE = 0x636F6E73  # "cons": the first key of our advisory locks


@dataclass(frozen=True)
class Run:
    """One maintenance window as one database sees it."""

    id: str
    database: str
    state: str
    operator: str
    control: dict[str, Any]
    """The ansible-playbook process at work: ``host``, ``pid``, ``started``."""
    started_at: datetime

    def as_result(self) -> dict[str, Any]:
        """For module results."""
        return {
            "id": self.id,
            "database": self.database,
            "state": self.state,
            "operator": self.operator,
            "control": self.control,
            "started_at": self.started_at.isoformat(),
        }


@dataclass(frozen=True)
class PhaseRecord:
    """What the journal knows of one phase."""

    name: str
    state: str
    attempts: int
    started_at: datetime
    finished_at: datetime | None
    result: dict[str, Any]
    error: str | None


@dataclass
class Work:
    """A phase under way: put what it found into ``result`` (JSON values, no row data).

    A phase that is done again begins with the result of the time before.
    """

    run: Run
    journal: Connection
    """Autocommitting connection to the target that holds the database's lock."""
    result: dict[str, Any] = field(default_factory=dict)


def exists(target: Connection) -> bool:
    """Whether the storage database has a journal yet."""
    return value(target, "SELECT to_regclass('consolidation.run_database') IS NOT NULL") is True


def latest_run(target: Connection, database: str) -> Run | None:
    """The newest run of a database, None where there was none."""
    if not exists(target):
        return None
    found = dicts(target, query("journal/latest_run"), {"database": database})
    return Run(**found[0]) if found else None


def was_rolled_back(target: Connection, database: str) -> bool:
    """Whether the last run that ended was taken back: what it left in the target is on the source too."""
    if not exists(target):
        return False
    return bool(value(target, query("journal/last_ended"), {"database": database}) == ROLLED_BACK)


def phases(target: Connection, run: Run) -> dict[str, PhaseRecord]:
    """The phases of a run's database by name, in the order they were started."""
    statement = (
        "SELECT name, state, attempts, started_at, finished_at, coalesce(result, '{}') AS result, error"
        " FROM consolidation.phase WHERE run_id = %s AND database = %s ORDER BY started_at, name"
    )
    return {row["name"]: PhaseRecord(**row) for row in dicts(target, statement, [run.id, run.database])}


def target_in_charge(done: dict[str, PhaseRecord]) -> bool:
    """Whether the target holds rows that the source may not have: a rollback brings them back before the source opens.

    So it is once the target was opened, and where the source was restored from a dump older than the copy.
    """
    restored = "rollback_restore" in done and done["rollback_restore"].state == "done"
    copied = "copy" in done and done["copy"].state == "done" and not done["copy"].result.get(EMPTIED)
    return "cutover" in done or (restored and copied)


def closed_at(done: dict[str, PhaseRecord]) -> str | None:
    """When the source's fence was closed; another moment means that it was open in between."""
    return done["fence"].result.get("closed_at") if "fence" in done else None


def verified(done: dict[str, PhaseRecord]) -> bool:
    """Whether both sides were found equal behind the fence that the source has now."""
    found = done.get("verify")
    return found is not None and found.state == "done" and found.result.get("closed_at") == closed_at(done)


def current_run(target: Connection, database: str, *states: str) -> Run:
    """The newest run of a database, which must be in one of ``states``. Raises StepRefused."""
    run = latest_run(target, database)
    if run is None:
        raise StepRefused(f"{database}: the journal knows no run", hint="start with ansible-playbook migrate.yml")
    if run.state not in states:
        raise StepRefused(
            f"{database}: run {run.id} is {run.state}, this step needs one that is {' or '.join(states)}",
            hint="migrate.yml begins or resumes a run, rollback.yml takes one back",
        )
    return run


def begin(
    target: Connection, database: str, control: dict[str, Any], other_alive: dict[str, Any] | None, *, rollback: bool
) -> tuple[Run, bool]:
    """Begin a run, or resume the unfinished one; and whether the journal was changed by it.

    ``control`` is the calling ansible-playbook process; ``other_alive`` the process that the open run names, if the
    caller found it alive on this host. Raises RunInProgress, StepRefused.
    """
    execute(target, "SELECT pg_advisory_xact_lock(%s, hashtext('begin'))", [LOCK_SPACE])
    run = latest_run(target, database)
    wanted = ROLLING_BACK if rollback else MIGRATING
    if run is not None and run.state in (MIGRATING, ROLLING_BACK):
        _refuse_if_at_work(run, control, other_alive)
        # Whatever the operator knows of the process that began it: one of its modules may still be at work.
        if not value(target, "SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", [LOCK_SPACE, database]):
            _refuse_others(target, database)
    if rollback and run is None:
        raise StepRefused(f"{database}: nothing to roll back, the journal knows no run", hint="nothing to do")
    if not rollback and run is not None and run.state == ROLLING_BACK:
        raise StepRefused(
            f"{database}: run {run.id} is being rolled back", hint="finish it with ansible-playbook rollback.yml first"
        )
    finished = ROLLED_BACK if rollback else MIGRATED
    if run is not None and run.state == finished:
        return run, False
    if run is not None and (rollback or run.state == MIGRATING):
        changed = run.state != wanted
        _claim(target, run, control, wanted)
    else:
        _create(target, database, control)
        changed = True
    begun = latest_run(target, database)
    assert begun is not None  # noqa: S101 - it was written one statement ago
    return begun, changed


def finish(target: Connection, run: Run, state: str) -> bool:
    """Set a run's database to a final state; False where it was there already."""
    statement = (
        "UPDATE consolidation.run_database SET state = %s, changed_at = now()"
        " WHERE run_id = %s AND database = %s AND state <> %s"
    )
    return execute(target, statement, [state, run.id, run.database, state]) > 0


@contextmanager
def phase(
    database: Database,
    name: str,
    *states: str,
    require: Callable[[Database, dict[str, PhaseRecord]], None] = lambda *_: None,
) -> Iterator[Work]:
    """Do a phase under the database's lock, and keep its outcome.

    ``states``: what the run may be in (default: migrating). ``require`` gets the run's phases under the lock, before
    this one is in the journal, and raises where it must not begin. An error is written to the journal, without row
    data, and raised on; psycopg2's errors leave as StatementFailed.
    """
    target = connect(database.target, f"{name} journal", autocommit=True)
    try:
        _lock(target, database.name)  # what is read behind it stays as it is
        run = current_run(target, database.name, *(states or (MIGRATING,)))
        require(database, phases(target, run))
        before = value(target, query("journal/phase_start"), [run.id, run.database, name])
        work = Work(run, target, before or {})
        try:
            yield work
        except psycopg2.Error as error:
            failure = StatementFailed(
                f"{database.name}: {name}: {describe(error)}", hint="mend the cause, then run the same command again"
            )
            _end(work, name, "failed", str(failure))
            raise failure from error
        except BaseException as error:
            text = str(error) if isinstance(error, ConsolidationError) else type(error).__name__
            _end(work, name, "failed", text)
            raise
        _end(work, name, "done", None)
    finally:
        target.close()


def keep(work: Work, name: str) -> None:
    """Keep what a phase under way has found so far, for an attempt that follows when this one is killed."""
    statement = "UPDATE consolidation.phase SET result = %s WHERE run_id = %s AND database = %s AND name = %s"
    execute(work.journal, statement, [json.dumps(work.result), work.run.id, work.run.database, name])


def _end(work: Work, name: str, state: str, error: str | None) -> None:
    statement = (
        "UPDATE consolidation.phase SET state = %s, finished_at = clock_timestamp(), result = %s, error = %s"
        " WHERE run_id = %s AND database = %s AND name = %s"
    )
    try:
        execute(work.journal, statement, [state, json.dumps(work.result), error, work.run.id, work.run.database, name])
    except psycopg2.Error as failure:
        # The target is away: the phase stays 'running', and its lock is gone with the session. The re-run sees that.
        if state == "done":
            raise StatementFailed(
                f"{work.run.database}: {name}: done, but the journal could not be told: {describe(failure)}",
                hint="run the same command again: it finds what is done",
            ) from failure


def _lock(target: Connection, database: str) -> None:
    keys = [LOCK_SPACE, database]
    if not value(target, "SELECT pg_try_advisory_lock(%s, hashtext(%s))", keys):
        _refuse_others(target, database)


def _refuse_others(target: Connection, database: str) -> NoReturn:
    holders = rows(target, query("journal/lock_holder"), {"space": LOCK_SPACE, "database": database})
    who = (
        "; ".join(
            f"backend {pid} of {user} from {address} since {since:%H:%M:%S}" for pid, user, address, since in holders
        )
        or "a process that has just ended"
    )
    raise RunInProgress(
        f"{database}: another process works on it: {who}",
        hint="wait until it ends, then run again; a module whose ansible-playbook was killed goes on to its own end",
    )


def _refuse_if_at_work(run: Run, control: dict[str, Any], other_alive: dict[str, Any] | None) -> None:
    theirs = run.control
    if theirs == {key: control.get(key) for key in theirs}:
        return  # the caller itself, on its way back after a failure
    if theirs.get("host") != control.get("host"):
        if control.get("take_over") == run.id:
            return
        raise RunInProgress(
            f"{run.database}: run {run.id} was started by {run.operator} on control node {theirs.get('host')}",
            hint=f"if that process is gone for certain, add -e consolidation_take_over={run.id}",
        )
    if other_alive == theirs:
        raise RunInProgress(
            f"{run.database}: run {run.id} of {run.operator} is in progress, process {theirs.get('pid')} on this host",
            hint="wait for it, or stop it with Ctrl-C there; then run again, it resumes",
        )


def _claim(target: Connection, run: Run, control: dict[str, Any], state: str) -> None:
    kept = {key: control.get(key) for key in ("host", "pid", "started")}
    execute(target, "UPDATE consolidation.run SET control = %s WHERE id = %s", [json.dumps(kept), run.id])
    finish(target, run, state)


def _create(target: Connection, database: str, control: dict[str, Any]) -> None:
    kept = {key: control.get(key) for key in ("host", "pid", "started")}
    # The databases of one window share a run: they come from one ansible-playbook process.
    run_id = value(target, query("journal/run_to_join"), {"control": json.dumps(kept), "database": database})
    if run_id is None:
        moment = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        same = value(target, "SELECT count(*) FROM consolidation.run WHERE id LIKE %s", [f"{moment}%"])
        run_id = f"{moment}-{same + 1}" if same else moment
        execute(
            target,
            "INSERT INTO consolidation.run (id, operator, control, version) VALUES (%s, %s, %s, %s)",
            [run_id, f"{getpass.getuser()}@{socket.gethostname()}", json.dumps(kept), __version__],
        )
    execute(
        target,
        "INSERT INTO consolidation.run_database (run_id, database, state) VALUES (%s, %s, %s)",
        [run_id, database, MIGRATING],
    )
