"""Sums of row hashes: order-free, additive, and blind to nothing but the order."""

from __future__ import annotations

from collections import Counter
from functools import reduce
from operator import add

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consolidation.compare.row_hash import HEADER_BYTES, SIGNATURE, TRAILER, RowSum, Summing
from consolidation.errors import CopyError

HEADER = SIGNATURE.ljust(HEADER_BYTES, b"\0")
rows = st.lists(st.binary(min_size=2, max_size=20).filter(lambda row: row != TRAILER), max_size=20)


def summed(messages: list[bytes], *, is_binary: bool = False) -> RowSum:
    passed: list[bytes] = []
    summing = Summing(is_binary=is_binary, pass_on=passed.append)
    for message in messages:
        summing.write(message)
    found = summing.result()
    assert b"".join(passed) == b"".join(messages), "what is hashed is what goes on to the target"
    return found


@given(rows, st.randoms())
def test_the_order_of_rows_does_not_matter(messages: list[bytes], random) -> None:
    shuffled = list(messages)
    random.shuffle(shuffled)
    assert summed(shuffled) == summed(messages)


@given(rows, rows)
def test_equal_sums_mean_the_same_rows_as_often(ours: list[bytes], theirs: list[bytes]) -> None:
    assert (summed(ours) == summed(theirs)) == (Counter(ours) == Counter(theirs))


@given(st.lists(rows, max_size=5), st.booleans())
def test_sums_of_ranges_add_up_to_the_sum_of_all(ranges: list[list[bytes]], is_binary: bool) -> None:
    whole = summed([message for messages in ranges for message in messages])
    streams = [[HEADER, *messages, TRAILER] if is_binary else messages for messages in ranges]
    sums = [summed(stream, is_binary=is_binary) for stream in streams]
    assert reduce(add, sums, RowSum()) == whole, "both sides of a table may be cut at different places"


@given(rows)
def test_header_and_trailer_of_a_binary_stream_are_not_rows(messages: list[bytes]) -> None:
    plain = summed(messages)
    # Servers send the header alone, before the first row, or before the trailer.
    first, *rest = [*messages, TRAILER]
    for stream in ([HEADER, *messages, TRAILER], [HEADER + first, *rest]):
        assert summed(stream, is_binary=True) == plain


def test_something_else_than_a_binary_stream_is_refused() -> None:
    with pytest.raises(CopyError):
        summed([b"1\ta\n"], is_binary=True)
