"""The cutover of a database: the target opens, after everything that must be true was seen to be true."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime

from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.capture.memory import Memory
from consolidation.compare.result import EQUAL
from consolidation.cutover import online
from consolidation.errors import StepRefused
from consolidation.fence import probe
from consolidation.fence import state as fence
from consolidation.follow import changeover
from consolidation.follow.way import Way
from consolidation.journal import state
from consolidation.journal.phase import Work, recorded
from consolidation.journal.results import CutoverResult, Phase
from consolidation.journal.state import RunState
from consolidation.model import TARGET, Database
from consolidation.postgres.connection import session
from consolidation.postgres.durability import await_standbys
from consolidation.postgres.handover import End, sequences_handed_over
from consolidation.postgres.locks import LOCK_SECONDS

STANDBY_SECONDS = 30.0
"""For the target's synchronous standbys to have the copy."""


@dataclass(frozen=True)
class Plan:
    """The target's tables to open."""

    database: Database
    tables: tuple[fence.Fenced, ...]
    skip_reason: str
    follows: bool = False
    """The source is written until now: both sides change over."""

    @property
    def changed(self) -> bool:
        """Whether any table is still closed."""
        return not self.skip_reason and any(table.enabled for table in self.tables)

    def diff(self) -> dict[str, str]:
        """One line for each table."""
        if self.skip_reason:
            return {"prepared": f"{self.skip_reason}\n"}
        lines = [f"open {table.schema}.{table.name} to its roles\n" for table in self.tables]
        first = ["close the source and bring the last rows over\n"] if self.follows else []
        return {"prepared": "".join([*first, *lines])}


def plan(database: Database) -> Plan:
    """What would be opened."""
    side = database.target_side
    with session(database.target, "cutover plan") as target:
        run = state.read(target, database)
        follows = database.strategy.follows and not run.cut_over
        return Plan(database, fence.read(target, side), run.skip_reason(Phase.CUTOVER), follows)


def apply(plan: Plan, options: changeover.Options) -> Json:
    """Open the target. Raises StepRefused unless the source is fenced and every table was verified equal.

    In mode online: see ``online.change_over``.
    """
    if plan.skip_reason:
        return {"msg": plan.skip_reason}
    database = plan.database
    opened_at = online.change_over(database, options) if plan.follows else None
    with recorded(database, Phase.CUTOVER, _require) as work:
        if opened_at is None:
            opened_at = _open(work, options.lock_seconds)
        opened_at = work.found(CutoverResult).opened_at or opened_at
        closed_at = work.state.fence.closed_at or opened_at
        outage = datetime.fromisoformat(opened_at) - datetime.fromisoformat(closed_at)
        outage_seconds = round(outage.total_seconds(), 3)
        work.note(CutoverResult(opened_at=opened_at, closed_at=closed_at, outage_seconds=outage_seconds))
        probe.require_open(database.target_side)
        return dict(work.result)


def _open(work: Work, seconds: float) -> str:
    """Open the target; when that was done. May be done again: its sequences never go back then."""
    database, earlier = work.database, work.found(CutoverResult).opening_at
    with _sequences(database, seconds, back=earlier is not None), session(database.target, Phase.CUTOVER) as target:
        work.note(CutoverResult(opening_at=earlier or work.now()))
        work.keep()  # killed from here on, the fence is another one by our own hand
        memory = Memory(work.journal, work.run, TARGET)
        return changeover.open_destination(Way(database, TARGET), memory, target, seconds)


def _require(database: Database, run: RunState) -> None:
    for phase in (Phase.FENCE, Phase.COPY, Phase.VERIFY):
        if not run.done(phase):
            raise StepRefused(
                f"{database.name}: phase {phase} is not done, the target stays closed",
                hint="run ansible-playbook migrate.yml: it resumes with that phase",
            )
    if run.verification.outcome != EQUAL:
        raise StepRefused(
            f"{database.name}: the verification did not find both sides equal, the target stays closed",
            hint="see the verification's evidence in the run directory; then rollback.yml, or repair and run again",
        )
    if not run.verified:
        raise StepRefused(
            f"{database.name}: the verification is not of this copy behind this closing of the fence, the target stays"
            " closed",
            hint="run ansible-playbook migrate.yml: it verifies again",
        )
    if database.strategy.two_copies:
        with session(database.source, "cutover check") as source:
            fence.require_unbroken(source, database, run)
    if run.cutover.opening_at is None:
        with session(database.target, "cutover check") as target:
            _require_as_verified(target, database, run)
        await_standbys(database.target, STANDBY_SECONDS)
        probe.probe(database.target_side, opens=True)  # what would refuse its roles, seen while nothing is open yet
        with _sequences(database, STANDBY_SECONDS, back=False):
            pass  # who has drawn a number and stays in the transaction is named before anything is opened


def _sequences(database: Database, seconds: float, *, back: bool) -> AbstractContextManager[None]:
    """The target's sequences where the source's stand; a moved table has the same one."""
    if not database.strategy.two_copies:
        return nullcontext()
    source, target = End(database.source, database.source_schema), End(database.target, database.name)
    return sequences_handed_over(source, target, min(seconds, LOCK_SECONDS), back=back)


def _require_as_verified(target: Connection, database: Database, run: RunState) -> None:
    """The target's tables must be as the verification has seen them, behind the same closing of their fence."""
    if run.verification.target_epoch != fence.epoch(fence.read(target, database.target_side)):
        raise StepRefused(
            f"{database.name}: the target was opened or altered after it was verified, it stays as it is",
            hint="find out by whom, then run ansible-playbook migrate.yml: it copies and verifies again",
        )
