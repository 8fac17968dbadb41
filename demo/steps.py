"""The steps of the demo: fill the databases, run a playbook, write as the services do, prove what every side holds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from psycopg2 import sql
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo import data
from demo.environment import PROJECT, Environment
from demo.proof import Content, contents_of, open_to
from demo.servers import Server

GIGABYTES_PER_SCALE = 0.35
COPIES_ON_DISK = 5
"""Source, storage, their WAL, the backup and its restore drill."""

Contents = dict[str, Content]
"""Table -> what it holds."""

console = Console(highlight=False)


class DemoError(Exception):
    """The demo cannot go on, or a proof failed; the message says what to do."""


def generate(environment: Environment, scale: float, seed: int) -> None:
    """Create the services' tables and fill them, the services side by side. Raises DemoError."""
    if any(data.has_tables(environment.servers[service], service) for service in data.SERVICES):
        raise DemoError("the databases are filled already; `python -m demo clean`, then start anew")
    needed = GIGABYTES_PER_SCALE * COPIES_ON_DISK * scale
    free = shutil.disk_usage(environment.servers["storage"].directory).free / 1e9
    if free < needed:
        raise DemoError(
            f"scale {scale:g} needs about {needed:.0f} GB of disk, {free:.0f} GB are free; use a smaller --scale"
        )
    volume = data.Volume.scaled(scale)
    columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars, ThreadPoolExecutor() as pool:
        tables = [table for tables in data.SERVICES.values() for table in tables]
        bar = {table: bars.add_task(table, total=volume.rows(table)) for table in tables}

        def fill(service: str) -> None:
            server = environment.servers[service]
            data.create_tables(server, service)
            data.generate(
                server, service, volume, seed=seed, progress=lambda table, rows: bars.advance(bar[table], rows)
            )

        list(pool.map(fill, data.SERVICES))


def play(playbook: str) -> None:
    """Run a playbook as an operator would. Raises DemoError when it fails."""
    command = ["ansible-playbook", playbook, "-i", "inventories/demo", "-e", "consolidation_confirm=yes"]
    console.print(f"[bold]$ {' '.join(command)}")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(command, cwd=PROJECT, env=os.environ | {"PATH": path}, check=False)
    if done.returncode != 0:
        raise DemoError(f"{playbook} ended with {done.returncode}; what it said stands above. The servers still run.")


def write(environment: Environment, side: str) -> None:
    """Insert, change and delete some rows as the services' roles do; side: `services` or `storage`."""
    for service in data.SERVICES:
        server, dbname, schema, role = _place(environment, service, side)
        conn = server.connect(dbname)
        try:
            with conn.cursor() as cursor:
                cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
                cursor.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(schema)))
                cursor.execute((data.SQL / f"{service}_writes.sql").read_text())
        finally:
            conn.close()


def contents(environment: Environment, side: str) -> Contents:
    """What all tables hold on one side (`services` or `storage`)."""

    def read(service: str) -> Contents:
        server, dbname, schema, _ = _place(environment, service, side)
        return contents_of(server, dbname, schema, data.SERVICES[service])

    with ThreadPoolExecutor() as pool:
        return {table: held for found in pool.map(read, data.SERVICES) for table, held in found.items()}


def prove(environment: Environment, expected: Contents, *, served_by: str) -> None:
    """The side that serves holds exactly what is expected and alone takes writes; prints the comparison.

    After a migration the services' databases must hold the same still: they are the way back. Raises DemoError.
    """
    sides = ["services", "storage"] if served_by == "storage" else ["services"]
    found = {side: contents(environment, side) for side in sides}
    table = Table("table", "rows", "expected", *sides, "verdict")
    wrong = []
    for name, wanted in expected.items():
        held = [found[side][name] for side in sides]
        equal = all(one == wanted for one in held)
        wrong += [] if equal else [name]
        cells = [one.digest[:12] if one.rows == wanted.rows else f"{one.rows:,} rows" for one in held]
        table.add_row(
            name, f"{wanted.rows:,}", wanted.digest[:12], *cells, "[green]equal" if equal else "[red]DIFFERENT"
        )
    console.print(table)
    if wrong:
        raise DemoError(f"the proof failed: {', '.join(wrong)} do not hold what was written")
    for side in ("services", "storage"):
        for service, tables in data.SERVICES.items():
            server, dbname, schema, role = _place(environment, service, side)
            for name in tables:
                is_open = open_to(role, server, dbname, schema, name)
                if is_open != (side == served_by):
                    raise DemoError(f"the proof failed: {name} {'takes' if is_open else 'refuses'} writes of {role}")
    console.print(f"Writes are taken by: {served_by}. The other side refuses them.")


def _place(environment: Environment, service: str, side: str) -> tuple[Server, str, str, str]:
    """(server, database, schema, role of the application) of a service's tables on one side."""
    if side == "storage":
        return environment.servers["storage"], "storage", f"{service}_db", "storage_service"
    return environment.servers[service], service, "public", f"{service}_app"
