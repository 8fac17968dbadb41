"""``consolidation adopt``."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import click

from consolidation.adopt import skeleton
from consolidation.errors import ConsolidationError
from consolidation.postgres.connection import Settings

WRITTEN, REFUSED = 0, 1


@click.command(short_help="Write the skeleton of a further database.")
@click.argument("name")
@click.option("--host", required=True, help="The source's server.")
@click.option("--port", default=5432, show_default=True)
@click.option("--dbname", required=True, help="The source's database.")
@click.option("--user", default="consolidation_reader", show_default=True, help="A role that reads the schema.")
@click.option("--passfile", help="libpq's password file, mode 0600.", show_default="libpq's own")
@click.option("--sslmode", default="prefer", show_default=True)
@click.option("--sslrootcert", help="Certificate of the CA, for verify-full.")
@click.option("--schema", default="public", show_default=True, help="The source schema.")
@click.option("--table", "tables", multiple=True, help="A table to migrate; again for more.", show_default="all")
@click.option("--inventory", type=click.Path(file_okay=False, path_type=Path), help="Folder that gets host_vars.")
@click.option("--pg-dump", default="pg_dump", show_default=True, help="At least of the server's version.")
@click.option(
    "--root", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path), help="The checkout."
)
@click.option("--json", "as_json", is_flag=True, help="For machines: the files written and what is left to be done.")
def adopt(  # noqa: PLR0913, PLR0917 - its options
    name: str,
    schema: str,
    tables: tuple[str, ...],
    inventory: Path | None,
    pg_dump: str,
    root: Path,
    as_json: bool,
    **connection: str | int | None,
) -> None:
    """Write models, lineage and inventory of a further database, out of its source as it is.

    NAME is the target schema's, the lineage's and the inventory host's. The source is only read, and no file that
    exists is touched.

    \b
    Exit codes:
        0  written
        1  nothing was written; the message says why
        2  the command line is wrong
    """
    try:
        settings = Settings(**connection)  # type: ignore[arg-type]  # click gives each its type
        program = Path(shutil.which(pg_dump) or pg_dump)
        made = skeleton.adopt(name, settings, schema, program, root=root, inventory=inventory, tables=tables)
    except ConsolidationError as error:
        click.echo(str(error), err=True)
        sys.exit(REFUSED)
    if as_json:
        files = [str(file.path) for file in made.files]
        click.echo(json.dumps({"files": files, "next": list(made.next_steps)}, indent=2))
    else:
        click.echo(made.report())
    sys.exit(WRITTEN)
