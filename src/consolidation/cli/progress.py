"""``consolidation progress``."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.live import Live

from consolidation.cli import ask, table
from consolidation.cli.standing import HEADINGS, Standing, cells
from consolidation.cli.status import exit_code, standings
from consolidation.report.outcome import RUNNING


@click.command(short_help="Follow the runs until none is under way.")
@ask.ansible_options
@click.option("--every", default=5.0, show_default=True, type=click.FloatRange(1), help="Seconds between two looks.")
@click.option("--json", "as_json", is_flag=True, help="For machines: an array a line, one for each look.")
def progress(inventory: tuple[str, ...], limit: str, ansible: tuple[str, ...], every: float, as_json: bool) -> None:
    """Follow the runs from any terminal, in every phase, until none is under way or Ctrl-C.

    The figures of copy and verify are those that the phase wrote into the journal, with their age.

    \b
    Exit codes, of the last look:
        0   no run is unfinished
        1   a database could not be asked
        2   the command line is wrong
        10  a run is under way: Ctrl-C
        11  a run has stopped unfinished; writes are accepted
        12  a run has stopped unfinished, and writes are REFUSED
    """
    found: list[Standing] = []
    failed: dict[str, str] = {}
    with suppress(KeyboardInterrupt), Live(console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            found, failed = standings(inventory, limit, ansible)
            now = datetime.now(UTC)
            rows = [cells(each, now) for each in found]
            if as_json:
                click.echo(json.dumps([asdict(each) for each in found]))
            elif sys.stdout.isatty():
                live.update(table.render(HEADINGS, rows), refresh=True)
            else:
                table.show(HEADINGS, rows)
            if not any(each.outcome == RUNNING for each in found):
                break
            time.sleep(every)
    sys.exit(exit_code(found, failed=bool(failed)))
