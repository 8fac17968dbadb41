"""All tables of two frozen sides compared, several at a time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace

import psycopg2
from psycopg2.extensions import connection as Connection

from consolidation.compare.buckets import Differences, Pair, bucket_digests, differing, examine, pair, within
from consolidation.compare.digest import CompareColumn, Digest, Incomparable, own_columns, table_digest
from consolidation.compare.result import DIFFERENT, EQUAL, NOT_COMPARED, TableResult
from consolidation.errors import describe
from consolidation.model import Database
from consolidation.postgres.catalog import Table
from consolidation.postgres.snapshot import Snapshot
from consolidation.progress.reporter import COMPARING, Tally

EXAMINED_ROWS = 1_000_000
"""Rows looked through one by one in a table that differs; buckets beyond are left out and the counts say so."""


class Tables:
    """The comparison of all tables: digests side by side, largest table first, then a closer look where they differ."""

    def __init__(self, database: Database, source: Snapshot, target: Snapshot, max_keys: int, tally: Tally) -> None:
        self._database = database
        self._source = source
        self._target = target
        self._max_keys = max_keys
        self._tally = tally

    def compare(
        self, ours: tuple[Table, ...], theirs: tuple[Table, ...], proved: Mapping[str, TableResult]
    ) -> list[TableResult]:
        """One result for each table of either side and each table asked for; ``proved`` ones are equal already."""
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
                if table.name in proved:
                    results.append(proved[table.name])
                else:
                    self._tally.expect(table)
                    started.append((both, *self._start(both)))
        one_sided = [
            (table, self._target.submit(_Timed(table, own_columns(table), self._tally)))
            for table in theirs
            if table.name not in names
        ]
        results += [self._result(both, here, far) for both, here, far in started]
        results += [_one_sided_result(table, digest) for table, digest in one_sided]
        return sorted(results, key=lambda result: result.name)

    def _start(self, both: Pair) -> tuple[Future[tuple[Digest, float]], Future[tuple[Digest, float]]]:
        return (
            self._source.submit(_Timed(both.source, both.columns, self._tally)),
            self._target.submit(_Timed(both.target, both.columns, self._tally)),
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
            found = examine(source, target, both, chosen, self._max_keys)
        return replace(found, complete=chosen == differing(ours, theirs))


@dataclass(frozen=True)
class _Timed:
    """A table's digest and the seconds it took."""

    table: Table
    columns: tuple[CompareColumn, ...]
    tally: Tally

    def __call__(self, conn: Connection) -> tuple[Digest, float]:
        started = time.monotonic()
        self.tally.begin(self.table.name, COMPARING)
        digest = table_digest(conn, self.table, self.columns)
        self.tally.add(self.table.name, digest.rows / 2, 0.5)  # the other half is the other side
        return digest, round(time.monotonic() - started, 3)


def _one_sided_result(table: Table, digest: Future[tuple[Digest, float]]) -> TableResult:
    """A table of the target that the source has not: nothing may be in it."""
    try:
        found, seconds = digest.result()
    except psycopg2.Error as error:
        return TableResult(table.name, NOT_COMPARED, reason=describe(error))
    outcome = DIFFERENT if found.rows else EQUAL
    return TableResult(
        table.name, outcome, Digest(0, (0, 0)), found, reason="no such table in the source", seconds=seconds
    )
