"""The peer of mode online's rounds: a native subscription that catches up with the same changes of the same rows.

Alone, and with a comparison of what it has brought: a round ends with one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from demo.servers import Server

SETTINGS = {"wal_level": "logical"}
"""What it needs of the source, and we do not."""
LIMIT_SECONDS = 120
POLL_SECONDS = 0.005


@dataclass
class Subscription:
    """Of the tables `item` and `tiny`, as a superuser's."""

    source: Any
    """Connection to the published database."""
    target: Any
    markers: Iterator[int] = field(default_factory=lambda: count(900_000_000))

    def comparing_seconds(self, where: str) -> float:
        """Of count and two sums of hashes of the chosen rows, on both sides at once, as a digest by SQL has."""
        sums = ", ".join(f"sum(hashtextextended(t::text, {seed})::numeric)" for seed in (0, 1))
        statement = f"SELECT count(*), {sums} FROM item AS t WHERE {where}"  # noqa: S608 - constants
        begun = time.monotonic()
        with ThreadPoolExecutor(2) as both:
            ours, theirs = both.map(lambda conn: _value(conn, statement), (self.source, self.target))
        assert ours == theirs, f"the subscription has not brought all: {ours} and {theirs}"  # noqa: S101 - as it says
        return time.monotonic() - begun

    def seconds(self, statements: Iterable[str]) -> float:
        """From its start until it has brought what the statements have changed while it was stopped."""
        _execute(self.target, "ALTER SUBSCRIPTION peer DISABLE")
        _until(self.source, "SELECT NOT active FROM pg_replication_slots WHERE slot_name = 'peer'")
        for statement in statements:
            _execute(self.source, statement)
        marker = next(self.markers)
        _execute(self.source, "INSERT INTO tiny VALUES (%s, 0)", marker)
        begun = time.monotonic()
        _execute(self.target, "ALTER SUBSCRIPTION peer ENABLE")
        _until(self.target, "SELECT EXISTS (SELECT FROM tiny WHERE id = %s)", marker)
        return time.monotonic() - begun


def catching_up(
    servers: tuple[Server, Server],
    dbname: str,
    tables: str,
    changes: Mapping[str, tuple[str, Sequence[str]]],
    rows: int,
) -> tuple[dict[str, int], dict[str, int]]:
    """What is changed -> rows a second, alone and with a comparison of the changed rows.

    changes: which rows, and by which statements. Without the time that a start takes which has nothing to bring.
    """
    with _subscribed(servers, dbname, tables) as subscription:
        start = min(subscription.seconds([]) for _ in range(3))
        alone, compared = {}, {}

        def keep(what: str, where: str, statements: Iterable[str], count: int) -> None:
            took = subscription.seconds(statements) - start
            alone[what] = round(count / took)
            compared[what] = round(count / (took + subscription.comparing_seconds(where)))

        for what, (where, statements) in changes.items():
            keep(what, where.format(n=rows), [statement.format(n=rows) for statement in statements], rows)
        singles = min(20_000, rows)
        updates = [f"UPDATE item SET n = n + 1 WHERE id = {1 + k}" for k in range(singles)]  # noqa: S608 - a number
        keep("single-row transactions", f"id <= {singles}", updates, singles)
        return alone, compared


@contextmanager
def _subscribed(servers: tuple[Server, Server], dbname: str, tables: str) -> Iterator[Subscription]:
    source, target = servers
    there = target.connect()
    _execute(there, "CREATE DATABASE peer")
    there.close()
    here, there = source.connect(dbname), target.connect("peer")
    try:
        _execute(there, tables)
        _execute(here, "CREATE PUBLICATION peer FOR TABLE item, tiny; SET synchronous_commit = off")
        password = source.passfile.read_text(encoding="utf-8").strip().rpartition(":")[2]
        where = f"host={source.host} port={source.port} user=postgres password={password} dbname={dbname}"
        _execute(there, "CREATE SUBSCRIPTION peer CONNECTION %s PUBLICATION peer", where)
        _until(there, "SELECT count(*) = 2 FROM pg_subscription_rel WHERE srsubstate = 'r'")
        yield Subscription(here, there)
        _execute(there, "DROP SUBSCRIPTION peer")
    finally:
        here.close()
        there.close()


def _execute(conn: Any, statement: str, *parameters: object) -> None:
    with conn.cursor() as cursor:
        cursor.execute(statement, parameters or None)


def _value(conn: Any, question: str) -> Any:
    with conn.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()


def _until(conn: Any, question: str, *parameters: object) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        with conn.cursor() as cursor:
            cursor.execute(question, parameters or None)
            if cursor.fetchone()[0]:
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so after {LIMIT_SECONDS} s: {question}")
        time.sleep(POLL_SECONDS)
