"""Make one side's tables equal to the other's by content: the way back after a cutover, and the repair of a copy.

Only rows that differ are touched. Both sides list the hashes of the rows in the buckets that differ and tell each
other how often they have each; what the receiver has in surplus is deleted, what the giver has in surplus is sent by
COPY. A changed row is deleted and inserted, so unique values may swap between rows, and a table needs no key.
Foreign keys and user triggers stand aside meanwhile: no cascade and no trigger runs. All of it is one transaction of
the receiver, which ends with the proof that both sides are equal, and with every foreign key validated again.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.compare.buckets import Differences, Digests, Pair, bucket_digests, differing, examine
from consolidation.compare.digest import table_digest
from consolidation.copy import deferred as defer
from consolidation.copy.stream import stream
from consolidation.errors import StepRefused, VerificationFailed
from consolidation.fence import state as fence
from consolidation.journal import state
from consolidation.journal.phase import Work, recorded
from consolidation.journal.records import renew_copy
from consolidation.journal.results import Phase
from consolidation.journal.state import RunState
from consolidation.model import SOURCE, TARGET, Database
from consolidation.postgres.background import meanwhile
from consolidation.postgres.catalog import Sequence, Table, scan
from consolidation.postgres.connection import session
from consolidation.postgres.queries import dicts, execute, query
from consolidation.postgres.snapshot import Snapshot, end_when_we_are_gone, frozen
from consolidation.rollback.counterparts import behind, paired

LOCK_TIMEOUT = (
    "30s"  # for the exclusive locks that dropping a foreign key takes; behind the fence only readers hold any
)
SIDES = (SOURCE, TARGET)


@dataclass(frozen=True)
class Change:
    """What happens to one table of the receiving side."""

    pair: Pair
    buckets: tuple[int, ...]
    inserted: int
    updated: int
    deleted: int

    def as_result(self) -> dict[str, Any]:
        """For module results and the evidence."""
        counts = {"inserted": self.inserted, "updated": self.updated, "deleted": self.deleted}
        return {"name": self.pair.source.name, **counts}


@dataclass(frozen=True)
class Plan:
    """What it takes to make the side ``to`` equal to the other."""

    database: Database
    to: str
    """``source`` or ``target``: the side that receives."""
    changes: tuple[Change, ...]
    sequences: tuple[tuple[Sequence, Sequence], ...]
    """(of the giver, of the receiver) where the receiver's is behind."""
    compared: int
    """Number of tables that were compared."""
    fenced: bool
    """Whether both fences were closed when the tables were compared."""
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
            f"{self._receiving(each.pair)}: insert {each.inserted}, update {each.updated}, delete {each.deleted}"
            for each in self.changes
        ]
        lines += [
            f"sequence {theirs.name}: {theirs.last_value} -> {ours.last_value}" for ours, theirs in self.sequences
        ]
        return {"prepared": "".join(f"{line}\n" for line in lines)}

    def _receiving(self, both: Pair) -> Table:
        return both.source if self.to == "source" else both.target


def plan(database: Database, to: str, workers: int = 2) -> Plan:
    """Compare all tables and say what would be changed. Raises StepRefused, VerificationFailed."""
    with session(database.target, "reconcile plan") as target:
        run = state.read(target, database)
    skip_reason = run.skip_reason(Phase.RECONCILE if to == SOURCE else Phase.REPAIR)
    fenced = _fenced(database) if not skip_reason else {}
    if not skip_reason and to == SOURCE:
        skip_reason = _reconciled_and_opened(run, receiver_is_closed=fenced[to])
    if skip_reason:
        return Plan(database, to, (), (), 0, fenced=False, skip_reason=skip_reason)
    with (
        frozen(database.source, "reconcile", workers) as source,
        frozen(database.target, "reconcile", workers) as target,
    ):
        both = paired(database, source.coordinator, target.coordinator, to)
        digests = [_start(source, target, each) for each in both]
        changes = [
            _change(source, target, each, to, (ours.result(), theirs.result()))
            for each, (ours, theirs) in zip(both, digests, strict=True)
        ]
        with source.connection() as here, target.connection() as there:
            sequences = behind(database, here, there, to, both)
    kept = tuple(change for change in changes if change is not None)
    return Plan(database, to, kept, sequences, len(both), all(fenced.values()), "")


