"""The cutover of a database in mode online: both sides change over in this process, within a budget.

It is the phase fence of the journal: the source is open until then, and open again whenever it fails. The opening is
journalled in one transaction with the closing and with what the verification has become by it; from then on the target
is authoritative, and phase cutover goes on from there, whoever runs it.
"""

from __future__ import annotations

from dataclasses import replace

from psycopg2.extensions import connection as Connection

from consolidation.capture.memory import Memory
from consolidation.compare.result import EQUAL
from consolidation.errors import StepRefused
from consolidation.fence import probe
from consolidation.fence import state as fence
from consolidation.follow import changeover
from consolidation.follow.rounds import following
from consolidation.follow.way import Way
from consolidation.journal import records
from consolidation.journal.phase import Work, recorded
from consolidation.journal.results import CutoverResult, FenceResult, Phase, VerifyResult
from consolidation.journal.state import RunState
from consolidation.model import TARGET, Database
from consolidation.postgres.connection import session


def change_over(database: Database, options: changeover.Options) -> str:
    """Close the source, bring the last rows over, open the target; when that was done.

    Raises FenceError, StepRefused, VerificationFailed, StatementFailed; the source is open again then, unless the
    error says that it is not.
    """
    with recorded(database, Phase.FENCE, _require) as work:
        begun = FenceResult(aborted=tuple(work.found(FenceResult).aborted or ()))
        work.replace(begun)
        probe.probe(database.target_side, opens=True)  # what would refuse its roles, seen while nothing is closed yet
        memory = Memory(work.journal, work.run, TARGET)
        with following(Way(database, TARGET), memory) as follower, session(database.target, "opening") as opening:
            changeover.catch_up(follower, options, lambda done: work.note_progress(done.as_progress(work.now())))
            work.replace(replace(begun, closing_at=work.now()))
            work.keep()  # killed from here on, writers may be refused
            try:
                changed = changeover.change_over(follower, options, lambda known: _journal(work, opening, known))
            except BaseException as error:
                aborted = changeover.with_given_up(begun.aborted or (), error)
                # Where the opening is in the journal already, what is known of this closing stays there.
                work.replace(replace(work.found(FenceResult), closing_at=None, aborted=aborted))
                raise
        work.note(changed.as_result())
        return changed.opened_at


def _journal(work: Work, opening: Connection, known: FenceResult) -> None:
    """In one transaction; the target is authoritative from its commit on."""
    work.note(replace(known, closed_at=known.closing_at))
    target_epoch = fence.epoch(fence.read(opening, work.database.target_side))
    extended = VerifyResult(fence_epoch=known.fence_epoch, extended_at=known.closed_at, target_epoch=target_epoch)
    records.note(opening, work.run, Phase.VERIFY, extended)
    records.note(opening, work.run, Phase.FENCE, work.found(FenceResult))
    records.start(opening, work.run, Phase.CUTOVER, CutoverResult(opening_at=work.now()))
    opening.commit()


def _require(database: Database, run: RunState) -> None:
    for phase in (Phase.CAPTURE, Phase.COPY, Phase.FOLLOW, Phase.VERIFY):
        if not run.done(phase):
            raise StepRefused(
                f"{database.name}: phase {phase} is not done, the source stays open",
                hint="run ansible-playbook migrate.yml: it resumes with that phase",
            )
    found = run.verification
    if found.outcome != EQUAL or found.copy_id is None or found.copy_id != run.copy.copy_id:
        raise StepRefused(
            f"{database.name}: this copy was not verified equal, the source stays open",
            hint="run ansible-playbook migrate.yml: it verifies again",
        )
    with session(database.target, "cutover check") as target:
        if found.target_epoch != fence.epoch(fence.read(target, database.target_side)):
            raise StepRefused(
                f"{database.name}: the target was opened or altered after it was verified, the source stays open",
                hint="find out by whom, then run ansible-playbook migrate.yml: it verifies again",
            )
