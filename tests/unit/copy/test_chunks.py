"""Chunks cover every page exactly once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consolidation.copy import chunks


@given(st.integers(0, 10**9), st.integers(0, 10**13), st.integers(10**6, 10**9))
def test_chunks_cover_every_page_exactly_once(pages: int, size: int, chunk_bytes: int) -> None:
    chunk_bytes = max(chunk_bytes, size // 1000)
    found = chunks.page_ranges(pages, size, chunk_bytes)
    assert found[0].low is None
    assert found[-1].high is None
    for before, after in pairwise(found):
        assert before.high == after.low
    borders = [int(chunk.low.strip("()").split(",")[0]) for chunk in found[1:] if chunk.low]
    assert borders == sorted(set(borders))
    assert len(found) <= max(1, -(-size // chunk_bytes))


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("character varying(50)[]", "character varying"),
        ("timestamp(3) without time zone", "timestamp without time zone"),
        ("numeric(10,2)", "numeric"),
        ("mood[]", "mood"),
    ],
)
def test_base_types(name: str, base: str) -> None:
    assert chunks.base_type(name) == base