def look(database: Database) -> bool:
    """Whether a rollback would reconcile, and then, that it could: quick, no row is compared.

    Raises StepRefused, VerificationFailed, as ``plan`` would when the target is closed already.
    """
    with session(database.target, "reconcile look") as target:
        run = state.read(target, database)
        if run.run is None or run.skip_reason(Phase.RECONCILE):
            return False
    if _reconciled_and_opened(run, receiver_is_closed=_fenced(database)["source"]):
        return False
    with session(database.source, "reconcile look") as here, session(database.target, "reconcile look") as there:
        paired(database, here, there, "source")
    return True


def apply(plan: Plan) -> dict[str, Any]:
    """Do it, in one transaction of the receiving side.

    Raises StepRefused, VerificationFailed, StatementFailed; then nothing is changed but a sequence at most.
    """
    database = plan.database
    if plan.skip_reason:
        return {"msg": plan.skip_reason}
    with recorded(database, Phase.RECONCILE if plan.to == SOURCE else Phase.REPAIR) as work:
        if plan.to == SOURCE:
            _require_closed_since(database, work.state)
        started = time.monotonic()
        if not (plan.fenced and all(_fenced(database).values())):
            raise StepRefused(
                f"{database.name}: a side is not fenced, rows could change while they are compared",
                hint="run ansible-playbook rollback.yml (or migrate.yml): it fences both sides first",
            )
        if plan.changed:
            _reconcile(plan, work)
        work.result.update(
            run_id=work.run.id,
            to=plan.to,
            compared=plan.compared,
            tables=[change.as_result() for change in plan.changes],
            sequences=[receiver.name for _, receiver in plan.sequences],
            seconds=round(time.monotonic() - started, 3),
        )
        return dict(work.result)


