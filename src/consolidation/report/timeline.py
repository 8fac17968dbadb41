"""The timeline of a run as a picture: where bars, ticks and the write outage are on an SVG canvas.

Lengths are SVG user units. One row for each phase; the template only prints what is computed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from consolidation import text as figures

WIDTH = 960.0
LABELS = 190.0
NOTES = 170.0
ROW = 22.0
HEADING = 28.0
AXIS = 26.0
NARROWEST = 2.0
STEPS_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
MOST_TICKS = 8


@dataclass(frozen=True)
class Span:
    """A stretch of time to draw; ``end`` is None where it has not ended."""

    label: str
    state: str
    start: datetime
    end: datetime | None
    note: str = ""


@dataclass(frozen=True)
class Lane:
    """One database: its phases, and its write outages behind them."""

    name: str
    phases: tuple[Span, ...]
    outages: tuple[Span, ...]


@dataclass(frozen=True)
class Bar:
    """A rectangle with a label on the left and a note on the right."""

    label: str
    note: str
    state: str
    x: float
    y: float
    width: float


@dataclass(frozen=True)
class Shade:
    """A write outage of a lane."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Mark:
    """A text at a place: a tick of the axis, or a lane's heading."""

    at: float
    text: str


@dataclass(frozen=True)
class Picture:
    """Everything the template draws."""

    height: float
    headings: tuple[Mark, ...]
    notes: tuple[Mark, ...]
    """On the write outages of each lane, beside its heading."""
    bars: tuple[Bar, ...]
    shades: tuple[Shade, ...]
    ticks: tuple[Mark, ...]
    day: str
    width: float = WIDTH
    left: float = LABELS
    right: float = WIDTH - NOTES
    row: float = ROW


def draw(lanes: Sequence[Lane]) -> Picture | None:
    """Lay the lanes out below each other on one time axis; None where there is nothing to draw."""
    spans = [span for lane in lanes for span in lane.phases]
    if not spans:
        return None
    start = min(span.start for span in spans)
    end = max(*(span.end or span.start for span in spans), start + timedelta(milliseconds=1))
    scale = (WIDTH - LABELS - NOTES) / (end - start).total_seconds()

    def x_of(moment: datetime) -> float:
        inside = min(max(moment, start), end)
        return round(LABELS + (inside - start).total_seconds() * scale, 2)

    y = AXIS
    headings, notes, bars, shades = [], [], [], []
    for lane in lanes:
        if not lane.phases:
            continue
        headings.append(Mark(y + HEADING / 2 + 5, lane.name))
        y += HEADING
        height = ROW * len(lane.phases)
        inside = [outage for outage in lane.outages if outage.start <= end and (outage.end or end) >= start]
        notes.append(Mark(headings[-1].at, "; ".join(outage.note for outage in inside)))
        for outage in inside:
            x = x_of(outage.start)
            width = max(x_of(outage.end or end) - x, NARROWEST)
            shades.append(Shade(x, y, round(width, 2), height))
        for span in lane.phases:
            x = x_of(span.start)
            width = round(max(x_of(span.end or end) - x, NARROWEST), 2)
            bars.append(Bar(span.label, span.note, span.state, x, y, width))
            y += ROW
    ticks = tuple(Mark(x_of(moment), text) for moment, text in _ticks(start, end))
    return Picture(y + 8, tuple(headings), tuple(notes), tuple(bars), tuple(shades), ticks, _day(start, end))


def phase(name: str, state: str, start: datetime, end: datetime | None, attempts: int) -> Span:
    """The span of a phase; its note has the time of its last attempt, which one that was, and its state if not done."""
    parts = [figures.duration((end - start).total_seconds())] if end else []
    if attempts > 1:
        parts.append(f"attempt {attempts}")
    if state != "done":
        parts.append(state)
    return Span(name, state, start, end, ", ".join(parts))


def _ticks(start: datetime, end: datetime) -> Iterable[tuple[datetime, str]]:
    seconds = (end - start).total_seconds()
    step = next((step for step in STEPS_SECONDS if seconds / step <= MOST_TICKS), 0) or (
        86400 * (int(seconds / 86400 / MOST_TICKS) + 1)
    )
    first = int(start.timestamp() // step) * step + step
    form = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86400 else "%d %b"
    for moment in range(first, int(end.timestamp()) + 1, step):
        at = datetime.fromtimestamp(moment, UTC)
        yield at, at.strftime(form)


def _day(start: datetime, end: datetime) -> str:
    first, last = (f"{moment.astimezone(UTC):%Y-%m-%d}" for moment in (start, end))
    return first if first == last else f"{first} to {last}"
