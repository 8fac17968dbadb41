"""Where two tables differ: first the buckets, then the rows in them.

Rows fall into 1024 buckets or more by the hash of their primary key, or of the whole row where the tables have no key
in common. A bucket's digest is as small as a table's, so two tables are compared without any row leaving the servers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.compare.digest import (
    MODULUS,
    SEEDS,
    CompareColumn,
    Digest,
    comparison,
    formed,
    hash_text,
    row_hash,
    row_text,
)
from consolidation.postgres.catalog import Table, scan
from consolidation.postgres.queries import query, rows

MIN_BUCKETS, MAX_BUCKETS = 2**10, 2**16
BUCKET_ROWS = 1024
BUCKET_SEED = 2
FETCH_ROWS = 10_000

Digests = dict[int, Digest]
"""Bucket -> digest."""

Row = tuple[list[str], int, int]
"""Key (empty without one) and both hashes."""


@dataclass(frozen=True)
class Pair:
    """Two tables that shall hold the same rows."""

    source: Table
    target: Table
    columns: tuple[CompareColumn, ...]
    key: tuple[int, ...]
    """Places of the primary key's columns in ``columns``; empty where the two have none in common."""

    @property
    def key_names(self) -> tuple[str, ...]:
        """The key's columns in the order of ``key``."""
        return tuple(self.columns[place].name for place in self.key)

    @property
    def buckets(self) -> int:
        """How many, a power of two: a few rows that differ in a large table are to be found among few."""
        rows = max(self.source.estimated_rows, self.target.estimated_rows)
        return max(MIN_BUCKETS, min(MAX_BUCKETS, 1 << (rows // BUCKET_ROWS).bit_length()))

    def bucket(self) -> sql.Composable:
        """The number of a row's bucket, over the table's own columns."""
        chosen = [self.columns[place] for place in self.key] or self.columns
        fields = [column.hashed(column.expression, BUCKET_SEED) for column in chosen]
        mask = sql.Literal(self.buckets - 1)
        return sql.SQL("({} & {})::integer").format(hash_text(row_text(fields), BUCKET_SEED), mask)

    def placeholders(self, table: Table) -> dict[str, sql.Composable]:
        """What the statements over hashed rows have in common; table: one of the two."""
        return {
            "columns": formed(self.columns),
            "first": row_hash(self.columns, SEEDS[0]),
            "second": row_hash(self.columns, SEEDS[1]),
            "bucket": self.bucket(),
            "from": scan(table),
        }


@dataclass(frozen=True)
class Differences:
    """Rows by kind, seen from the source; keys as far as they were asked for."""

    missing: int
    """In the source, not in the target."""
    extra: int
    """In the target, not in the source."""
    different: int
    """In both by key, with different content; always 0 without a key."""
    keys: dict[str, list[dict[str, str]]]
    """Kind -> keys, each as column -> value as text."""
    buckets: tuple[int, ...] = ()
    """Those that were looked through."""
    complete: bool = True
    """False where only a part of the differing buckets was looked through: the counts are lower bounds then."""

    def as_result(self) -> Json:
        """For module results and the evidence."""
        counts = {"missing": self.missing, "extra": self.extra, "different": self.different}
        return {**counts, "keys": self.keys, "complete": self.complete}

    def __str__(self) -> str:
        bound = "" if self.complete else "at least "
        return f"{bound}{self.missing} missing, {self.extra} extra, {self.different} different"


def pair(source: Table, target: Table) -> Pair:
    """The two tables with what to compare them by. Raises Incomparable."""
    columns = comparison(source, target)
    shared = source.primary_key if set(source.primary_key) == set(target.primary_key) else ()
    places = {column.name: place for place, column in enumerate(columns)}
    return Pair(source, target, columns, tuple(places[name] for name in shared))


def bucket_digests(conn: Connection, pair: Pair, table: Table) -> Digests:
    """Bucket -> digest, without the empty ones; table: one of the two."""
    statement = sql.SQL(query("compare/buckets")).format(**pair.placeholders(table))
    return {
        bucket: Digest(count, (int(first) % MODULUS, int(second) % MODULUS))
        for bucket, count, first, second in rows(conn, statement)
    }


def differing(source: Digests, target: Digests) -> tuple[int, ...]:
    """The buckets whose digests are not the same."""
    buckets = sorted(source.keys() | target.keys())
    return tuple(bucket for bucket in buckets if source.get(bucket) != target.get(bucket))


def within(source: Digests, target: Digests, max_rows: int) -> tuple[int, ...]:
    """As many differing buckets as hold ``max_rows`` rows together on the fuller side, at least one."""
    chosen: list[int] = []
    seen = 0
    for bucket in differing(source, target):
        seen += max(side[bucket].rows for side in (source, target) if bucket in side)
        if chosen and seen > max_rows:
            break
        chosen.append(bucket)
    return tuple(chosen)


def examine(source: Connection, target: Connection, pair: Pair, buckets: Collection[int], max_keys: int) -> Differences:
    """Compare the rows of some buckets one by one, in constant memory; up to ``max_keys`` keys of each kind."""
    counts = {"missing": 0, "extra": 0, "different": 0}
    keys: dict[str, list[dict[str, str]]] = {kind: [] for kind in counts}
    with ThreadPoolExecutor(2) as pool:  # each side hashes and sorts before it gives its first row
        ours = pool.submit(row_hashes, source, pair, pair.source, buckets)
        theirs = pool.submit(row_hashes, target, pair, pair.target, buckets)
    for kind, (key, *_) in merged(ours.result(), theirs.result()):
        counts[kind] += 1
        if key and len(keys[kind]) < max_keys:
            keys[kind].append(dict(zip(pair.key_names, key, strict=True)))
    return Differences(counts["missing"], counts["extra"], counts["different"], keys, tuple(buckets))


def merged(source: Iterable[Row], target: Iterable[Row]) -> Iterator[tuple[str, Row]]:
    """Kind and row of every row that differs between the sides. Both sides come in the order of their values.

    Rows without a key are distinguished by their hashes, duplicates are counted.
    """
    here, there = iter(source), iter(target)
    ours, theirs = next(here, None), next(there, None)
    while ours is not None or theirs is not None:
        if ours == theirs:
            ours, theirs = next(here, None), next(there, None)
        elif ours is not None and theirs is not None and ours[0] and ours[0] == theirs[0]:
            yield "different", ours
            ours, theirs = next(here, None), next(there, None)
        elif ours is not None and (theirs is None or ours < theirs):
            yield "missing", ours
            ours = next(here, None)
        elif theirs is not None:
            yield "extra", theirs
            theirs = next(there, None)


def row_hashes(conn: Connection, pair: Pair, table: Table, buckets: Collection[int]) -> Iterator[Row]:
    """Key and hashes of the rows of some buckets, streamed in the order of their values."""
    fields = [sql.SQL("{}::text").format(sql.Identifier(f"c{place}")) for place in pair.key]
    key = sql.SQL("ARRAY[{}]::text[]").format(sql.SQL(", ").join(fields))
    statement = sql.SQL(query("compare/row_hashes")).format(
        key=key, buckets=sql.Literal(list(buckets)), **pair.placeholders(table)
    )
    cursor = conn.cursor(name=f"row_hashes_{table.oid}")  # the caller's ROLLBACK TO, or the end of it all, closes it
    cursor.itersize = FETCH_ROWS
    cursor.execute(statement)
    return chain(cursor.fetchmany(FETCH_ROWS), cursor)
