"""The peer of mode online's rounds: a native subscription that catches up with the same changes of the same rows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    servers: tuple[Server, Server], dbname: str, tables: str, changes: Mapping[str, Sequence[str]], rows: int
) -> dict[str, int]:
    """What is changed -> rows a second; without the time that a start takes which has nothing to bring."""
    with _subscribed(servers, dbname, tables) as subscription:
        start = min(subscription.seconds([]) for _ in range(3))
        found = {}
        for what, statements in changes.items():
            took = subscription.seconds(statement.format(n=rows) for statement in statements) - start
            found[what] = round(rows / took)
        singles = min(20_000, rows)
        took = subscription.seconds(f"UPDATE item SET n = n + 1 WHERE id = {1 + k}" for k in range(singles)) - start  # noqa: S608 - a number
        return {**found, "single-row transactions": round(singles / took)}


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
