"""The runbook as operators run it: test servers, an inventory of them, and ansible-playbook in a process of its own."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil  # type: ignore[import-untyped]  # it brings no types
import psycopg2
import psycopg2.errors

from demo import data, proof
from demo.servers import installations
from tests.cluster import SUPERUSER, Cluster, Database, digest_of_everything, digest_of_files

ROOT = Path(__file__).parents[1]
PROGRAM = Path(sys.executable).with_name("ansible-playbook")
CONSOLE = {"ANSIBLE_STDOUT_CALLBACK": "console"}
"""What an operator has, ansible.cfg says so; the tests read Ansible's own output otherwise."""
MARK = "CONSOLIDATION_TEST"
"""Environment variable that every process of a playbook inherits, however it was orphaned."""
RETURNS = "CONSOLIDATION_TEST_RETURNS"
"""Environment variable for tests/callback/returns.py."""
WAIT_SECONDS = 300.0
"""For a playbook; on a busy machine one takes minutes."""
STORAGE_ROLE = "storage_service"


@dataclass(frozen=True)
class Played:
    """What a playbook said and how it ended."""

    returncode: int
    output: str

    @property
    def text(self) -> str:
        """The output with single spaces: Ansible wraps and indents as it likes."""
        return " ".join(self.output.split())

    def changed(self, host: str) -> int:
        """Number of changed tasks in the recap."""
        found = re.search(rf"^{host} +: .*changed=(\d+)", self.output, re.MULTILINE)
        assert found, self.output
        return int(found[1])

    def unchanged(self, *hosts: str) -> None:
        """It succeeded and no task changed anything."""
        self.succeeded()
        assert [self.changed(host) for host in hosts] == [0] * len(hosts), self.output

    def succeeded(self) -> Played:
        assert self.returncode == 0, self.output
        return self

    def failed(self) -> Played:
        assert self.returncode != 0, self.output
        return self


