"""The copy's throughput over time as a picture: bars on an SVG canvas, in SVG user units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consolidation import text as figures
from consolidation.report.outcome import Facts, time_of

WIDTH, HEIGHT, LEFT, AXIS = 960.0, 150.0, 90.0, 24.0
FEWEST = 3
"""Stretches of time; fewer make no picture."""


@dataclass(frozen=True)
class Bar:
    """A stretch of time."""

    x: float
    y: float
    width: float
    height: float
    note: str


@dataclass(frozen=True)
class Picture:
    """Everything the template draws."""

    bars: tuple[Bar, ...]
    highest: str
    """Label of the top: the highest rate."""
    begin: str
    end: str
    summary: str
    """In words, for whoever does not see it."""
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    floor: float = HEIGHT - AXIS


def draw(throughput: Sequence[Facts]) -> Picture | None:
    """Of the chunks that one database's copy has loaded; None where they are too few, or empty."""
    if len(throughput) < FEWEST or not any(entry["bytes"] for entry in throughput):
        return None
    ends = [moment for entry in throughput if (moment := time_of(entry["at"]))]
    rates = [entry["bytes"] / max(entry["seconds"], 0.001) for entry in throughput]
    seconds = throughput[0]["seconds"]
    start = ends[0].timestamp() - seconds
    scale = (WIDTH - LEFT) / max(ends[-1].timestamp() - start, 0.001)
    top = max(rates)
    bars = []
    for moment, rate in zip(ends, rates, strict=True):
        height = (HEIGHT - AXIS - 4) * rate / top
        x = LEFT + (moment.timestamp() - seconds - start) * scale
        note = f"{moment:%H:%M:%S}: {figures.size(rate)}/s"
        width = round(max(seconds * scale - 1, 1), 2)
        bars.append(Bar(round(x, 2), round(HEIGHT - AXIS - height, 2), width, round(height, 2), note))
    total = sum(entry["bytes"] for entry in throughput)
    lasted = ends[-1].timestamp() - start
    summary = (
        f"{figures.size(total)} in {figures.duration(lasted)}, {figures.size(total / max(lasted, 0.001))}/s on average,"
        f" {figures.size(top)}/s at the most"
    )
    return Picture(tuple(bars), f"{figures.size(top)}/s", f"{ends[0]:%H:%M:%S}", f"{ends[-1]:%H:%M:%S}", summary)
