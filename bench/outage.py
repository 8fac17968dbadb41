"""The write outage of both modes and directions, as clients of the services and as a session of SQL see it.

``python -m bench.outage [--gigabytes G ...] [--modes online window]``: the demo's servers and services of each size, a
migrate.yml, 1 % of the rows changed on the target, a rollback.yml; all under the demo's clients and a writer of SQL.
Takes about 15 minutes for 0.1 and 1 GB in both modes, and an hour more for 5 GB. Keeps each figure in
``results/outage.json`` as it is measured; those of other sizes and modes stay as they are.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.errors
from psycopg2 import sql

from demo import checker, data, steps
from demo.client import now
from demo.environment import Environment

RESULTS = Path(__file__).parent / "results"
CHANGED = 0.01
"""Share of the rows that are changed on the target before the rollback."""
PAUSE_SECONDS = 0.005
"""Between two statements of the writer of SQL, so its outage is measured to about this."""


LIMITS = {"migrate": [""], "rollback": [f"{service}_db" for service in data.SERVICES]}
"""--limit of each command. A rollback reads both sides before it closes anything, and databases do not wait for each
other: on one machine the reading of the one would be measured as the outage of the other."""


@dataclass(frozen=True)
class Figure:
    """One outage: the longer one of the two services' databases, the failures of both."""

    mode: str
    gigabytes: float
    """Of both databases together."""
    seen_by: str
    """service: a client of a service, from one acknowledged write to the next; sql: a session that writes itself."""
    direction: str
    seconds: float
    failed_requests: int
    """Writes that were not acknowledged; of a session of SQL, statements that were refused and given again."""

    @property
    def what(self) -> tuple[object, ...]:
        """All but what was measured."""
        return self.mode, self.gigabytes, self.seen_by, self.direction


@dataclass
class Writer:
    """A session of SQL that updates a row of one service's database without pause, on the side that takes it."""

    environment: Environment
    service: str
    answers: list[tuple[float, bool]] = field(default_factory=list)
    """(moment of the answer, whether it was written)"""

    def run(self, enough: threading.Event) -> None:
        """Until `enough` is set."""
        sides = [steps.place(self.environment, self.service, side) for side in ("services", "storage")]
        conns: list[Any] = [None, None]
        table, at = data.SERVICES[self.service][0], 0
        while not enough.wait(PAUSE_SECONDS):
            server, dbname, schema, role = sides[at]
            try:
                conns[at] = conns[at] or server.connect(dbname)
                with conns[at].cursor() as cursor:
                    cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
                    named = sql.Identifier(schema, table)
                    row = sql.SQL("SELECT id FROM {} ORDER BY id LIMIT 1").format(named)
                    cursor.execute(sql.SQL("UPDATE {} SET id = id WHERE id = ({})").format(named, row))
                self.answers.append((now(), True))
            except psycopg2.Error:
                self.answers.append((now(), False))
                if conns[at] is not None and conns[at].closed:
                    conns[at] = None
                at = 1 - at
        for conn in conns:
            with suppress(psycopg2.Error, AttributeError):
                conn.close()

    def outage(self, begin: float, end: float) -> tuple[float, int]:
        """(longest time between two writes; statements that were refused) from begin to end."""
        written = [moment for moment, done in self.answers if done and begin <= moment <= end]
        refused = sum(not done for moment, done in self.answers if begin <= moment <= end)
        return max(b - a for a, b in zip([begin, *written], [*written, end], strict=True)), refused


@contextmanager
def writing(environment: Environment) -> Iterator[list[Writer]]:
    """A writer of SQL for each service, in threads of their own."""
    writers = [Writer(environment, service) for service in data.SERVICES]
    enough = threading.Event()
    threads = [threading.Thread(target=writer.run, args=[enough]) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        yield writers
    finally:
        enough.set()
        for thread in threads:
            thread.join()


def change(environment: Environment) -> None:
    """Change a share of the rows of every table on the target, spread over it, as the service does."""
    for service, tables in data.SERVICES.items():
        server, dbname, schema, role = steps.place(environment, service, "storage")
        conn = server.connect(dbname)
        with conn.cursor() as cursor:
            cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            for table in tables:
                statement = "UPDATE {} SET updated_at = updated_at + interval '1 second' WHERE random() < %s"
                cursor.execute(sql.SQL(statement).format(sql.Identifier(schema, table)), [CHANGED])
        conn.close()


def measure(directory: Path, mode: str, gigabytes: float) -> Iterator[Figure]:
    """Migrate and roll back an environment of that size, and say what both kinds of writers saw of each."""
    environment = Environment.create(directory)
    try:
        steps.generate(environment, gigabytes / steps.GIGABYTES_PER_SCALE, 1)
        environment.start_services()
        with steps.start_clients(environment) as traffic, writing(environment) as writers:
            traffic.wait_for_writes(steps.SERVED_SECONDS)
            for playbook, direction in (("migrate.yml", "migrate"), ("rollback.yml", "rollback")):
                begin = now()
                for limit in LIMITS[direction]:
                    steps.play(environment, playbook, f"consolidation_mode={mode}", limit=limit)
                end = now()
                traffic.wait_for_writes(steps.SERVED_SECONDS)
                time.sleep(1)
                seen = checker.outages(traffic.operations, begin, end)
                failed = sum(sum(outage.errors.values()) for outage in seen)
                longest = max(outage.seconds or end - begin for outage in seen)
                yield Figure(mode, gigabytes, "service", direction, round(longest, 3), failed)
                by_sql = [writer.outage(begin, end) for writer in writers]
                longest, refused = max(each[0] for each in by_sql), sum(each[1] for each in by_sql)
                yield Figure(mode, gigabytes, "sql", direction, round(longest, 3), refused)
                if direction == "migrate":
                    change(environment)
        steps.judge(environment, traffic.operations, "services")
    finally:
        environment.destroy()


def keep(path: Path, figure: Figure) -> None:
    """Put the figure among those of the file, in the place of an older one of its kind."""
    held = [Figure(**each) for each in json.loads(path.read_text(encoding="utf-8"))] if path.exists() else []
    held = sorted([*(each for each in held if each.what != figure.what), figure], key=lambda each: each.what)
    path.write_text(json.dumps([asdict(each) for each in held], indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"))  # noqa: S108 - as the other benchmarks
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--gigabytes", type=float, nargs="+", default=(0.1, 1.0, 5.0))
    parser.add_argument("--modes", nargs="+", choices=("online", "window"), default=("online", "window"))
    given = parser.parse_args(arguments)
    given.results.mkdir(exist_ok=True)
    for gigabytes in given.gigabytes:
        for mode in given.modes:
            with tempfile.TemporaryDirectory(prefix="consolidation-bench-", dir=given.directory) as name:
                for figure in measure(Path(name), mode, gigabytes):
                    steps.console.print(figure)
                    keep(given.results / "outage.json", figure)


if __name__ == "__main__":
    main()
