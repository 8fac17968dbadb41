"""Content of a stream of rows as one number: the sum of the rows' hashes, free of order and additive over ranges.

The server sends a COPY row as one message, and psycopg2 hands a message over as one ``write``: so rows can be hashed
as they pass, byte by byte as they were sent. Two sums are equal only if both streams held the same rows, each as often
(xxh3 with 128 bits; an adversary who chooses rows is not what it guards against).
"""

from __future__ import annotations

from dataclasses import dataclass

from xxhash import xxh3_128_intdigest

from consolidation.errors import CopyError

MODULUS = 2**128
SIGNATURE = b"PGCOPY\n\xff\r\n\0"
HEADER_BYTES = 19
TRAILER = b"\xff\xff"


@dataclass(frozen=True)
class RowSum:
    """Rows of a stream, their bytes, and the sum of their hashes modulo 2**128: alike however the stream was cut."""

    rows: int = 0
    bytes: int = 0
    digest: int = 0

    def __add__(self, other: RowSum) -> RowSum:
        return RowSum(self.rows + other.rows, self.bytes + other.bytes, (self.digest + other.digest) % MODULUS)


class Summing:
    """A file-like object for ``copy_expert`` that hashes every row written to it."""

    def __init__(self, *, is_binary: bool) -> None:
        self._is_binary = is_binary
        self._header = is_binary
        self._rows = 0
        self._bytes = 0
        self._digest = 0

    def write(self, data: bytes) -> int:
        """Take one message: a row, preceded by the header in the first one of a binary stream."""
        row = data
        if self._is_binary:
            row = self._without_header(data) if self._header else data
            if row == TRAILER or not row:
                return len(data)
        self._rows += 1
        self._bytes += len(row)
        self._digest += xxh3_128_intdigest(row)
        return len(data)

    def result(self) -> RowSum:
        """What has been written so far."""
        return RowSum(self._rows, self._bytes, self._digest % MODULUS)

    def _without_header(self, data: bytes) -> bytes:
        self._header = False
        if not data.startswith(SIGNATURE) or len(data) < HEADER_BYTES:
            raise CopyError("the server's binary COPY does not begin as expected", hint="report this: a fault of ours")
        # The header is alone, or stands before the first row, or before the trailer of a table without rows.
        return data[HEADER_BYTES:]
