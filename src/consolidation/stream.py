"""One COPY from one server into another, in constant memory."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.errors import CopyError

PIPE_BYTES = 1024 * 1024
READ_BYTES = 256 * 1024


class _Reader:
    """What psycopg2 feeds to the target. Python code on purpose: under a C file object psycopg2 stays in C until the
    table ends, and signals wait for it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, size: int = READ_BYTES) -> bytes:
        return os.read(self._descriptor, size)


class _Counter:
    """The writing end of the pipe; counts what goes through."""

    def __init__(self, descriptor: int) -> None:
        self._pipe = os.fdopen(descriptor, "wb", buffering=PIPE_BYTES)
        self.bytes = 0

    def write(self, data: bytes) -> int:
        self.bytes += len(data)
        return self._pipe.write(data)

    def close(self) -> None:
        self._pipe.close()


def stream(
    source: Connection, target: Connection, copy_out: sql.Composable, copy_in: sql.Composable
) -> tuple[int, int]:
    """Run both COPYs at once; rows and bytes. The caller commits the target.

    Raises CopyError when fewer or more rows arrived than left, else psycopg2's error of the side that failed first.
    """
    read_end, write_end = os.pipe()
    failures: list[BaseException] = []
    counter = _Counter(write_end)
    sent: list[int] = []

    def produce() -> None:
        try:
            with source.cursor() as cursor:
                cursor.copy_expert(copy_out, counter, size=READ_BYTES)
                sent.append(cursor.rowcount)
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            failures.append(error)
        finally:
            _close_quietly(counter)

    producer = threading.Thread(target=produce, name="source", daemon=True)
    producer.start()
    received = -1
    try:
        with target.cursor() as cursor:
            reader: Any = _Reader(read_end)  # the stub asks for readline, psycopg2 does not
            cursor.copy_expert(copy_in, reader, size=READ_BYTES)
            received = cursor.rowcount
    except BaseException as error:  # noqa: BLE001 - raised below, after the producer has ended
        # A producer that failed made the target fail too, by a stream cut short; its error is the cause then.
        failures.append(error)
    finally:
        os.close(read_end)
        producer.join()
    if failures:
        raise next((error for error in failures if not isinstance(error, BrokenPipeError)), failures[0])
    if sent[0] != received:
        raise CopyError(f"{sent[0]} rows left the source, {received} arrived", hint="run the same command again")
    return received, counter.bytes


def _close_quietly(pipe: Any) -> None:
    with contextlib.suppress(BrokenPipeError):  # the target has stopped reading; it has the error
        pipe.close()
