"""The follow phase: rounds until the destination is close behind, and the comparison of everything on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from consolidation.capture.memory import Memory
from consolidation.errors import StepRefused
from consolidation.fence import state as fence
from consolidation.follow import changeover
from consolidation.follow.rounds import Follower, Round, following
from consolidation.follow.way import Way
from consolidation.journal import state
from consolidation.journal.phase import Work, recorded
from consolidation.journal.results import Phase
from consolidation.model import SOURCE, Database
from consolidation.postgres.connection import session
from consolidation.postgres.queries import value


@dataclass(frozen=True)
class Plan:
    """What a following round would find."""

    database: Database
    to: str
    waiting: dict[str, int]
    """Table -> bytes of its log, of the tables whose log has entries."""
    skip_reason: str

    @property
    def changed(self) -> bool:
        """Whether rounds are to run: a quiet origin is only known from one."""
        return not self.skip_reason

    def diff(self) -> dict[str, str]:
        """One line for each table that has noted keys."""
        lines = [f"{name}: {size} bytes of noted keys" for name, size in self.waiting.items()]
        lines = [self.skip_reason] if self.skip_reason else lines
        return {"prepared": "".join(f"{line}\n" for line in lines)}


def plan(database: Database, to: str) -> Plan:
    """Whether there is something to follow, and how much is noted. Raises StepRefused."""
    with session(database.target, "follow plan", autocommit=True) as target:
        run = state.read(target, database)
        skip_reason = run.skip_reason(_phase(to))
        if skip_reason or run.run is None:
            return Plan(database, to, {}, skip_reason)
        with following(Way(database, to), Memory(target, run.run, to)) as follower:
            return Plan(database, to, follower.waiting(), "")


def apply(plan: Plan, options: changeover.Options) -> dict[str, Any]:
    """Rounds until the gate is met.

    Raises StepRefused, VerificationFailed, and as a round does. Nothing is closed or opened.
    """
    if plan.skip_reason:
        return {"msg": plan.skip_reason}
    with recorded(plan.database, _phase(plan.to)) as work:
        _require_loaded(work, plan.database)
        if plan.to == SOURCE:
            _require_closed_since(work, plan.database)
        started = time.monotonic()
        with _follower(work, plan) as follower:
            rounds = changeover.catch_up(follower, options, lambda done: _hear(work, done))
            figures = follower.memory.figures()
        work.result.pop("progress", None)
        work.result.update(
            run_id=work.run.id,
            to=plan.to,
            rounds=figures["rounds"],
            keys=figures["keys"],
            rows=figures["rows"],
            lag_seconds=rounds[-1].seconds,
            last_rounds=[asdict(seen) for seen in rounds[-10:]],
            seconds=round(time.monotonic() - started, 3),
        )
        return dict(work.result)


def _phase(to: str) -> Phase:
    return Phase.FOLLOW_BACK if to == SOURCE else Phase.FOLLOW


@contextmanager
def _follower(work: Work, plan: Plan) -> Iterator[Follower]:
    with following(Way(plan.database, plan.to), Memory(work.journal, work.run, plan.to)) as follower:
        yield follower


def _hear(work: Work, done: Round) -> None:
    work.result["progress"] = done.as_progress(work.now())
    work.keep()


def _require_loaded(work: Work, database: Database) -> None:
    """Rounds bring what has changed since the copy, not what it has not loaded yet."""
    statement = "SELECT count(*) FROM consolidation.table_load WHERE run_id = %s AND database = %s AND state <> 'done'"
    if waiting := value(work.journal, statement, [work.run.id, database.name]):
        raise StepRefused(
            f"{database.name}: the copy of {waiting} table(s) is not complete",
            hint="run the copy again: it resumes with the chunks that are not done",
        )


def _require_closed_since(work: Work, database: Database) -> None:
    """Nobody may have written to the source since this run has closed it: rounds would overwrite that."""
    with session(database.source, "follow fence") as source:
        fence.require_unbroken(source, database, work.state)
