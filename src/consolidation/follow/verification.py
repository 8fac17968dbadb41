"""Phase verify in mode online: every row compared at one snapshot, while the source is written.

The change-over extends it: what changes from here on is compared by the rounds that bring it over, the last one behind
the closed fence. Then it is a verification of that closing.
"""

from __future__ import annotations

import time
from dataclasses import replace

from consolidation.borders import Json
from consolidation.capture.memory import Memory
from consolidation.compare.result import EQUAL, Comparison
from consolidation.errors import VerificationFailed
from consolidation.fence import state as fence
from consolidation.follow.comparison import Options as CompareOptions
from consolidation.follow.comparison import compare
from consolidation.follow.rounds import following
from consolidation.follow.way import Way
from consolidation.journal.phase import recorded
from consolidation.journal.results import Phase, VerifyResult
from consolidation.model import TARGET, Database
from consolidation.postgres.connection import session
from consolidation.verify import phase, selftest


def apply(plan: phase.Plan, options: phase.Options) -> Json:
    """As ``verify.phase.apply``, which does it in the other modes. Raises VerificationFailed, StepRefused."""
    database = plan.database
    if not database.strategy.follows or plan.skip_reason:
        return phase.apply(plan, options)
    with recorded(database, Phase.VERIFY) as work:
        # No closing yet: the change-over fills it in.
        work.replace(replace(phase.NOTHING_YET, copy_id=work.state.copy.copy_id))
        work.keep()
        started = time.monotonic()
        tested = selftest.run(database)
        for table in plan.tables:
            options.tally.expect(table)
        way, memory = Way(database, TARGET), Memory(work.journal, work.run, TARGET)
        with following(way, memory) as follower:
            found = compare(follower, CompareOptions(options.workers, options.max_keys, options.tally))
        memory.validate(database.target)
        result = Comparison(tuple(found), faults=tuple(phase.faults(database, found, work.state)))
        seconds = round(time.monotonic() - started, 3)
        more: Json = {"self_test": tested, "at": work.now(), "seconds": seconds, "target_epoch": _epoch(database)}
        work.note(VerifyResult(**result.as_json(), **more))
        if result.outcome != EQUAL:
            raise VerificationFailed(
                f"{database.name}: not proved equal at one snapshot: {result.complaint}",
                hint="nothing was closed; the next run brings these tables over by content and compares again: find out"
                " first who wrote to the target, or past the capture (pg_trigger of the source)",
                facts=result.as_json(),
            )
        return dict(work.result)


def _epoch(database: Database) -> str:
    with session(database.target, "verify fence") as target:
        return fence.epoch(fence.read(target, database.target_side))
