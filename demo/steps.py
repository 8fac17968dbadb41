"""The steps of the demo: fill the databases, run a playbook under clients' writes, prove what every side holds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import yaml
from psycopg2 import sql
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo import checker, data
from demo.client import now
from demo.environment import DIRECTORY, PROJECT, Environment
from demo.ledger import Operation
from demo.proof import Content, contents_of, open_to
from demo.servers import Server
from demo.traffic import Traffic

GIGABYTES_PER_SCALE = 0.35
COPIES_ON_DISK = 5
"""Source, storage, their WAL, the backup and its restore drill."""
MEANINGS = {
    "unknown": "no answer came, either is right",
    "missing": "acknowledged, but not there",
    "duplicated": "sent once, there twice",
    "altered": "there, but not as it was sent",
    "uncalled": "there, though no client sent it or it was refused",
}
SERVED_SECONDS = 30
"""How long after a playbook a service may take to accept a write."""

Contents = dict[str, Content]
"""Table -> what it holds."""

console = Console(highlight=False)


class DemoError(Exception):
    """The demo cannot go on, or a proof failed; the message says what to do."""


def disk_gigabytes(scale: float) -> float:
    """What a demo of that scale takes, about."""
    return GIGABYTES_PER_SCALE * COPIES_ON_DISK * scale


def require_space(directory: Path, scale: float) -> None:
    """Raises DemoError where the disk is too small."""
    needed = disk_gigabytes(scale)
    free = shutil.disk_usage(directory).free / 1e9
    if free < needed:
        raise DemoError(
            f"scale {scale:g} needs about {needed:.1f} GB of disk in {directory}, {free:.1f} GB are free:"
            ' make room, or give make demo DEMO_OPTIONS="--scale 0.1"'
        )


def program(name: str) -> str:
    """A program of this installation, as it is typed in the folder of the checkout."""
    path = Path(sys.executable).parent / name
    return str(path.relative_to(PROJECT)) if path.is_relative_to(PROJECT) else str(path)


def generate(environment: Environment, scale: float, seed: int) -> None:
    """Create the services' tables and fill them, the services side by side. Raises DemoError."""
    if any(data.has_tables(environment.servers[service], service) for service in data.SERVICES):
        raise DemoError("the databases are filled already; `python -m demo clean`, then start again")
    require_space(environment.servers["storage"].directory, scale)
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


def start_clients(environment: Environment) -> Traffic:
    """Clients of the services, to be used with `with`; their ledger is traffic.jsonl."""
    services = {name: environment.services[name].url for name in data.SERVICES}
    return Traffic(services, environment.directory / "traffic.jsonl")


def play_under_load(environment: Environment, playbook: str, traffic: Traffic) -> None:
    """Run a playbook while clients write, and print what they saw. Raises DemoError when it or a service fails."""
    begin = now()
    play(environment, playbook)
    end = now()
    unserved = traffic.wait_for_writes(SERVED_SECONDS)
    console.print(seen_by_clients(checker.outages(traffic.operations, begin, end), playbook))
    if unserved:
        raise DemoError(f"{' and '.join(sorted(unserved))}: no write is taken {SERVED_SECONDS} s after {playbook}")


def seen_by_clients(outages: Iterable[checker.Outage], playbook: str) -> Table:
    """What the clients of each service saw while a playbook ran."""
    table = Table("service", "mode", "last write", "next write", "longest wait of a client", "failed requests")
    for outage in outages:
        failed = "\n".join(f"[red]{count} x {answer}" for answer, count in outage.errors.items()) or "0"
        wait = f"{outage.longest_wait:.1f} s"
        mode = _mode(outage.service) if playbook == "migrate.yml" else "noted keys"
        table.add_row(outage.service, mode, _clock(outage.last_before), _clock(outage.first_after), wait, failed)
    return table


def _mode(service: str) -> str:
    """Of its database, in the demo's inventory."""
    path = PROJECT / "inventories" / "demo" / "host_vars" / f"{service}_db.yml"
    return str(yaml.safe_load(path.read_text())["consolidation_mode"])


