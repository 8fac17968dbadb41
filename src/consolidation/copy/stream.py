"""One COPY from one server into another, in constant memory."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import IO, Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.compare.row_hash import RowSum, Summing
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


def stream(
    source: Connection,
    target: Connection,
    copy_out: sql.Composable,
    copy_in: sql.Composable,
    *,
    is_binary: bool = False,
) -> RowSum:
    """Run both COPYs at once; what left the source. The caller commits the target.

    Raises CopyError when fewer or more rows arrived than left, else psycopg2's error of the side that failed first.
    """
    read_end, write_end = os.pipe()
    failures: list[BaseException] = []
    pipe = os.fdopen(write_end, "wb", buffering=PIPE_BYTES)
    hashed = Summing(is_binary=is_binary, pass_on=pipe.write)
    sent: list[tuple[int, RowSum]] = []

    def produce() -> None:
        try:
            with source.cursor() as cursor:
                cursor.copy_expert(copy_out, hashed, size=READ_BYTES)
                sent.append((cursor.rowcount, hashed.result()))
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            failures.append(error)
        finally:
            _close_quietly(pipe)

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
    [(left, passed)] = sent
    if not left == passed.rows == received:
        counts = f"{left} rows left the source, {passed.rows} were hashed, {received} arrived"
        raise CopyError(counts, hint="run the same command again")
    return passed


def _close_quietly(pipe: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):  # the target has stopped reading; it has the error
        pipe.close()
