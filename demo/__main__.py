"""python -m demo: the storage consolidation on this machine: real servers and services, live clients, its own proof."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
from rich.table import Table

from demo import steps, supervisor
from demo.environment import DIRECTORY, Environment
from demo.servers import ServerError
from demo.services import NAMES
from demo.steps import DemoError, console
from demo.traffic import Traffic


def main() -> int:
    """Exit code: 0 done, 1 failed, 130 interrupted."""
    arguments = _arguments()
    try:
        return _do(arguments)
    except (DemoError, ServerError) as error:
        console.print(str(error), style="bold red", markup=False)
    except psycopg2.Error as error:
        # the first line only: details may carry rows
        message = error.diag.message_primary or str(error).partition("\n")[0]
        console.print(f"PostgreSQL: {message}", style="bold red", markup=False)
    except KeyboardInterrupt:
        console.print("\nInterrupted. Servers and services still run: `make demo-clean` stops and removes them.")
        return 130
    return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help="where the demo lives (default .demo)")
    parser.set_defaults(command="run", scale=1.0, seed=1)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    run = commands.add_parser("run", help="everything from the start (default)")
    commands.add_parser("start", help="start the servers and the services")
    generate = commands.add_parser("generate", help="fill the services' databases")
    commands.add_parser("status", help="what runs where, and how to look into it")
    commands.add_parser("stop", help="stop the services and the servers")
    commands.add_parser("clean", help="stop them and remove all they have")
    service = commands.add_parser("service", help="start or stop one service")
    service.add_argument("action", choices=["start", "stop", "restart", "status"])
    service.add_argument("name", choices=NAMES)
    for filling in (run, generate):
        filling.add_argument("--scale", type=_scale, default=1.0, help="1 is 0.35 GB (default), 100 is 35 GB")
        filling.add_argument("--seed", type=int, default=1, help="the same seed generates the same rows (default 1)")
    arguments = parser.parse_args()
    arguments.directory = arguments.directory.resolve()
    return arguments


def _scale(text: str) -> float:
    scale = float(text)
    if not 0 < scale <= 1000:
        raise argparse.ArgumentTypeError("it must be greater than 0 and at most 1000")
    return scale


def _do(arguments: argparse.Namespace) -> int:
    directory = arguments.directory
    match arguments.command:
        case "run":
            run(directory, arguments.scale, arguments.seed)
        case "start":
            environment = Environment.load(directory) or Environment.create(directory)
            environment.start()
            environment.start_services()
            status(environment)
        case "generate":
            steps.generate(_existing(directory), arguments.scale, arguments.seed)
        case "status":
            status(_existing(directory))
        case "stop":
            _existing(directory).stop()
        case "clean":
            if leftover := Environment.load(directory):
                _remove(leftover)
            console.print("The demo's servers and services are stopped and its files removed.")
        case "service":
            service = _existing(directory).services[arguments.name]
            return supervisor.act(service.directory, arguments.action)
    return 0


INTRODUCTION = """\
This shows the runbook running, on servers and services of its own, on loopback:

  1. three PostgreSQL servers (campaign, image, storage), two of them filled
     with about {rows} of rows
  2. three services, and clients that write through them all the while
  3. migrate.yml, then a proof: every row is there, and every write that was
     acknowledged to a client
  4. writes on the new side, rollback.yml, the proof; writes on the old side,
     migrate.yml again, the proof

It takes about {minutes} and {disk:.1f} GB of disk, and nothing outside of
{directory}

