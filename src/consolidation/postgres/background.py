"""Work on a connection in a thread, so that a signal to the main thread ends it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import TypeVar

import psycopg2
from psycopg2.extensions import connection as Connection

CANCEL_SECONDS = 0.2
Found = TypeVar("Found")


@contextmanager
def meanwhile(conn: Connection, work: Callable[[], Found]) -> Iterator[Future[Found]]:
    """Work on a connection in a thread while the block runs; an error in the block cancels it.

    Python handles no signal while libpq waits in the main thread; while it waits for this thread, it does.
    """
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        try:
            yield future
        except BaseException:
            while not future.done():  # more than once: one statement may have just ended and the next not begun
                with suppress(psycopg2.Error):
                    conn.cancel()
                wait([future], timeout=CANCEL_SECONDS)
            raise
