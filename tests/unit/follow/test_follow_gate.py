"""The gate before the change-over, for any rounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consolidation.follow.gate import LAST, Gate, Seen

ROUNDS = st.lists(
    st.builds(
        Seen,
        seconds=st.floats(0, 100, allow_nan=False),
        keys=st.integers(0, 10**9),
        rows=st.integers(0, 10**9),
        complete=st.booleans(),
    ),
    max_size=20,
)
GATES = st.builds(Gate, lag_seconds=st.floats(0.01, 50), tries=st.integers(LAST, 10))


@given(GATES, ROUNDS)
def test_it_opens_only_behind_short_and_complete_rounds(gate: Gate, rounds: list[Seen]) -> None:
    last = rounds[-LAST:]
    if gate.is_met(rounds):
        assert len(last) == LAST
        assert all(seen.complete and seen.seconds <= gate.lag_seconds for seen in last)
        assert not gate.gives_up(rounds)
    elif len(last) == LAST:
        assert any(not seen.complete or seen.seconds > gate.lag_seconds for seen in last)


@given(GATES, ROUNDS)
def test_rounds_end(gate: Gate, rounds: list[Seen]) -> None:
    """Whatever came before: after so many complete rounds it has opened or given up."""
    longer = [*rounds, *[Seen(99, 1, 1, complete=True)] * gate.tries]
    assert gate.gives_up(longer)


@given(GATES, ROUNDS)
def test_what_the_copy_has_left_is_worked_off_first(gate: Gate, rounds: list[Seen]) -> None:
    """However many rounds that takes: they do not count as tries."""
    backlog = [Seen(99, 10**6, 10**6, complete=False)] * 1000
    assert gate.gives_up([*backlog, *rounds]) == gate.gives_up([*backlog[:LAST], *rounds])


@given(GATES, ROUNDS)
def test_it_always_says_why(gate: Gate, rounds: list[Seen]) -> None:
    assert gate.why(rounds)
