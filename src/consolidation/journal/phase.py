"""A phase under way: its lock, and its outcome in the journal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

import psycopg2
from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.errors import ConsolidationError, RunInProgress, StatementFailed, StepRefused, describe, next_step
from consolidation.journal import records
from consolidation.journal.records import LOCK_SPACE, Run
from consolidation.journal.results import Phase, Result
from consolidation.journal.state import RunState, read
from consolidation.model import Database
from consolidation.postgres.connection import session
from consolidation.postgres.queries import execute, query, rows, value

R = TypeVar("R", bound=Result)
ENDING_SECONDS = 2.0
"""For the lock of a session that was closed just now: its backend lets it go when it comes to its end."""
LOOK_SECONDS = 0.05


@dataclass
class Work:
    """A phase under way, and what it found: JSON values, no row data.

    A phase that is done again begins with the result of the time before.
    """

    database: Database
    run: Run
    phase: Phase
    journal: Connection
    """Autocommitting connection to the target that holds the database's lock."""
    state: RunState
    """As it was when this phase began."""
    result: Json = field(default_factory=dict)

    def found(self, kind: type[R]) -> R:
        """What this phase, or an earlier attempt, has found so far."""
        return kind.from_json(self.result)

    def note(self, found: Result) -> None:
        """Add what was found; what it says nothing of stays."""
        self.result.update(run_id=self.run.id, **found.as_json())

    def replace(self, found: Result) -> None:
        """What was found is this, and nothing else any more."""
        self.result.clear()
        self.note(found)

    def keep(self) -> None:
        """Keep what was found so far, for an attempt that follows when this one is killed."""
        statement = "UPDATE consolidation.phase SET result = %s WHERE run_id = %s AND database = %s AND name = %s"
        execute(self.journal, statement, [json.dumps(self.result), self.run.id, self.run.database, self.phase])

    def note_progress(self, figures: Json) -> None:
        """Keep how far it is, for whoever looks meanwhile; an attempt that follows begins without it."""
        self.result["progress"] = dict(figures)
        self.keep()

    def now(self) -> str:
        """The journal's clock."""
        return records.now(self.journal)


@contextmanager
def recorded(
    database: Database, name: str, require: Callable[[Database, RunState], None] = lambda *_: None
) -> Iterator[Work]:
    """Do a phase under the database's lock, and keep its outcome.

    The run's state is read behind the lock: a phase that must not begin, or has nothing to do any more, raises
    StepRefused. ``require`` gets that state before this attempt is in the journal, and raises where it must not begin.
    An error is written to the journal, without row data, and raised on; psycopg2's errors leave as StatementFailed.
    """
    phase = Phase(name)
    with session(database.target, f"{phase} journal", autocommit=True) as target:
        require_entered(database)
        take_lock(target, database.name)  # what is read behind it stays as it is
        state = read(target, database)
        run = state.require(phase)
        require_entered(database, run)
        require(database, state)
        before = value(target, query("journal/phase_start"), [run.id, run.database, phase])
        work = Work(database, run, phase, target, state, before or {})
        try:
            yield work
        except psycopg2.Error as error:
            failure = StatementFailed(f"{database.name}: {phase}: {describe(error)}", hint=next_step(error))
            _end(work, "failed", str(failure))
            raise failure from error
        except BaseException as error:
            text = str(error) if isinstance(error, ConsolidationError) else type(error).__name__
            _end(work, "failed", text)
            raise
        _end(work, "done", None)


def require_entered(database: Database, run: Run | None = None) -> None:
    """What is changed must be changed by the command that began the run, after its checks. Raises StepRefused."""
    if database.run_id == "":
        raise StepRefused(
            f"{database.name}: this command has begun no run: its first tasks were left out, --start-at-task and"
            " --skip-tags always do that",
            hint="run the whole command, it resumes at the first unfinished piece; or one phase with --tags",
        )
    if run is not None and database.run_id not in (None, run.id):
        raise StepRefused(
            f"{database.name}: this command has begun run {database.run_id}, run {run.id} is the newest by now",
            hint="another ansible-playbook works on this database: wait for it, then run the same command again",
        )


def _end(work: Work, state: str, error: str | None) -> None:
    given = {"state": state, "result": json.dumps(work.result), "error": error}
    key = {"run": work.run.id, "database": work.run.database, "phase": work.phase}
    try:
        execute(work.journal, query("journal/phase_end"), given | key)
    except psycopg2.Error as failure:
        # The target is away: the phase stays 'running', and its lock is gone with the session. The re-run sees that.
        if state == "done":
            raise StatementFailed(
                f"{work.run.database}: {work.phase}: completed, but recording it in the journal failed:"
                f" {describe(failure)}",
                hint="run the same command again: it finds what is done",
            ) from failure


def take_lock(target: Connection, database: str, function: str = "pg_try_advisory_lock") -> None:
    """The lock of whoever works on the database. Raises RunInProgress, with the session that holds it."""
    limit = time.monotonic() + ENDING_SECONDS
    while not value(target, f"SELECT {function}(%s, hashtext(%s))", [LOCK_SPACE, database]):
        if time.monotonic() > limit:
            _refuse_others(target, database)
        time.sleep(LOOK_SECONDS)


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
        hint="wait until it ends, then run again; an orphaned module, whose ansible-playbook was killed, runs to"
        " completion",
    )