Options: make demo DEMO_OPTIONS="--scale 10" for ten times the rows, --seed 2
for others. Ctrl-C stops it at any time.
"""


def run(directory: Path, scale: float, seed: int) -> None:
    """The whole story: migrate, roll back, migrate again; writes in between, and a proof after every step."""
    clock = Clock()
    size = f"{scale * steps.GIGABYTES_PER_SCALE:.2g} GB"
    minutes = "3 minutes" if scale <= 1 else f"{3 + scale * 0.5:.0f} minutes"
    disk = steps.disk_gigabytes(scale)
    introduction = INTRODUCTION.format(rows=size, minutes=minutes, disk=disk, directory=directory)
    console.print(introduction, soft_wrap=True, markup=False)
    directory.mkdir(exist_ok=True)
    steps.require_space(directory, scale)
    if leftover := Environment.load(directory):
        with clock.step("Removing what is left of an earlier demo"):
            _remove(leftover)
    with clock.step("Starting three PostgreSQL servers: campaign, image, storage"):
        environment = Environment.create(directory)
        status(environment)
    with clock.step("Filling the databases of the Campaign and the Image Service"):
        steps.generate(environment, scale, seed)
        written = steps.contents(environment, "services")
    with clock.step("Starting the three services, and clients that write through them all the while"):
        environment.start_services()
        traffic = steps.start_clients(environment)
    with traffic:
        _migrate_roll_back_migrate(environment, written, traffic, clock)
    with clock.step("Proof: every acknowledged write is there"):
        steps.judge(environment, traffic.operations, "storage")
    clock.summary()
    console.print("[bold green]All proofs hold: no row is missing, extra or altered, and no client's write.")
    console.print(RESULT, markup=False)
    _print_report(environment)
    inventory = "-i inventories/demo"
    if environment.directory != DIRECTORY:
        inventory += f" -e demo_directory={environment.directory}"
    program = steps.program("ansible-playbook")
    extra = f" -- -e demo_directory={environment.directory}" if environment.directory != DIRECTORY else ""
    console.print("\nThree things to try next; servers and services still run:")
    for text, command in (
        ("the state of every database", f"{steps.program('consolidation')} status -i inventories/demo{extra}"),
        ("what a rollback would do, changing nothing", f"{program} rollback.yml {inventory} --check --diff"),
        ("the servers and services, and how to look into them", f"{steps.program('python')} -m demo status"),
    ):
        console.print(f"  {text}:\n    {command}", soft_wrap=True, markup=False)
    console.print("make demo-clean stops everything and removes it; the reports are kept.")


def _migrate_roll_back_migrate(
    environment: Environment, written: steps.Contents, traffic: Traffic, clock: Clock
) -> None:
    with clock.step("Migrating both into the storage database"):
        steps.play_under_load(environment, "migrate.yml", traffic)
    with clock.step("Proof: the storage database has every row, and serves them"):
        steps.prove(environment, written, served_by="storage")
    with clock.step("Writing on the new side, then rolling back"):
        steps.write(environment, "storage")
        written = steps.contents(environment, "storage")
        steps.play_under_load(environment, "rollback.yml", traffic)
    with clock.step("Proof: the services' databases have every row, the new ones too, and serve them"):
        steps.prove(environment, written, served_by="services")
    with clock.step("Writing on the old side, then migrating again"):
        steps.write(environment, "services")
        written = steps.contents(environment, "services")
        steps.play_under_load(environment, "migrate.yml", traffic)
    with clock.step("Proof: the storage database has every row, the newest too"):
        steps.prove(environment, written, served_by="storage")


RESULT = """
  before   campaign service ---> campaign database
           image service ------> image database

  now      campaign service --.                      .--> schema campaign_db
                              +--> Storage Service --+  of the storage database
           image service -----'                      '--> schema image_db

  The services' own databases are still there behind their fence:
  rollback.yml needs nothing else.
"""


def _remove(leftover: Environment) -> None:
    """Stop and remove a demo; its reports are kept."""
    kept = leftover.keep_reports()
    leftover.destroy()
    if kept:
        console.print(f"The reports of that demo are kept in {kept}", soft_wrap=True, markup=False)


def status(environment: Environment) -> None:
    """Print the servers, how to look into them, the services, and the last report."""
    table = Table("what", "which", "port", "running")
    for name, server in environment.servers.items():
        table.add_row("PostgreSQL", f"{name}, version {server.major}", str(server.port), _yes(server.running))
    for service in environment.services.values():
        release = (service.directory / "current").resolve().name
        table.add_row("service", f"{service.name}, release {release}", str(service.port), _yes(service.running))
    console.print(table)
    console.print("To look into them:")
    for name, server in environment.servers.items():
        where = f"-h {server.host} -p {server.port} -U postgres {name}"
        passfile, psql = shlex.quote(str(server.passfile)), shlex.quote(str(server.bin / "psql"))
        console.print(f"  PGPASSFILE={passfile} {psql} {where}", soft_wrap=True, markup=False)
    _print_report(environment)


def _yes(it_is: bool) -> str:
    return "yes" if it_is else "no"


def _print_report(environment: Environment) -> None:
    reports = sorted((environment.directory / "runs").glob("*/report.html"), key=lambda path: path.stat().st_mtime)
    if reports:
        console.print(f"Report of the last run: {reports[-1]}", soft_wrap=True)


def _existing(directory: Path) -> Environment:
    environment = Environment.load(directory)
    if environment is None:
        raise DemoError("there is no demo here; `python -m demo start` makes one")
    return environment


class Clock:
    """Announces every step and knows how long each took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        console.rule(f"[bold]{title}", align="left")
        started = time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - started
        console.print(f"[dim]{self.seconds[title]:.1f} s\n")

    def summary(self) -> None:
        table = Table("step", "seconds")
        table.columns[1].justify = "right"
        for title, seconds in self.seconds.items():
            table.add_row(title, f"{seconds:.1f}")
        table.add_section()
        table.add_row("in all", f"{sum(self.seconds.values()):.1f}")
        console.print(table)


if __name__ == "__main__":
    sys.exit(main())
