"""The subcommands; each module of this package brings one, as a click command."""

from __future__ import annotations

import click

from consolidation import __version__
from consolidation.cli.adopt import adopt
from consolidation.cli.evidence import evidence
from consolidation.cli.plan import plan
from consolidation.cli.progress import progress
from consolidation.cli.status import status

COMMANDS = (status, progress, plan, evidence, adopt)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="consolidation")
def cli() -> None:
    """Look at consolidation runs: how far they are, what they would do, what they have proved. Changes no database.

    What changes one is an ansible-playbook: migrate.yml and rollback.yml. `adopt` writes files of this checkout.

    \b
    Shell completion, in bash (zsh and fish likewise):
        eval "$(_CONSOLIDATION_COMPLETE=bash_source consolidation)"
    """


for command in COMMANDS:
    cli.add_command(command)
