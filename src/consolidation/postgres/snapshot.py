"""One frozen view of a database that several connections read side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from queue import SimpleQueue
from threading import Event
from typing import TypeVar

import psycopg2.errors
from psycopg2.extensions import connection as Connection

from consolidation.postgres.connection import Settings, session
from consolidation.postgres.queries import execute, value

T = TypeVar("T")


class Snapshot:
    """Connections of one database that all see the same moment, and threads that use them. See ``frozen``."""

    def __init__(self, coordinator: Connection, exported: str, join: Callable[[], Connection], readers: int) -> None:
        self.coordinator = coordinator
        """For the catalog, in the calling thread."""
        self.exported = exported
        """Name of the snapshot, for other processes to join."""
        self._join = join
        self._free: SimpleQueue[Connection | None] = SimpleQueue()
        for _ in range(readers):
            self._free.put(None)  # opened when it is needed: a verification that a copy proved needs hardly any
        self._threads = ThreadPoolExecutor(readers)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A free connection; waits for one. An error leaves it usable."""
        conn = self._free.get()
        try:
            conn = conn or self._join()
            execute(conn, "SAVEPOINT work")
            yield conn
        finally:
            with suppress(psycopg2.Error):  # a lost connection fails at the next use, there with its own message
                if conn is not None:
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
def frozen(settings: Settings, purpose: str, workers: int, exported: str | None = None) -> Iterator[Snapshot]:
    """A read-only snapshot of a database for ``workers`` threads. On an error, running statements are cancelled.

    ``exported``: the name of a snapshot to join, which another session holds; None takes one of now.
    """
    with ExitStack() as stack:
        opened: list[Connection] = []
        interrupted = Event()

        def enter() -> Connection:
            conn = stack.enter_context(session(settings, purpose))
            conn.set_session(isolation_level="REPEATABLE READ", readonly=True)
            return conn

        def join() -> Connection:
            conn = enter()
            execute(conn, "SET TRANSACTION SNAPSHOT %s", [joined])
            opened.append(conn)
            if interrupted.is_set():
                raise psycopg2.errors.QueryCanceled  # it was not there yet when the others were cancelled
            return conn

        coordinator = enter()
        if exported:
            execute(coordinator, "SET TRANSACTION SNAPSHOT %s", [exported])
        joined = exported or value(coordinator, "SELECT pg_export_snapshot()")
        snapshot = Snapshot(coordinator, joined, join, workers)
        try:
            yield snapshot
        except BaseException:
            interrupted.set()
            for conn in opened:
                with suppress(psycopg2.Error):
                    conn.cancel()
            raise
        finally:
            snapshot.close()
