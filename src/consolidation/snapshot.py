"""One frozen view of a database that several connections read side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from queue import SimpleQueue
from typing import TypeVar

import psycopg2
from psycopg2.extensions import connection as Connection

from consolidation.connection import Settings, session
from consolidation.queries import execute, value

T = TypeVar("T")


class Snapshot:
    """Connections of one database that all see the same moment, and threads that use them. See ``frozen``."""

    def __init__(self, coordinator: Connection, readers: list[Connection], exported: str) -> None:
        self.coordinator = coordinator
        """For the catalog, in the calling thread."""
        self.exported = exported
        """Name of the snapshot, for other processes to join."""
        self._free: SimpleQueue[Connection] = SimpleQueue()
        for reader in readers:
            self._free.put(reader)
        self._threads = ThreadPoolExecutor(len(readers))

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A free connection; waits for one. An error leaves it usable."""
        conn = self._free.get()
        try:
            execute(conn, "SAVEPOINT work")
            yield conn
        finally:
            with suppress(psycopg2.Error):  # a lost connection fails at the next use, there with its own message
                execute(conn, "ROLLBACK TO work")
            self._free.put(conn)

    def submit(self, work: Callable[[Connection], T]) -> Future[T]:
        """Have a thread do the work with a connection."""

        def run() -> T:
            with self.connection() as conn:
                return work(conn)

        return self._threads.submit(run)

    def close(self) -> None:
        """Drop the work that has not begun and wait for the rest."""
        self._threads.shutdown(cancel_futures=True)


@contextmanager
def frozen(settings: Settings, purpose: str, workers: int) -> Iterator[Snapshot]:
    """A read-only snapshot of a database for ``workers`` threads. On an error, running statements are cancelled."""
    with ExitStack() as stack:
        connections = [stack.enter_context(session(settings, purpose)) for _ in range(workers + 1)]
        for conn in connections:
            end_when_we_are_gone(conn)
            conn.set_session(isolation_level="REPEATABLE READ", readonly=True)
        coordinator, *readers = connections
        exported = value(coordinator, "SELECT pg_export_snapshot()")
        for reader in readers:
            execute(reader, "SET TRANSACTION SNAPSHOT %s", [exported])
        snapshot = Snapshot(coordinator, readers, exported)
        try:
            yield snapshot
        except BaseException:
            for reader in readers:
                with suppress(psycopg2.Error):
                    reader.cancel()
            raise
        finally:
            snapshot.close()


def end_when_we_are_gone(conn: Connection) -> None:
    """Have the server look every two seconds whether we still live (14 and later): a long statement would run on.

    Commits; call it first.
    """
    found = "SELECT set_config(name, '2s', false) FROM pg_settings WHERE name = 'client_connection_check_interval'"
    execute(conn, found)
    conn.commit()
