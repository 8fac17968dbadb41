"""Make one side's tables equal to the other's by content: the rollback after a cutover, and the repair of a copy.

Only rows that differ are touched; how they are brought over: see exchange.py.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass

import psycopg2
from psycopg2 import sql

from consolidation.borders import Json
from consolidation.compare.buckets import Differences, Digests, Pair, bucket_digests, differing, examine
from consolidation.errors import StepRefused, VerificationFailed
from consolidation.fence import state as fence
from consolidation.fence.sides import HINT, is_unbroken
from consolidation.journal import state
from consolidation.journal.phase import recorded
from consolidation.journal.records import Run, renew_copy
from consolidation.journal.results import BY_KEYS, Phase, ReconcileResult
from consolidation.journal.state import RunState
from consolidation.model import SOURCE, TARGET, Database
from consolidation.postgres.catalog import Sequence
from consolidation.postgres.connection import session
from consolidation.postgres.queries import execute
from consolidation.postgres.snapshot import Snapshot, frozen
from consolidation.rollback.counterparts import behind, paired
from consolidation.rollback.exchange import Change, exchange
from consolidation.rollback.refused import hint, is_of_rows, json_refused, refused, refusing, rounded

SIDES = (SOURCE, TARGET)


@dataclass(frozen=True)
class Plan:
    """What it takes to make the side ``to`` equal to the other."""

    database: Database
    to: str
    """``source`` or ``target``: the destination."""
    changes: tuple[Change, ...]
    sequences: tuple[tuple[Sequence, Sequence], ...]
    """(of the origin, of the destination) where the destination's is behind."""
    pairs: tuple[Pair, ...]
    """All tables that were compared."""
    fences: dict[str, str]
    """Side -> the fence epoch it was compared behind; empty where it is open."""
    skip_reason: str
    """Why there is nothing to do, where the journal says so."""

    @property
    def changed(self) -> bool:
        """Whether any row or sequence is to be changed."""
        return bool(self.changes or self.sequences)

    def diff(self) -> dict[str, str]:
        """One line for each table and sequence to change."""
        if self.skip_reason:
            return {"prepared": f"{self.skip_reason}\n"}
        lines = [
            f"{each.destination}: insert {each.inserted}, update {each.updated}, delete {each.deleted}"
            for each in self.changes
        ]
        lines += [
            f"sequence {theirs.name}: {theirs.last_value} -> {ours.last_value}" for ours, theirs in self.sequences
        ]
        return {"prepared": "".join(f"{line}\n" for line in lines)}


def plan(database: Database, to: str, workers: int = 2) -> Plan:
    """Compare all tables and say what would be changed. Raises StepRefused, VerificationFailed."""
    with session(database.target, "reconcile plan") as target:
        run = state.read(target, database)
    if to == TARGET and run.done(Phase.REPAIR) and run.authoritative == TARGET:
        skip_reason = f"{database.name}: the target was repaired, and opened since"
    else:
        skip_reason = run.skip_reason(Phase.RECONCILE if to == SOURCE else Phase.REPAIR)
    closed = fences(database) if not skip_reason else {}
    if not skip_reason and to == SOURCE:
        skip_reason = reconciled_and_opened(run, source_is_closed=bool(closed[to])) or _brought_back(run, closed)
    if skip_reason:
        return Plan(database, to, (), (), (), closed, skip_reason)
    with (
        frozen(database.source, "reconcile", workers) as source,
        frozen(database.target, "reconcile", workers) as target,
    ):
        return compared(database, to, source, target, closed)


def compared(database: Database, to: str, source: Snapshot, target: Snapshot, closed: dict[str, str]) -> Plan:
    """The plan for two snapshots. Raises StepRefused, VerificationFailed."""
    pairs = paired(database, source.coordinator, target.coordinator, to)
    try:
        changes = differences(source, target, pairs, to)
    except psycopg2.DataError as error:
        if found := json_refused(database, to, pairs):
            raise refusing(database, to, found, hint(to, closed)) from error
        raise
    with source.connection() as here, target.connection() as there:
        sequences = behind(database, here, there, to, pairs)
    return Plan(database, to, changes, sequences, tuple(pairs), closed, "")


def differences(source: Snapshot, target: Snapshot, pairs: list[Pair], to: str) -> tuple[Change, ...]:
    """What would make the side ``to`` equal to the other."""
    digests = [_start(source, target, each) for each in pairs]
    changes = [
        _change(source, target, each, to, (ours.result(), theirs.result()))
        for each, (ours, theirs) in zip(pairs, digests, strict=True)
    ]
    return tuple(change for change in changes if change is not None)


