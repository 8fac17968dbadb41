"""``consolidation plan``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from consolidation import evidence
from consolidation.review import page

SHOWN, NONE = 0, 1


@click.command(short_help="Show the reviewer's page of the last look.")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="RUN_DIRECTORY")
@click.option("--texts", is_flag=True, help="With the SQL and the diffs of configurations.")
@click.option("--json", "as_json", is_flag=True, help="For machines: plan.json as it is.")
def plan(directory: Path, texts: bool, as_json: bool) -> None:
    """Show the reviewer's page of the last look, which `migrate.yml --check --diff` has written.

    RUN_DIRECTORY is the inventory's consolidation_run_directory. Times are expected at the rates of the newest report
    that is there, a rehearsal's for example; the page says which.

    \b
    Exit codes:
        0  shown
        1  no look has left a page there
        2  the command line is wrong
    """
    text = evidence.read(directory / page.DIRECTORY / page.JSON)
    if text is None:
        click.echo(
            f"no plan in {directory}: ansible-playbook migrate.yml -i INVENTORY --check --diff makes one", err=True
        )
        sys.exit(NONE)
    if as_json:
        click.echo(text, nl=False)
    else:
        for line in page.lines(json.loads(text), texts=texts):
            click.echo(line)
    sys.exit(SHOWN)
