"""Which sequence belongs to which, and which of the two is behind."""

from __future__ import annotations

import pytest

from consolidation.postgres.catalog import Sequence
from consolidation.postgres.sequences import is_behind, next_value, pairs


def sequence(name: str = "s", at: int = 1, *, called: bool = True, by: int = 1, owner: str | None = None) -> Sequence:
    return Sequence("public", name, owner, "id" if owner else None, False, at, called, by)


@pytest.mark.parametrize(
    ("target", "source", "behind"),
    [
        (sequence(at=10), sequence(at=10), False),
        (sequence(at=9), sequence(at=10), True),
        (sequence(at=11), sequence(at=10), False),
        (sequence(at=1, called=False), sequence(at=1), True),
        (sequence(at=1), sequence(at=1, called=False), False),
        (sequence(at=1, called=False), sequence(at=1, called=False), False),
        (sequence(at=-9, by=-1), sequence(at=-10, by=-1), True),
        (sequence(at=-11, by=-1), sequence(at=-10, by=-1), False),
        (sequence(at=10), sequence(at=10, by=5), True),
    ],
)
def test_behind_is_what_would_hand_out_a_value_again(target: Sequence, source: Sequence, behind: bool) -> None:
    assert is_behind(target, source) is behind


def test_next_value() -> None:
    assert [next_value(sequence(at=5, by=3)), next_value(sequence(at=5, called=False))] == [8, 5]


def test_owner_before_name() -> None:
    ours = (sequence("a", owner="t"), sequence("free"), sequence("gone"))
    theirs = (sequence("renamed", owner="t"), sequence("free"), sequence("a"))
    assert pairs(ours, theirs) == ((ours[0], theirs[0]), (ours[1], theirs[1]))