@dataclass(frozen=True)
class Playing:
    """A playbook under way; the leader of a process group, as in a terminal."""

    process: subprocess.Popen[bytes]
    log: Path
    undocumented: Path
    """Appears when a module returns something else than its documentation says."""

    def kill(self) -> None:
        """End ansible-playbook alone, as the kernel would when memory runs out."""
        self.process.kill()
        self.process.wait(WAIT_SECONDS)

    def interrupt(self) -> Played:
        """Ctrl-C: the terminal signals the whole group. Returns when ansible-playbook has ended."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.end()

    def end(self) -> Played:
        """Wait for the end."""
        returncode = self.process.wait(WAIT_SECONDS)
        assert not self.undocumented.exists(), self.undocumented.read_text()
        return Played(returncode, self.log.read_text())


@dataclass(frozen=True)
class Site:
    """Service databases, the storage database, and the operator's inventory. Directories: backups, runs, home."""

    directory: Path
    sources: dict[str, Database]
    """By inventory host."""
    target: Database
    started: list[Playing] = field(default_factory=list)

    def start(
        self, playbook: str, *options: str, confirm: bool = True, environment: Mapping[str, str] | None = None
    ) -> Playing:
        """Start ansible-playbook from the root of the checkout."""
        command = [str(PROGRAM), playbook, "-i", str(self.directory / "hosts.json"), *options]
        command += ["-e", "consolidation_confirm=yes"] if confirm else []
        home = self.directory / "home"
        variables = {
            **os.environ,
            "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}",
            "HOME": str(home),
            "ANSIBLE_HOME": str(home / ".ansible"),
            "ANSIBLE_NOCOLOR": "1",
            MARK: str(self.directory),
            **(environment or {}),
        }
        # As AWX sets it: log and last lines are there all the same.
        variables["ANSIBLE_CALLBACKS_ENABLED"] = "ansible.builtin.minimal"
        variables["ANSIBLE_CALLBACK_PLUGINS"] = f"{ROOT / 'plugins/callback'}:{ROOT / 'tests/callback'}"
        variables[RETURNS] = str(self.directory / "undocumented-results")
        log = self.directory / f"output-{time.monotonic_ns()}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.started.append(Playing(process, log, Path(variables[RETURNS])))
        return self.started[-1]

    def play(
        self, playbook: str, *options: str, confirm: bool = True, environment: Mapping[str, str] | None = None
    ) -> Played:
        """Run a playbook to its end."""
        return self.start(playbook, *options, confirm=confirm, environment=environment).end()

    def everything(self) -> dict[str, Any]:
        """Equal before and after means: no server, no dump, no evidence and no inventory was changed."""
        servers = {each.server.name: each.server for each in (*self.sources.values(), self.target)}
        found: dict[str, Any] = {name: digest_of_everything(server) for name, server in servers.items()}
        for place in (self.directory / "backups", self.directory / "runs", ROOT / "inventories"):
            found[place.name] = digest_of_files(place)
        # The page of a look: what check mode is for.
        found["runs"] = {name: each for name, each in found["runs"].items() if not name.startswith("plan/")}
        return found

    def contents(self, side: str) -> dict[str, proof.Content]:
        """Table -> its content on one side (source or target), by queries that the product does not share."""
        found: dict[str, proof.Content] = {}
        for name in self.sources:
            database, schema, _ = self._place(side, name)
            tables = data.SERVICES[_service(name)]
            found |= proof.contents_of(database.server, database.name, schema, tables)
        return found

    def is_open(self, side: str, name: str = "campaign_db") -> bool:
        """Whether the application's role may write into every table of a side; all tables must say the same."""
        database, schema, role = self._place(side, name)
        tables = data.SERVICES[_service(name)]
        found = {proof.open_to(role, database.server, database.name, schema, table) for table in tables}
        assert len(found) == 1, found
        return found.pop()

    def write(self, side: str) -> None:
        """Insert, change and delete some rows as the application."""
        for name in self.sources:
            database, schema, role = self._place(side, name)
            script = (data.SQL / f"{_service(name)}_writes.sql").read_text()
            database.execute(f"SET search_path = {schema}; {script}", role=role)

    def report(self) -> dict[str, Any]:
        """report.json of the newest run."""
        found: dict[str, Any] = json.loads((self.run_directory / "report.json").read_text())
        return found

    @property
    def run_directory(self) -> Path:
        """Of the newest run; the newest that has a report."""
        return max(path.parent for path in (self.directory / "runs").glob("*/report.json"))

    def processes(self) -> list[psutil.Process]:
        """Every process that a playbook of this site has left."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == str(self.directory) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def backends(self) -> list[str]:
        """The runbook's sessions on all servers: `<application_name>: <state>`."""
        query = (
            "SELECT application_name || ': ' || coalesce(state, '') FROM pg_stat_activity"
            " WHERE usename = 'consolidation' ORDER BY 1"
        )
        servers = {each.server.name: each for each in (*self.sources.values(), self.target)}
        found = []
        for each in servers.values():
            conn = each.server.connect()  # the service's own database may be lost
            with conn.cursor() as cursor:
                cursor.execute(query)
                found += [name for (name,) in cursor.fetchall()]
            conn.close()
        return found

    def nothing_left(self) -> bool:
        """No process of a playbook and none of its sessions."""
        return not self.processes() and not self.backends()

    def kill_everything(self) -> None:
        """As a power cut would, but for the servers."""
        while processes := self.processes():
            for process in processes:
                if process.is_running():
                    process.kill()
        for playing in self.started:
            playing.process.wait(WAIT_SECONDS)

    def _place(self, side: str, name: str) -> tuple[Database, str, str]:
        """(database, schema, role of the application)"""
        if side == "target":
            return self.target, name, STORAGE_ROLE
        moves = self.sources[name] == self.target
        return self.sources[name], "public", STORAGE_ROLE if moves else f"{_service(name)}_app"


def create(cluster: Cluster, directory: Path, names: Sequence[str] = ("campaign_db", "image_db")) -> Site:
    """Fresh databases with a few rows and the roles of production, and the inventory of one environment."""
    source_server, target_server = cluster.server("source", 16), cluster.server("target", 18)
    sources = {}
    for name in names:
        sources[name] = cluster.filled_source(source_server, _service(name))
    site = Site(directory, sources, cluster.target(target_server))
    write_inventory(site, {name: _database(site, name) for name in names})
    return site


