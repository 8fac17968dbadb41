"""The peers' own verification, behind what they have brought: the fair pair for copy and verification together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from psycopg2 import sql

from bench.datasets import Dataset
from bench.place import BenchError, Place
from demo.servers import Server


def digests(place: Place, dataset: Dataset, dbname: str) -> None:
    """What a careful operator does behind pg_restore: count and sum of hashes of all rows, both sides at once.

    It reads every row as text, and knows no more of a difference than its table. Raises BenchError at one.
    """
    for table in dataset.rows:
        with ThreadPoolExecutor() as pool:
            source = pool.submit(_digest, place, place.source, dataset.name, table)
            target = pool.submit(_digest, place, place.target, dbname, table)
        if source.result() != target.result():
            raise BenchError(f"{dbname}: the rows of {table} differ from the source's")


def _digest(place: Place, server: Server, dbname: str, table: str) -> list[object]:
    statement = sql.SQL("SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM {} AS t")
    return place.rows(server, dbname, statement.format(sql.Identifier("public", table)))
