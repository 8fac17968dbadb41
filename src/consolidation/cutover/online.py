"""The cutover of a database in mode online: both sides change over in this process, within a budget.

It is the phase fence of the journal: the source is open until then, and open again whenever it fails. The opening is
journalled in one transaction with the closing and with what the verification has become by it; from then on the target
is authoritative, and phase cutover goes on from there, whoever runs it.
"""

from __future__ import annotations

from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
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
from consolidation.journal.results import Phase
from consolidation.journal.state import RunState
from consolidation.model import TARGET, Database
from consolidation.postgres.connection import session

OPENING = "opening_at"
"""Key of phase cutover's result: from then on the target may have been open."""
ABORTED = "aborted"
"""Key of phase fence's result: earlier attempts, that have opened the source again."""


def change_over(database: Database, options: changeover.Options) -> str:
    """Close the source, bring the last rows over, open the target; when that was done.

    Raises FenceError, StepRefused, VerificationFailed, StatementFailed; the source is open again then, unless the
    error says that it is not.
    """
    with recorded(database, Phase.FENCE, _require) as work:
        aborted = work.result.get(ABORTED, [])
        work.result.clear()
        work.result.update({"run_id": work.run.id, ABORTED: aborted})
        probe.probe(database.target_side)  # what would refuse its roles, seen while nothing is closed yet
        memory = Memory(work.journal, work.run, TARGET)
        with following(Way(database, TARGET), memory) as follower, session(database.target, "opening") as opening:
            changeover.catch_up(follower, options, lambda done: work.note_progress(done.as_progress(work.now())))
            work.result.pop("progress", None)
            work.result["closing_at"] = closing_at = work.now()
            work.keep()  # killed from here on, writers may be refused
            try:
                changed = changeover.change_over(follower, options, lambda known: _journal(work, opening, known))
            except BaseException as error:
                work.result.pop("closing_at", None)
                if reopened_at := getattr(error, "facts", {}).get("reopened_at"):
                    aborted.append({"closing_at": closing_at, "reopened_at": reopened_at})
                raise
        # Writers wait from the first lock on: that is when the outage begins.
        work.result.update(changed.as_result(), closed_at=changed.closing_at)
        return changed.opened_at


def _journal(work: Work, opening: Connection, known: Json) -> None:
    """In one transaction; the target is authoritative from its commit on."""
    work.result.update(known, closed_at=known["closing_at"])
    with_epoch = {"fence_epoch": known["fence_epoch"], "extended_at": known["closed_at"]}
    target_epoch = fence.epoch(fence.read(opening, work.database.target_side))
    records.note(opening, work.run, Phase.VERIFY, **with_epoch, target_epoch=target_epoch)
    records.note(opening, work.run, Phase.FENCE, **work.result)
    records.start(opening, work.run, Phase.CUTOVER, **{OPENING: work.now()})
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
