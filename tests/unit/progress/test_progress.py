"""Amounts and their paces, and how they are shown."""

from __future__ import annotations

import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consolidation.postgres.catalog import Table
from consolidation.progress.reporter import Amount, Pace, Progress, Tally, _Meter, _sum
from consolidation.progress.view import MOST_TABLES, Lines, _shown, line

SHARES = st.lists(st.floats(0, 1), min_size=1).map(sorted)


def table(name: str, size: int = 1_000_000) -> Table:
    return Table("public", name, 1, "r", "p", "owner", 100, size, (), ())


def amount(share: float, name: str = "t", weight: int = 1_000_000) -> Amount:
    return Amount(name, "copying", round(share * 100), round(share * weight), share, weight)


def pace(name: str, state: str, weight: int = 1, **more: float) -> Pace:
    return Pace(name, state, 0, 0, 0.0, weight, more.get("rate"), more.get("eta"))


def progress(*tables: Pace, ended: bool = False, age: float = 0) -> Progress:
    return Progress(
        "run", "campaign_db", "copy", 0, time.time() - age, ended, tables, pace("", "done" if ended else "", eta=9)
    )


def test_the_pace_is_that_since_the_table_was_seen_to_move() -> None:
    meter = _Meter()
    # Half of it was done by an attempt an hour ago, and it waits ten seconds for a worker.
    for second in range(10):
        assert meter.read(amount(0.5), second).rate is None
    found = meter.read(amount(0.75), 11)
    assert found.rate == pytest.approx(250_000 / 2)
    assert found.eta == pytest.approx(2)
    done = meter.read(amount(1.0), 13)
    assert (done.rate, done.eta) == (found.rate, None)
    assert meter.read(amount(1.0), 99).rate == found.rate


def test_what_was_done_before_anybody_looked_has_no_pace() -> None:
    """A finished run, looked at again: all its bytes were there in the first second."""
    meter = _Meter()
    meter.read(_sum([]), 0)
    assert meter.read(amount(1.0), 0.01).rate is None


def test_a_phase_that_has_died_shows_the_age_of_its_figures() -> None:
    old = progress(pace("t", "waiting"), age=120)
    assert line(old, old.tables[0]).endswith("waiting (no news for 2 min 00 s)")
    fresh = progress(pace("t", "waiting"))
    assert line(fresh, fresh.tables[0]).endswith("waiting")
    ended = progress(pace("t", "done"), ended=True, age=120)
    assert line(ended, ended.tables[0]).endswith("done")


@given(SHARES)
def test_a_pace_is_never_negative(shares: list[float]) -> None:
    meter = _Meter()
    for second, share in enumerate(shares):
        found = meter.read(amount(share), second)
        assert found.rate is None or found.rate >= 0
        assert found.eta is None or found.eta >= 0


def test_a_tally_counts_both_sides_and_parts_and_begins_anew() -> None:
    tally = Tally()
    tally.expect(table("t"))
    tally.begin("t", "comparing")
    tally.begin("not expected", "comparing")
    tally.add("not expected", 1, 1)
    for _ in range(3):
        tally.add("t", 10, 1 / 3)
    assert tally.amounts() == [Amount("t", "done", 30, 1_000_000, 1.0, 1_000_000)]
    tally.expect(table("t"))
    tally.add("t", 50, 0.5)
    assert [(found.rows, found.share) for found in tally.amounts()] == [(50, 0.5)]


def test_the_total_weighs_tables_by_their_size() -> None:
    paces = [_Meter().read(amount(1.0, "small", 100), 0), _Meter().read(amount(0.0, "large", 300), 0)]
    assert _sum(paces).share == 0.25
    assert _sum([]).share == 0
    assert _sum([_Meter().read(amount(1.0, "empty", 0), 0)]).share == 1


def test_running_tables_come_first_and_only_some_are_shown() -> None:
    many = [pace(f"w{number}", "waiting", 1000) for number in range(MOST_TABLES)]
    shown = _shown(progress(*many, pace("done", "done", 5), pace("busy", "copying")))
    assert [found.table for found in shown[:2]] == ["busy", "done"]
    assert len(shown) == MOST_TABLES


def test_lines_come_now_and_then_and_the_end_once() -> None:
    stream = io.StringIO()
    lines = Lines(stream, seconds=3600)
    state = progress(pace("t", "copying"))
    lines.show([state])
    assert stream.getvalue() == ""
    lines._next = 0
    lines.show([state])
    lines.show([state])
    assert stream.getvalue().splitlines() == [
        "copy campaign_db.t: 0%, 0 rows, 0 B, copying",
        "copy campaign_db: 0%, 0 rows, 0 B, 9.0 s left",
    ]
    for _ in range(2):
        lines.show([progress(pace("t", "done"), ended=True)])
    assert len(stream.getvalue().splitlines()) == 3


def test_a_name_cannot_forge_a_line() -> None:
    assert "\n" not in line(progress(), pace("a\nb\x1b[2J", "copying"))
