"""Tables for people: rich ones on a terminal, aligned columns elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES = {
    "failed": "bold red",
    "interrupted": "bold red",
    "migrated": "green",
    "finalized": "green",
    "rolled back": "green",
    "running": "cyan",
}


def render(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """For rich."""
    table = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell, style=_style(cell)) for cell in row))
    return table


def show(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print it."""
    if sys.stdout.isatty():
        Console(highlight=False).print(render(headings, rows))
        return
    widths = [max(len(row[place]) for row in (headings, *rows)) for place in range(len(headings))]
    for row in (headings, *rows):
        sys.stdout.write("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")


def _style(cell: str) -> str:
    return "bold red" if cell.startswith("REFUSED") else STYLES.get(cell, "")
