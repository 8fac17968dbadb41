"""The merge of two ordered streams of row hashes, and the choice of buckets to look into."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from consolidation.compare.buckets import Row, differing, merged, within
from consolidation.compare.digest import Digest

HASHES = st.integers(0, 3)
KEYED = st.dictionaries(st.text("aä\U0001f600z ", max_size=2), st.tuples(HASHES, HASHES), max_size=8)
KEYLESS = st.lists(st.tuples(HASHES, HASHES), max_size=8)
SIDE = st.dictionaries(st.integers(0, 9), st.integers(1, 50), max_size=10)


def stream(rows: dict[str, tuple[int, int]]) -> list[Row]:
    """As the server sorts them: keys by their bytes."""
    return [([key], *rows[key]) for key in sorted(rows, key=lambda key: key.encode())]


@given(KEYED, KEYED)
def test_rows_with_a_key_are_told_apart_by_it(
    source: dict[str, tuple[int, int]], target: dict[str, tuple[int, int]]
) -> None:
    found = {(kind, row[0][0]) for kind, row in merged(stream(source), stream(target))}
    assert found == (
        {("missing", key) for key in source.keys() - target.keys()}
        | {("extra", key) for key in target.keys() - source.keys()}
        | {("different", key) for key in source.keys() & target.keys() if source[key] != target[key]}
    )


@given(KEYLESS, KEYLESS)
def test_rows_without_a_key_are_counted(source: list[tuple[int, int]], target: list[tuple[int, int]]) -> None:
    ours, theirs = ([([], *row) for row in sorted(rows)] for rows in (source, target))
    found = Counter(kind for kind, _ in merged(ours, theirs))
    assert found["missing"] == (Counter(source) - Counter(target)).total()
    assert found["extra"] == (Counter(target) - Counter(source)).total()
    assert found["different"] == 0


@given(SIDE, SIDE, st.integers(0, 200))
def test_buckets_are_chosen_in_order_up_to_a_number_of_rows(
    source: dict[int, int], target: dict[int, int], most: int
) -> None:
    ours, theirs = ({bucket: Digest(rows, (rows, 0)) for bucket, rows in side.items()} for side in (source, target))
    every = differing(ours, theirs)
    assert set(every) == {b for b in source.keys() | target.keys() if source.get(b) != target.get(b)}
    chosen = within(ours, theirs, most)
    assert every[: len(chosen)] == chosen
    weights = [max(source.get(bucket, 0), target.get(bucket, 0)) for bucket in every]
    assert len(chosen) >= min(1, len(every))
    assert len(chosen) <= 1 or sum(weights[: len(chosen)]) <= most
    assert len(chosen) == len(every) or sum(weights[: len(chosen) + 1]) > most