def judge(environment: Environment, operations: Iterable[Operation], side: str) -> None:
    """Every write that was acknowledged is on this side (`services` or `storage`). Raises DemoError."""
    rows: checker.Rows = {}
    for service, tables in data.SERVICES.items():
        server, dbname, schema, _ = place(environment, service, side)
        rows = {**rows, **checker.rows_of(server, dbname, schema, tables)}
    verdicts = checker.check(operations, rows)
    table = Table("writes", *verdicts)
    for name in ("acknowledged", "refused", "unknown"):
        table.add_row(name, *(f"{getattr(verdict, name):,}" for verdict in verdicts.values()))
    table.add_section()
    for name in ("missing", "duplicated", "altered", "uncalled"):
        counts = [len(getattr(verdict, name)) for verdict in verdicts.values()]
        table.add_row(name, *(f"[red]{count}" if count else "0" for count in counts))
    console.print(table)
    console.print("[dim]" + "; ".join(f"{name}: {meaning}" for name, meaning in MEANINGS.items()))
    if wrong := [token for verdict in verdicts.values() for token in verdict.wrong]:
        raise DemoError(f"acknowledged writes are missing or altered; look for {', '.join(wrong[:3])} in traffic.jsonl")


def _clock(moment: float | None) -> str:
    """To the tenth of a second that outages are measured to; the table fits a terminal of 80 columns with it."""
    return "-" if moment is None else datetime.fromtimestamp(moment).strftime("%H:%M:%S.%f")[:-5]


def play(environment: Environment, playbook: str, *variables: str, limit: str = "") -> None:
    """Run a playbook as an operator would; variables: further ones, as `-e` takes them. Raises DemoError."""
    command = [program("ansible-playbook"), playbook, "-i", "inventories/demo", "-e", "consolidation_confirm=yes"]
    command += [part for variable in variables for part in ("-e", variable)]
    command += ["--limit", limit] if limit else []
    if environment.directory != DIRECTORY:
        command += ["-e", f"demo_directory={environment.directory}"]
    console.print(f"[bold]$ {' '.join(command)}", soft_wrap=True)
    done = subprocess.run(command, cwd=PROJECT, env={**os.environ, "PATH": _path_of_a_newcomer()}, check=False)
    if done.returncode != 0:
        raise DemoError(f"{playbook} ended with {done.returncode}; its last lines say why. The servers still run.")


def _path_of_a_newcomer() -> str:
    """Without .venv/bin, which make has put there: the playbook prints commands as they are found in a shell."""
    ours = Path(sys.executable).parent
    return os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != ours)


def write(environment: Environment, side: str) -> None:
    """Insert, change and delete some rows as the services' roles do; side: `services` or `storage`."""
    for service in data.SERVICES:
        server, dbname, schema, role = place(environment, service, side)
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
        server, dbname, schema, _ = place(environment, service, side)
        return contents_of(server, dbname, schema, data.SERVICES[service])

    with ThreadPoolExecutor() as pool:
        return {table: held for found in pool.map(read, data.SERVICES) for table, held in found.items()}


def prove(environment: Environment, expected: Contents, *, served_by: str) -> None:
    """The side that serves holds exactly what is expected and alone takes writes; prints the comparison.

    After a migration the services' databases must hold the same still: a rollback needs them. Raises DemoError.
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
            server, dbname, schema, role = place(environment, service, side)
            for name in tables:
                is_open = open_to(role, server, dbname, schema, name)
                if is_open != (side == served_by):
                    raise DemoError(f"the proof failed: {name} {'takes' if is_open else 'refuses'} writes of {role}")
    console.print(f"Writes are taken by: {served_by}. The other side refuses them.")


def place(environment: Environment, service: str, side: str) -> tuple[Server, str, str, str]:
    """(server, database, schema, role of the application) of a service's tables on one side."""
    if side == "storage":
        return environment.servers["storage"], "storage", f"{service}_db", "storage_service"
    return environment.servers[service], service, "public", f"{service}_app"
