"""The verify phase: both sides compared by content, table by table and sequence by sequence.

A table is ``equal``, ``different`` or ``could_not_compare``; only when all are equal does the phase pass. Before it
looks at any table, the verifier proves on a scratch table that it sees damage (``selftest``).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from consolidation import text as figures
from consolidation.borders import Json
from consolidation.compare.reread import Readers, readers
from consolidation.compare.result import DIFFERENT, EQUAL, NOT_COMPARED, Comparison, SequenceResult, TableResult
from consolidation.copy import chunks
from consolidation.copy import deferred as defer
from consolidation.errors import StepRefused, VerificationFailed, describe
from consolidation.fence import state as fence
from consolidation.journal import state
from consolidation.journal.phase import recorded
from consolidation.journal.results import Phase, VerifyResult
from consolidation.journal.state import RunState
from consolidation.model import Database
from consolidation.move import verification as moved
from consolidation.postgres.catalog import Sequence, Table, definitions, read_sequences, read_tables, unsound
from consolidation.postgres.connection import session
from consolidation.postgres.queries import value
from consolidation.postgres.sequences import implied, is_behind, next_value, pairs
from consolidation.postgres.snapshot import Snapshot, frozen
from consolidation.progress.reporter import Tally
from consolidation.verify import by_row_hash as copied
from consolidation.verify import recheck, selftest
from consolidation.verify.comparison import Tables


@dataclass(frozen=True)
class Options:
    """How to compare."""

    workers: int = 2
    """Tables under way at the same time; each is a session on either side."""
    max_keys: int = 20
    """Keys named for each table and kind of difference."""
    recheck_seconds: float = 0
    """How long rows that differ are looked at again before they are called different; not in the verify phase."""
    tally: Tally = field(default_factory=Tally)
    """Gets how far every table is."""


@dataclass(frozen=True)
class Plan:
    """What is to be compared."""

    database: Database
    tables: tuple[Table, ...]
    """Of the source."""
    skip_reason: str
    """Where the target has been opened since: both sides differ by right now."""
    before: Mapping[str, Any]
    """What this run's verification found, where there is one."""

    @property
    def changed(self) -> bool:
        """Whether the journal is to get a new result."""
        return not self.skip_reason

    def lines(self) -> list[str]:
        """One line for each table."""
        if self.skip_reason:
            return [self.skip_reason]
        there = f"its copy in {self.database.name}" if self.database.strategy.two_copies else "itself before the move"
        return [f"{table} with {there}: about {figures.count(table.estimated_rows)} rows" for table in self.tables]

    def diff(self) -> dict[str, str]:
        """What would be compared."""
        return {"prepared": "".join(f"{line}\n" for line in self.lines())}


NOTHING_YET = VerifyResult(outcome=NOT_COMPARED, tables=(), sequences=(), faults=())
"""Until all is compared."""


@dataclass(frozen=True)
class Compared:
    """A comparison, by a verifier that was tested on these servers."""

    comparison: Comparison
    self_test: Json
    seconds: float

    def as_json(self) -> Json:
        """For the journal and module results."""
        return {**self.comparison.as_json(), "self_test": self.self_test, "seconds": self.seconds}


def plan(database: Database) -> Plan:
    """What would be compared."""
    with session(database.target, "verify plan") as target:
        run = state.read(target, database)
    skip_reason = run.skip_reason(Phase.VERIFY)
    if skip_reason:
        return Plan(database, (), skip_reason, run.phases[Phase.VERIFY].result if run.done(Phase.VERIFY) else {})
    with session(database.source, "verify plan") as source:
        return Plan(database, read_tables(source, database.source_schema, database.tables), "", {})


def apply(plan: Plan, options: Options) -> Json:
    """Compare both sides behind their fences and keep the result in the journal.

    Raises VerificationFailed unless all is equal, StepRefused where a fence is open.
    """
    if plan.skip_reason:
        return {**plan.before, "msg": plan.skip_reason}
    with recorded(plan.database, Phase.VERIFY) as work:
        # What is compared, by name: the cutover asks for this closing of the fence and this copy.
        known = work.state
        work.replace(replace(NOTHING_YET, fence_epoch=known.fence.fence_epoch, copy_id=known.copy.copy_id))
        target_epoch = _require_fences(plan.database, work.state)
        fewer = replace(options, workers=chunks.workers(plan.tables, options.workers))
        found = compare(plan.database, fewer, work.state)
        work.note(VerifyResult(**found.as_json()))
        if _require_fences(plan.database, work.state) != target_epoch:
            raise StepRefused(
                f"{plan.database.name}: the target was opened or altered while it was compared",
                hint="find out by whom, then run ansible-playbook migrate.yml: it copies and verifies again",
            )
        work.note(VerifyResult(target_epoch=target_epoch))
        _require_equal(plan.database, found.comparison, work.result)
        return dict(work.result)


def check(database: Database, options: Options) -> Json:
    """Compare both sides as they are now; nothing is kept. Raises VerificationFailed unless all is equal."""
    found = compare(database, options)
    _require_equal(database, found.comparison, found.as_json())
    return found.as_json()


def compare(database: Database, options: Options, run: RunState | None = None) -> Compared:
    """The outcome for every table and sequence, whatever it is.

    ``run``: the run whose copy may prove tables equal; both sides must be as it left them, behind their fences.
    Moved tables are compared with what they held before the move. Raises VerificationFailed where nothing can be
    compared at all.
    """
    started = time.monotonic()
    with readers(options.workers) if run else nullcontext() as reading:
        tested = selftest.run(database)
        proof = (run, reading) if run and reading else None
        tables, sequences = (
            _compare_sides(database, options, proof) if database.strategy.two_copies else (moved.compare(database), [])
        )
    if run is None:
        tables = recheck.settle(database, tables, options.recheck_seconds, options.max_keys)
    found = Comparison(tuple(tables), tuple(sequences), tuple(faults(database, tables, run)))
    return Compared(found, tested, round(time.monotonic() - started, 3))


