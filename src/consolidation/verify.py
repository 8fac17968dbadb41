"""The verify phase: both sides compared by content, table by table and sequence by sequence.

A table is ``equal``, ``different`` or ``could_not_compare``; only when all are equal does the phase pass. Before it
looks at any table, the verifier proves on a scratch table that it sees damage (``selftest``).
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from consolidation import fence, journal, move, selftest, verdict
from consolidation.catalog import Sequence, Table, read_sequences, read_tables
from consolidation.connection import session
from consolidation.differences import Differences, Pair, bucket_digests, differing, examine, pair, within
from consolidation.digest import CompareColumn, Digest, Incomparable, own_columns, table_digest
from consolidation.errors import StepRefused, VerificationFailed, describe
from consolidation.model import Database
from consolidation.queries import query, rows, value
from consolidation.sequences import is_behind, next_value, pairs
from consolidation.snapshot import Snapshot, frozen
from consolidation.verdict import DIFFERENT, EQUAL, NOT_COMPARED, SequenceResult, TableResult

PHASE = "verify"
CUTOVER = "cutover"
EXAMINED_ROWS = 1_000_000
"""Rows looked through one by one in a table that differs; buckets beyond are left out and the counts say so."""


@dataclass(frozen=True)
class Options:
    """How to compare."""

    workers: int = 2
    """Tables under way at the same time; each is a session on either side."""
    max_keys: int = 20
    """Keys named for each table and kind of difference."""


@dataclass(frozen=True)
class Plan:
    """What is to be compared."""

    database: Database
    tables: tuple[Table, ...]
    """Of the source."""
    settled: dict[str, Any]
    """This run's verification, where the target has been opened since: both sides differ by right now."""

    @property
    def changed(self) -> bool:
        """Whether the journal is to get a new result."""
        return not self.settled

    def lines(self) -> list[str]:
        """One line for each table."""
        if self.settled:
            return [self.settled["msg"]]
        there = self.database.name
        return [f"{table} with {there}.{table.name}: about {table.estimated_rows} rows" for table in self.tables]

    def diff(self) -> dict[str, str]:
        """What would be compared."""
        return {"prepared": "".join(f"{line}\n" for line in self.lines())}


def plan(database: Database) -> Plan:
    """What would be compared."""
    with session(database.source, "verify plan") as source:
        tables = read_tables(source, database.source_schema, database.tables)
    with session(database.target, "verify plan") as target:
        run = journal.latest_run(target, database.name)
        done = journal.phases(target, run) if run else {}
        settled = _settled(run, done) if run else {}
    return Plan(database, tables, settled)


def apply(plan: Plan, options: Options) -> dict[str, Any]:
    """Compare both sides behind their fences and keep the result in the journal.

    Raises VerificationFailed unless all is equal, StepRefused where a fence is open.
    """
    if plan.settled:
        return plan.settled
    with journal.phase(plan.database, PHASE) as work:
        work.result.update(run_id=work.run.id, outcome=NOT_COMPARED, tables=[], sequences=[], faults=[])
        _require_fences(plan.database)
        work.result["closed_at"] = _closed_at(journal.phases(work.journal, work.run))
        work.result.update(compare(plan.database, options))
        _require_equal(plan.database, work.result)
        return dict(work.result)


def check(database: Database, options: Options) -> dict[str, Any]:
    """Compare both sides as they are now; nothing is kept. Raises VerificationFailed unless all is equal."""
    result = compare(database, options)
    _require_equal(database, result)
    return result


