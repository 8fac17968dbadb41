"""What the looks at a row that differed say about it."""

from __future__ import annotations

import pytest

from consolidation.compare.buckets import Differences
from consolidation.verify.recheck import FIRST_WAIT_SECONDS, History, differences, matched, still_changing, waits

A, B, C, D = (1, 1), (2, 2), (3, 3), (4, 4)
GONE = None


@pytest.mark.parametrize(
    ("history", "same", "moves"),
    [
        ([(B, A, B)], False, False),
        ([(B, A, B), (B, A, B), (B, A, B)], False, False),  # stuck
        ([(B, A, B), (B, B, B)], True, False),  # late
        ([(B, GONE, B), (B, B, B)], True, False),
        ([(GONE, A, GONE), (GONE, GONE, GONE)], True, False),
        ([(B, A, B), (C, A, C), (D, A, D)], False, False),  # a lost update of a row that is written on
        ([(A, B, A), (A, C, A), (A, D, A)], False, False),  # the same where the target is authoritative
        ([(A, GONE, A), (B, GONE, B)], False, False),  # never arrived
        ([(C, A, C), (D, B, D)], False, True),  # too fast to be seen matching
        ([(B, A, B), (C, B, C)], False, True),  # a counter that has lost a step comes by where the other was
        ([(B, A, B), (B, B, C)], False, True),  # the same, while it was read
        ([(3, 2, 3), (4, 3, 4)], False, True),  # without a key: how many there are
        ([(3, 2, 3), (3, 2, 3)], False, False),
    ],
)
def test_a_row_is_judged_by_its_history(history: History, same: bool, moves: bool) -> None:
    assert (matched(history), still_changing(history)) == (same, moves)


def test_the_waits_grow_and_add_up() -> None:
    assert waits(0) == []
    for seconds in (0.1, 1.0, 10.0, 3600.0):
        found = waits(seconds)
        assert found[0] == 0
        assert sum(found) == pytest.approx(seconds)
        assert found[1:-1] == [FIRST_WAIT_SECONDS * 2**number for number in range(len(found) - 2)]
    assert len(waits(3600.0)) < 20


def test_rows_left_over_are_counted_and_named() -> None:
    keyed: dict[tuple[str, ...] | tuple[int, int], History] = {
        ("a", "1"): [(A, B, A)],
        ("b", "2"): [(A, B, A), (A, GONE, A)],
        ("c", "3"): [(GONE, A, GONE)],
        ("d", "4"): [(A, B, A)],
    }
    found = differences(keyed, ("x", "y"), 1)
    assert (found.missing, found.extra, found.different) == (1, 1, 2)
    assert found.keys["different"] == [{"x": "a", "y": "1"}]
    assert found.keys["missing"] == [{"x": "b", "y": "2"}]
    assert differences({(7, 7): [(2, 5, 2)], (8, 8): [(1, None, 1)]}, (), 20) == Differences(
        1, 3, 0, {"missing": [], "extra": [], "different": []}
    )