def faults(database: Database, tables: Iterable[TableResult], run: RunState | None) -> list[str]:
    """What is not in force on the target, or not as it was before the load."""
    with session(database.target, "verify") as target:
        names = [table.name for table in tables]
        found = unsound(target, database.name, names, fence.TRIGGER)
        if found and database.strategy.two_copies:
            # What the source has so as well was so before; the schema phase has shown it.
            with session(database.source, "verify") as source:
                shared = unsound(source, database.source_schema, names, fence.TRIGGER)
            found = [text for text in found if text not in shared]
        if run and run.run:
            # The first one sees triggers too, the second one what the load has not touched.
            altered = [*defer.lost(target, run.run.id, database.name), *_altered(target, database, run)]
            found += [f"{name} is not as before" for name in dict.fromkeys(altered)]
    return found


def _altered(target: Connection, database: Database, run: RunState) -> list[str]:
    """What is not defined as it was when `alembic check` had just found it clean; that takes too long in an outage."""
    before = run.schema.definitions if database.strategy.two_copies else run.copy.definitions
    if before is None:  # the operator keeps the schema: schema_migrations
        return []
    now = definitions(target, database.name)
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def _compare_sides(
    database: Database, options: Options, proof: tuple[RunState, Readers] | None
) -> tuple[list[TableResult], list[SequenceResult]]:
    with (
        frozen(database.source, "verify", options.workers) as source,
        frozen(database.target, "verify", options.workers) as target,
    ):
        _require_one_encoding(database, source, target)
        ours = read_tables(source.coordinator, database.source_schema, database.tables)
        theirs = read_tables(target.coordinator, database.name)
        for table in ours:
            options.tally.expect(table)
        proved = _proved(database, options.tally, proof, target, (ours, theirs)) if proof else {}
        tables = Tables(database, source, target, options.max_keys, options.tally).compare(ours, theirs, proved)
        return tables, _compare_sequences(database, source, target, ours)


def _proved(
    database: Database,
    tally: Tally,
    proof: tuple[RunState, Readers],
    target: Snapshot,
    tables: tuple[tuple[Table, ...], tuple[Table, ...]],
) -> dict[str, TableResult]:
    run, reading = proof
    ours, theirs = tables
    there = {table.name: table for table in theirs}
    both = [(table, there[table.name]) for table in ours if table.name in there]
    snapshot = (target.coordinator, target.exported)
    return copied.equal_tables(database, run, snapshot, both, reading, tally=tally)


def _compare_sequences(
    database: Database, source: Snapshot, target: Snapshot, tables: tuple[Table, ...]
) -> list[SequenceResult]:
    """A sequence of the target must not hand out again what the source's, or its application, has handed out."""
    try:
        with source.connection() as here, target.connection() as there:
            ours, theirs = read_sequences(here, database.source_schema), read_sequences(there, database.name)
            numbered = implied(here, tables, ours, theirs)
    except psycopg2.Error as error:
        return [SequenceResult("(all)", NOT_COMPARED, reason=describe(error))]
    counterparts = dict(pairs(ours, theirs))
    names = {table.name for table in tables}
    # With an explicit list of tables, a sequence that belongs to none of them need not come along.
    wanted = [
        sequence
        for sequence in ours
        if sequence.table in names or (sequence.table is None and (not database.tables or sequence in counterparts))
    ]
    found = [(sequence, counterparts.get(sequence)) for sequence in wanted]
    return [_sequence_result(*both) for both in (*found, *numbered)]


def _sequence_result(ours: Sequence, theirs: Sequence | None) -> SequenceResult:
    if theirs is None:
        return SequenceResult(ours.name, NOT_COMPARED, next_value(ours), reason="no such sequence in the target")
    if is_behind(theirs, ours):
        return SequenceResult(
            ours.name, DIFFERENT, next_value(ours), next_value(theirs), reason="the target's sequence is behind"
        )
    return SequenceResult(ours.name, EQUAL, next_value(ours), next_value(theirs))


def _require_fences(database: Database, run: RunState) -> str:
    """Both sides closed, the source as the run has closed it; the epoch of the target's fence. Raises StepRefused."""
    if database.strategy.two_copies:
        with session(database.source, "verify fence") as source:
            fence.require_unbroken(source, database, run)
    with session(database.target, "verify fence") as target:
        if not fence.is_closed(target, database.target_side):
            raise StepRefused(
                f"{database.name}: the target is not fenced, equality would hold for a moment only",
                hint="run ansible-playbook migrate.yml: it fences before it copies and verifies",
            )
        return fence.epoch(fence.read(target, database.target_side))


def _require_one_encoding(database: Database, source: Snapshot, target: Snapshot) -> None:
    ours, theirs = (value(side.coordinator, "SHOW server_encoding") for side in (source, target))
    if ours != theirs:
        raise VerificationFailed(
            f"{database.name}: could not compare: the source is encoded in {ours}, the target in {theirs}",
            hint="digests are taken over bytes; create the storage database with the source's encoding",
        )


def _require_equal(database: Database, found: Comparison, facts: Json) -> None:
    if found.outcome != EQUAL:
        raise VerificationFailed(
            f"{database.name}: not proved equal: {found.complaint}", hint=found.repair, facts=facts
        )