def compare(database: Database, options: Options) -> dict[str, Any]:
    """The outcome for every table and sequence, whatever it is; see ``verdict.as_result`` for the shape.

    Raises VerificationFailed where nothing can be compared at all.
    """
    started = time.monotonic()
    tested = selftest.run(database)
    if database.moves:
        result = verdict.as_result(move.compare(database), (), ())
        return {**result, "self_test": tested, "seconds": round(time.monotonic() - started, 3)}
    with (
        frozen(database.source, "verify", options.workers) as source,
        frozen(database.target, "verify", options.workers) as target,
    ):
        _require_one_encoding(database, source, target)
        ours = read_tables(source.coordinator, database.source_schema, database.tables)
        theirs = read_tables(target.coordinator, database.name)
        tables = Tables(database, source, target, options).compare(ours, theirs)
        sequences = _compare_sequences(database, source, target, {table.name for table in ours})
        parameters = {"schema": database.name, "tables": [table.name for table in ours], "fence": fence.TRIGGER}
        faults = [text for (text,) in rows(target.coordinator, query("unsound"), parameters)]
    result = verdict.as_result(tables, sequences, faults)
    return {**result, "self_test": tested, "seconds": round(time.monotonic() - started, 3)}


class Tables:
    """The comparison of all tables: digests side by side, largest table first, then a closer look where they differ."""

    def __init__(self, database: Database, source: Snapshot, target: Snapshot, options: Options) -> None:
        self._database = database
        self._source = source
        self._target = target
        self._options = options

    def compare(self, ours: tuple[Table, ...], theirs: tuple[Table, ...]) -> list[TableResult]:
        """One result for each table of either side and each table asked for."""
        there = {table.name: table for table in theirs}
        names = {table.name for table in ours}
        results = [
            TableResult(name, NOT_COMPARED, reason="no such table in the source")
            for name in self._database.tables
            if name not in names
        ]
        started = []
        for table in sorted(ours, key=lambda table: -table.table_bytes):
            if table.name not in there:
                results.append(TableResult(table.name, NOT_COMPARED, reason="no such table in the target"))
                continue
            try:
                both = pair(table, there[table.name])
            except Incomparable as error:
                results.append(TableResult(table.name, NOT_COMPARED, reason=error.message))
            else:
                started.append((both, *self._start(both)))
        lonely = [
            (table, self._target.submit(_Timed(table, own_columns(table))))
            for table in theirs
            if table.name not in names
        ]
        results += [self._result(both, here, far) for both, here, far in started]
        results += [_lonely_result(table, digest) for table, digest in lonely]
        return sorted(results, key=lambda result: result.name)

    def _start(self, both: Pair) -> tuple[Future[tuple[Digest, float]], Future[tuple[Digest, float]]]:
        return (
            self._source.submit(_Timed(both.source, both.columns)),
            self._target.submit(_Timed(both.target, both.columns)),
        )

    def _result(
        self, both: Pair, here: Future[tuple[Digest, float]], there: Future[tuple[Digest, float]]
    ) -> TableResult:
        name = both.source.name
        try:
            (ours, our_seconds), (theirs, their_seconds) = here.result(), there.result()
        except psycopg2.Error as error:
            return TableResult(name, NOT_COMPARED, reason=describe(error))
        result = TableResult(
            name, EQUAL if ours == theirs else DIFFERENT, ours, theirs, seconds=max(our_seconds, their_seconds)
        )
        if ours == theirs:
            return result
        try:
            return replace(result, differences=self._differences(both))
        except psycopg2.Error as error:
            return replace(result, reason=f"which rows differ could not be found out: {describe(error)}")

    def _differences(self, both: Pair) -> Differences:
        here = self._source.submit(lambda conn: bucket_digests(conn, both, both.source))
        there = self._target.submit(lambda conn: bucket_digests(conn, both, both.target))
        ours, theirs = here.result(), there.result()
        chosen = within(ours, theirs, EXAMINED_ROWS)
        with self._source.connection() as source, self._target.connection() as target:
            found = examine(source, target, both, chosen, self._options.max_keys)
        return replace(found, complete=chosen == differing(ours, theirs))


@dataclass(frozen=True)
class _Timed:
    """A table's digest and the seconds it took."""

    table: Table
    columns: tuple[CompareColumn, ...]

    def __call__(self, conn: Connection) -> tuple[Digest, float]:
        started = time.monotonic()
        digest = table_digest(conn, self.table, self.columns)
        return digest, round(time.monotonic() - started, 3)


