"""A phase under way: its lock, and its outcome in the journal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import psycopg2
from psycopg2.extensions import connection as Connection

from consolidation.errors import ConsolidationError, RunInProgress, StatementFailed, describe
from consolidation.journal.records import LOCK_SPACE, MIGRATING, PhaseRecord, Run, current_run, phases
from consolidation.model import Database
from consolidation.postgres.connection import connect
from consolidation.postgres.queries import execute, query, rows, value


@dataclass
class Work:
    """A phase under way: put what it found into ``result`` (JSON values, no row data).

    A phase that is done again begins with the result of the time before.
    """

    run: Run
    journal: Connection
    """Autocommitting connection to the target that holds the database's lock."""
    result: dict[str, Any] = field(default_factory=dict)


@contextmanager
def recorded(
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
        refuse_others(target, database)


def refuse_others(target: Connection, database: str) -> NoReturn:
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