def write_inventory(site: Site, databases: dict[str, dict[str, Any]]) -> None:
    """hosts.json: groups databases, storage and runners; no host of any service."""
    (site.directory / "home").mkdir(exist_ok=True)
    hosts = {name: {"consolidation_database": database} for name, database in databases.items()}
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "consolidation_backup_directory": str(site.directory / "backups"),
        "consolidation_run_directory": str(site.directory / "runs"),
        "consolidation_postgresql_bin": str(installations()[max(installations())]),
    }
    groups = {
        "databases": {"hosts": hosts},
        "storage": {"hosts": {"storage_db": {}}},
        "runners": {"hosts": {"runner": {}, "unreachable": {"ansible_connection": "ssh", "ansible_port": 1}}},
    }
    (site.directory / "hosts.json").write_text(json.dumps({"all": {"vars": variables, "children": groups}}))


def wait_for(condition: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Wait until it is true; fails with what was waited for."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s in vain for {what}"
        time.sleep(0.05)


def online(site: Site, *names: str) -> Site:
    """Have databases migrated in mode online."""
    chosen = {name: _database(site, name) for name in site.sources}
    write_inventory(
        site, {name: {**each, "mode": "online"} if name in names else each for name, each in chosen.items()}
    )
    return site


@dataclass
class Writer:
    """Writes campaigns as the application all the time, wherever it may, and knows every acknowledged write."""

    site: Site
    names: dict[str, str] = field(default_factory=dict)
    """id -> name, as it must be in the end."""
    gaps: list[float] = field(default_factory=list)
    """Seconds between two acknowledged writes."""
    failures: list[BaseException] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Until the block ends; then every acknowledged write must be on the side given by `check`."""
        thread = threading.Thread(target=self._write)
        thread.start()
        try:
            yield self
        finally:
            self.stop.set()
            thread.join()
        assert not self.failures, self.failures

    def check(self, side: str) -> None:
        """All that was acknowledged, as it was."""
        database, schema, _ = self.site._place(side, "campaign_db")
        found = dict(database.rows(f"SELECT id::text, name FROM {schema}.campaigns WHERE name LIKE 'live %'"))
        assert found == self.names

    def _write(self) -> None:
        try:
            places = [self.site._place(side, "campaign_db") for side in ("source", "target")]
            at, last, number = 0, time.monotonic(), 0
            while not self.stop.is_set():
                database, schema, role = places[at]
                number += 1
                old = random.choice(sorted(self.names)) if self.names and number % 3 == 0 else None  # noqa: S311
                statement = (
                    f"UPDATE {schema}.campaigns SET name = %s WHERE id = %s RETURNING id::text"
                    if old
                    else f"INSERT INTO {schema}.campaigns (name, id, creator_id, owner_id)"
                    " VALUES (%s, %s, gen_random_uuid(), gen_random_uuid()) RETURNING id::text"
                )
                name, identity = f"live {number}", old or str(uuid4())
                try:
                    with database.connection(SUPERUSER) as conn, conn.cursor() as cursor:
                        cursor.execute(f"SET ROLE {role}")
                        cursor.execute(statement, (name, identity))
                        assert cursor.fetchall() == [(identity,)], f"{statement}: the row is not there"
                        conn.commit()
                except (psycopg2.errors.ReadOnlySqlTransaction, psycopg2.errors.UndefinedTable):
                    at = 1 - at
                    continue
                self.names[identity] = name
                self.gaps.append(time.monotonic() - last)
                last = time.monotonic()
                self.stop.wait(0.01)
        except BaseException as error:  # noqa: BLE001 - raised by the main thread
            self.failures.append(error)


def _database(site: Site, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "source": connection(site.sources[name]),
        "source_schema": "public",
        "tables": [],
        "application_roles": [f"{_service(name)}_app"],
        "target": connection(site.target),
        "target_roles": [STORAGE_ROLE],
    }


def connection(database: Database) -> dict[str, Any]:
    """The runbook's connection as the inventory has it."""
    return {**database.settings.keywords(), "sslmode": "disable"}


def _service(name: str) -> str:
    return name.removesuffix("_db")
