"""``consolidation status``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime

import click

from consolidation.cli import ask, table
from consolidation.cli.standing import HEADINGS, Standing, cells, is_alive, standing
from consolidation.report.outcome import RUNNING

DONE, NOT_ASKED, UNDER_WAY, STOPPED, REFUSING = 0, 1, 10, 11, 12
"""Exit codes; 2 is click's, for a wrong command line."""


@click.command(short_help="Print the state of every database.")
@ask.ansible_options
@click.option("--json", "as_json", is_flag=True, help="For machines: a list of objects, one for each database.")
def status(inventory: tuple[str, ...], limit: str, ansible: tuple[str, ...], as_json: bool) -> None:
    """The state of every database: phase, since when, by whom, how far, and whether writes are refused right now.

    Reads the journal in the storage database; nothing is changed, and a run that works is not disturbed. What it says
    of writes is what the journal knows: a fence that was lifted by hand is not seen.

    \b
    Options for Ansible go behind --:
        consolidation status -i inventories/production -- --ask-vault-pass

    \b
    Exit codes:
        0   no run is unfinished
        1   a database could not be asked
        2   the command line is wrong
        10  a run is under way
        11  a run has stopped unfinished; writes are accepted
        12  a run has stopped unfinished, and writes are REFUSED
    """
    found, failed = standings(inventory, limit, ansible)
    if as_json:
        errors = [{"database": database, "error": why} for database, why in failed.items()]
        click.echo(json.dumps([asdict(each) for each in found] + errors, indent=2))
    else:
        now = datetime.now(UTC)
        table.show(HEADINGS, [cells(each, now) for each in found])
        for each in found:
            if each.error:
                click.echo(f"\n{each.database}: {each.error}")
        for database, why in failed.items():
            click.echo(f"{database} could not be asked: {why}", err=True)
    sys.exit(exit_code(found, failed=bool(failed)))


def standings(
    inventory: tuple[str, ...], limit: str, ansible: tuple[str, ...]
) -> tuple[list[Standing], dict[str, str]]:
    """Every database that answered, and why the others did not."""
    facts, failed = ask.journal(inventory, limit, ansible)
    found = []
    for database, known in sorted(facts.items()):
        alive = is_alive(known["run"]["control"]) if known.get("run") else None
        found.append(standing(database, known, alive))
    return found, failed


def exit_code(found: list[Standing], *, failed: bool) -> int:
    """The worst of them."""
    stopped = [each for each in found if each.is_open and each.outcome != RUNNING]
    if any(each.refused_since for each in stopped):
        return REFUSING
    if stopped:
        return STOPPED
    if failed:
        return NOT_ASKED
    return UNDER_WAY if any(each.outcome == RUNNING for each in found) else DONE
