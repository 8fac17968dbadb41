"""Where the benchmark happens: two servers with the same settings, a source database for each set, fresh targets."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg2 import sql

from consolidation import files
from consolidation.postgres.connection import Settings
from demo import roles
from demo.servers import SUPERUSER, Server, ServerError, installations

SETTINGS = {
    "shared_buffers": "512MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # It would begin at the end of one contender's run and take its time from the next one's.
    "autovacuum": "off",
    "max_connections": "100",
}
"""Of both servers, for all contenders. Checkpoints are made between the runs, not within them."""
RUNBOOK = "consolidation"


class BenchError(Exception):
    """The benchmark, or one contender, cannot go on; the message says why."""


@dataclass(frozen=True)
class Place:
    """Two servers, and where contenders keep files."""

    source: Server
    target: Server
    directory: Path
    has_lz4: bool
    streams: int
    """Workers of the product, pipes, jobs of the peers: the same number for all."""

    @property
    def passfile(self) -> Path:
        """The superuser's and the runbook's passwords on both servers (0600)."""
        return self.directory / "passfile"

    def settings(self, server: Server, dbname: str, user: str = SUPERUSER) -> Settings:
        """A connection over TCP on this machine, as every contender has it."""
        return Settings(server.host, dbname, user, server.port, str(self.passfile), sslmode="disable")

    def execute(self, server: Server, statement: str | sql.Composable, dbname: str = "postgres") -> None:
        """Run statements as superuser, each on its own."""
        conn = server.connect(dbname)
        try:
            conn.cursor().execute(statement)
        finally:
            conn.close()

    def rows(self, server: Server, dbname: str, query: str | sql.Composable, parameters: Any = None) -> list[Any]:
        """All rows of a query, as superuser."""
        conn = server.connect(dbname)
        try:
            with conn.cursor() as cursor:
                cursor.execute(query, parameters)
                return list(cursor.fetchall())
        finally:
            conn.close()

    def fresh_target(self, dbname: str, compression: str) -> None:
        """An empty database on the target server, in place of the one of that name."""
        self.drop_target(dbname)
        name = sql.Identifier(dbname)
        self.execute(self.target, sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
        statement = "ALTER DATABASE {} SET default_toast_compression = {}"
        self.execute(self.target, sql.SQL(statement).format(name, sql.Literal(compression)))

    def drop_target(self, dbname: str) -> None:
        """Remove a database of the target server, if it is there."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(dbname))
        self.execute(self.target, statement)

    def settle(self) -> None:
        """Write out what earlier runs have left in the servers' buffers: no one pays for another one's."""
        for server in (self.source, self.target):
            self.execute(server, "CHECKPOINT")
        os.sync()

    def run(self, command: Sequence[str | Path]) -> list[str]:
        """Lines that a program of the servers' version, or a peer, has said. Raises BenchError with a few of them."""
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            done = subprocess.run(command, env=self.environment(), stdout=output, stderr=output, check=False)
            output.seek(0)
            said = output.read().strip().splitlines()
        if done.returncode != 0:
            reasons = [line for line in said if "ERROR" in line or "error:" in line] or said
            raise BenchError(f"{Path(command[0]).name} ended with {done.returncode}: {' | '.join(reasons[:3])[:500]}")
        return said

    def environment(self) -> dict[str, str]:
        """For programs: the passwords, and the servers' own client tools before all others."""
        path = os.pathsep.join([str(self.target.bin), os.environ.get("PATH", "")])
        return os.environ | {"PGPASSFILE": str(self.passfile), "PGSSLMODE": "disable", "PATH": path}

    def scratch(self, name: str) -> Path:
        """Path of a directory that is not there."""
        path = self.directory / name
        shutil.rmtree(path, ignore_errors=True)
        return path


def choose_version(wanted: int | None) -> int:
    """The wanted major version, else the newest that can compress with lz4, else the newest. Raises BenchError."""
    found = installations()
    if not found or (wanted is not None and wanted not in found):
        have = ", ".join(map(str, found)) or "none"
        raise BenchError(f"no PostgreSQL {wanted or ''} on this machine (found: {have})")
    with_lz4 = [major for major, programs in found.items() if knows_lz4(programs)]
    return wanted or max(with_lz4 or found)


def knows_lz4(programs: Path) -> bool:
    """Whether this PostgreSQL was built with lz4. `-C` starts no server."""
    options = ["-C", "default_toast_compression", "-D", "/", "-c", "config_file=/dev/null"]
    command = [str(programs / "postgres"), *options, "-c", "default_toast_compression=lz4"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def place(major: int, streams: int, parent: Path) -> Iterator[Place]:
    """Both servers, gone at the end with all they hold. `parent` is on the disk that is to be measured."""
    with tempfile.TemporaryDirectory(prefix="consolidation-bench-", dir=parent) as name:
        directory = Path(name)
        directory.chmod(0o711)
        servers: list[Server] = []
        try:
            servers += [Server.create(each, major, directory / each, SETTINGS) for each in ("source", "target")]
            source, target = servers
            made = Place(source, target, directory, knows_lz4(installations()[major]), streams)
            roles.create_source(source, "nothing")
            roles.create_target(target, "nothing")
            lines = [line for server in servers for line in roles.give_passwords(server, [RUNBOOK])]
            lines += [server.passfile.read_text() for server in servers]
            files.write(made.passfile, "".join(lines))
            yield made
        except ServerError as error:
            raise BenchError(str(error)) from error
        finally:
            for server in servers:
                server.destroy()
