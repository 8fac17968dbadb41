"""A second look at rows that differ while both sides are written: a copy that lags is not yet a wrong one.

The rows that differ are candidates. They are read again, a bounded number of times, with longer and longer waits,
until both sides hold the same at the same moment. A row that has changed on both sides and never matched could not
be compared; what is left is different. Writes that come after the first look are not judged.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, islice

from psycopg2.extensions import connection as Connection

from consolidation.compare.buckets import Differences, Pair, Row, merged, pair, row_hashes
from consolidation.compare.result import DIFFERENT, EQUAL, NOT_COMPARED, TableResult
from consolidation.model import Database
from consolidation.postgres.catalog import read_tables
from consolidation.postgres.connection import session

FIRST_WAIT_SECONDS = 0.25
MAX_CANDIDATES = 100_000
"""Rows of one table that are looked at again; a table with more of them stays different."""

Name = tuple[str, ...] | tuple[int, int]
"""What identifies a row: its key, or its hashes where there is none."""

Version = tuple[int, int] | int | None
"""What a row holds: its hashes; without a key, how many such rows there are. None: it is not there."""

History = list[tuple[Version, Version, Version]]
"""What the source, the target, and the source once more held at each look."""


def settle(database: Database, results: Sequence[TableResult], seconds: float, max_keys: int) -> list[TableResult]:
    """The results, with tables looked at again for up to ``seconds`` before they are called different."""
    watched = {
        result.name: _Watched(result)
        for result in results
        if result.outcome == DIFFERENT and result.differences is not None and result.differences.complete
    }
    for wait in waits(seconds):
        time.sleep(wait)
        if not (still_open := [each for each in watched.values() if each.is_open]):
            break
        _look(database, still_open)
    return [watched[result.name].judged(max_keys) if result.name in watched else result for result in results]


def waits(seconds: float) -> list[float]:
    """The wait before each look: none before the first, then twice as long each time, ``seconds`` in all."""
    found: list[float] = [0.0] if seconds > 0 else []
    while (left := seconds - sum(found)) > 0:
        found.append(min(left, FIRST_WAIT_SECONDS * 2 ** (len(found) - 1)))
    return found


def matched(history: History) -> bool:
    """Whether both sides held the same at the last look: the source did before and after the target was read.

    One moment, because a counter that has lost a step reaches soon what the other side had before.
    """
    before, there, after = history[-1]
    return before == there == after


def still_changing(history: History) -> bool:
    """Whether a row has changed on both sides: the one follows the other, too fast to be seen matching."""
    ours = {version for before, _, after in history for version in (before, after)}
    return len(ours) > 1 and len({there for _, there, _ in history}) > 1


def differences(candidates: Mapping[Name, History], key_names: tuple[str, ...], max_keys: int) -> Differences:
    """The rows by kind as they were at the last look."""
    counts = {"missing": 0, "extra": 0, "different": 0}
    keys: dict[str, list[dict[str, str]]] = {kind: [] for kind in counts}
    for name, history in candidates.items():
        _, theirs, ours = history[-1]
        if not key_names:
            surplus = _copies(ours) - _copies(theirs)
            counts["missing" if surplus > 0 else "extra"] += abs(surplus)
            continue
        kind = "extra" if ours is None else "missing" if theirs is None else "different"
        counts[kind] += 1
        if len(keys[kind]) < max_keys:
            keys[kind].append(dict(zip(key_names, map(str, name), strict=True)))
    return Differences(counts["missing"], counts["extra"], counts["different"], keys)


@dataclass
class _Watched:
    """One table and its candidates."""

    result: TableResult
    candidates: dict[Name, History] | None = None
    """None before the first look."""
    number: int = 0
    """Of candidates at the first look."""
    key_names: tuple[str, ...] = ()
    started: float = field(default_factory=time.monotonic)

    @property
    def is_open(self) -> bool:
        """Whether there is something to look at again."""
        return self.candidates is None or 0 < len(self.candidates) <= MAX_CANDIDATES

    def look(self, source: Connection, target: Connection, both: Pair) -> None:
        """Read the candidates again, and drop those that match now."""
        buckets = self.result.differences.buckets if self.result.differences else ()
        sides = ((source, both.source), (target, both.target))
        if self.candidates is None:
            ours, theirs = (row_hashes(conn, both, table, buckets) for conn, table in sides)
            names = {_name(row) for _, row in islice(merged(ours, theirs), MAX_CANDIDATES + 1)}
            self.candidates, self.number, self.key_names = {name: [] for name in names}, len(names), both.key_names
            _end(source, target)
        if self.is_open:
            seen = []
            for conn, table in (*sides, sides[0]):
                seen.append(_versions(row_hashes(conn, both, table, buckets), self.candidates))
                _end(conn)
            for name, history in self.candidates.items():
                before, there, after = (versions.get(name) for versions in seen)
                history.append((before, there, after))
            self.candidates = {name: history for name, history in self.candidates.items() if not matched(history)}

    def judged(self, max_keys: int) -> TableResult:
        """The result in the light of all looks."""
        if self.candidates is None or self.number > MAX_CANDIDATES:
            return self.result
        seconds = round(time.monotonic() - self.started, 1)
        if not self.candidates:
            reason = f"rows differed at first, {self.number} at the second look, none after {seconds} s"
            return replace(self.result, outcome=EQUAL, differences=None, reason=reason)
        stuck = {name: history for name, history in self.candidates.items() if not still_changing(history)}
        moving = len(self.candidates) - len(stuck)
        unclear = f"{moving} rows changed on both sides all the time, for {seconds} s" if moving else ""
        if not stuck:
            return replace(self.result, outcome=NOT_COMPARED, differences=None, reason=unclear)
        found = differences(stuck, self.key_names, max_keys)
        return replace(self.result, differences=found, reason=f"{found}; {unclear}" if unclear else "")


def _look(database: Database, watched: Iterable[_Watched]) -> None:
    with session(database.source, "verify again") as source, session(database.target, "verify again") as target:
        ours = {table.name: table for table in read_tables(source, database.source_schema, database.tables)}
        theirs = {table.name: table for table in read_tables(target, database.name)}
        _end(source, target)
        for each in watched:
            name = each.result.name
            if name in ours and name in theirs:
                each.look(source, target, pair(ours[name], theirs[name]))


def _end(*connections: Connection) -> None:
    """End the transactions: the next statements see newer rows, and nothing is held up meanwhile."""
    for conn in connections:
        conn.rollback()


def _name(row: Row) -> Name:
    key, first, second = row
    return tuple(key) or (first, second)


def _versions(listed: Iterator[Row], wanted: Mapping[Name, History]) -> dict[Name, Version]:
    """What the wanted rows of one side hold, out of rows in order."""
    found: dict[Name, Version] = {}
    for name, same in groupby(listed, key=_name):
        if name in wanted:
            key, first, second = next(same)
            found[name] = (first, second) if key else 1 + sum(1 for _ in same)
    return found


def _copies(version: Version) -> int:
    return version if isinstance(version, int) else 0
