"""What a rehearsal does in mode online: the source itself is captured, copied and followed, as a migration would.

Nothing is fenced. The triggers and logs on the source are gone at the end; what a killed rehearsal has left of them is
reported by preflight, and removed by the next rehearsal.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median, quantiles

from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.capture import phase as capture_phase
from consolidation.capture import state as capture
from consolidation.capture import trigger
from consolidation.capture.memory import Memory
from consolidation.copy import phase as copy
from consolidation.errors import StepRefused
from consolidation.follow import changeover, verification
from consolidation.follow import phase as follow
from consolidation.follow.rounds import Follower, following
from consolidation.follow.way import Way
from consolidation.journal import records, state
from consolidation.journal.decisions import Standing
from consolidation.journal.phase import take_lock
from consolidation.model import SOURCE, TARGET, Database
from consolidation.postgres.connection import session
from consolidation.postgres.queries import execute, query, value
from consolidation.verify import phase as verify

FREE = (Standing.NO_RUN, Standing.ROLLED_BACK)
"""No run needs a capture of the source."""


def left(database: Database) -> tuple[str, ...]:
    """Tables of the source with a capture that a killed rehearsal, or an abandoned run, has left.

    Raises StepRefused where a run needs it.
    """
    if not database.strategy.follows:
        return ()
    with session(database.target, "rehearsal plan") as target:
        found = state.read(target, database) if records.exists(target) else state.RunState(database.name)
    if found.standing not in FREE:
        raise StepRefused(
            f"{database.name}: its run is {found.standing}: a rehearsal in mode online would take the capture off its"
            " source",
            hint="finish the run, or roll it back with rollback.yml, and rehearse then",
        )
    with session(database.source, "rehearsal plan") as source:
        tables = capture.read(source, database.source_side)
    return tuple(table.name for table in tables if table.state != capture.ABSENT)


@contextmanager
def no_run(target: Connection, database: Database) -> Iterator[None]:
    """No run of the database begins anything meanwhile: it would lose its capture. Raises RunInProgress, StepRefused.

    ``target``: a session that lasts as long.
    """
    take_lock(target, database.name)
    left(database)  # behind the lock it stays as it is
    yield


@contextmanager
def uncaptured(database: Database, lock_seconds: float) -> Iterator[None]:
    """Nothing of the capture is on the source before and after."""
    with session(database.source, "rehearsal") as source:
        schema_is_theirs = value(source, query("rehearse/empty_schema"))  # made by hand, for us
    _remove(database, lock_seconds, keep_schema=schema_is_theirs)
    try:
        yield
    finally:
        _remove(database, lock_seconds, keep_schema=schema_is_theirs)


def _remove(database: Database, lock_seconds: float, *, keep_schema: bool) -> None:
    with session(database.source, "rehearsal") as source:
        trigger.remove(source, database.source_side, lock_seconds)
        if not keep_schema and value(source, query("rehearse/empty_schema")):
            execute(source, "DROP SCHEMA consolidation")


def migrate(database: Database, workers: int, seconds: float, lock_seconds: float) -> Json:
    """From the capture to the rounds, which go on for some time; what they took. The target is a scratch database."""
    capture_phase.apply(capture_phase.plan(database, SOURCE, capture.ON), lock_seconds)
    copy.apply(copy.plan(database), workers)
    until = changeover.Options(lock_seconds=lock_seconds)
    follow.apply(follow.plan(database, TARGET), follow.Options(until))
    verification.apply(verify.plan(database), verify.Options(workers))
    with session(database.target, "rehearsal", autocommit=True) as journal:
        run = records.current_run(journal, database.name, records.MIGRATING)
        with following(Way(database, TARGET), Memory(journal, run, TARGET)) as follower:
            return _rounds(follower, seconds, until.pause_seconds)


def _rounds(follower: Follower, seconds: float, pause_seconds: float) -> Json:
    """At least two of them."""
    took: list[float] = []
    keys, oldest, begun = 0, 0.0, time.monotonic()
    while len(took) < 2 or time.monotonic() - begun < seconds:
        time.sleep(pause_seconds)
        done = follower.round()
        took.append(done.seconds)
        keys += done.keys
        oldest = max(oldest, value(follower.now, query("rehearse/oldest_writer")))
    elapsed = time.monotonic() - begun
    return {
        "seconds": round(elapsed, 1),
        "rounds": len(took),
        "median_seconds": round(median(took), 4),
        "p95_seconds": round(quantiles(took, n=20, method="inclusive")[-1], 4),
        "keys": keys,
        "keys_per_second": round(keys / elapsed, 1),
        "oldest_writer_seconds": round(oldest, 3),
    }