def _reconcile(plan: Plan, work: Work) -> None:
    database = plan.database
    here, there = (database.source, database.target) if plan.to == "source" else (database.target, database.source)
    with session(there, "reconcile") as giver, session(here, "reconcile") as receiver:
        for conn in (giver, receiver):
            end_when_we_are_gone(conn)
        execute(giver, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        fence.pass_through(receiver)
        execute(receiver, "SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
        sides = [(plan, change, _given(plan, change)) for change in plan.changes]
        parameters = {"oids": [receiving.oid for _, _, (_, receiving) in sides], "fence": fence.TRIGGER}
        aside = tuple(defer.Deferred(**row) for row in dicts(receiver, query("rollback/reconcile_aside"), parameters))
        try:
            defer.drop(receiver, aside)
        except psycopg2.errors.LockNotAvailable as error:
            raise StepRefused(
                f"{database.name}: a reader held the tables of the {plan.to} for more than {LOCK_TIMEOUT}",
                hint="nothing was changed; end the sessions that read them (pg_stat_activity), then run again",
            ) from error
        for _, change, (giving, receiving) in sides:
            _exchange(giver, receiver, change, giving, receiving)
        execute(receiver, "SET CONSTRAINTS ALL IMMEDIATE")
        for foreign_keys in (True, False):
            defer.restore(receiver, aside, foreign_keys=foreign_keys)
        _prove(giver, receiver, plan)
        for ours, theirs in plan.sequences:
            name = sql.Identifier(theirs.schema, theirs.name).as_string(receiver)
            execute(receiver, "SELECT setval(%s::regclass, %s, %s)", [name, ours.last_value, ours.is_called])
        if plan.to == TARGET:  # one with the repair: what was verified before it is another copy
            renew_copy(receiver, work.run)


def _exchange(giver: Connection, receiver: Connection, change: Change, giving: Table, receiving: Table) -> None:
    """Bring one table of the receiver to the giver's content."""
    with meanwhile(giver, lambda: _list_rows(giver, change, giving)) as listing:
        _list_rows(receiver, change, receiving)
        listing.result()
    counts = sql.SQL("COPY (SELECT first, second, count(*) FROM consolidation_rows GROUP BY 1, 2) TO STDOUT")
    for sender, reader in ((giver, receiver), (receiver, giver)):
        stream(sender, reader, sql.Composed([counts]), sql.Composed([sql.SQL("COPY consolidation_counts FROM STDIN")]))
        execute(reader, "ANALYZE consolidation_counts")
    surplus = sql.SQL(query("rollback/reconcile_surplus"))
    places = sql.SQL("({}) AS s WHERE t.tableoid = s.part AND t.ctid = s.place").format(surplus)
    execute(receiver, sql.SQL("DELETE FROM {} AS t USING {}").format(scan(receiving), places))
    names = [sql.Identifier(column.name) for column in receiving.stored_columns]
    listed = sql.SQL(", ").join(sql.SQL("t.{}").format(name) for name in names)
    copy_out = sql.SQL("COPY (SELECT {} FROM {} AS t, {}) TO STDOUT").format(listed, scan(giving), places)
    columns = sql.SQL(" ({})").format(sql.SQL(", ").join(names)) if names else sql.SQL("")
    stream(giver, receiver, copy_out, sql.SQL("COPY {}{} FROM STDIN").format(receiving.identifier, columns))


def _list_rows(conn: Connection, change: Change, table: Table) -> None:
    """Hashes and places of the rows in the buckets that differ, as a temporary table."""
    execute(conn, "DROP TABLE IF EXISTS pg_temp.consolidation_rows, pg_temp.consolidation_counts")
    buckets = sql.Literal(list(change.buckets))
    execute(conn, sql.SQL(query("rollback/reconcile_rows")).format(buckets=buckets, **change.pair.placeholders(table)))


def _prove(giver: Connection, receiver: Connection, plan: Plan) -> None:
    """Every table that was changed must now have the giver's digest, before anything is committed."""
    for change in plan.changes:
        giving, receiving = _given(plan, change)
        wanted = partial(table_digest, giver, giving, change.pair.columns)
        with meanwhile(giver, wanted) as digesting:
            found = table_digest(receiver, receiving, change.pair.columns)
        if found != digesting.result():
            raise VerificationFailed(
                f"{plan.database.name}: {receiving} is not equal to {giving} after the reconciliation",
                hint="nothing was changed; compare the two with pg_verify_info, mend the cause, then run again",
            )


def _given(plan: Plan, change: Change) -> tuple[Table, Table]:
    """(the giver's table, the receiver's)"""
    both = change.pair
    return (both.target, both.source) if plan.to == "source" else (both.source, both.target)


def _fenced(database: Database) -> dict[str, bool]:
    """Side -> whether its fence is closed."""
    closed = {}
    for name in SIDES:
        side = database.side(name)
        with session(side.settings, "reconcile fence") as conn:
            closed[name] = fence.is_closed(conn, side)
    return closed


def _reconciled_and_opened(run: RunState, *, receiver_is_closed: bool) -> str:
    """A source that this run has reconciled and opened since may hold newer writes: it is not touched again."""
    if run.run and run.reconciled and not receiver_is_closed:
        return f"{run.database}: run {run.run.id} has reconciled the source and opened it since"
    return ""


def _require_closed_since(database: Database, run: RunState) -> None:
    """What is about to be overwritten on the source must be what was verified: nobody may have written there since."""
    if run.done(Phase.ROLLBACK_RESTORE):
        return  # it is another database now, which was closed before it got its name
    with session(database.source, "reconcile fence") as source:
        epoch = fence.epoch(fence.read(source, database.source_side))
    if epoch != run.fence.fence_epoch or not run.verified:
        raise StepRefused(
            f"{database.name}: the source was open to writers after the cutover (abandon.yml, or by hand): both sides"
            " may hold writes that the other has not",
            hint="nothing was changed; compare both with pg_verify_info and let their owner say which rows are to stay",
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
    return Change(both, buckets, inserted, found.different, deleted)