def _lonely_result(table: Table, digest: Future[tuple[Digest, float]]) -> TableResult:
    """A table of the target that the source has not: nothing may be in it."""
    try:
        found, seconds = digest.result()
    except psycopg2.Error as error:
        return TableResult(table.name, NOT_COMPARED, reason=describe(error))
    outcome = DIFFERENT if found.rows else EQUAL
    return TableResult(
        table.name, outcome, Digest(0, (0, 0)), found, reason="no such table in the source", seconds=seconds
    )


def _compare_sequences(
    database: Database, source: Snapshot, target: Snapshot, tables: set[str]
) -> list[SequenceResult]:
    """A sequence of the target must not hand out again what the source's has handed out."""
    try:
        with source.connection() as here, target.connection() as there:
            ours, theirs = read_sequences(here, database.source_schema), read_sequences(there, database.name)
    except psycopg2.Error as error:
        return [SequenceResult("(all)", NOT_COMPARED, reason=describe(error))]
    counterparts = dict(pairs(ours, theirs))
    # With an explicit list of tables, a sequence that belongs to none of them need not come along.
    wanted = [
        sequence
        for sequence in ours
        if sequence.table in tables or (sequence.table is None and (not database.tables or sequence in counterparts))
    ]
    return [_sequence_result(sequence, counterparts.get(sequence)) for sequence in wanted]


def _sequence_result(ours: Sequence, theirs: Sequence | None) -> SequenceResult:
    if theirs is None:
        return SequenceResult(ours.name, NOT_COMPARED, next_value(ours), reason="no such sequence in the target")
    if is_behind(theirs, ours):
        return SequenceResult(
            ours.name, DIFFERENT, next_value(ours), next_value(theirs), reason="the target's sequence is behind"
        )
    return SequenceResult(ours.name, EQUAL, next_value(ours), next_value(theirs))


def _settled(run: journal.Run, done: dict[str, journal.PhaseRecord]) -> dict[str, Any]:
    """This run's verification, if the target was opened after it and the source has been fenced all the time since."""
    verified = done.get(PHASE)
    if verified is None or verified.state != "done":
        return {}
    opened = run.state == journal.MIGRATED or (
        run.state == journal.MIGRATING and CUTOVER in done and verified.result.get("closed_at") == _closed_at(done)
    )
    message = f"run {run.id} has verified {run.database}, then opened its target"
    return {**verified.result, "msg": message} if opened else {}


def _closed_at(done: dict[str, journal.PhaseRecord]) -> str | None:
    """When the source's fence was closed; another moment means that it was open in between."""
    return done["fence"].result.get("closed_at") if "fence" in done else None


def _require_fences(database: Database) -> None:
    for name in ("target",) if database.moves else ("source", "target"):
        side = fence.side_of(database, name)
        with session(side.settings, "verify fence") as conn:
            closed = fence.is_closed(conn, side)
        if not closed:
            raise StepRefused(
                f"{database.name}: the {name} is not fenced, equality would hold for a moment only",
                hint="run ansible-playbook migrate.yml: it fences before it copies and verifies",
            )


def _require_one_encoding(database: Database, source: Snapshot, target: Snapshot) -> None:
    ours, theirs = (value(side.coordinator, "SHOW server_encoding") for side in (source, target))
    if ours != theirs:
        raise VerificationFailed(
            f"{database.name}: could not compare: the source is encoded in {ours}, the target in {theirs}",
            hint="digests are taken over bytes; create the storage database with the source's encoding",
        )


def _require_equal(database: Database, result: dict[str, Any]) -> None:
    if result["outcome"] == EQUAL:
        return
    raise VerificationFailed(
        f"{database.name}: not proved equal: {verdict.complaint(result)}",
        hint=verdict.repair(result),
        facts=result,
    )
