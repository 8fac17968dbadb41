"""Change over back to the source: what the target has noted since its opening is brought there while it is written.

Then the target closes, a last round brings the rest, and the source opens, all in this process and within a budget.
Where the target has not noted all that changed, ``reconcile`` compares the content.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace

from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.capture import state as capture
from consolidation.capture import trigger as capture_trigger
from consolidation.capture.memory import Memory
from consolidation.errors import ConsolidationError
from consolidation.follow import changeover
from consolidation.follow.phase import Plan, end_sources_capture
from consolidation.follow.rounds import following
from consolidation.follow.way import Way
from consolidation.journal import records, state
from consolidation.journal.phase import Work, recorded
from consolidation.journal.results import BY_KEYS, FenceResult, Phase, ReconcileResult
from consolidation.journal.state import RunState
from consolidation.model import SOURCE, Database
from consolidation.postgres.connection import session
from consolidation.rollback.reconcile import require_closed_since


def plan(database: Database) -> Plan:
    """What a change-over means now."""
    with session(database.target, "rollback plan") as target:
        run = state.read(target, database)
        tables = capture.read(target, database.target_side)
        skip_reason = run.skip_reason(Phase.FOLLOW_BACK) or _content_instead(database, run, tables)
        logged = set() if skip_reason else capture.with_entries(target, tables)
    waiting = {table.name: table.log_bytes for table in tables if table.name in logged}
    return Plan(database, SOURCE, waiting, skip_reason, then="close the target, open the source")


def apply(plan: Plan, options: changeover.Options) -> Json:
    """Bring everything back and open the source. Raises FenceError, StepRefused, VerificationFailed, StatementFailed.

    The target takes writes again then, unless the error says that it does not.
    """
    if plan.skip_reason:
        return {"msg": plan.skip_reason}
    database = plan.database
    with recorded(database, Phase.ROLLBACK_FENCE, require_closed_since) as work:
        begun = FenceResult(aborted=tuple(work.found(FenceResult).aborted or ()))
        work.replace(begun)
        end_sources_capture(database, options.lock_seconds)
        memory = Memory(work.journal, work.run, SOURCE)
        with following(Way(database, SOURCE), memory) as follower, session(database.target, "opening") as opening:
            changeover.catch_up(follower, options, lambda done: work.note_progress(done.as_progress(work.now())))
            work.replace(begun)
            try:
                changed = changeover.change_over(
                    follower, options, lambda known: _journal(work, opening, memory, known)
                )
            except ConsolidationError as error:
                work.note(FenceResult(aborted=changeover.with_given_up(begun.aborted or (), error)))
                raise
            work.note(changed.as_result())
            # First of all: the services' hosts see it through the Storage Service, and go back to the source.
            capture_trigger.turn_off(opening, database.target_side, options.lock_seconds)
            handed_over_at = work.now()
        found = dict(work.result)
    with recorded(database, Phase.ROLLBACK_OPEN) as work:
        work.note(FenceResult(opened_at=changed.opened_at, handed_over_at=handed_over_at))
    time.sleep(options.settle_seconds)
    return found


def _journal(work: Work, opening: Connection, memory: Memory, known: FenceResult) -> None:
    """In one transaction; from its commit on the source has every row, and the way is to open it."""
    work.note(replace(known, closed_at=known.closing_at))
    back = ReconcileResult(
        to=SOURCE, by=BY_KEYS, fence_epoch=known.fence_epoch, tables=(), sequences=(), **asdict(memory.figures())
    )
    records.note(opening, work.run, Phase.ROLLBACK_FENCE, work.found(FenceResult))
    records.note(opening, work.run, Phase.RECONCILE, back)
    opening.commit()


def _content_instead(database: Database, run: RunState, tables: tuple[capture.Captured, ...]) -> str:
    if Phase.ROLLBACK_RESTORE in run.phases:  # its dump is older than what the target has noted
        return f"{database.name}: the source was restored from its dump: its rows are brought back by content"
    off = [table.name for table in tables if table.state != capture.ON]
    if tables and not off:
        return ""
    return (
        f"{database.name}: the target has not noted all that changed ({', '.join(off) or 'it has no tables'}): its rows"
        " are brought back by content"
    )
