"""python -m demo: the storage consolidation on this machine, with real servers, generated data and its own proof."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from rich.table import Table

from demo import steps
from demo.environment import DIRECTORY, Environment
from demo.servers import ServerError
from demo.steps import DemoError, console


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
        console.print("\nInterrupted. The servers still run: `python -m demo status` shows them, `clean` removes them.")
        return 130
    return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument(
        "command",
        nargs="?",
        default="run",
        choices=["run", "start", "generate", "status", "stop", "clean"],
        help="run: everything from the start (default); clean: stop the servers and remove all they have",
    )
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 400,000 rows or 0.35 GB (default), 100 is 35 GB")
    parser.add_argument("--seed", type=int, default=1, help="the same seed generates the same rows (default 1)")
    arguments = parser.parse_args()
    if not 0 < arguments.scale <= 1000:
        parser.error("--scale must be greater than 0 and at most 1000")
    return arguments


def _do(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "run":
            run(arguments.scale, arguments.seed)
        case "start":
            environment = Environment.load() or Environment.create()
            environment.start()
            status(environment)
        case "generate":
            environment = _existing()
            steps.generate(environment, arguments.scale, arguments.seed)
        case "status":
            status(_existing())
        case "stop":
            _existing().stop()
        case "clean":
            if leftover := Environment.load():
                leftover.destroy()
            console.print("The demo's servers are stopped and its files removed.")
    return 0


def run(scale: float, seed: int) -> None:
    """The whole story: migrate, roll back, migrate again; writes in between, and a proof after every step."""
    clock = Clock()
    if leftover := Environment.load():
        with clock.step("Removing the servers of an earlier demo"):
            leftover.destroy()
    with clock.step("Starting three PostgreSQL servers: campaign, image, storage"):
        environment = Environment.create()
        status(environment)
    with clock.step("Filling the databases of the Campaign and the Image Service"):
        steps.generate(environment, scale, seed)
        written = steps.contents(environment, "services")
    with clock.step("Migrating both into the storage database"):
        steps.play("migrate.yml")
    with clock.step("Proof: the storage database has every row, and serves them"):
        steps.prove(environment, written, served_by="storage")
    with clock.step("Writing on the new side, then rolling back"):
        steps.write(environment, "storage")
        written = steps.contents(environment, "storage")
        steps.play("rollback.yml")
    with clock.step("Proof: the services' databases have every row, the new ones too, and serve them"):
        steps.prove(environment, written, served_by="services")
    with clock.step("Writing on the old side, then migrating again"):
        steps.write(environment, "services")
        written = steps.contents(environment, "services")
        steps.play("migrate.yml")
    with clock.step("Proof: the storage database has every row, the newest too"):
        steps.prove(environment, written, served_by="storage")
    clock.summary()
    console.print("[bold green]All proofs hold: no row is missing, extra or altered.")
    console.print("Look around with `python -m demo status`; `make demo-clean` stops the servers and removes the demo.")
    _print_report()


def status(environment: Environment) -> None:
    """Print the servers, how to look into them, and the last report."""
    table = Table("server", "version", "port", "running")
    for name, server in environment.servers.items():
        table.add_row(name, str(server.major), str(server.port), "yes" if server.running else "no")
    console.print(table)
    console.print("To look into them:")
    for name, server in environment.servers.items():
        where = f"-h {server.host} -p {server.port} -U postgres {name}"
        passfile, psql = shlex.quote(str(server.passfile)), shlex.quote(str(server.bin / "psql"))
        console.print(f"  PGPASSFILE={passfile} {psql} {where}", soft_wrap=True, markup=False)
    _print_report()


def _print_report() -> None:
    reports = sorted((DIRECTORY / "runs").glob("*/report.html"), key=lambda path: path.stat().st_mtime)
    if reports:
        console.print(f"Report of the last run: {reports[-1]}", soft_wrap=True)


def _existing() -> Environment:
    environment = Environment.load()
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
