"""Progress as an operator sees it: a table that is drawn again on a terminal, lines now and then elsewhere.

    python -m consolidation.progress.view FILE...

follows the progress files of databases from any terminal of the host that the modules run on, until Ctrl-C.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, TextIO

from consolidation import text as figures
from consolidation.progress import reporter as progress
from consolidation.progress.reporter import DONE, LOADED, WAITING, Pace, Progress
from consolidation.text import printable

LINES_SECONDS = 10.0
STALE_SECONDS = 30.0
"""A phase that has reported nothing for longer may have died; clocks of hosts differ by a few seconds."""
MOST_TABLES = 12
"""Shown for each database; the others are counted."""
HEADINGS = ("phase", "database", "table", "", "rows", "bytes", "per second", "left", "state")
RIGHT = ("", "rows", "bytes", "per second", "left")


@dataclass(frozen=True)
class Working:
    """A step without figures of its own that is under way."""

    phase: str
    database: str
    seconds: float


class View(Protocol):
    """Where progress is shown."""

    def show(self, states: Sequence[Progress], working: Sequence[Working] = ()) -> None:
        """The state of all databases, about once a second; and what else works."""

    def close(self) -> None:
        """Show the last state and leave the terminal as it was."""


class Screen:
    """A rich table on a terminal; what others print meanwhile scrolls above it."""

    def __init__(self, stream: TextIO, *, keeps: bool = True) -> None:
        """keeps: leave the last table on the screen."""
        # Not everybody who follows has rich: a runner does without.
        from rich.console import Console  # noqa: PLC0415 - see above
        from rich.live import Live  # noqa: PLC0415 - see above

        console = Console(file=stream, highlight=False)
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop", transient=not keeps)
        self._live.start()

    def show(self, states: Sequence[Progress], working: Sequence[Working] = ()) -> None:
        """Draw the table again."""
        from rich.table import Table  # noqa: PLC0415 - not everybody has it
        from rich.text import Text  # noqa: PLC0415 - not everybody has it

        table = Table(box=None, pad_edge=False)
        for heading in HEADINGS:
            table.add_column(heading, justify="right" if heading in RIGHT else "left", no_wrap=heading in RIGHT)
        for state in states:
            for cells in _cells(state):
                table.add_row(*(Text(cell) for cell in cells))
            table.add_section()
        for step in working:
            row = (step.phase, printable(step.database), f"working for {figures.duration(step.seconds)}")
            table.add_row(*(Text(cell) for cell in row))
        self._live.update(table, refresh=True)

    def close(self) -> None:
        """Give the cursor back."""
        self._live.stop()


class Lines:
    """A line for each table under way, every ``seconds``; at the end one for each database, unless others do that."""

    def __init__(self, stream: TextIO, seconds: float = LINES_SECONDS, *, keeps: bool = True) -> None:
        self._stream = stream
        self._keeps = keeps
        self._seconds = seconds
        self._next = time.monotonic() + seconds
        self._ended: dict[str, str] = {}
        """Database -> phase whose end was reported."""

    def show(self, states: Sequence[Progress], working: Sequence[Working] = ()) -> None:  # noqa: ARG002 - a View's
        """Print what is due."""
        ended = [state for state in states if state.ended and self._ended.get(state.database) != state.phase]
        self._ended.update({state.database: state.phase for state in ended})
        lines = [line(state, state.total) for state in ended if self._keeps]
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._seconds
            lines += [text for state in states if not state.ended for text in _lines(state)]
        if lines:
            self._stream.write("".join(f"{text}\n" for text in lines))
            self._stream.flush()

    def close(self) -> None:
        """Nothing is left to be done."""


def view(stream: TextIO, seconds: float = LINES_SECONDS, *, screen: bool = True, keeps: bool = True) -> View:
    """What fits the stream; without ``screen``, lines in any case; without ``keeps`` nothing is left at the end."""
    can_draw = stream.isatty() and os.environ.get("TERM") != "dumb" and find_spec("rich")
    return Screen(stream, keeps=keeps) if screen and can_draw else Lines(stream, seconds, keeps=keeps)


def line(state: Progress, pace: Pace) -> str:
    """One table, or the total, in words."""
    table = f".{printable(pace.table)}" if pace.table else ""
    parts = [f"{figures.count(pace.rows)} rows", figures.size(pace.bytes)]
    parts += [f"{figures.size(pace.rate)}/s"] if pace.rate else []
    parts += [f"{figures.duration(pace.eta)} left"] if pace.eta is not None else []
    parts += [text] if (text := (pace.state + _age(state)).strip()) else []
    return f"{state.phase} {printable(state.database)}{table}: {pace.share:.0%}, {', '.join(parts)}"


def _shown(state: Progress) -> list[Pace]:
    """The tables that are worked on, then the largest that are done, then those that wait."""
    order = {WAITING: 2, DONE: 1, LOADED: 1}
    return sorted(state.tables, key=lambda pace: (order.get(pace.state, 0), -pace.weight, pace.table))[:MOST_TABLES]


def _lines(state: Progress) -> list[str]:
    active = [pace for pace in _shown(state) if pace.state not in (WAITING, DONE, LOADED)]
    return [line(state, pace) for pace in active] + [line(state, state.total)]


def _age(state: Progress) -> str:
    """Since when nothing was reported, where that is long."""
    age = time.time() - state.at
    return "" if state.ended or age < STALE_SECONDS else f" (no news for {figures.duration(age)})"


def _cells(state: Progress) -> list[tuple[str, ...]]:
    shown = _shown(state)
    more = len(state.tables) - len(shown)
    name = f"{len(state.tables)} tables" + (f", {more} not shown" if more else "")
    labels = [*(printable(pace.table) for pace in shown), name]
    return [
        (
            state.phase,
            printable(state.database),
            label,
            f"{pace.share:.0%}",
            figures.count(pace.rows),
            figures.size(pace.bytes),
            figures.size(pace.rate),
            figures.duration(pace.eta) if pace.eta is not None else figures.NOTHING,
            pace.state + _age(state),
        )
        for label, pace in zip(labels, [*shown, state.total], strict=True)
    ]


def main(arguments: Sequence[str]) -> int:
    """Follow files until Ctrl-C; 2 when none is named."""
    if not arguments or any(argument.startswith("-") for argument in arguments):
        sys.stderr.write(f"{__doc__}")
        return 2
    paths = [Path(argument) for argument in arguments]
    if missing := [str(path) for path in paths if not path.exists()]:
        sys.stderr.write(f"waiting for {', '.join(missing)}: copy and verify write it\n")
    shown = view(sys.stdout)
    with suppress(KeyboardInterrupt):
        try:
            while True:
                shown.show([state for path in paths if (state := progress.read(path))])
                time.sleep(progress.LOOK_SECONDS)
        finally:
            shown.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