def apply(plan: Plan) -> Json:
    """Do it, in one transaction of the destination.

    Raises StepRefused, FenceError, VerificationFailed, StatementFailed; then nothing is changed but a sequence at most.
    """
    database = plan.database
    if plan.skip_reason:
        return {"msg": plan.skip_reason}
    with recorded(database, Phase.RECONCILE if plan.to == SOURCE else Phase.REPAIR) as work:
        if plan.to == SOURCE:
            require_closed_since(database, work.state)
        started = time.monotonic()
        if not all(plan.fences.values()) or fences(database) != plan.fences:
            raise StepRefused(
                f"{database.name}: a side is not fenced, or was opened meanwhile: rows could change while they are"
                " compared",
                hint="run ansible-playbook rollback.yml (or migrate.yml): it fences both sides first",
            )
        if plan.changed:
            carry_out(plan, work.run)
        found = ReconcileResult(
            to=plan.to,
            compared=len(plan.pairs),
            tables=tuple(change.as_result() for change in plan.changes),
            sequences=tuple(destination.name for _, destination in plan.sequences),
            seconds=round(time.monotonic() - started, 3),
        )
        work.note(found)
        return dict(work.result)


def carry_out(plan: Plan, run: Run) -> None:
    """Change the rows and sequences, proved, in one transaction of the destination."""
    database = plan.database
    here, there = (database.source, database.target) if plan.to == "source" else (database.target, database.source)
    with session(there, "reconcile") as origin, session(here, "reconcile") as destination:
        execute(origin, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        try:
            exchange(origin, destination, here, plan.changes, plan.pairs)
        except psycopg2.Error as error:
            if is_of_rows(error):
                raise refused(database, origin, destination, plan.changes, hint(plan.to, plan.fences)) from error
            raise
        except VerificationFailed as error:
            if found := rounded(database, plan.to, plan.pairs):
                raise refusing(database, plan.to, found, hint(plan.to, plan.fences)) from error
            raise
        for ours, theirs in plan.sequences:
            name = sql.Identifier(theirs.schema, theirs.name).as_string(destination)
            execute(destination, "SELECT setval(%s::regclass, %s, %s)", [name, ours.last_value, ours.is_called])
        if plan.to == TARGET:  # one with the repair: what was verified before it is another copy
            renew_copy(destination, run)


def fences(database: Database) -> dict[str, str]:
    """Side -> the epoch of its closed fence, empty where it is open."""
    found = {}
    for name in SIDES:
        side = database.side(name)
        with session(side.settings, "reconcile fence") as conn:
            tables = fence.read(conn, side)
        closed = {table.state for table in tables} == {fence.CLOSED}
        found[name] = fence.epoch(tables) if closed else ""
    return found


def reconciled_and_opened(run: RunState, *, source_is_closed: bool) -> str:
    """A source that this run has reconciled and opened since may hold newer writes: why it is not touched again."""
    if run.run and run.reconciled and not source_is_closed:
        return f"{run.database}: run {run.run.id} has reconciled the source and opened it since"
    return ""


def _brought_back(run: RunState, closed: dict[str, str]) -> str:
    """Where all was brought back by keys behind this closing, a comparison would only lengthen the outage."""
    found = run.reconciliation
    if run.reconciled and found.by == BY_KEYS and found.fence_epoch == closed[TARGET] and closed[SOURCE]:
        return f"{run.database}: what the target has noted is on the source"
    return ""


def require_closed_since(database: Database, run: RunState) -> None:
    """What is about to be overwritten on the source must be what was verified: no one may have written there since."""
    with session(database.source, "reconcile fence") as source:
        tables = fence.read(source, database.source_side)
    if not is_unbroken(run, tables):
        raise StepRefused(
            f"{database.name}: the source was open to writers after the cutover (abandon.yml, or by hand): both sides"
            " may hold writes that the other has not",
            hint=HINT,
        )


def _start(source: Snapshot, target: Snapshot, both: Pair) -> tuple[Future[Digests], Future[Digests]]:
    return (
        source.submit(lambda conn: bucket_digests(conn, both, both.source)),
        target.submit(lambda conn: bucket_digests(conn, both, both.target)),
    )


def _change(source: Snapshot, target: Snapshot, both: Pair, to: str, digests: tuple[Digests, Digests]) -> Change | None:
    buckets = differing(*digests)
    if not buckets:
        return None
    with source.connection() as here, target.connection() as there:
        found: Differences = examine(here, there, both, buckets, 0)
    inserted, deleted = (found.extra, found.missing) if to == "source" else (found.missing, found.extra)
    return Change(both, to, buckets, inserted, found.different, deleted)
