"""Content of a stream of rows as one number: the sum of the rows' hashes, free of order and additive over ranges.

The server sends a COPY row as one message, and psycopg2 hands a message over as one ``write``: so rows can be hashed
as they pass, byte by byte as they were sent. Two sums are equal only if both streams held the same rows, each as often
(xxh3 with 128 bits; an adversary who chooses rows is not what it guards against).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from xxhash import xxh3_128_intdigest

from consolidation.errors import CopyError
from consolidation.postgres.catalog import Table

MODULUS = 2**128
OURS = "run the same command again; if it comes again, this is a bug, please report it"
SIGNATURE = b"PGCOPY\n\xff\r\n\0"
HEADER_BYTES = 19
TRAILER = b"\xff\xff"
BATCH_BYTES = 256 * 1024  # enough to hide what is done for each batch, little beside a worker's memory


@dataclass(frozen=True)
class RowSum:
    """Rows of a stream, their bytes, and the sum of their hashes modulo 2**128: the same however the stream was cut."""

    rows: int = 0
    bytes: int = 0
    digest: int = 0

    def __add__(self, other: RowSum) -> RowSum:
        return RowSum(self.rows + other.rows, self.bytes + other.bytes, (self.digest + other.digest) % MODULUS)


class Summing:
    """A file-like object for ``copy_expert`` that hashes every row written to it, and may pass all on.

    ``pass_on`` gets every byte, the header and trailer of a binary stream too. Call ``result`` at the end.
    """

    def __init__(self, *, is_binary: bool, pass_on: Callable[[bytes], object] | None = None) -> None:
        self._is_binary = is_binary
        self._header = is_binary
        self._pass_on = pass_on
        self._waiting: list[bytes] = []
        self._sum = RowSum()
        self.write = self._writer()
        """Takes one message: a row, preceded by the header in the first one of a binary stream."""

    def result(self) -> RowSum:
        """What has been written, all of which has been passed on then."""
        self._settle()
        return self._sum

    def _writer(self) -> Callable[[bytes], None]:
        """psycopg2 calls it for every row, and rows may be short: what is not done here is done for many at once."""
        append, settle, waiting_bytes = self._waiting.append, self._settle, 0

        def write(data: bytes) -> None:
            nonlocal waiting_bytes
            append(data)
            waiting_bytes += len(data)
            if waiting_bytes > BATCH_BYTES:
                settle()
                waiting_bytes = 0

        return write

    def _settle(self) -> None:
        """Pass on and hash what has waited."""
        rows = self._waiting
        if rows and self._pass_on is not None:
            last = rows[-1]  # on its own: it may be huge, and joining copies
            self._pass_on(b"".join(rows[:-1]))
            self._pass_on(last)
        if rows and self._header:
            first = _without_header(rows[0])
            rows[:1] = [first] if first else []
            self._header = False
        if self._is_binary and rows and rows[-1] == TRAILER:
            rows.pop()
        self._sum += RowSum(len(rows), sum(map(len, rows)), sum(map(xxh3_128_intdigest, rows)) % MODULUS)
        rows.clear()


def row_sum(conn: Connection, statement: str | sql.Composable, *, is_binary: bool) -> RowSum:
    """The sum of the rows of a COPY ... TO STDOUT. Raises CopyError where not every row that was sent was hashed."""
    summing = Summing(is_binary=is_binary)
    with conn.cursor() as cursor:
        cursor.copy_expert(statement, summing)
        found = summing.result()
        if cursor.rowcount != found.rows:
            raise CopyError(f"{cursor.rowcount} rows were sent, {found.rows} hashed", hint=OURS)
    return found


def comparable(here: Table, there: Table) -> bool:
    """Whether equal values make equal messages: the same columns with the same types, none computed by the server."""
    ours = {column.name: column.type for column in here.columns}
    theirs = {column.name: column.type for column in there.columns}
    return ours == theirs and not any(column.generated for column in (*here.columns, *there.columns))


def _without_header(data: bytes) -> bytes:
    """The header is alone, or stands before the first row, or before the trailer of a table without rows."""
    if not data.startswith(SIGNATURE) or len(data) < HEADER_BYTES:
        raise CopyError("the server's binary COPY does not begin as expected", hint=OURS)
    return data[HEADER_BYTES:]
