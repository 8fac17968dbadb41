"""The full comparison of both sides at one snapshot, while the origin is written.

A round at a snapshot of the origin, then every row of the destination, which no one else writes, against the origin as
that same snapshot has it. It does not trust the log: a change that was never noted is a difference. Together with the
comparison that every later round makes of its own keys, it is equality of everything at the last round.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from consolidation.capture import state as capture
from consolidation.compare.result import EQUAL, NOT_COMPARED, TableResult
from consolidation.follow.rounds import Follower
from consolidation.follow.way import Followed
from consolidation.postgres.snapshot import frozen
from consolidation.progress.reporter import Tally
from consolidation.verify.comparison import Tables

TRIES = 3
"""Of the comparison of a table that is truncated or rewritten while it is compared."""


@dataclass(frozen=True)
class Options:
    """How to compare."""

    workers: int = 2
    """Tables under way at the same time; each is a session on either side."""
    max_keys: int = 20
    """Keys named for each table and kind of difference."""
    tally: Tally = field(default_factory=Tally)
    """Gets how far every table is."""


def compare(follower: Follower, options: Options) -> tuple[TableResult, ...]:
    """One result for each table of the origin, by name. Raises as a round does.

    A table that differs, or could not be compared, is brought over whole by the next round.
    """
    found: dict[str, TableResult] = {}

    def during(snapshot: str, tables: Mapping[str, Followed]) -> None:
        chosen = [tables[name] for name in tables if name not in found or found[name].outcome == NOT_COMPARED]
        found.update(_compared(follower, snapshot, chosen, options))

    for _ in range(TRIES):
        follower.round(during=during)
        if all(result.outcome != NOT_COMPARED for result in found.values()):
            break
    if doubtful := [name for name, result in found.items() if result.outcome != EQUAL]:
        follower.memory.forget(doubtful)
    return tuple(found[name] for name in sorted(found))


def _compared(
    follower: Follower, snapshot: str, tables: Collection[Followed], options: Options
) -> dict[str, TableResult]:
    way = follower.way
    with (
        frozen(way.origin.settings, "verify", options.workers, snapshot) as origin,
        frozen(way.destination.settings, "verify", options.workers) as destination,
    ):
        source, target = (destination, origin) if way.to == "source" else (origin, destination)
        compared = Tables(way.database, source, target, options.max_keys, options.tally).compare(
            tuple(table.pair.source for table in tables), tuple(table.pair.target for table in tables), {}
        )
    # TRUNCATE and rewrites are not MVCC-safe: behind one, the snapshot has seen an empty table.
    marks = {table.name: table.mark for table in capture.read(follower.now, way.origin)}
    seen = {table.capture.name: table.capture.mark for table in tables}
    unclear = "truncated or rewritten while it was compared"
    return {
        result.name: result
        if marks.get(result.name) == seen[result.name]
        else TableResult(result.name, NOT_COMPARED, reason=unclear)
        for result in compared
        if result.name in seen
    }
