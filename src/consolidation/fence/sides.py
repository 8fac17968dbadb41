"""What stands on both sides against what the run says of them: the look that every command begins with.

The journal may be lost, or restored to what it was before; a fence may have been lifted by hand. Then the run is not to
be believed, and what is right for it may close, open or empty the wrong side. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.errors import ConsolidationError, StepRefused
from consolidation.fence.state import CLOSED, LOADING, OPEN, PREPARED, Fenced, epoch, needs_change, read
from consolidation.journal import state
from consolidation.journal.decisions import Standing
from consolidation.journal.results import Phase
from consolidation.journal.state import RunState
from consolidation.model import SOURCE, TARGET, Database
from consolidation.postgres.connection import session
from consolidation.postgres.queries import execute, value

HINT = (
    "nothing was changed; ansible-playbook playbooks/resolve.yml resolves it, its --check --diff compares both"
    " sides and says how"
)
LOCK_WAIT = "10s"
"""For the look whether the target holds rows."""
MAY_HAVE_OPENED = (Standing.OPENED, Standing.MIGRATED, Standing.BRINGING_BACK)
"""The target is authoritative."""
_HAS_NOT_OPENED = (Standing.NO_RUN, Standing.ROLLED_BACK, Standing.MIGRATING, Standing.ROLLING_BACK)


@dataclass(frozen=True)
class Sides:
    """The tables of both sides with their fences, at one look."""

    source: tuple[Fenced, ...]
    target: tuple[Fenced, ...]
    filled: bool = False
    """Whether the target holds rows; only looked at where that matters."""

    def open(self, side: str) -> bool:
        """Whether any table of the side takes writes, if only from some."""
        return any(needs_change(table.state, LOADING) for table in self.tables(side))

    def closed(self, side: str) -> bool:
        """Whether any table of the side refuses writes, if only some."""
        return any(needs_change(table.state, OPEN) for table in self.tables(side))

    def tables(self, side: str) -> tuple[Fenced, ...]:
        """Of the ``source`` or ``target`` side."""
        return self.source if side == SOURCE else self.target

    @property
    def writers(self) -> str:
        """Which side takes writes right now, in words."""
        match self.open(SOURCE), self.open(TARGET):
            case True, True:
                return "right now both sides take writes"
            case True, False:
                return "right now the source takes writes, the target does not"
            case False, True:
                return "right now the target takes writes, the source does not"
            case _:
                return "right now neither side takes writes"


def look(source: Connection, target: Connection, database: Database, run: RunState) -> Sides:
    """The fences of both sides; ``source``, ``target``: sessions there."""
    ours, theirs = read(source, database.source_side), read(target, database.target_side)
    sides = Sides(ours, theirs)
    matters = sides.open(TARGET) and run.standing in _HAS_NOT_OPENED
    return replace(sides, filled=_filled(target, theirs)) if matters else sides


def _filled(target: Connection, tables: Iterable[Fenced]) -> bool:
    looks = [sql.SQL("EXISTS (SELECT FROM {})").format(table.identifier) for table in tables]
    execute(target, "SELECT set_config('lock_timeout', %s, true)", [LOCK_WAIT])
    return bool(value(target, sql.SQL("SELECT {}").format(sql.SQL(" OR ").join(looks))))


def is_unbroken(run: RunState, tables: tuple[Fenced, ...]) -> bool:
    """Whether no one can have written to the source since the run has verified it, or restored it from its dump."""
    if {table.state for table in tables} != {CLOSED}:
        return False
    if run.done(Phase.ROLLBACK_RESTORE):  # it is another database now, which was closed before it got its name
        return run.restore.fence_epoch in (None, epoch(tables))
    return run.verified and run.fence.fence_epoch == epoch(tables)


def conflict(run: RunState, sides: Sides) -> str:
    """What does not fit together, and which side takes writes right now; '' where nothing speaks against the run."""
    if not run.strategy.two_copies:  # one copy of the rows, its fence and the journal are in one database
        return ""
    what = _conflict(run, sides)
    return f"{run.database}: {what}; {sides.writers}" if what else ""


def _conflict(run: RunState, sides: Sides) -> str:
    name = f"run {run.run.id}" if run.run else "the journal"
    if run.resolving:
        return f"{name} has begun to resolve a conflict of both sides, and is not through with it"
    match run.standing:
        case Standing.NO_RUN | Standing.ROLLED_BACK:
            return _without_run(run, sides, f"{name} {'was rolled back' if run.run else 'knows no run'}")
        case Standing.MIGRATING | Standing.ROLLING_BACK:
            found = sides.filled and sides.open(TARGET)
            return f"{name} has not opened the target, and it holds rows and is open to writers" if found else ""
        case _ if not sides.source:
            return ""  # no one can write to tables that are gone
        case Standing.RECONCILED:
            return _reconciled(run, sides, name)
        case _:
            return _opened(run, sides, name)


def _without_run(run: RunState, sides: Sides, says: str) -> str:
    """The source is authoritative and open, the target no one's."""
    if sides.closed(SOURCE):
        return (
            f"{says}, and the source is fenced: that journal is older than the fence, or of another storage database;"
            " the target may be authoritative"
        )
    # A source without any trace of a fence has no target yet: whose these rows are is preflight's question.
    if sides.filled and sides.open(TARGET) and (run.run or any(table.state == PREPARED for table in sides.source)):
        return f"{says}, and the target holds rows and is open to writers: it may be authoritative"
    return ""


def _reconciled(run: RunState, sides: Sides, name: str) -> str:
    if sides.open(SOURCE):
        found = sides.open(TARGET)
        return f"{name} has brought every row back to the source, and the target is open again" if found else ""
    if not is_unbroken(run, sides.source):
        return f"{name} has closed the source, and another session has opened it since and closed it again"
    return ""


def _opened(run: RunState, sides: Sides, name: str) -> str:
    """The target is authoritative, and the source is as it was when both were found equal."""
    both = "both may hold writes that the other has not"
    if sides.open(SOURCE):
        return f"{name} has opened the target, and the source is open as well (abandon.yml, or by hand): {both}"
    if not is_unbroken(run, sides.source):
        return f"{name} has opened the target, and the source was open to writers, or altered, since then: {both}"
    if run.standing == Standing.MIGRATED and sides.closed(TARGET):
        return f"{name} is migrated, and its target is closed"
    return ""


def check(database: Database) -> tuple[RunState, Sides, str]:
    """The run, both sides, and their conflict."""
    with session(database.target, "sides") as target:
        run = state.read(target, database)
        if run.standing == Standing.FINALIZED:  # there is no source any more
            return run, Sides((), read(target, database.target_side)), ""
        with session(database.source, "sides") as source:
            sides = look(source, target, database, run)
    return run, sides, conflict(run, sides)


def require_no_conflict(database: Database) -> Sides:
    """Raises StepRefused where the sides are not as the run says."""
    _, sides, found = check(database)
    if found:
        raise StepRefused(found, hint=HINT)
    return sides


def writers(database: Database) -> str:
    """Which side takes writes right now, in words, for the last line of whatever did not succeed."""
    try:
        return check(database)[1].writers
    except ConsolidationError as error:
        return f"which side takes writes is not known right now: {error.message}"
