from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from consolidation.report import timeline
from consolidation.report.timeline import Lane, Span

START = datetime(2026, 11, 22, 2, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))


def span(label: str, start: float, end: float | None, state: str = "done", attempts: int = 1) -> Span:
    stop = None if end is None else START + timedelta(seconds=end)
    return timeline.phase(label, state, START + timedelta(seconds=start), stop, attempts)


def test_bars_lie_where_their_time_is() -> None:
    lane = Lane("campaign_db", (span("copy", 0, 50), span("verify", 50, 100)), (span("", 25, 75),))
    picture = timeline.draw([lane])
    assert picture is not None
    copy, verify = picture.bars
    full = picture.right - picture.left
    assert (copy.x, copy.width) == (picture.left, full / 2)
    assert (verify.x, verify.note) == (picture.left + full / 2, "50.0 s")
    assert verify.y == copy.y + picture.row
    [shade] = picture.shades
    assert (shade.x, shade.width, shade.height) == (picture.left + full / 4, full / 2, 2 * picture.row)


def test_what_has_not_ended_reaches_to_the_end_and_says_so() -> None:
    picture = timeline.draw([Lane("a", (span("backup", 0, 60), span("copy", 30, None, "running")), ())])
    assert picture is not None
    assert picture.bars[1].x + picture.bars[1].width == picture.right
    assert picture.bars[1].note == "running"
    assert span("verify", 0, 6.1, "failed").note == "6.1 s, failed"
    assert span("verify", 0, 6.1, attempts=2).note == "6.1 s, attempt 2"


def test_nothing_to_draw() -> None:
    assert timeline.draw([]) is None
    assert timeline.draw([Lane("a", (), ())]) is None


@given(st.lists(st.tuples(MOMENTS, MOMENTS, st.booleans()), min_size=1, max_size=20))
def test_everything_stays_on_the_canvas(moments: list[tuple[datetime, datetime, bool]]) -> None:
    spans = tuple(Span("p", "done", min(a, b), max(a, b) if ended else None) for a, b, ended in moments)
    picture = timeline.draw([Lane("a", spans, spans[:1])])
    assert picture is not None
    assert len(picture.bars) == len(spans)
    for drawn in (*picture.bars, *picture.shades):
        assert picture.left <= drawn.x <= picture.right
        assert drawn.x + drawn.width <= picture.right + timeline.NARROWEST
        assert drawn.y + picture.row <= picture.height
    assert len(picture.ticks) <= timeline.MOST_TICKS + 1
    assert all(picture.left <= tick.at <= picture.right for tick in picture.ticks)
