"""What a resolution makes the run say, so that it agrees with what stands on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from consolidation.borders import Json
from consolidation.compare.result import EQUAL, Comparison, TableResult
from consolidation.journal import records, runs
from consolidation.journal.decisions import Standing
from consolidation.journal.phase import Work
from consolidation.journal.results import (
    CopyResult,
    CutoverResult,
    FenceResult,
    Phase,
    ReconcileResult,
    ResolveResult,
    VerifyResult,
)
from consolidation.model import SOURCE, Database
from consolidation.postgres.connection import session

SOURCE_FIRST = (Standing.MIGRATING, Standing.ROLLING_BACK)
"""The run is under way and has not opened the target."""


def target_stays(database: Database, work: Work, epoch: str, after: str) -> None:
    """It has copied, verified and cut over what is there now, behind this fence of the source."""
    copy_id, now, known = uuid4().hex, work.now(), work.state
    with session(database.target, "resolve") as target:
        records.forget(target, work.run, Phase.RECONCILE, Phase.ROLLBACK_RESTORE)
        fenced = FenceResult(fence_epoch=epoch, closed_at=known.fence.closed_at or now)
        records.note(target, work.run, Phase.FENCE, fenced)
        records.note(target, work.run, Phase.COPY, CopyResult(copy_id=copy_id, emptied=False))
        compared = VerifyResult(fence_epoch=epoch, copy_id=copy_id, **_equal(work.found(ResolveResult).compared or ()))
        records.note(target, work.run, Phase.VERIFY, compared)
        records.note(target, work.run, Phase.CUTOVER, CutoverResult(opened_at=None if known.cut_over else now))
        runs.finish(target, work.run, after)


def _equal(compared: Sequence[str]) -> Json:
    tables = (TableResult(name, EQUAL, reason="compared by the resolution") for name in compared)
    return Comparison(tuple(tables)).as_json()


def source_stays(database: Database, work: Work, after: str, *, own_run: bool) -> None:
    """The source has every row that stays; ``own_run``: the run has only the resolution, and nothing to roll back."""
    run = work.run
    with session(database.target, "resolve") as target:
        if not own_run and work.state.standing in SOURCE_FIRST:
            records.renew_copy(target, run)  # it was open to writers: what was verified is another one
        elif not own_run:
            # No reconciliation may take the target for the newer side again.
            if Phase.VERIFY in work.state.phases:
                records.note(target, run, Phase.VERIFY, VerifyResult(fence_epoch=""))
            records.forget(target, run, Phase.ROLLBACK_RESTORE)
            records.note(target, run, Phase.RECONCILE, ReconcileResult(to=SOURCE, resolved=True))
        runs.finish(target, run, after)
